"""The images of a study as a table: by split and class, how they were read, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.quantities import format_fraction, format_number_of
from frostline.report._table import Table

if TYPE_CHECKING:
    from frostline.data import DataSummary

__all__ = ["data_table"]

MOST_CLASSES = 20
SHOWN_AT_EACH_END = 5
"""Of more classes than that, so many of the largest and of the smallest in train."""


def data_table(summary: DataSummary) -> Table:
    """Return the images of each class and split; of many classes only the largest and the smallest."""
    counts = list(zip(summary.classes, summary.train, summary.val, summary.test, strict=True))
    rows = [(name, f"{train:,}", f"{val:,}", f"{test:,}") for name, train, val, test in counts]
    if len(rows) > MOST_CLASSES:
        by_size = sorted(range(len(rows)), key=lambda label: -summary.train[label])
        first, last = by_size[:SHOWN_AT_EACH_END], by_size[-SHOWN_AT_EACH_END:]
        hidden = (f"... {len(rows) - 2 * SHOWN_AT_EACH_END:,} more", "", "", "")
        rows = [*(rows[label] for label in first), hidden, *(rows[label] for label in last)]
    totals = ("all", *(f"{sum(split):,}" for split in (summary.train, summary.val, summary.test)))
    where = f"{summary.source}, {summary.path}" if summary.path else summary.source
    return Table(
        title=f"data: {format_number_of(summary.n_images, 'image')} of {len(summary.classes)} classes ({where})",
        columns=("class", "train", "val", "test"),
        rows=(*rows, totals),
        left=frozenset({"class"}),
        notes=(*_balance(summary), *_left_out(summary), *summary.notes),
    )


def _balance(summary: DataSummary) -> tuple[str, ...]:
    fewest, most = min(summary.train), max(summary.train)
    if fewest == most:
        return (f"every class has {format_number_of(most, 'training image')}",)
    largest = summary.classes[summary.train.index(most)]
    ratio = f"{summary.imbalance:.1f}"
    shown = "" if ratio == "1.0" else f" ({ratio} to 1)"
    return (
        f"{fewest:,} to {most:,} training images a class{shown}; always answering "
        f'"{largest}" gives val acc {format_fraction(summary.majority)}',
    )


def _left_out(summary: DataSummary) -> tuple[str, ...]:
    n = summary.n_skipped
    return (f"{format_number_of(n, 'item')} left out as unusable",) if n else ()
