"""What decides bits comes from the recipe, the network and the device, and is left as it was found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study
from torch import nn

import frostline
from frostline.errors import FeatureError, LedgerError
from frostline.execution._resuming import describe_basis
from frostline.execution.events import EpochFinished, Event, Notice, RunStarted, StepProgress
from frostline.training import on_threads

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_this_process_not_of_the_one_that_measured(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rates made up for these tests are those of two threads."""
    monkeypatch.setattr("frostline.plan._numerics.OPERATIONS_A_THREAD", 1.0)
    study = small_study({**RESNET, "train_from": "layer4", "epochs": 1}, train=32, val=20)
    with on_threads(threads):
        record = frostline.run(study, resume=False)
    assert [t["threads"] for t in record.plan["trajectories"]] == [threads]
    assert record.plan["basis"]["numerics"]["threads"] == threads


def test_an_interrupted_run_leaves_torch_as_it_was_and_can_be_resumed(fresh_places: Callable[[str], None]) -> None:
    """Though the images of a batch were under way on other threads, which compute on one each."""
    study = small_study({**RESNET, "train_from": "layer4"})

    def stop(event: Event) -> None:
        if isinstance(event, StepProgress) and (event.epoch, event.step) == (2, 2):
            raise KeyboardInterrupt

    with on_threads(2):
        fresh_places("in one go")
        whole = frostline.run(study, cache="never", engine="torch")
        fresh_places("interrupted")
        state = torch.random.get_rng_state()
        with pytest.raises(KeyboardInterrupt):
            frostline.run(study, cache="never", engine="torch", listener=stop)
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.random.get_rng_state(), state)
        resumed = frostline.run(study, cache="never", engine="torch", resume=True)
    assert numbers_of(resumed) == numbers_of(whole)


class Large(nn.Module):
    """A network whose activations float16 can't hold."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.stem(images).mean(dim=(2, 3)) * 1e8
        logits: torch.Tensor = self.fc(features)
        return logits


@pytest.mark.parametrize("cache", ["always", "never"])
def test_activations_beyond_float16_are_refused_stored_or_not(cache: Any, fresh_places: Callable[[str], None]) -> None:
    fresh_places("large")
    torch.manual_seed(0)
    large = Large()
    study = frostline.Study(
        name="large",
        data={"source": "digits", "train": 40, "val": 20, "test": 20},
        arms=[{"backbone": "large", "image_size": 32, "activations": "float16", "epochs": 1}],
        networks={"large": lambda: large},
    )
    with pytest.raises(FeatureError, match=r"large at head: .* beyond the 65,504 that float16"):
        frostline.run(study, cache=cache, engine="torch")


def test_large_steps_amplify_the_rounding_of_stacked_heads() -> None:
    """Sums in another order differ by 1e-7; what a training makes of that is its own."""
    arm = {**RESNET, "train_from": "head", "epochs": 5}
    study = small_study(*({**arm, "optimizer": {"name": name, "lr": 0.1}} for name in ("adam", "sgd")))
    stacked, plain = frostline.run(study, engine="torch", resume=False), frostline.run(study, plain=True, resume=False)
    for one, other in zip(stacked.arms, plain.arms, strict=True):
        for ours, theirs in zip(one.epochs, other.epochs, strict=True):
            assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)
            assert ours.val_loss == pytest.approx(theirs.val_loss, rel=1e-3)


@pytest.mark.parametrize(
    ("numerics", "said"),
    [
        ({"versions": {"torch": "1.0", "openvino": None}}, r"with torch 1\.0, not \d+\.\d+\S*,"),
        ({"versions": {"torch": None, "openvino": "1.0"}}, r"with openvino 1\.0, not \d+\.\d+\S*,"),
        ({"capability": "SSE9"}, r"on a processor with SSE9, not \S+,"),
        ({"threads": 48}, r"on 48 of torch's threads, not \d+ \(OMP_NUM_THREADS sets them\),"),
        ({"pass_batch_size": 3}, r"with 3 images in a batch of a feature pass, not 8,"),
        ({"threads": 48, "capability": "SSE9"}, r"on a processor with SSE9, not \S+, on 48 of torch's threads, "),
        ({}, None),
    ],
)
def test_a_run_is_not_resumed_where_its_last_digits_would_be_others(
    numerics: dict[str, Any],
    said: str | None,
    fresh_places: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = small_study({**RESNET, "train_from": "head"})
    fresh_places("other")

    def elsewhere(*arguments: Any) -> dict[str, Any]:
        basis = describe_basis(*arguments)
        own = basis["numerics"]
        versions = {name: numerics.get("versions", {}).get(name) or own["versions"][name] for name in own["versions"]}
        return {**basis, "numerics": {**own, **numerics, "versions": versions}}

    def stop(event: Event) -> None:
        if isinstance(event, EpochFinished):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("frostline.execution._run.describe_basis", elsewhere)
        with pytest.raises(KeyboardInterrupt):
            frostline.run(study, engine="torch", listener=stop)
    told: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            told.append(event.text)
        elif isinstance(event, RunStarted):
            told.append(f"resumed: {event.resumed}")

    if said is not None:
        with pytest.raises(LedgerError, match="nothing to resume"):
            frostline.run(study, engine="torch", listener=listen, resume=True)
        assert re.search(rf"can't be resumed: it began {said}", told[-1])
        assert told.pop().endswith("continue it where these are the same as then, or start a new run here")
    frostline.run(study, engine="torch", listener=listen)
    assert told[-1] == f"resumed: {said is None}"
