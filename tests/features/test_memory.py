"""Memory stays the same however many rows are read, and what can't be read any more is said."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from frostline.errors import FeatureError
from frostline.features import Features, _features
from frostline.features._layout import MOST_SHARDS, Layout, tensor_path
from frostline.features._shards import ShardWriter

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 64

READ = """
import resource, sys
from pathlib import Path
import numpy as np
from frostline.features import Features
from frostline.features._layout import Layout
layout = Layout.read(Path(sys.argv[1]))
features = Features(Path(sys.argv[1]), layout)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
positions = np.random.default_rng(0).permutation(layout.n)
order = np.array_split(positions, layout.n // int(sys.argv[2]))
next(features.batches(order[:1]))
before = peak()
total = sum(float(rows[0, 0]) for (rows,) in features.batches(order))
print(peak() - before, total == sum(float(part[0]) for part in order))
"""


def write_rows(folder: Path, n: int, width: int) -> Layout:
    """Write rows whose first number is their position."""
    folder.mkdir()
    layout = Layout.plan(n, "float32", ((width,),), BATCH, "none")
    for shard in range(layout.n_shards):
        writer = ShardWriter(folder, layout, shard)
        for batch in layout.batches(shard):
            rows = np.zeros((min(BATCH, n - batch * BATCH), width), np.float32)
            rows[:, 0] = np.arange(batch * BATCH, batch * BATCH + len(rows))
            writer.append([rows])
        writer.finish()
    layout.write(folder, {}, complete=True)
    return layout


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of resident memory can't be asked for there")
@pytest.mark.parametrize(
    ("n", "width", "at_once"),
    [(60_000, 1250, 64), (60_000, 1250, 4096), (3_000, 25_000, 64)],
    ids=["5 KB in batches", "5 KB in large reads", "100 KB in batches"],
)
def test_three_hundred_megabytes_take_no_more_memory_than_a_batch(
    n: int, width: int, at_once: int, tmp_path: Path
) -> None:
    layout = write_rows(tmp_path / "rows", n, width)
    assert layout.n_bytes == 300_000_000
    words = [sys.executable, "-c", READ, str(tmp_path / "rows"), str(at_once)]
    grown, right = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    assert right == "True"
    ahead = 5 * at_once * width * 4 // 1024  # in KB, as the system counts
    assert int(grown) < 50_000 + ahead


@pytest.mark.parametrize("held", [0, 10**9])
def test_rows_that_are_gone_are_named(held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_features, "HELD_BYTES", held)
    layout = write_rows(tmp_path / "rows", 200, 50)
    features = Features(tmp_path / "rows", layout)
    path = tensor_path(tmp_path / "rows", 0, 0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FeatureError, match=r"can't be read: .*00000\.0\.bin: it is shorter than it was"):
        features.read(np.arange(200))
    path.unlink()
    with pytest.raises(FeatureError, match=r"can't be read: .*00000\.0\.bin: No such file"):
        features.read(np.arange(200))


@pytest.mark.parametrize("n", [1, 1000, 10**6, 10**8])
def test_the_number_of_files_is_bounded(n: int) -> None:
    layout = Layout.plan(n, "float32", ((100_000,),), 8, "none")
    assert layout.n_shards <= MOST_SHARDS
    assert sum(layout.rows(shard) for shard in range(layout.n_shards)) == n


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from frostline.features import _reading

    monkeypatch.setattr(_reading, "_most_files", lambda: 2)
    monkeypatch.setattr(_features, "HELD_BYTES", 0)
    layout = Layout(1000, "float32", ((3,),), 10, 1, "none")
    (tmp_path / "rows").mkdir()
    for shard in range(layout.n_shards):
        writer = ShardWriter(tmp_path / "rows", layout, shard)
        writer.append([np.full((10, 3), shard, np.float32)])
        writer.finish()
    positions = np.random.default_rng(0).permutation(1000)
    (rows,) = Features(tmp_path / "rows", layout).read(positions)
    assert np.array_equal(rows[:, 0], positions // 10)
