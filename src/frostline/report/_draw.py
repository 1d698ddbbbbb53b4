"""Drawing tables in a terminal, a pipe or a file."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frostline.report._table import Table

__all__ = ["draw", "make_console"]

# Where nobody resizes a window (a pipe, a file), a line is as long as it needs to be.
_UNBOUNDED: Final = 10_000
_BETWEEN: Final = 2
_LEAST_WORDS: Final = 16
_MANY: Final = 200


def make_console(file: IO[str] | None = None, *, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console: as wide as the terminal (or ``$COLUMNS``), and elsewhere as wide as the table.

    Args:
        file: where to write; left out, standard output.
        stderr: write to standard error instead.
        width: columns, whatever the terminal has.
    """
    console = Console(file=file, stderr=stderr, width=width, highlight=False)
    if width is None and not console.is_terminal and not os.environ.get("COLUMNS"):
        console = Console(file=file, stderr=stderr, width=_UNBOUNDED, highlight=False)
    return console


def draw(table: Table, console: Console) -> None:
    """Draw a table: numbers keep to one line, words wrap between words, and nothing is ever cut off.

    Where even that is too wide, each row becomes a paragraph: its first cell, then the others by name.
    """
    unbounded = console.width >= _UNBOUNDED
    console.print(Text(table.title, style="bold"), soft_wrap=unbounded)
    widths = [_least_width(table, i) for i in range(len(table.columns))]
    if table.rows and sum(widths) + _BETWEEN * (len(widths) - 1) > console.width:
        _draw_paragraphs(table, console)
    elif table.rows:
        _draw_grid(table, _share_out(table, widths, console.width), console)
    for note in table.notes:
        console.print(Text(note), soft_wrap=unbounded)
    console.print()


def _draw_grid(table: Table, widths: list[int], console: Console) -> None:
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _BETWEEN - 1, 0, 0))
    for name, width in zip(table.columns, widths, strict=True):
        words = name in table.left
        drawn.add_column(Text(name), justify="left" if words else "right", width=width)
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    if console.is_terminal:
        console.print(drawn)
        return
    cells = [table.columns, *table.rows]
    if len(cells) > _MANY and all(cell_len(cell) <= n for row in cells for cell, n in zip(row, widths, strict=True)):
        # The same lines, without rich's second and a half for a thousand of them.
        lines = ["  ".join(_aligned(table, row, widths)).rstrip() for row in cells]
        rule = "─" * (sum(widths) + _BETWEEN * (len(widths) - 1))
        console.out("\n".join([lines[0], rule, *lines[1:]]), highlight=False)
        return
    # Nobody who searches or compares a file wants the spaces that fill its lines up.
    with console.capture() as captured:
        console.print(drawn)
    console.out("\n".join(line.rstrip() for line in captured.get().splitlines()), highlight=False)


def _aligned(table: Table, row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for name, cell, width in zip(table.columns, row, widths, strict=True):
        fill = " " * (width - cell_len(cell))
        yield cell + fill if name in table.left else fill + cell


def _draw_paragraphs(table: Table, console: Console) -> None:
    for first, *others in table.rows:
        console.print(Text(first, style="bold"))
        pairs = [f"{name} {cell}" for name, cell in zip(table.columns[1:], others, strict=True) if cell]
        console.print(Padding(Text("; ".join(pairs)), (0, 0, 0, 2), expand=False))


def _least_width(table: Table, column: int) -> int:
    cells = _cells(table, column)
    longest = max(cell_len(cell) for cell in cells)
    if table.columns[column] not in table.left:
        return longest
    return min(longest, max(_LEAST_WORDS, *(cell_len(word) for cell in cells for word in cell.split())))


def _share_out(table: Table, least: list[int], width: int) -> list[int]:
    """Return widths that share the room left over by how much each column of words is short of."""
    room = width - sum(least) - _BETWEEN * (len(least) - 1)
    short = [max(cell_len(cell) for cell in _cells(table, i)) - each for i, each in enumerate(least)]
    if room >= sum(short):
        return [each + more for each, more in zip(least, short, strict=True)]
    return [each + room * more // sum(short) for each, more in zip(least, short, strict=True)]


def _cells(table: Table, column: int) -> list[str]:
    return [table.columns[column], *(row[column] for row in table.rows)]
