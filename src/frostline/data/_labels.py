"""Labels as data have them, read as classes: spellings that look the same, numbers, and labels that may mean none."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from frostline.class_names import tidy_class_name
from frostline.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from frostline.data._source import Ids

__all__ = ["Labels", "read_labels", "sorted_classes"]

# What pandas reads as missing (its STR_NA_VALUES), and what else people write; compared without case.
MISSING = frozenset(
    [
        *("#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan"),
        *("none", "null", "nat", "nil", "?", "-", "--", "."),
    ]
)
WHOLE = re.compile(r"-?\d+(\.0*)?")
LISTED = 5


@dataclass(frozen=True, eq=False)
class Labels:
    """What N labels come to.

    Attributes:
        classes: K class names, in order.
        labels: int64 [N], -1 where there is no label.
        left_out: bool [N], whether the study says that a label means that there is none.
        notes: how labels were read where that isn't plain, and how many were left out.
        warnings: names that are probably of one class.
    """

    classes: tuple[str, ...]
    labels: Ids
    left_out: np.ndarray[tuple[int], np.dtype[np.bool_]]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def read_labels(
    where: str,
    texts: Sequence[str | None],
    unlabelled: Sequence[str] | None,
    name: Callable[[int], str],
    *,
    order: Sequence[str] = (),
    also: Iterable[str] = (),
) -> Labels:
    """Return labels read as classes.

    Names are put in NFC without spaces at their ends; ``1.0`` is ``1`` where all are whole numbers.

    Args:
        where: the data, for messages.
        texts: N labels as the data have them, None for a missing one.
        unlabelled: which of them the study says mean that there is no label; None if it says nothing.
        name: where the label with a number is, for messages.
        order: class names in their order, which come first; the others are sorted.
        also: classes that may have no images.

    Raises:
        DataError: a label such as ``nan``, which may mean that there is none, and the study doesn't say.
    """
    tidied = _tidied({*texts, *order, *also} - {None})
    # an empty name is never a class, whatever it looks like
    none = {tidied.get(text, tidy_class_name(text)) for text in unlabelled or ()}
    doubtful = _doubtful({tidied[text] for text in set(texts) - {None}}, none, answered=unlabelled is not None)
    if doubtful:
        raise DataError(f"{where}: {_question([tidied.get(text) for text in texts], sorted(doubtful), name)}")
    named = [tidied[text] for text in order]
    classes = tuple(dict.fromkeys(each for each in named if each not in none))
    others = {tidied[text] for text in {*texts, *also} - {None}} - none - {"", *classes}
    classes = (*classes, *sorted_classes(others))
    number: dict[str | None, int] = {each: label for label, each in enumerate(classes)}
    labels = np.array([number.get(tidied.get(text, ""), -1) for text in texts], dtype=np.int64)
    left_out = np.array([tidied.get(text, "") in none for text in texts], dtype=np.bool_)
    return Labels(classes, labels, left_out, (*_merged(tidied), *_counted(left_out, none)), _alike(classes))


def sorted_classes(names: set[str]) -> tuple[str, ...]:
    """Return class names in order: as numbers when all are whole numbers, else as text."""
    if all(name.removeprefix("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _tidied(texts: Iterable[str | None]) -> dict[str | None, str]:
    """Return the class name for each label as it is written."""
    names: dict[str | None, str] = {text: tidy_class_name(text) for text in texts if text is not None}
    numbers = {name for name in names.values() if name and name.lower() not in MISSING}
    if any("." in name for name in numbers) and all(WHOLE.fullmatch(name) for name in numbers):
        # pandas turns whole numbers into these when one of them is missing
        names.update((text, str(int(float(name)))) for text, name in names.items() if name in numbers and "." in name)
    return names


def _doubtful(found: set[str], none: set[str], *, answered: bool) -> set[str]:
    """Return the labels that may mean that there is none, and of which the study doesn't say."""
    empty = {""} & found - none  # never a class, so no answer but one will do
    if answered:
        return empty
    doubtful = {each for each in found if each.lower() in MISSING}
    rest = found - doubtful - {""}
    if "-1" in rest and rest != {"-1", "1"} and all(WHOLE.fullmatch(each) for each in rest):
        doubtful.add("-1")
    return doubtful | empty


def _question(labels: Sequence[str | None], doubtful: Sequence[str], name: Callable[[int], str]) -> str:
    listed = []
    for each in doubtful:
        places = [name(place) for place, label in enumerate(labels) if label == each]
        more = f" and {len(places) - LISTED:,} more" if len(places) > LISTED else ""
        listed.append(f'\n  "{each}": {", ".join(places[:LISTED])}{more}')
    if list(doubtful) == [""]:
        return (
            f"images without a label:{''.join(listed)}\nLabel them, or, to leave them out, write in [data]:\n"
            '  unlabelled = [""]'
        )
    kept = json.dumps([each for each in doubtful if not each])
    classes = "this is a class" if len(doubtful) == 1 else "these are classes"
    return (
        f'labels that may stand for "no label":{"".join(listed)}\n'
        "To leave these images out, write in [data]:\n"
        f"  unlabelled = {json.dumps(doubtful, ensure_ascii=False)}\nor, if {classes}:\n"
        f"  unlabelled = {kept}"
    )


def _merged(tidied: Mapping[str | None, str]) -> tuple[str, ...]:
    """Return notes on labels that are written differently and are one class."""
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for text, name in tidied.items():
        if text is not None and name:
            spellings[name].add(text.strip())
    several = sorted((name, sorted(texts)) for name, texts in spellings.items() if len(texts) > 1)
    notes = [
        f'{" and ".join(json.dumps(text) for text in texts)} are read as one class, "{name}"' for name, texts in several
    ]
    return _few(notes)


def _counted(left_out: np.ndarray[tuple[int], np.dtype[np.bool_]], none: set[str]) -> tuple[str, ...]:
    n = int(left_out.sum())
    if not n:
        return ()
    quoted = ", ".join(f'"{each}"' for each in sorted(none))
    return (f"{n:,} {'image is' if n == 1 else 'images are'} left out as unlabelled ({quoted})",)


def _alike(classes: Sequence[str]) -> tuple[str, ...]:
    """Return warnings about class names that differ only in upper and lower case."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in classes:
        groups[name.casefold()].append(name)
    several = [" and ".join(f'"{name}"' for name in group) for group in groups.values() if len(group) > 1]
    return _few(
        [
            f"the classes {group} differ only in upper and lower case; they are kept as separate classes"
            for group in several
        ]
    )


def _few(lines: list[str]) -> tuple[str, ...]:
    return (*lines[:LISTED], f"and {len(lines) - LISTED} more such classes") if len(lines) > LISTED else tuple(lines)
