"""Start-up: the help, and a plan where nothing must be measured any more."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import Row, fastest

if TYPE_CHECKING:
    from benchmarks.measuring import Session


def measure(session: Session) -> list[Row]:
    with tempfile.TemporaryDirectory(dir=session.place) as scratch:
        place = Path(scratch)
        places = {"FROSTLINE_CACHE": str(place / "cache"), "FROSTLINE_WORKSPACE": str(place / "runs")}
        environment = {**os.environ, **places}
        study = place / "study.toml"
        study.write_text(
            f"""name = "startup"
[data]
source = "parquet"
path = "{session.parquet}"
train = {session.n_train}
val = {session.n_val}
[defaults]
backbone = "resnet18"
weights = "none"
image_size = 64
[[arms]]
train_from = ["head", "layer4"]
optimizer = ["adam", "sgd"]
epochs = [2, 3, 5]
"""
        )

        def call(words: list[str]) -> None:
            command = [sys.executable, "-m", "frostline", *words]
            subprocess.run(command, env=environment, cwd=place, check=True, capture_output=True)

        rows = []
        for label, words, most in (
            ("--help", ["--help"], 0.3),
            ("plan", ["plan", str(study)], 1.0),
            ("plan starter", ["plan", "starter"], 1.0),
        ):
            seconds = fastest(partial(call, words))
            rows.append(Row(f"frostline {label}", seconds, "s", most=most, detail="fastest of 5, a process each"))
        return rows
