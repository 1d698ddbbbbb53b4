"""How long a store of many rows takes to open: to find each image's row, and to check every byte."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rows import Row
from frostline.data import Preprocessing
from frostline.features import FeatureSpec, FeatureStore
from frostline.features._format import RowFormat
from frostline.features._job import MOST_SEGMENTS
from frostline.features._segments import SegmentWriter, image_ids

if TYPE_CHECKING:
    from benchmarks.measuring import Session

N, WIDTH, BATCH = 1_000_000, 512, 4000
SPEC = FeatureSpec(Preprocessing(224), None, "made up", "0" * 64, "head", "float32", "torch")


def measure(session: Session) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        _write(FeatureStore(Path(scratch)))
        runs = []
        for _ in range(3):  # each in a process that has checked nothing
            command = [sys.executable, "-m", "benchmarks.parts.opening", scratch]
            ended = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append([float(seconds) for seconds in ended.stdout.split()])
    counting, opening, again = (min(each) for each in zip(*runs, strict=True))
    what = f"{N:,} rows of {WIDTH} numbers"
    return [
        Row(f"finding the rows of all images among {what}", counting, "s", most=1.0, detail="the fastest of 3"),
        Row(f"opening {what}, each byte checked", opening, "s", detail="2 GB from the page cache, the fastest of 3"),
        Row(f"opening {what} that were checked", again, "s", most=1.0, detail="the fastest of 3"),
    ]


def _names() -> list[str]:
    generator = np.random.Generator(np.random.PCG64(0))
    return [bytes(row).hex() for row in generator.integers(0, 256, (N, 16), dtype=np.uint8)]


def _write(store: FeatureStore) -> None:
    folder = store.folder(SPEC)
    folder.mkdir(parents=True)
    row_format = RowFormat("float32", ((WIDTH,),), "made up")
    ids, rows = image_ids(_names()), np.zeros((BATCH, WIDTH), np.float32)
    for number, positions in enumerate(np.array_split(np.arange(N), MOST_SEGMENTS)):
        writer = SegmentWriter(folder, number, row_format)
        for start in range(0, len(positions), BATCH):
            part = positions[start : start + BATCH]
            writer.append(ids[part], [rows[: len(part)]])
        writer.finish()
    row_format.write(folder, SPEC.describe())


def main() -> None:
    """Print the seconds that it takes to count what is missing, to open, and to open once more."""
    names, store, seconds = _names(), FeatureStore(Path(sys.argv[1])), []
    for work in (store.count_missing, store.open, store.open):
        started = time.perf_counter()
        result = work(SPEC, names)
        seconds.append(time.perf_counter() - started)
        assert result is not None
    print(*seconds)


if __name__ == "__main__":
    main()
