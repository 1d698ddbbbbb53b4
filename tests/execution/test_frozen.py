"""Every training run asserts that what is frozen stayed so; here it doesn't stay so, and the run must say it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.errors import TrainingError
from frostline.models import freeze


@pytest.mark.parametrize(
    ("where", "options"),
    [("_phase", {"cache": "never", "engine": "torch"}), ("_plain", {"plain": True})],
    ids=["shared", "plain"],
)
def test_statistics_that_drift_stop_the_run(
    where: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def naive(module: Any, chain: Any, train_from: str, _: str, tail_norm: Any) -> Any:
        """Freeze parameters alone, as `requires_grad = False` does: BatchNorm goes on counting in train mode."""
        return freeze(module, chain, train_from, "batch", tail_norm)

    monkeypatch.setattr(f"frostline.training.{where}.freeze", naive)
    study = small_study({**RESNET, "train_from": "layer4"})
    with pytest.raises(TrainingError, match="resnet18: a parameter or buffer before layer4 changed"):
        frostline.run(study, resume=False, **options)
