"""The central test: an arm trained with everything shared equals the same arm trained alone by the plain loop.

Bit for bit on the torch engine, but for stacked heads, whose sums are taken in another order; on OpenVINO closely.
"""

from __future__ import annotations

import json
import platform
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.execution.studies import LITE0, RESNET, logits_of, small_study

import frostline
from frostline.plan import _numerics

if TYPE_CHECKING:
    from frostline import RunRecord

OPENVINO_TOLERANCE = 1e-3
"""Relative, per epoch: the promise on OpenVINO."""

STACKED_TOLERANCE = 1e-6
"""Relative, per epoch: the promise for stacked heads on the torch engine."""

ADAM = {"name": "adam", "lr": 1e-3}
SGD = {"name": "sgd", "lr": 1e-2, "momentum": 0.9}

TABLE: dict[str, dict[str, Any]] = {
    "resnet18 head adam": {**RESNET, "train_from": "head", "optimizer": ADAM},
    "resnet18 head sgd": {**RESNET, "train_from": "head", "optimizer": SGD},
    "resnet18 layer4 adam": {**RESNET, "train_from": "layer4", "optimizer": ADAM},
    "resnet18 layer4 sgd nesterov": {**RESNET, "train_from": "layer4", "optimizer": {**SGD, "nesterov": True}},
    "resnet18 inside a block": {**RESNET, "train_from": "layer4.1.conv2", "optimizer": SGD},
    "resnet18 layer2 adamw": {**RESNET, "train_from": "layer2", "optimizer": {"name": "adamw", "lr": 1e-4}},
    "resnet18 all": {**RESNET, "train_from": "all", "optimizer": SGD},
    "resnet18 frozen norm batch": {**RESNET, "train_from": "layer4", "frozen_norm": "batch", "optimizer": SGD},
    "resnet18 tail norm stored": {**RESNET, "train_from": "layer3", "tail_norm": "stored", "optimizer": SGD},
    "resnet18 flip x2": {**RESNET, "train_from": "layer4", "augmentation": "flip", "views": 2, "optimizer": SGD},
    "resnet18 crop-flip x3": {**RESNET, "train_from": "head", "augmentation": "crop-flip", "views": 3},
    "resnet18 crop-flip fresh": {
        **RESNET, "train_from": "layer4", "augmentation": "crop-flip", "views": "fresh", "optimizer": SGD,
    },
    "resnet18 cosine": {**RESNET, "train_from": "layer4", "schedule": "cosine", "optimizer": SGD},
    "resnet18 one-cycle": {**RESNET, "train_from": "head", "schedule": "one-cycle", "optimizer": SGD},
    "resnet18 step": {**RESNET, "train_from": "head", "schedule": {"name": "step", "step_epochs": 1}, "optimizer": SGD},
    "resnet18 smoothed, balanced": {
        **RESNET, "train_from": "head", "label_smoothing": 0.1, "class_weights": "balanced",
    },
    "resnet18 stage decay": {**RESNET, "train_from": "layer3", "optimizer": {**SGD, "stage_decay": 0.3}},
    "resnet18 gradual": {
        **RESNET,
        "optimizer": SGD,
        "phases": [{"train_from": "head", "epochs": 1}, {"train_from": "layer4", "epochs": 1}],
    },
    "resnet18 refrozen": {
        **RESNET,
        "optimizer": SGD,
        "phases": [{"train_from": "layer4", "epochs": 1}, {"train_from": "head", "epochs": 1}],
    },
    "lite0 head": {**LITE0, "train_from": "head", "optimizer": ADAM},
    "lite0 conv_head": {**LITE0, "train_from": "conv_head", "optimizer": ADAM},
    "lite0 blocks.5": {**LITE0, "train_from": "blocks.5", "optimizer": SGD},
    "lite0 hidden head with dropout": {**LITE0, "train_from": "head", "head": {"hidden": [32], "dropout": 0.5}},
    "vgg16 head replaced": {
        "backbone": "vgg16", "weights": "none", "image_size": 32, "train_from": "head",
        "head": {"hidden": [64, 64], "dropout": 0.5}, "optimizer": SGD,
    },
    "densenet121 denseblock4": {
        "backbone": "densenet121", "weights": "none", "image_size": 32, "train_from": "features.denseblock4",
        "optimizer": SGD,
    },
    "mobilenet_v3_large late": {
        "backbone": "mobilenet_v3_large", "weights": "none", "image_size": 32, "train_from": "features.15",
        "optimizer": SGD,
    },
    "efficientnet_b0 features.7, stochastic depth": {
        "backbone": "efficientnet_b0", "weights": "none", "image_size": 32, "train_from": "features.7",
        "optimizer": SGD,
    },
    "convnext_atto stages.3": {
        "backbone": "timm:convnext_atto", "weights": "none", "image_size": 32, "train_from": "stages.3",
        "optimizer": ADAM,
    },
    "vit_tiny blocks.11": {
        "backbone": "timm:vit_tiny_patch16_224", "weights": "none", "image_size": 32, "train_from": "blocks.11",
        "optimizer": ADAM,
    },
    "regnety_002 s4": {
        "backbone": "timm:regnety_002", "weights": "none", "image_size": 32, "train_from": "s4", "optimizer": SGD,
    },
    "repghostnet blocks.8, functional dropout": {
        "backbone": "timm:repghostnet_050", "weights": "none", "image_size": 32, "train_from": "blocks.8",
        "optimizer": SGD,
    },
    "repghostnet head, functional dropout": {
        "backbone": "timm:repghostnet_050", "weights": "none", "image_size": 32, "train_from": "head",
        "optimizer": SGD,
    },
    "levit stages.2, two classifiers": {
        "backbone": "timm:levit_128s", "weights": "none", "image_size": 64, "train_from": "stages.2",
        "optimizer": SGD,
    },
    "pit transformers.2, class token": {
        "backbone": "timm:pit_ti_224", "weights": "none", "image_size": 64, "train_from": "transformers.2",
        "optimizer": ADAM,
    },
}  # fmt: skip


DEFAULT: dict[str, dict[str, Any]] = {
    "resnet18 head adam": TABLE["resnet18 head adam"],
    "resnet18 head sgd": TABLE["resnet18 head sgd"],
    "lite0 head": {**LITE0, "image_size": 64, "train_from": "head", "optimizer": ADAM},
    "lite0 conv_head": {**LITE0, "image_size": 64, "train_from": "conv_head", "optimizer": ADAM},
    "lite0 blocks.6": {**LITE0, "image_size": 64, "train_from": "blocks.6", "optimizer": {"name": "adam", "lr": 1e-4}},
    "lite0 blocks.5": {**LITE0, "image_size": 64, "train_from": "blocks.5", "optimizer": {**SGD, "lr": 1e-3}},
}
"""Rows for what a run uses by default on a CPU, OpenVINO.

It differs from the plain loop by some 1e-6, and training a thawed network amplifies that as it amplifies any rounding:
untrained networks and large steps most. At 32 pixels, with random weights or Adam at 1e-3 on many stages, two epochs
turn 1e-6 into 1e-2. So these rows have real weights where they are thawed, and steps that one would fine-tune with;
measured, they differ by at most 2e-5, and by 3e-4 with float16 activations.
"""

BACKBONES = [
    "resnet18 layer4 adam",
    "lite0 blocks.5",
    "vgg16 head replaced",
    "densenet121 denseblock4",
    "mobilenet_v3_large late",
    "efficientnet_b0 features.7, stochastic depth",
    "convnext_atto stages.3",
    "vit_tiny blocks.11",
    "regnety_002 s4",
]
"""A row for each backbone, to be compared in every layout and on several threads."""

ANEW = {"resnet18 layer4 sgd nesterov", "lite0 head", "resnet18 crop-flip x3", "resnet18 gradual"}
"""Rows that the default tests compare stored and computed anew."""

NUMERICS = {
    "contiguous, 1 thread": (False, 1),
    "contiguous, 2 threads": (False, 2),
    "channels_last, 2 threads": (True, 2),
}
"""Whether the rule for layouts takes this machine for an x86, and on how many threads each trajectory trains."""

LONG = {"lite0 conv_head", "lite0 blocks.5"}

FLOAT16_TOLERANCE = 2e-3
"""Relative, per epoch: float16 rounds an activation by up to 2 ** -11 = 5e-4 of itself."""


@lru_cache
def run_plain(recipe: str) -> frostline.RunRecord:
    """Run a recipe by the plain loop, once for all that is compared with it."""
    return frostline.run(small_study(json.loads(recipe)), plain=True, resume=False)


def run_shared(recipe: dict[str, Any], engine: str, cache: Any = "always", disk: int | None = None) -> RunRecord:
    return frostline.run(small_study(recipe), cache=cache, engine=engine, resume=False, disk=disk)


def assert_equal(shared: RunRecord, plain: RunRecord, tolerance: float) -> None:
    """Compare losses of every epoch, the judgement on the test images, and validation logits; 0 is bit for bit."""
    for ours, theirs in zip(shared.arms, plain.arms, strict=True):
        assert ours.status == theirs.status == "complete"
        assert len(ours.epochs) == len(theirs.epochs) == 2
        for mine, other in zip(ours.epochs, theirs.epochs, strict=True):
            assert mine.train_loss == pytest.approx(other.train_loss, rel=tolerance, abs=0)
            assert mine.val_loss == pytest.approx(other.val_loss, rel=tolerance, abs=0)
        assert ours.test_loss == pytest.approx(theirs.test_loss, rel=tolerance, abs=0)
        logits, reference = logits_of(shared, ours), logits_of(plain, theirs)
        if tolerance == 0:
            assert np.array_equal(logits, reference)
        elif tolerance <= OPENVINO_TOLERANCE:
            assert np.mean(logits.argmax(1) == reference.argmax(1)) >= 0.999


def compare_on_torch(recipe: dict[str, Any], plain: RunRecord) -> None:
    """Compare with the plain loop what the torch engine stored: equal in every bit, unless heads were stacked."""
    stored = run_shared(recipe, "torch")
    stacked = any(group["stacked"] for group in stored.plan["groups"])
    assert_equal(stored, plain, STACKED_TOLERANCE if stacked else 0)


def compare(
    recipe: dict[str, Any], tolerance: float = OPENVINO_TOLERANCE, disk: int | None = None
) -> frostline.RunRecord:
    """Compare what a run does by default on a CPU with the plain loop."""
    shared = run_shared(recipe, "openvino", disk=disk)
    plain = run_plain(json.dumps({**recipe, "activations": "float32"}))  # of which it has none
    assert_equal(shared, plain, tolerance)
    return shared


@pytest.mark.parametrize("recipe", TABLE.values(), ids=TABLE.keys())
def test_shared_equals_plain(recipe: dict[str, Any]) -> None:
    compare_on_torch(recipe, run_plain(json.dumps(recipe)))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("numerics", NUMERICS.values(), ids=NUMERICS.keys())
@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=() if row == BACKBONES[0] else pytest.mark.slow) for row in BACKBONES]
)
def test_shared_equals_plain_in_every_layout_and_on_threads(
    row: str, numerics: tuple[bool, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x86, threads = numerics
    monkeypatch.setattr(_numerics, "X86", (platform.machine(),) if x86 else ())
    monkeypatch.setattr(_numerics, "OPERATIONS_A_THREAD", 1.0 if threads > 1 else float("inf"))
    study = small_study(TABLE[row])
    (trajectory,) = frostline.plan_study(study).trajectories
    assert trajectory.layout == ("channels_last" if x86 else "contiguous")
    assert trajectory.threads == threads
    plain = frostline.run(study, plain=True, resume=False)
    assert [(t["layout"], t["threads"]) for t in plain.plan["trajectories"]] == [(trajectory.layout, threads)]
    compare_on_torch(TABLE[row], plain)


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(row, id=id_, marks=pytest.mark.slow if id_ in LONG else ()) for id_, row in DEFAULT.items()],
)
def test_shared_equals_plain_by_default(recipe: dict[str, Any]) -> None:
    compare(recipe)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=() if row in ANEW else pytest.mark.slow)
        for row in TABLE
        if "all" not in row and "frozen norm batch" not in row and "fresh" not in row
    ],
)
def test_rows_computed_anew_equal_stored_ones(row: str, engine: str) -> None:
    """In every bit, and stacked heads too: whether rows are stored is a matter of time and room."""
    stored, anew = (run_shared(TABLE[row], engine, cache) for cache in ("always", "never"))
    assert {t["mode"] for t in stored.plan["trajectories"]} == {"cached"}
    assert {t["mode"] for t in anew.plan["trajectories"]} == {"recomputed"}
    assert [g["stacked"] for g in anew.plan["groups"]] == [g["stacked"] for g in stored.plan["groups"]]
    assert_equal(anew, stored, 0)


@pytest.mark.parametrize(
    "row",
    [
        "resnet18 head adam",
        "lite0 blocks.6",
        pytest.param("lite0 head", marks=pytest.mark.slow),
        pytest.param("lite0 blocks.5", marks=pytest.mark.slow),
    ],
)
def test_float16_activations_stay_close(row: str) -> None:
    compare({**DEFAULT[row], "activations": "float16"}, FLOAT16_TOLERANCE)


@pytest.mark.parametrize("row", ["lite0 blocks.6", pytest.param("lite0 head", marks=pytest.mark.slow)])
def test_float16_chosen_for_a_budget_stays_close(row: str) -> None:
    recipe = {**DEFAULT[row], "activations": "auto"}
    whole = frostline.plan_study(small_study(recipe), cache="always").totals.bytes
    shared = compare(recipe, FLOAT16_TOLERANCE, disk=whole * 3 // 4)
    assert [t["activations"] for t in shared.plan["trajectories"]] == ["float16"]
    # Where everything fits, auto is exact.
    shared = compare(recipe, disk=whole * 2)
    assert [t["activations"] for t in shared.plan["trajectories"]] == ["float32"]


@pytest.mark.parametrize("cache", ["always", "never"])
def test_the_table_compares_stored_rows_where_it_says_so(cache: Any) -> None:
    """Guard the table above: were everything recomputed, it would show nothing about stored rows."""
    study = small_study(TABLE["resnet18 layer4 adam"])
    (trajectory,) = frostline.plan_study(study, cache=cache).trajectories
    assert trajectory.mode == {"always": "cached", "never": "recomputed"}[cache]
