"""Batches of one image: refused before anything is paid for where BatchNorm can't take them, else the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import RESNET, small_study

import frostline
from frostline.errors import StudyError
from frostline.execution import check_networks
from frostline.execution.events import Event, Preparing, StepProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYER = "gives normalisation layer layer4.0.bn1 one value per channel"


@pytest.mark.parametrize(
    ("recipe", "remedy"),
    [
        ({"train_from": "layer4"}, "tail_norm"),
        ({"train_from": "layer3", "frozen_norm": "batch"}, "tail_norm"),
        ({"train_from": "head", "frozen_norm": "batch"}, "frozen_norm"),
        ({"phases": [{"train_from": "head", "epochs": 1}, {"train_from": "layer4", "epochs": 1}]}, "tail_norm"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_a_batch_of_one_that_a_network_cannot_take_is_refused_before_anything_is_done(
    recipe: dict[str, Any], remedy: str, plain: bool, tmp_path: Path
) -> None:
    study = small_study({**RESNET, **recipe, "batch_size": 1})
    (problem,) = check_networks(study)
    assert problem.key.endswith(": batch_size")
    expected = (
        rf'^arm "resnet18 .*": batch_size = 1: a batch of 1 image of 32 pixels {LAYER}, .*: '
        rf'use batch_size = 2 or more, or {remedy} = "stored"$'
    )
    events: list[Event] = []
    with pytest.raises(StudyError, match=expected):
        frostline.run(study, plain=plain, workspace=tmp_path / "runs", listener=events.append)
    assert not [event for event in events if not isinstance(event, Preparing)]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "recipe",
    [
        {"train_from": "head"},  # nothing before it takes statistics
        {"train_from": "layer4", "tail_norm": "stored"},
        {"train_from": "layer4", "image_size": 64},  # four values per channel
    ],
)
def test_a_batch_of_one_that_a_network_can_take_is_trained_alike_by_both(
    recipe: dict[str, Any], fresh_places: Callable[[str], None]
) -> None:
    study = small_study({**RESNET, **recipe, "batch_size": 1, "epochs": 1, "optimizer": "sgd"}, train=20, val=10)
    assert check_networks(study) == []
    losses = []
    for plain in (False, True):
        fresh_places(str(plain))
        (arm,) = frostline.run(study, plain=plain, engine="torch").arms
        losses.append((arm.epochs[0].train_loss, arm.epochs[0].val_loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("plain", [False, True])
def test_a_last_batch_of_one_joins_the_batch_before_it(plain: bool, fresh_places: Callable[[str], None]) -> None:
    # 40 images: three batches of 13 leave one.
    study = small_study({**RESNET, "train_from": "layer4", "batch_size": 13, "epochs": 1}, train=40)
    steps: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepProgress):
            steps.append(event.n_steps)

    fresh_places(str(plain))
    (arm,) = frostline.run(study, plain=plain, engine="torch", listener=listen).arms
    assert arm.status == "complete"
    assert steps == [3, 3, 3]
