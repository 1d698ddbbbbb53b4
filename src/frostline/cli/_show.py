"""``frostline show``: what a run found, as tables, JSON, CSV or Parquet."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frostline.cli._options import JsonOption, WorkspaceOption, choose_workspace, print_json

if TYPE_CHECKING:
    from frostline.ledger import RunRecord

__all__ = ["show"]


class _Value(StrEnum):
    train_loss = "train_loss"
    val_loss = "val_loss"
    val_accuracy = "val_accuracy"


def show(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run's id or the beginning of it, a study's name or file for its newest run, or a run's folder.  "
            "[default: the newest run]",
        ),
    ] = None,
    pivot: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS,COLUMNS",
            help="Two settings against each other, e.g. epochs,train_from or epochs,optimizer. A cell has the losses "
            "of every epoch, averaged over seeds. Arms that differ in other settings get tables of their own.",
        ),
    ] = None,
    value: Annotated[_Value | None, typer.Option(help="What the cells of a pivot show.  [default: train_loss]")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV file with a row for each arm and epoch.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Parquet file with a row for each arm and epoch.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the results of a run.

    Its arms with the training loss, validation loss and accuracy of every epoch, their time alone and the time they
    added. With --pivot, two settings against each other. With --csv or --parquet, only the file is written, unless
    --pivot or --json ask for output too.
    """
    import frostline

    if value is not None and pivot is None:
        raise typer.BadParameter("--value needs --pivot ROWS,COLUMNS")
    measure = (value or _Value.train_loss).value
    keys = None if pivot is None else _two_keys(pivot)
    record = frostline.load_run(_run_or_study(run), choose_workspace(workspace))
    _export(record, csv, parquet)
    if as_json:
        print_json(record.to_json() if keys is None else _pivot_json(record, *keys, measure))
    elif keys is not None or (csv is None and parquet is None):
        _draw(record, keys, measure)


def _draw(record: "RunRecord", keys: tuple[str, str] | None, value: Any) -> None:
    from frostline import report

    console = report.make_console()
    if keys is None:
        report.draw(report.arms_table(record), console)
        predicted = report.predicted_table(record)
        if predicted is not None:
            report.draw(predicted, console)
    else:
        for each in report.pivot(record, *keys, measure=value):
            report.draw(report.pivot_table(each), console)
        for note in report.data_notes(record):
            typer.echo(note)


def _run_or_study(given: str | None) -> str | None:
    """Return the study's name for a study file, and anything else as it is."""
    if given is None or not given.endswith(".toml"):
        return given
    from frostline.study import study_name

    return study_name(given)


def _export(record: "RunRecord", csv: Path | None, parquet: Path | None) -> None:
    from frostline import report
    from frostline.errors import FrostlineError

    for path, suffix in ((csv, ".csv"), (parquet, ".parquet")):
        if path is not None and path.exists() and path.suffix != suffix:
            raise FrostlineError(f'{path} exists and doesn\'t end in "{suffix}": name another file, or remove it')
    if csv is not None:
        report.write_csv(record, csv)
        typer.echo(f"wrote {csv}", err=True)
    if parquet is not None:
        report.write_parquet(record, parquet)
        typer.echo(f"wrote {parquet}", err=True)


def _pivot_json(record: "RunRecord", row_key: str, column_key: str, value: Any) -> dict[str, Any]:
    from frostline import report

    return {
        "run": record.run,
        "value": value,
        "n_skipped": record.data.get("n_skipped", 0),
        "tables": [each.to_json() for each in report.pivot(record, row_key, column_key, measure=value)],
    }


def _two_keys(pivot: str) -> tuple[str, str]:
    keys = [key.strip() for key in pivot.split(",")]
    if len(keys) != 2 or not all(keys):
        raise typer.BadParameter(
            f'"{pivot}": give two settings with a comma between them, such as epochs,train_from', param_hint="--pivot"
        )
    return keys[0], keys[1]
