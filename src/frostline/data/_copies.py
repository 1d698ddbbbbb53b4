"""Exact copies among the chosen images: under different labels, in several splits, several times in one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from frostline.data._dataset import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from frostline.data._dataset import Split

__all__ = ["contradictions", "repetitions"]

LISTED = 5


class _Place(NamedTuple):
    split: str
    image: int
    label: int


def contradictions(splits: Sequence[Split], classes: Sequence[str], name: Callable[[int], str]) -> dict[int, Skipped]:
    """Return the images that have an exact copy under another label, by id: which label is right can't be told.

    A message has one line for each group of copies.
    """
    faults = {}
    for group in _copies(splits):
        first: dict[int, _Place] = {}
        for place in group:
            first.setdefault(place.label, place)
        if len(first) == 1:
            continue
        names = [classes[label] for label in first]
        alike = len({each.casefold() for each in names}) == 1
        hint = "; the names differ only in upper and lower case, so they probably mean one class" if alike else ""
        listed = [*first.values(), *(place for place in group if place not in first.values())]
        shown = " = ".join(f'{name(place.image)} ("{classes[place.label]}")' for place in listed[:LISTED])
        more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
        for place in group:
            other = next(each for each in group if each.label != place.label)
            reason = (
                f'is labelled "{classes[place.label]}", but {name(other.image)}, an exact copy, is labelled '
                f'"{classes[other.label]}"{hint}'
            )
            faults[place.image] = Skipped(
                name(place.image), reason, f"{shown}{more}: exact copies under different labels{hint}"
            )
    return faults


def repetitions(splits: Sequence[Split], name: Callable[[int], str]) -> tuple[str, ...]:
    """Return warnings about exact copies in more than one split, and in one."""
    copies = _copies(splits)

    def listed(groups: list[list[_Place]]) -> str:
        shown = [" = ".join(f"{name(each.image)} ({each.split})" for each in group) for group in groups[:LISTED]]
        return "; ".join(shown) + (f"; and {len(groups) - LISTED} more" if len(groups) > LISTED else "")

    warnings = []
    across = [group for group in copies if len({each.split for each in group}) > 1]
    if across:
        images = _images(len(across))
        warnings.append(f"{images} in more than one split; scores may be too high: {listed(across)}")
    for split in splits:
        within = [[each for each in group if each.split == split.name] for group in copies]
        repeated = [group for group in within if len(group) > 1]
        if repeated:
            warnings.append(f"{_images(len(repeated))} more than once in {split.name}: {listed(repeated)}")
    return tuple(warnings)


def _copies(splits: Sequence[Split]) -> list[list[_Place]]:
    places: defaultdict[str, list[_Place]] = defaultdict(list)
    for split in splits:
        for digest, image, label in zip(split.digests, split.ids.tolist(), split.labels.tolist(), strict=True):
            places[digest].append(_Place(split.name, image, label))
    return [group for group in places.values() if len(group) > 1]


def _images(count: int) -> str:
    return "1 image appears" if count == 1 else f"{count:,} images appear"
