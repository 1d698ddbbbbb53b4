"""Ledgers with a run in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from frostline.ledger import ArmEntry, Ledger, Segment

if TYPE_CHECKING:
    from pathlib import Path

StartRun = Callable[..., str]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def ledger(workspace: Path) -> Iterator[Ledger]:
    with Ledger(workspace) as opened:
        yield opened


@pytest.fixture
def start_run() -> StartRun:
    """Start a run: two arms on one trajectory, and one that goes on from its first epoch."""

    def start(ledger: Ledger, **changes: Any) -> str:
        fields: dict[str, Any] = {
            "study_name": "Starter",
            "study_digest": "d1",
            "mode": "shared",
            "study": {"name": "starter"},
            "data": {"source": "digits", "classes": ["0", "1"]},
            "plan": {"totals": {"seconds": 12.5}},
            "provenance": {"frostline": "0.1.0"},
            "arms": [
                ArmEntry("head 2ep", {"train_from": "head", "epochs": 2}, (Segment("t1", 2),)),
                ArmEntry("head 3ep", {"train_from": "head", "epochs": 3}, (Segment("t1", 3),)),
                ArmEntry("gradual", {"train_from": "layer4", "epochs": 3}, (Segment("t1", 1), Segment("t2", 2))),
            ],
        }
        return ledger.start_run(**fields | changes)

    return start
