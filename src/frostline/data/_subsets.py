"""Which images are train, val and test: stratified, seeded, and stable when a count changes. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frostline.data._source import SPLIT_NAMES, Ids
from frostline.errors import DataError
from frostline.quantities import format_number_of
from frostline.streams import numpy_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["allocate", "choose_splits"]

# where the source has no such split and the study asks for no size: a fraction of the source's training images
DEFAULT_TAKEN = {"val": 0.1, "test": 0.2}


def choose_splits(
    labels: Ids, classes: tuple[str, ...], parts: dict[str, Ids], asked: dict[str, int | float | None], seed: int
) -> dict[str, Ids]:
    """Return the chosen ids of train, val and test, each sorted.

    A split that the source has is used, or a stratified subset of it. A missing test is taken from train, then a
    missing val, then train's own subset from what is left. Each split is drawn from a stream of its own, class by
    class in a fixed order, so another count of one split changes the others as little as can be: subsets of growing
    size contain each other up to rounding, and val and test don't depend on train's count.

    Args:
        labels: int64 [N] of the whole source, in [0, K).
        classes: K names, for messages.
        parts: the ids of the splits that the source has.
        asked: for train, val and test a count, a fraction, or None. A fraction is of the images that the source
            has for that split, or of its train images for a split that is taken from train.
        seed: of the splits.

    Raises:
        DataError: fewer images than asked for, in all or of one class.
    """
    n_classes = len(classes)
    left = parts["train"]
    missing = [name for name in ("test", "val") if name not in parts]
    _require_enough_of_each_class(labels, classes, left, missing)
    n_pool = len(left)
    chosen: dict[str, Ids] = {}
    for name in ("test", "val"):
        if name in parts:
            chosen[name] = _subset(labels, n_classes, parts[name], name, asked[name], seed)
            continue
        count = _count(asked[name], n_pool)
        if count is None:
            count = max(round(DEFAULT_TAKEN[name] * n_pool), n_classes)
        # one of each class must stay for every split still to come
        kept = 1 + sum(other not in parts and other not in chosen for other in ("test", "val") if other != name)
        room = np.maximum(_class_counts(labels, left, n_classes) - kept, 0)
        if count > room.sum():
            raise DataError(
                f"data.{name} = {asked[name] if asked[name] is not None else count}: the source has no {name} split, "
                f"and of its {n_pool} training images at most {room.sum()} can be taken without leaving a class "
                "untrained"
            )
        chosen[name] = _draw(labels, left, name, allocate(room, count), seed)
        left = np.setdiff1d(left, chosen[name], assume_unique=True)
    chosen["train"] = _subset(labels, n_classes, left, "train", asked["train"], seed, n_pool)
    return {name: chosen[name] for name in SPLIT_NAMES}


def allocate(available: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many of each class, [K], make up ``count`` in the proportions available, by largest remainders.

    With a count of at least the number of classes available, each of them gets at least one. Ties go to the first
    class. ``count`` must be at most the sum of those available.
    """
    total = int(available.sum())
    if count == 0 or total == 0:
        return np.zeros_like(available)
    exact = available * (count / total)
    floor = np.minimum(available, 1 if count >= np.count_nonzero(available) else 0)
    shares: NDArray[np.int64] = np.maximum(np.floor(exact).astype(np.int64), floor)
    while shares.sum() < count:
        # a class without room left can't take another one
        behind = np.where(shares < available, exact - shares, -np.inf)
        shares[int(np.argmax(behind))] += 1
    while shares.sum() > count:
        ahead = np.where(shares > floor, shares - exact, -np.inf)
        shares[int(np.argmax(ahead))] -= 1
    return shares


def _subset(
    labels: Ids,
    n_classes: int,
    available: Ids,
    name: str,
    asked: int | float | None,
    seed: int,
    n_whole: int | None = None,
) -> Ids:
    """Return all available ids, or a stratified subset; n_whole is what a fraction refers to."""
    count = _count(asked, n_whole if n_whole is not None else len(available))
    if count is None:
        return np.sort(available)
    if isinstance(asked, float) and (asked == 1 or count <= len(available) + 2):
        # all of train is what val and test left; and three shares that make 1 may be one image short by rounding
        count = min(count, len(available))
    if count > len(available):
        taken = "" if n_whole in (None, len(available)) else f", of {n_whole} before val and test were taken"
        raise DataError(f"data.{name} = {asked}: only {len(available)} images are available for {name}{taken}")
    if name == "train" and count < n_classes:
        raise DataError(
            f"data.train = {asked}: gives {format_number_of(count, 'image')} for {n_classes} classes; every class "
            "needs at least one"
        )
    return _draw(labels, available, name, allocate(_class_counts(labels, available, n_classes), count), seed)


def _draw(labels: Ids, available: Ids, name: str, shares: NDArray[np.int64], seed: int) -> Ids:
    """Return the first ``shares[k]`` available ids of each class k in the split's own order of the class, sorted."""
    drawn = []
    for label, share in enumerate(shares.tolist()):
        # every id of the class has its place in the order, available or not: taking some away moves no other
        members = np.flatnonzero(labels == label)
        order = members[numpy_stream(f"split-{name}", seed, label).permutation(len(members))]
        drawn.append(order[np.isin(order, available)][:share])
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def _count(asked: int | float | None, n_whole: int) -> int | None:
    """Return the number of images asked for, or None for all."""
    if asked is None:
        return None
    return asked if isinstance(asked, int) else max(1, round(asked * n_whole))


def _class_counts(labels: Ids, ids: Ids, n_classes: int) -> NDArray[np.int64]:
    return np.bincount(labels[ids], minlength=n_classes).astype(np.int64)


def _require_enough_of_each_class(labels: Ids, classes: tuple[str, ...], pool: Ids, missing: list[str]) -> None:
    counts = _class_counts(labels, pool, len(classes))
    scarce = [f'"{classes[k]}" has {counts[k]}' for k in np.flatnonzero(counts < 1 + len(missing)).tolist()]
    if scarce:
        *others, last = ["train", *sorted(missing)]
        needed = f"{', '.join(others)} and {last} need" if others else f"{last} needs"
        raise DataError(
            f"too few images: {needed} at least one of each class, {1 + len(missing)} in all; "
            f"{', '.join(scarce[:10])}{', ...' if len(scarce) > 10 else ''}"
        )
