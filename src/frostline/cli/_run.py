"""``frostline run``: a study from images to its tables."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frostline.cli._began import command_began
from frostline.cli._options import (
    CacheOption,
    CachePolicy,
    DeviceMemoryOption,
    DeviceOption,
    DiskOption,
    MemoryOption,
    Precision,
    PrecisionOption,
    SetOption,
    StudyArgument,
    WorkspaceOption,
    choose_workspace,
    print_json,
)
from frostline.errors import FrostlineError

if TYPE_CHECKING:
    from frostline.ledger import RunRecord

__all__ = ["run"]


class _Engine(StrEnum):
    auto = "auto"
    openvino = "openvino"
    torch = "torch"


def run(
    study: StudyArgument,
    overrides: SetOption = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Train every arm in an ordinary loop, sharing nothing; slow, for checking.")
    ] = False,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            help="Continue an interrupted run of this study, or start a new one.  [default: continue if there is one]",
        ),
    ] = None,
    train_again: Annotated[
        bool, typer.Option("--again", help="Train a study anew that has been run, rather than show the finished run.")
    ] = False,
    workspace: WorkspaceOption = None,
    device: DeviceOption = "auto",
    engine: Annotated[_Engine, typer.Option(help="Engine that runs the frozen stages.")] = _Engine.auto,
    precision: PrecisionOption = Precision.ieee,
    cache: CacheOption = CachePolicy.auto,
    disk: DiskOption = None,
    memory: MemoryOption = None,
    device_memory: DeviceMemoryOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the finished run as JSON; everything else goes to standard error.")
    ] = False,
) -> None:
    """Run a study and print its tables.

    Work that arms share is done once, and everything is stored as soon as it is finished.

    In a terminal a display shows progress and the time left; elsewhere each epoch of each arm is a line,
    "ARM: epoch 1/2, loss 0.8285, val loss 0.7112, val acc 72.9%". Ctrl-C stops within seconds; the same command
    continues from there. A study that has been run is shown, not trained again: see --again.
    """
    import frostline

    place = choose_workspace(workspace)
    asked = frostline.load_study(study, overrides or ())
    # Only now, since a study that can't be asked should say so at once.
    from frostline.cli._listener import make_listener

    listener = make_listener(place, lines_to=sys.stderr if as_json else sys.stdout)
    again = _same_command(
        study,
        overrides,
        plain,
        as_json,
        {
            "workspace": workspace,
            "device": device if device != "auto" else None,
            "engine": engine.value if engine != _Engine.auto else None,
            "precision": precision.value if precision != Precision.ieee else None,
            "cache": cache.value if cache != CachePolicy.auto else None,
            "disk": disk,
            "memory": memory,
            "device-memory": device_memory,
        },
    )
    try:
        with listener:
            record = frostline.run(
                asked,
                plain=plain,
                workspace=place,
                resume=resume,
                again=train_again,
                device=device,
                engine=engine.value,
                precision=precision.value,
                cache=cache.value,
                disk=disk,
                memory=memory,
                device_memory=device_memory,
                listener=listener,
                began=command_began(),
            )
    except KeyboardInterrupt as interruption:
        typer.echo(f"interrupted: {_how_to_continue(listener.run, again)}", err=True)
        raise typer.Exit(130) from interruption
    except FrostlineError as error:
        typer.echo(f"error: {error}", err=True)
        if listener.run is not None:
            typer.echo(_how_to_continue(listener.run, again), err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json(record.to_json())
    else:
        _draw(record)


def _draw(record: "RunRecord") -> None:
    from frostline import report

    console = report.make_console()
    report.draw(report.arms_table(record), console)
    if all(report.varies(record, key) for key in ("epochs", "train_from")):
        for each in report.pivot(record, "epochs", "train_from"):
            report.draw(report.pivot_table(each), console)


def _how_to_continue(run: str | None, command: str) -> str:
    if run is None:
        return f"no run had started; to start one: {command}"
    return f"{run} is kept up to its last finished epoch; to continue: {command} --resume"


def _same_command(
    study: str, overrides: list[str] | None, plain: bool, as_json: bool, options: dict[str, str | Path | None]
) -> str:
    words = ["frostline", "run", study]
    for override in overrides or ():
        words += ["--set", override]
    words += ["--plain"] if plain else []
    for name, value in options.items():
        words += [f"--{name}", str(value)] if value is not None else []
    words += ["--json"] if as_json else []
    return shlex.join(words)
