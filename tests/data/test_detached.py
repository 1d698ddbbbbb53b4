"""A dataset for another process: everything but the pixels."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from frostline.data import detach, load_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from frostline.study import Data


def test_names_go_along_and_pixels_do_not(make_files: Callable[..., Path], ask: Callable[..., Data]) -> None:
    names = [f"{split}/{name}/{i}.png" for split in ("train", "val", "test") for name in "ab" for i in range(3)]
    files = {name: number for number, name in enumerate(names)}
    dataset = load_dataset(ask("folder", make_files(files)))
    detached = pickle.loads(pickle.dumps(detach(dataset)))
    assert detached.fingerprint == dataset.fingerprint
    for split in ("train", "val", "test"):
        assert detached.names(split) == dataset.names(split)
        with pytest.raises(LookupError, match="a detached dataset has no pixels"):
            detached.pixels(split, 0)
