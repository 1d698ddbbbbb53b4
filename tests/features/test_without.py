"""Rows are stored, read and kept from being pruned on systems that lack what Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from frostline.features import FeatureStore, _locks, _reading

from .passes import N, digests, expected, make_specs, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def no_preadv(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_reading, "_read_at", _reading._seek_and_read)


def no_advice(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(os, "posix_fadvise", raising=False)


def no_fcntl(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_locks, "fcntl", None)


def no_folder_can_be_opened(patch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: str | Path, flags: int, *rest: int) -> int:
        if os.path.isdir(path):  # noqa: PTH112 (whatever is given)
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, *rest)

    patch.setattr(os, "open", refuse)


@pytest.mark.parametrize("lack", [no_preadv, no_advice, no_fcntl, no_folder_can_be_opened])
@pytest.mark.parametrize("held", [True, False], ids=["in memory", "from the files"])
def test_rows_are_the_same_without(
    lack: Callable[[pytest.MonkeyPatch], None], held: bool, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(monkeypatch)
    if not held:
        monkeypatch.setattr("frostline.features._held.HeldMemory.take", lambda *_: False)
    run(store, ["layer4", "head"])
    order = np.random.Generator(np.random.PCG64(0)).permutation(N)
    for spec, rows in zip(make_specs(["layer4", "head"]), expected(["layer4", "head"]), strict=True):
        features = store.open(spec, digests())
        assert features is not None
        for read in (features.read(order), next(features.batches([order]))):
            for ours, theirs in zip(read, rows, strict=True):
                np.testing.assert_allclose(ours, theirs[order], rtol=1e-4, atol=1e-4)


def test_without_flock_what_is_in_use_is_not_pruned(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the process that uses it, nor by another; it is once both have released it."""
    no_fcntl(monkeypatch)
    run(store, ["head"])
    store.close()
    (spec,) = make_specs(["head"])
    pruner = FeatureStore(store.path)
    used = [FeatureStore(store.path).open(spec, digests()) for _ in range(2)]
    for features in used:
        assert features is not None
        assert pruner.prune(0) == ()
        features.close()
    assert [entry.key for entry in pruner.prune(0)] == [spec.key]
    assert not list((store.path / "locks").glob("*.use"))


def test_without_flock_a_killed_user_keeps_nothing(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_fcntl(monkeypatch)
    run(store, ["head"])
    store.close()
    (spec,) = make_specs(["head"])
    code = (
        "import os, sys, pathlib\n"
        "from frostline.features import _locks\n"
        "_locks.fcntl = None\n"
        f"mark = _locks.UseMark(pathlib.Path({str(store.path)!r}), {spec.key!r})\n"
        "print('holds', flush=True)\n"
        "sys.stdin.read()"
    )
    user = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with user:
        assert user.stdout is not None
        assert user.stdout.readline() == "holds\n"
        assert FeatureStore(store.path).prune(0) == ()
        user.kill()
    assert [entry.key for entry in FeatureStore(store.path).prune(0)] == [spec.key]
