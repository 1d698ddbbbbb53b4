"""Predicted peaks of memory beside those of real runs, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import REPOSITORY
from tests.execution.studies import small_study

import frostline

if TYPE_CHECKING:
    from frostline.plan import CachePolicy
    from frostline.study import Study

RESNET: dict[str, Any] = {"backbone": "resnet18", "weights": "none", "image_size": 64, "batch_size": 64, "epochs": 1}
VGG: dict[str, Any] = {**RESNET, "backbone": "vgg16", "head": {"hidden": [4096]}}
RATES = {"optimizer": {"name": "adam", "lr": [i * 1e-4 for i in range(1, 17)]}, "seed": [0, 1, 2, 3]}


def measured_peak(study: Study, cache: CachePolicy) -> int:
    """Return the peak of a fresh process that runs a study, in bytes."""
    command = [sys.executable, "-m", "tests.execution.peak", study.model_dump_json(), cache]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return int(json.loads(ended.stdout))


@pytest.mark.slow
@pytest.mark.measured
@pytest.mark.skipif(sys.platform != "linux", reason="a process's own peak is read from /proc")
@pytest.mark.parametrize(
    ("arm", "cache", "train"),
    [
        pytest.param({**RESNET, "train_from": "all"}, "auto", 256, id="all"),
        pytest.param({**RESNET, "train_from": "layer4"}, "always", 256, id="layer4 stored"),
        pytest.param({**RESNET, "train_from": "layer4"}, "never", 256, id="layer4 recomputed"),
        pytest.param({**VGG, "train_from": "head"}, "always", 256, id="vgg16 with a hidden layer"),
        pytest.param({**RESNET, **RATES, "train_from": "head"}, "always", 1000, id="stacked heads"),
    ],
)
def test_the_predicted_peak_is_near_the_real_one(arm: dict[str, Any], cache: CachePolicy, train: int) -> None:
    study = small_study(arm, train=train, val=256)
    predicted = frostline.plan_study(study, cache=cache).totals.peak_bytes  # measures this machine, if that is needed
    measured = measured_peak(study, cache)
    print(f"predicted {predicted / 1e6:,.0f} MB, measured {measured / 1e6:,.0f} MB, {predicted / measured:.2f} times")
    assert 0.9 * measured <= predicted <= 1.5 * measured
