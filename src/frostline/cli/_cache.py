"""``frostline cache``: stored activations, which can always be made again."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frostline.cli._group import epilog
from frostline.cli._options import JsonOption, print_json
from frostline.quantities import format_bytes, format_number_of, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cache_app"]

cache_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Manage stored activations, which can always be made again.\n\nThey are in $FROSTLINE_CACHE, or the user's "
    "cache directory. With $FROSTLINE_CACHE_LIMIT, such as 20GB, a run removes the least recently used to keep to it.",
    epilog=epilog("frostline cache list", "frostline cache prune --keep 5GB"),
)


@cache_app.command("list", epilog=epilog("frostline cache list", "frostline cache list --json"))
def list_entries(as_json: JsonOption = False) -> None:
    """List what is stored, most recently used first."""
    import frostline
    from frostline import report

    store = frostline.FeatureStore()
    entries = store.entries()
    if as_json:
        print_json([_entry_json(entry) for entry in entries])
        return
    total = sum(entry.n_bytes for entry in entries)
    table = report.Table(
        title=f"{store.path}: {format_number_of(len(entries), 'entry')}, {format_bytes(total)}",
        columns=("key", "backbone", "stored at", "pixels", "view", "images", "size", "last used (UTC)"),
        rows=tuple(_entry_row(entry) for entry in entries),
        left=frozenset({"key", "backbone", "stored at", "view"}),
    )
    report.draw(table, report.make_console())


@cache_app.command("prune", epilog=epilog("frostline cache prune", "frostline cache prune --keep 5GB"))
def prune(
    keep: Annotated[
        str, typer.Option(metavar="SIZE", help="Keep the most recently used, up to this size, e.g. 500MB, 5GB or 5GiB.")
    ] = "0",
    as_json: JsonOption = False,
) -> None:
    """Remove stored activations.

    All of them, or with --keep the least recently used. Those in use by a run stay.
    """
    import frostline

    removed = frostline.FeatureStore().prune(_read_size(keep))
    if as_json:
        print_json([_entry_json(entry) for entry in removed])
        return
    freed = sum(entry.n_bytes for entry in removed)
    typer.echo(f"removed {format_number_of(len(removed), 'entry')}, {format_bytes(freed)}")


@cache_app.command("verify", epilog=epilog("frostline cache verify"))
def verify(as_json: JsonOption = False) -> None:
    """Read everything that is stored and report what is damaged.

    Exits with 1 if anything is; a run that needs it makes it again.
    """
    import frostline

    store = frostline.FeatureStore()
    faults = store.verify()
    if as_json:
        print_json({key: {str(number): fault for number, fault in found.items()} for key, found in faults.items()})
    else:
        for key, found in faults.items():
            for number, fault in found.items():
                typer.echo(f"{key}: {'' if number < 0 else f'segment {number}: '}{fault}")
        n = len(store.entries())
        if not faults:
            typer.echo(f"{format_number_of(n, 'entry')}, none damaged")
        else:
            typer.echo(f"{len(faults):,} of {format_number_of(n, 'entry')} damaged; a run makes them again", err=True)
    if faults:
        raise typer.Exit(1)


@cache_app.command("path", epilog=epilog("du -sh $(frostline cache path)"))
def path() -> None:
    """Print the folder of stored activations."""
    import frostline

    typer.echo(str(frostline.FeatureStore().path))


def _read_size(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--keep") from error


def _entry_json(entry: Any) -> dict[str, Any]:
    return {
        "key": entry.key,
        "spec": entry.spec,
        "n_bytes": entry.n_bytes,
        "n_images": entry.n_images,
        "last_used": _time(entry).isoformat(timespec="seconds"),
    }


def _entry_row(entry: Any) -> tuple[str, ...]:
    view = entry.spec.get("view")
    return (
        entry.key[:12],
        str(entry.spec.get("backbone", "?")),
        str(entry.spec.get("cut", "?")),
        str(_inside(entry.spec, ("preprocessing", "image_size"))),
        f"{view.get('augmentation')} {view.get('index')}" if isinstance(view, dict) else "",
        f"{entry.n_images:,}",
        format_bytes(entry.n_bytes),
        f"{_time(entry):%Y-%m-%d %H:%M}",
    )


def _time(entry: Any) -> datetime:
    return datetime.fromtimestamp(entry.last_used, UTC)


def _inside(spec: Any, keys: "Sequence[str]") -> Any:
    for key in keys:
        spec = spec.get(key, {}) if isinstance(spec, dict) else {}
    return spec or "?"
