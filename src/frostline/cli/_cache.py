"""``frostline cache``: stored activations, which can always be made again."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frostline.cli._group import epilog
from frostline.cli._options import JsonOption, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cache_app"]

cache_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look after stored activations, which can be made again.",
    epilog=epilog("frostline cache list", "frostline cache prune --keep 5GB"),
)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@cache_app.command("list", epilog=epilog("frostline cache list", "frostline cache list --json"))
def list_entries(as_json: JsonOption = False) -> None:
    """List what is stored, the most recently used first."""
    import frostline
    from frostline import report

    store = frostline.FeatureStore()
    entries = store.entries()
    if as_json:
        print_json([_entry_json(entry) for entry in entries])
        return
    total = sum(entry.n_bytes for entry in entries)
    table = report.Table(
        title=f"{store.path}: {len(entries)} entries, {report.format_bytes(total)}",
        columns=("key", "backbone", "kept at", "pixels", "view", "size", "last used (UTC)", "state"),
        rows=tuple(_entry_row(entry) for entry in entries),
        left=frozenset({"key", "backbone", "kept at", "view", "state"}),
    )
    report.draw(table, report.make_console())


@cache_app.command("prune", epilog=epilog("frostline cache prune", "frostline cache prune --keep 5GB"))
def prune(
    keep: Annotated[
        str, typer.Option(metavar="SIZE", help="Keep the most recently used up to this size, e.g. 500MB or 5GB.")
    ] = "0",
    as_json: JsonOption = False,
) -> None:
    """Remove stored activations.

    All of them, or the least recently used; those in use by a run stay.
    """
    import frostline
    from frostline import report

    removed = frostline.FeatureStore().prune(_read_size(keep))
    if as_json:
        print_json([_entry_json(entry) for entry in removed])
        return
    freed = sum(entry.n_bytes for entry in removed)
    typer.echo(f"removed {len(removed)} entries, {report.format_bytes(freed)}")


@cache_app.command("verify", epilog=epilog("frostline cache verify"))
def verify(as_json: JsonOption = False) -> None:
    """Read every stored byte and report what is damaged.

    Exits with 1 when anything is; a run that needs it makes it again.
    """
    import frostline

    store = frostline.FeatureStore()
    faults = store.verify()
    if as_json:
        print_json({key: {str(shard): fault for shard, fault in found.items()} for key, found in faults.items()})
    else:
        for key, found in faults.items():
            for shard, fault in found.items():
                typer.echo(f"{key}: {'' if shard < 0 else f'shard {shard}: '}{fault}")
        n = len(store.entries())
        if not faults:
            typer.echo(f"{n} {'entry' if n == 1 else 'entries'}, no faults")
        else:
            typer.echo(f"{len(faults)} of {n} entries have faults; they are made again when a run needs them", err=True)
    if faults:
        raise typer.Exit(1)


@cache_app.command("path", epilog=epilog("du -sh $(frostline cache path)"))
def path() -> None:
    """Print where stored activations are."""
    import frostline

    typer.echo(str(frostline.FeatureStore().path))


def _read_size(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(
            f'"{text}" is no size: give bytes, or a number with kB, MB, GB or TB', param_hint="--keep"
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _entry_json(entry: Any) -> dict[str, Any]:
    return {
        "key": entry.key,
        "spec": entry.spec,
        "n_bytes": entry.n_bytes,
        "complete": entry.complete,
        "last_used": _time(entry).isoformat(timespec="seconds"),
    }


def _entry_row(entry: Any) -> tuple[str, ...]:
    from frostline import report

    view = entry.spec.get("view")
    return (
        entry.key[:12],
        str(entry.spec.get("backbone", "?")),
        str(entry.spec.get("cut", "?")),
        str(_inside(entry.spec, ("preprocessing", "image_size"))),
        f"{view.get('augmentation')} {view.get('index')}" if isinstance(view, dict) else "",
        report.format_bytes(entry.n_bytes),
        f"{_time(entry):%Y-%m-%d %H:%M}",
        "complete" if entry.complete else "unfinished",
    )


def _time(entry: Any) -> datetime:
    return datetime.fromtimestamp(entry.last_used, UTC)


def _inside(spec: Any, keys: "Sequence[str]") -> Any:
    for key in keys:
        spec = spec.get(key, {}) if isinstance(spec, dict) else {}
    return spec or "?"
