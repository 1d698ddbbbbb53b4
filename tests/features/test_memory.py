"""Memory stays the same however many rows are read, and what can't be read any more is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from frostline.errors import FeatureError
from frostline.features import Features, FeatureStore, _held
from frostline.features._format import RowFormat
from frostline.features._index import Index
from frostline.features._job import MOST_SEGMENTS, find_job
from frostline.features._segments import Segment, SegmentWriter, image_ids, read_segment, segment_numbers, tensor_path

from .passes import make_specs

BATCH = 64
ROOT = Path(__file__).resolve().parents[2]

READ = """
import resource, sys
from pathlib import Path
import numpy as np
from tests.features.test_memory import open_written
features = open_written(Path(sys.argv[1]), int(sys.argv[2]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
positions = np.random.default_rng(0).permutation(features.n)
order = np.array_split(positions, features.n // int(sys.argv[3]))
next(features.batches(order[:1]))
before = peak()
total = sum(float(rows[0, 0]) for (rows,) in features.batches(order))
print(peak() - before, total == sum(float(part[0]) for part in order))
"""


def write_rows(folder: Path, n: int, width: int, per_segment: int) -> None:
    """Write rows whose first number is their position."""
    folder.mkdir()
    row_format = RowFormat("float32", ((width,),), "none")
    ids = image_ids(names(n))
    for number, first in enumerate(range(0, n, per_segment)):
        writer = SegmentWriter(folder, number, row_format)
        for start in range(first, min(first + per_segment, n), BATCH):
            rows = np.zeros((min(BATCH, n - start, first + per_segment - start), width), np.float32)
            rows[:, 0] = np.arange(start, start + len(rows))
            writer.append(ids[start : start + len(rows)], [rows])
        writer.finish()
    row_format.write(folder, {})


def open_written(folder: Path, n: int) -> Features:
    """Return the rows that ``write_rows`` wrote, not checked."""
    row_format = RowFormat.read(folder)
    assert row_format is not None
    segments = [read_segment(folder, number, row_format) for number in sorted(segment_numbers(folder)[0])]
    index = Index([segment for segment in segments if isinstance(segment, Segment)])
    rows = index.locate(image_ids(names(n)))
    return Features(folder, row_format, index.segment[rows], index.offset[rows])


def names(n: int) -> list[str]:
    return [f"{position * 2654435761 % 2**64:016x}{position:016x}" for position in range(n)]


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of resident memory can't be asked for there")
@pytest.mark.parametrize(
    ("n", "width", "at_once"),
    [(60_000, 1250, 64), (60_000, 1250, 4096), (3_000, 25_000, 64)],
    ids=["5 KB in batches", "5 KB in large reads", "100 KB in batches"],
)
def test_three_hundred_megabytes_take_no_more_memory_than_a_batch(
    n: int, width: int, at_once: int, tmp_path: Path
) -> None:
    write_rows(tmp_path / "rows", n, width, 13_000_000 // width)
    assert open_written(tmp_path / "rows", n).n_bytes == 300_000_000
    words = [sys.executable, "-c", READ, str(tmp_path / "rows"), str(n), str(at_once)]
    grown, right = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert right == "True"
    ahead = 5 * at_once * width * 4 // 1024  # in KB, as the system counts
    assert int(grown) < 50_000 + ahead


@pytest.mark.parametrize("held", [False, True])
def test_rows_that_are_gone_are_named(held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_held.HeldMemory, "take", lambda *_: held)
    write_rows(tmp_path / "rows", 200, 50, 200)
    features = open_written(tmp_path / "rows", 200)
    path = tensor_path(tmp_path / "rows", 0, 0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FeatureError, match=r"can't be read: .*00000\.0\.bin: it is shorter than it was"):
        features.read(np.arange(200))
    path.unlink()
    with pytest.raises(FeatureError, match=r"can't be read: .*00000\.0\.bin: No such file"):
        features.read(np.arange(200))


@pytest.mark.parametrize("n", [1, 1000, 100_000])
def test_the_number_of_files_is_bounded(n: int, tmp_path: Path) -> None:
    (spec,) = make_specs(["head"])
    job = find_job(FeatureStore(tmp_path), spec, image_ids(names(n)), ((1_000_000,),), 8)
    assert n <= job.target.rows_per_segment * MOST_SEGMENTS


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from frostline.features import _reading

    monkeypatch.setattr(_reading, "_most_files", lambda: 2)
    monkeypatch.setattr(_held.HeldMemory, "take", lambda *_: False)
    write_rows(tmp_path / "rows", 1000, 3, 10)
    positions = np.random.default_rng(0).permutation(1000)
    (rows,) = open_written(tmp_path / "rows", 1000).read(positions)
    assert np.array_equal(rows[:, 0], positions)
