"""``frostline backbones``: the networks there are to choose from."""

import sys
from typing import Annotated

import typer

from frostline.cli._options import JsonOption, print_json

__all__ = ["backbones"]


def backbones(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]",
            show_default=False,
            help="A part of the name, or all of it with * and ?; py:MODULE:FUNCTION for one of your own.",
        ),
    ] = None,
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Measure the networks that aren't known yet, about a second each.  [default: where few match]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the networks of torchvision and timm.

    Each at the image size of its weights: parameters, operations for one image, whether it can be cut into stages, and
    whether its weights are here or to be downloaded. Networks that were never measured on this machine have dashes.
    """
    import frostline

    lines = frostline.list_backbones(pattern, measure=measure, progress=_tell)
    if as_json:
        print_json([line._asdict() for line in lines])
        return
    from frostline import report

    report.draw(report.backbones_table(lines), report.make_console())


def _tell(name: str, number: int, n: int) -> None:
    print(f"measuring {name} ({number} of {n})", file=sys.stderr, flush=True)
