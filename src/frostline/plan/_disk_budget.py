"""The disk budget: which stored activations fit, and in which numbers; each row counted once, whoever shares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from frostline.plan._passes import source_of, stored_bytes
from frostline.quantities import format_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from frostline.models.facts import CutFacts
    from frostline.plan._plan import Activations, RowSource
    from frostline.study import Recipe

__all__ = ["Candidate", "Place", "RowsAt", "Shelf", "choose_halved", "fit", "kind_of", "rows_of"]

FOLDER_BYTES, RECORD_BYTES_PER_ROW = 4096, 18
"""What the store writes beside rows, rounded up: for each set of them what it is, for each row image and checksum."""


class RowsAt(NamedTuple):
    """The rows of one source at one cut."""

    source: RowSource
    cut: str


@dataclass(frozen=True)
class Candidate:
    """Rows of one source at one cut, stored for all trajectories that enter there, or for none.

    ``recipe`` is one of theirs, ``operations`` what storing saves them in training: counted, as seconds would have a
    clock decide which rows a budget halves.
    """

    recipe: Recipe
    cut: CutFacts
    operations: float

    @property
    def network(self) -> RowSource:
        """The validation images through this network: what shares a pass with it is kept in the same numbers."""
        return source_of(self.recipe, "val", "float32")


class Shelf:
    """Rows that are to be stored, each once, and the bytes that they take together.

    Test images are stored for the chosen arm alone, through the pass that the validation images went through: of all
    networks the dearest counts.
    """

    def __init__(self) -> None:
        self._bytes: dict[RowsAt, int] = {}
        self._stored = 0
        self._tests: dict[RowSource, int] = {}

    @property
    def total(self) -> int:
        """The bytes of everything on the shelf."""
        return self._stored + max(self._tests.values(), default=0)

    def extra(self, rows: Mapping[RowsAt, int]) -> int:
        """Return the bytes that some rows would add."""
        stored, tests = self._with(rows)
        return stored + max(tests.values(), default=0) - self.total

    def add(self, rows: Mapping[RowsAt, int]) -> None:
        """Put rows on the shelf; those that are there already take no more room."""
        self._stored, self._tests = self._with(rows)
        self._bytes |= rows

    def _with(self, rows: Mapping[RowsAt, int]) -> tuple[int, dict[RowSource, int]]:
        stored, tests = self._stored, dict(self._tests)
        for key, n_bytes in rows.items():
            if key in self._bytes:
                continue
            if key.source.split == "test":
                tests[key.source] = tests.get(key.source, 0) + n_bytes
            else:
                stored += n_bytes
        return stored, tests


def rows_of(recipe: Recipe, cut: CutFacts, activations: Activations, counts: Mapping[str, int]) -> dict[RowsAt, int]:
    """Return the bytes on disk of the rows that training a recipe from a cut needs, and then its test."""
    sizes = {}
    for split in ("train", "val", "test"):
        source = source_of(recipe, split, activations)
        n = counts[split] * source.views
        beside = FOLDER_BYTES * source.views + RECORD_BYTES_PER_ROW * n
        sizes[RowsAt(source, cut.name)] = stored_bytes(n, cut, activations) + beside
    return sizes


@dataclass(frozen=True)
class Place:
    """The numbers in which a candidate's rows are kept, whether for want of room, or why there is none for them."""

    activations: Activations
    halved: bool
    refused: str | None


def choose_halved(
    candidates: Sequence[Candidate],
    counts: Mapping[str, int],
    disk: int | None,
    taken: Sequence[Mapping[RowsAt, int]] = (),
) -> frozenset[RowSource]:
    """Return the networks whose ``auto`` is float16, were everything stored that can be: sizes decide, and no clock.

    A recipe's ``auto`` is float32 where that lets everything be stored that float16 would, network by network: the
    cuts of one network come out of one pass.
    """
    autos = list(dict.fromkeys(c.network for c in candidates if c.recipe.activations == "auto"))
    halved: frozenset[RowSource] = frozenset()
    places, _ = fit(candidates, counts, disk, taken, halved)
    if not autos or not _refused(places):
        return halved
    halved = frozenset(autos)
    places, _ = fit(candidates, counts, disk, taken, halved)
    for network in autos:
        exact, _ = fit(candidates, counts, disk, taken, halved - {network})
        gains = any(c.network == network and p.refused is None for c, p in zip(candidates, exact, strict=True))
        if gains and _refused(exact) <= _refused(places):
            places, halved = exact, halved - {network}
    return halved


def fit(
    candidates: Sequence[Candidate],
    counts: Mapping[str, int],
    disk: int | None,
    taken: Sequence[Mapping[RowsAt, int]] = (),
    halved: Collection[RowSource] = (),
) -> tuple[list[Place], int]:
    """Choose which candidates are stored within a budget, those first that save the most work for a byte.

    Args:
        candidates: what may be stored; those of ``auto`` in float16 where their network is halved.
        counts: images by split.
        disk: the budget in bytes, None for no limit.
        taken: rows that are stored in any case.
        halved: see ``choose_halved``.

    Returns:
        A place for each candidate, and the bytes that all of them would take, refused ones too.
    """
    shelf, everything = Shelf(), Shelf()
    for rows in taken:
        shelf.add(rows)
        everything.add(rows)
    kinds = [kind_of(candidate, halved) for candidate in candidates]
    sizes = [rows_of(c.recipe, c.cut, kind, counts) for c, kind in zip(candidates, kinds, strict=True)]
    density = [c.operations / max(sum(rows.values()), 1) for c, rows in zip(candidates, sizes, strict=True)]
    refused: dict[int, str] = {}
    for i in sorted(range(len(candidates)), key=lambda i: -density[i]):
        everything.add(sizes[i])
        extra = shelf.extra(sizes[i])
        if disk is None or shelf.total + extra <= disk:
            shelf.add(sizes[i])
            continue
        left = max(disk - shelf.total, 0)
        half = shelf.extra(rows_of(candidates[i].recipe, candidates[i].cut, "float16", counts))
        refused[i] = f"storing takes {format_bytes(extra)}, more than the {_room(left, disk)}"
        if candidates[i].recipe.activations == "auto":
            refused[i] = f"storing takes {format_bytes(half)} even in float16, more than the {_room(left, disk)}"
        elif kinds[i] == "float32" and half <= left:
            refused[i] += '; activations = "auto" or "float16" would make it fit'
    places = [
        Place(kind, candidate.recipe.activations == "auto" and kind == "float16", refused.get(i))
        for i, (candidate, kind) in enumerate(zip(candidates, kinds, strict=True))
    ]
    return places, everything.total


def _refused(places: Sequence[Place]) -> set[int]:
    return {i for i, place in enumerate(places) if place.refused is not None}


def kind_of(candidate: Candidate, halved: Collection[RowSource]) -> Activations:
    """Return the numbers of a candidate's rows, stored or computed anew."""
    if candidate.recipe.activations != "auto":
        return candidate.recipe.activations
    return "float16" if candidate.network in halved else "float32"


def _room(left: int, disk: int) -> str:
    whole = f"disk budget of {format_bytes(disk)}"
    return whole if left == disk else f"{format_bytes(left)} left of the {whole}"
