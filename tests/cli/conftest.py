"""Workspaces with hand-built ledgers, and two ways to run the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from frostline.cli import app
from frostline.ledger import ArmEntry, EpochRow, Ledger, Segment

if TYPE_CHECKING:
    from pathlib import Path

FROZEN = (0.8229, 0.6165, 0.5859, 0.5764, 0.5681)
UNFROZEN = (0.4460, 0.2133, 0.1221, 0.0799, 0.0595)

Invoke = Callable[..., Result]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


def recipe(**settings: Any) -> dict[str, Any]:
    made = {
        "backbone": "resnet18",
        "train_from": "head",
        "optimizer": {"name": "adam", "lr": 1e-3},
        "seed": 0,
        **settings,
    }
    return {**made, "phases": [{key: made[key] for key in ("train_from", "epochs", "optimizer")}]}


def write_run(
    workspace: Path, *, status: str = "complete", name: str = "exercise", n_seeds: int = 1, **data: Any
) -> str:
    """Write a run of frozen and unfrozen arms of 2, 3 and 5 epochs; an interrupted one lacks the unfrozen."""
    starts = (("head", FROZEN), ("layer4", UNFROZEN))
    with Ledger(workspace) as ledger:
        arms = [
            ArmEntry(
                f"resnet18 {start} adam-0.001 {epochs}ep seed{seed}",
                recipe(train_from=start, epochs=epochs, seed=seed),
                (Segment(f"{start}{seed}", epochs),),
            )
            for start, _ in starts
            for epochs in (2, 3, 5)
            for seed in range(n_seeds)
        ]
        described = {"source": "digits", **data}
        run = ledger.start_run(
            name, "digest", "shared", {"name": name}, described, {"passes": [], "trajectories": []}, {}, arms
        )
        for start, losses in starts if status == "complete" else starts[:1]:
            for seed in range(n_seeds):
                for epoch, loss in enumerate(losses, start=1):
                    ledger.record_epochs(
                        run, {f"{start}{seed}": EpochRow(epoch, loss + seed / 10, loss + 0.1, 0.9, 2.0)}
                    )
                ledger.record_trajectory(run, f"{start}{seed}", "complete")
        ledger.finish_run(run, status, {"seconds": 20.0})
    return run


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place that the commands use without being told."""
    monkeypatch.setenv("FROSTLINE_WORKSPACE", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def invoke() -> Invoke:
    """Run a command in this process."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


@pytest.fixture
def spawn(workspace: Path) -> Spawn:
    """Run a command as a process of its own."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "frostline", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=workspace.parent,
            env={**os.environ, **environment},
        )

    return run
