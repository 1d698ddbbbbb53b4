"""One precision for a whole run: prefix, tail, heads and the plain loop; refused where the device doesn't have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.execution.studies import LITE0, RESNET, logits_of, numbers_of, small_study

import frostline
from frostline.errors import FrostlineError
from frostline.execution._devices import choose_engine, choose_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.plan import Precision

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")

SGD = {"name": "sgd", "lr": 1e-2, "momentum": 0.9}

ARMS: dict[str, dict[str, Any]] = {
    "thawed": {**RESNET, "train_from": "layer4", "optimizer": SGD},
    "uncut": {**RESNET, "train_from": "all", "optimizer": SGD},
    "frozen norm in train mode": {**RESNET, "train_from": "layer4", "frozen_norm": "batch", "optimizer": SGD},
    "stochastic depth": {
        "backbone": "efficientnet_b0",
        "weights": "none",
        "image_size": 32,
        "train_from": "features.7",
        "optimizer": SGD,
    },
    "head": {**LITE0, "train_from": "head", "optimizer": {"name": "adam", "lr": 1e-3}},
    "head, smoothed": {**RESNET, "train_from": "head", "optimizer": SGD, "label_smoothing": 0.1},
    "hidden head with dropout": {**LITE0, "train_from": "head", "head": {"hidden": [32], "dropout": 0.5}},
}

STACKED_TOLERANCE = 1e-2
"""Relative, per epoch, in bfloat16: sums in another order fall on the other side of a rounding, which is by 2 ** -9."""


@pytest.mark.parametrize("arm", ARMS)
def test_shared_equals_plain_in_bfloat16(arm: str) -> None:
    """Bit for bit, but for stacked heads; and it is bfloat16 that both compute in."""
    study = small_study(ARMS[arm])
    shared = frostline.run(study, precision="bf16", cache="always", resume=False)
    plain = frostline.run(study, precision="bf16", plain=True, resume=False)
    exact = frostline.run(study, plain=True, resume=False)
    stacked = any(group["stacked"] for group in shared.plan["groups"])
    assert stacked == ("head" in arm)
    (ours,), (theirs,) = shared.arms, plain.arms
    for mine, other, reference in zip(ours.epochs, theirs.epochs, exact.arms[0].epochs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=STACKED_TOLERANCE if stacked else 0, abs=0)
        assert mine.val_loss == pytest.approx(other.val_loss, rel=STACKED_TOLERANCE if stacked else 0, abs=0)
        assert mine.train_loss != reference.train_loss
    if not stacked:
        assert np.array_equal(logits_of(shared, ours), logits_of(plain, theirs))
    assert shared.plan["basis"]["precision"] == "bf16"


@pytest.mark.parametrize("head", ["linear", {"hidden": [32], "dropout": 0.5}], ids=["linear", "hidden"])
def test_in_bfloat16_too_a_head_depends_on_no_other(head: Any) -> None:
    optimizers = [{"name": name, "lr": lr} for name in ("sgd", "adam") for lr in (1e-3, 3e-3, 1e-2)]
    arms = [{**LITE0, "train_from": "head", "head": head, "optimizer": each} for each in optimizers]
    together = numbers_of(frostline.run(small_study(*arms), precision="bf16", resume=False))
    for arm in arms:
        ((name, alone),) = numbers_of(frostline.run(small_study(arm), precision="bf16", resume=False)).items()
        assert [row for key, row in together.items() if key.startswith(name)] == [alone]


def test_a_loaded_arm_has_the_precision_of_its_run() -> None:
    study = small_study(ARMS["thawed"], ARMS["head, smoothed"])
    record = frostline.run(study, precision="bf16", resume=False)
    dataset = frostline.load_dataset(study.data)
    images = [dataset.pixels("val", position) for position in range(len(dataset.val))]
    for each in record.arms:
        arm = frostline.load_arm(record, each.name)
        assert arm.numerics.precision == "bf16"
        assert np.array_equal(arm.logits(images).numpy(), logits_of(record, each))


def test_each_precision_has_runs_of_its_own(fresh_places: Callable[[str], None]) -> None:
    fresh_places("precisions")
    study = small_study({**RESNET, "train_from": "head"})
    exact = frostline.run(study, engine="torch")
    rounded = frostline.run(study, precision="bf16")
    assert numbers_of(exact) != numbers_of(rounded)
    assert frostline.run(study, precision="bf16").run == rounded.run
    assert frostline.run(study, engine="torch").run == exact.run


def settings() -> tuple[Any, ...]:
    backends: Any = torch.backends
    places = (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
    )
    return tuple(place.fp32_precision for place in places)


def use_medium() -> None:
    torch.set_float32_matmul_precision("medium")


def use_the_newer_way() -> None:
    backends: Any = torch.backends
    backends.mkldnn.matmul.fp32_precision = "bf16"
    backends.cuda.matmul.fp32_precision = "tf32"


@pytest.mark.parametrize("change", [use_medium, use_the_newer_way])
def test_what_the_program_around_a_run_has_set_changes_nothing_and_stays(change: Callable[[], None]) -> None:
    study = small_study({**RESNET, "train_from": "layer4"})
    before = numbers_of(frostline.run(study, engine="torch", resume=False))
    kept = settings()
    try:
        change()
        changed = settings()
        after = numbers_of(frostline.run(study, engine="torch", resume=False))
        assert settings() == changed
    finally:
        torch.set_float32_matmul_precision("highest")
        backends: Any = torch.backends
        backends.cuda.matmul.fp32_precision, backends.mkldnn.matmul.fp32_precision = kept[0], kept[3]
    assert after == before


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("fp16", CPU, 'precision "fp16" is unknown: choose ieee, tf32, bf16'),
        ("tf32", CPU, 'precision "tf32" has no effect on the CPU; usable there: ieee, bf16'),
        ("tf32", MPS, 'precision "tf32" has no effect on MPS; usable there: ieee'),
        ("bf16", MPS, 'precision "bf16" is not offered on MPS; usable there: ieee'),
        ("bf16", CUDA, r'precision "bf16" needs .* 8\.0 or higher; Tesla T4 has 7\.5: leave out --precision'),
        ("tf32", CUDA, r'precision "tf32" needs .* 8\.0 or higher; Tesla T4 has 7\.5: leave out --precision'),
    ],
)
def test_a_precision_that_is_not_there(
    name: str, device: torch.device, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    with pytest.raises(FrostlineError, match=message):
        choose_precision(name, device)


@pytest.mark.parametrize(
    ("name", "device", "precision", "engine"),
    [
        ("auto", CPU, "ieee", "openvino"),
        ("auto", CPU, "bf16", "torch"),
        ("torch", CPU, "ieee", "torch"),
        ("auto", CUDA, "ieee", "torch"),
        ("auto", CUDA, "tf32", "torch"),
        ("auto", MPS, "ieee", "torch"),
    ],
)
def test_the_engine(name: str, device: torch.device, precision: Precision, engine: str) -> None:
    assert choose_engine(name, device, precision) == engine


@pytest.mark.parametrize(
    ("name", "device", "precision", "message"),
    [
        ("tensorrt", CPU, "ieee", 'engine "tensorrt" is unknown: choose auto, openvino, torch'),
        ("openvino", CPU, "bf16", 'engine "openvino" computes in float32 only, not in bf16: leave out --engine'),
        ("openvino", CUDA, "ieee", 'engine "openvino" runs on the CPU only, not on cuda: leave out --engine'),
    ],
)
def test_an_engine_that_does_not_go_with_it(
    name: str, device: torch.device, precision: Precision, message: str
) -> None:
    with pytest.raises(FrostlineError, match=message):
        choose_engine(name, device, precision)
