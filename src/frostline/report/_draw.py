"""Drawing tables in a terminal, a pipe or a file."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from frostline.report._table import Table

__all__ = ["draw", "make_console"]

# Where nobody resizes a window (a pipe, a file), a line is as long as it needs to be.
_UNBOUNDED: Final = 10_000
_MIN_WORDS_WIDTH: Final = 16


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
    """Draw a table: numbers keep to one line, words wrap between words, and nothing is ever cut off."""
    drawn = RichTable(
        box=box.SIMPLE_HEAD, title=Text(table.title), title_justify="left", title_style="bold", pad_edge=False
    )
    drawn.show_header = True
    for name in table.columns:
        words = name in table.left
        longest = max([len(name), *(len(row[table.columns.index(name)]) for row in table.rows)])
        drawn.add_column(
            Text(name),
            justify="left" if words else "right",
            no_wrap=not words,
            overflow="fold",
            min_width=min(longest, _MIN_WORDS_WIDTH) if words else longest,
        )
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console.print(Text(table.title, style="bold"), soft_wrap=True)
    if console.is_terminal:
        console.print(drawn)
    else:
        # Nobody searching or comparing a file wants the spaces that fill its lines up.
        with console.capture() as captured:
            console.print(drawn)
        console.out("\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip(), highlight=False)
    for note in table.notes:
        console.print(Text(note), soft_wrap=not console.is_terminal)
    console.print()
