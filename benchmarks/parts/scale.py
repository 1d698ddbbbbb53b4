"""Time and memory as images grow: runs over more and more of them, and over more rows than memory holds."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.parts.studies import run_study
from benchmarks.rows import Row

if TYPE_CHECKING:
    from benchmarks.measuring import Session

SIZES = (1000, 2000, 4000, 8000, 16000)
FEW = 1000
KINDS = {"features": ((1280,), 1_000_000, "1,000,000 rows of 5 KB"), "maps": ((512, 14, 14), 50_000, "20 GB of maps")}
MOST_MORE = 300e6


def measure(session: Session) -> list[Row]:
    return [_exponent(session), *(_memory(session, kind) for kind in KINDS)]


def _exponent(session: Session) -> Row:
    seconds = []
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        for n in SIZES:
            study = {
                "name": f"scale-{n}",
                "data": {"source": "parquet", "path": str(session.parquet), "train": n, "val": n // 5, "test": 100},
                "defaults": {"backbone": "timm:tf_efficientnet_lite0", "weights": "none", "image_size": 64},
                "arms": [{"train_from": "head", "epochs": 5}, {"train_from": "blocks.6", "epochs": 1}],
            }
            cost = run_study(study, Path(scratch))["cost"]
            seconds.append(cost["pass_seconds"] + cost["training_seconds"])
    exponent = float(np.polyfit(np.log(SIZES), np.log(seconds), 1)[0])
    detail = ", ".join(f"{n:,}: {each:.1f} s" for n, each in zip(SIZES, seconds, strict=True))
    what = "seconds as a power of the images (Lite0, 64 px, a head and blocks.6)"
    return Row(what, exponent, most=1.05, detail=detail)


def _memory(session: Session, kind: str) -> Row:
    shape, n, title = KINDS[kind]
    few, many = (_peak(session, shape, each) for each in (FEW, n))
    detail = f"{few / 1e6:,.0f} MB over {FEW:,} rows, {many / 1e6:,.0f} MB over {n:,}"
    what = f"peak memory over {title}, beyond that over few"
    return Row(what, (many - few) / 1e6, "MB", 0, most=MOST_MORE / 1e6, detail=detail)


def _peak(session: Session, shape: tuple[int, ...], n: int) -> float:
    """Return the peak of resident memory, in bytes, of a process that stores rows and trains on them."""
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        command = [sys.executable, "-m", "benchmarks.parts.many_rows", scratch, str(n), *map(str, shape)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{n} rows failed:\n{ended.stderr.strip()[-2000:]}")
    return float(json.loads(ended.stdout.strip().splitlines()[-1]))
