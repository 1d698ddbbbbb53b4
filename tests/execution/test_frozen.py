"""Every training run asserts that what is frozen stayed so; here it doesn't stay so, and the run must say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.errors import TrainingError
from frostline.execution import _heads
from frostline.models import freeze, frozen_digest
from frostline.training import HeadsTraining

if TYPE_CHECKING:
    from frostline.models import Chain


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
    # Stages before the first frost line run in eval mode by themselves; those that were trained and frozen again don't.
    phases = [{"train_from": "layer3", "epochs": 1}, {"train_from": "layer4", "epochs": 1}]
    with pytest.raises(TrainingError, match="resnet18: a parameter or buffer before layer4 changed"):
        frostline.run(small_study({**RESNET, "phases": phases}), resume=False, **options)


@pytest.mark.parametrize("when", [0, 1], ids=["in an epoch that an arm ends with", "in one that none ends with"])
def test_stacked_heads_that_touch_what_is_frozen_stop_the_run(when: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chains: list[Chain] = []
    specs, run_epoch = _heads._specs, HeadsTraining.run_epoch

    def remember(*given: Any) -> Any:
        made, chain = specs(*given)
        chains.append(chain)
        return made, chain

    def touching(training: HeadsTraining, epoch: int, on_step: Any) -> Any:
        if epoch == when:
            chains[-1].model.get_buffer("bn1.running_mean").add_(1e-6)
        return run_epoch(training, epoch, on_step)

    monkeypatch.setattr(_heads, "_specs", remember)
    monkeypatch.setattr(HeadsTraining, "run_epoch", touching)
    study = small_study({**RESNET, "train_from": "head", "epochs": [1, 4]})
    with pytest.raises(TrainingError, match="resnet18: a parameter or buffer before head changed"):
        frostline.run(study, resume=False, cache="always")


@pytest.mark.parametrize(
    ("arm", "n_digests"),
    [
        ({"epochs": [2, 5]}, 3),
        ({"epochs": 3, "optimizer": {"name": "sgd", "lr": [1e-3, 1e38]}}, 3),
        ({"epochs": 3, "optimizer": {"name": "sgd", "lr": 1e38}}, 2),
    ],
    ids=["two ends", "one diverges", "all diverge"],
)
def test_heads_are_checked_when_one_ends(arm: dict[str, Any], n_digests: int, monkeypatch: pytest.MonkeyPatch) -> None:
    digests: list[str] = []

    def count(*given: Any) -> str:
        digests.append(frozen_digest(*given))
        return digests[-1]

    monkeypatch.setattr(_heads, "frozen_digest", count)
    record = frostline.run(small_study({**RESNET, "train_from": "head", **arm}), resume=False, cache="always")
    assert record.status == "complete"
    assert len(digests) == n_digests
    assert len(set(digests)) == 1
