"""A real study through the command line, interrupted and taken up again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STUDY = """\
[data]
source = "digits"
train = 200
val = 100
test = 100

[defaults]
backbone = "resnet18"
weights = "none"
image_size = 32

[[arms]]
train_from = ["head", "layer4"]
epochs = [2, 3]
"""


def start(directory: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "frostline", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**os.environ, "FROSTLINE_WORKSPACE": "runs"},
    )


def losses(directory: Path) -> Any:
    output, _ = start(directory, "show", "--json").communicate(timeout=60)
    record = json.loads(output)
    assert record["status"] == "complete"
    return {
        arm["name"]: [(row["train_loss"], row["val_loss"], row["val_accuracy"]) for row in arm["epochs"]]
        for arm in record["arms"]
    }


@pytest.mark.slow
def test_a_run_that_was_interrupted_ends_with_the_same_numbers(tmp_path: Path) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.toml").write_text(STUDY)
    output, errors = start(tmp_path / "whole", "run", "study.toml").communicate(timeout=300)
    lines = [line for line in output.splitlines() if ": epoch" in line]
    assert len(lines) == 10, errors
    assert all(
        re.fullmatch(r"resnet18 \S+ .*: epoch \d/\d, loss \d\.\d{4}, val loss \d\.\d{4}, val acc \d+\.\d%", line)
        for line in lines
    )
    assert "train_from layer4" in output
    whole = losses(tmp_path / "whole")
    assert sorted(len(epochs) for epochs in whole.values()) == [2, 2, 3, 3]

    process = start(tmp_path / "stopped", "run", "study.toml")
    assert process.stdout is not None
    assert "epoch 1/2" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to continue: frostline run study.toml --resume" in errors.splitlines()[-1]

    process = start(tmp_path / "stopped", "run", "study.toml", "--resume")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "continues where it was interrupted" in errors
    assert losses(tmp_path / "stopped") == whole
