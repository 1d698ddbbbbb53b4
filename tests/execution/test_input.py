"""What a study, an option or the places can have wrong, and what is said of it before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from tests.execution.studies import LITE0, RESNET, small_study

import frostline
from frostline.errors import FrostlineError, StudyError
from frostline.execution.events import EpochFinished, Event, Notice
from frostline.models import load_backbone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"backbone": "resnet5O"}, 'backbone = "resnet5O": is unknown; did you mean "resnet50"'),
        ({"backbone": "timm:nope_nope"}, 'backbone = "timm:nope_nope": is unknown'),
        ({**LITE0, "train_from": "layer4"}, 'train_from = "layer4": is not a stage of timm:tf_efficientnet_lite0'),
        ({**RESNET, "train_from": "layer5"}, 'train_from = "layer5": is not a stage of resnet18; did you mean "layer'),
        (
            {**RESNET, "weights": "nowhere.pth"},
            'weights = "nowhere.pth": there is no such file; give a file ending in .safetensors',
        ),
        ({**RESNET, "weights": "defualt"}, '"default" or "none"; did you mean "default"?'),
        (
            {**RESNET, "weights": "README.md"},
            'weights = "README.md": is not a weights file; give a file ending in .safetensors',
        ),
        (
            {**RESNET, "weights": "x" * 300},
            "can't be read (File name too long); give a file ending in .safetensors",
        ),
        ({**RESNET, "class_weights": {"foour": 2.0}}, "class_weights.foour: no such class; the classes are"),
    ],
)
def test_what_is_not_there_is_said_before_the_run(recipe: dict[str, Any], message: str) -> None:
    study = small_study(recipe)
    with pytest.raises(StudyError, match="arm ") as raised:
        frostline.run(study)
    assert message in str(raised.value)
    assert f'arm "{study.expand()[0].name}": ' in str(raised.value)


def test_weights_may_be_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    study = small_study({"train_from": "head"}, **{**RESNET, "weights": "~/w.pth"})
    assert len(frostline.check_networks(study)) == 1
    torch.save(load_backbone("resnet18", "none", 32).module.state_dict(), tmp_path / "w.pth")
    assert frostline.check_networks(study) == []


def test_a_plan_says_what_is_the_matter_with_the_images(tmp_path: Path) -> None:
    digits = frostline.load_dataset(small_study({}).data)
    for position, label in enumerate(digits.train.labels.tolist()):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        Image.fromarray(digits.pixels("train", position)).save(tmp_path / str(label) / f"{position}.png")
    (tmp_path / "0" / "torn.png").write_bytes(b"")
    data = {"source": "folder", "path": str(tmp_path), "on_bad_image": "skip"}
    study = frostline.Study(data=data, arms=[{**RESNET, "train_from": "head"}])
    events: list[Event] = []
    frostline.plan_study(study, listener=events.append)
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.startswith("1 item left out: 0/torn.png is empty") for text in said)


def test_every_problem_is_reported_at_once() -> None:
    study = small_study({"backbone": ["resnet5O", "vgg61"]}, {**RESNET, "train_from": ["layer5", "layer6"]})
    keys = [problem.key.rsplit(" ", 1)[1] for problem in frostline.check_networks(study)]
    assert keys == ["backbone", "backbone", "train_from", "train_from"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, 'device "tpu" is unknown: choose auto, cpu, cuda, mps, or cuda:N'),
        ({"device": "cpu:x"}, 'device "cpu:x" is unknown'),
        ({"device": "cuda:99"}, 'device "cuda:99" is not available here; usable: auto, cpu'),
        ({"engine": "onnx"}, 'engine "onnx" is unknown: choose auto, openvino, torch'),
        ({"cache": "nevr"}, 'cache "nevr" is unknown: choose auto, always, never'),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FrostlineError, match=message):
        frostline.run(small_study({"train_from": "head"}, **RESNET), **options)


def test_a_run_is_not_resumed_with_other_weights(tmp_path: Path, fresh_places: Callable[[str], None]) -> None:
    from torchvision.models import resnet18

    def write(seed: int) -> None:
        torch.manual_seed(seed)
        torch.save(resnet18().state_dict(), tmp_path / "w.pth")

    def stop(event: Event) -> None:
        if isinstance(event, EpochFinished):
            raise KeyboardInterrupt

    fresh_places("weights")
    write(0)
    study = small_study({"train_from": "head"}, **{**RESNET, "weights": str(tmp_path / "w.pth")})
    with pytest.raises(KeyboardInterrupt):
        frostline.run(study, engine="torch", listener=stop)
    write(1)
    events: list[Event] = []
    record = frostline.run(study, engine="torch", listener=events.append)
    assert any("can't be resumed: weights changed" in event.text for event in events if isinstance(event, Notice))
    assert not any(event.replayed for event in events if isinstance(event, EpochFinished))
    assert record.status == "complete"


def test_rows_of_another_engine_are_not_used(fresh_places: Callable[[str], None]) -> None:
    fresh_places("engines")
    study = small_study({"train_from": "head"}, **RESNET)
    for engine in ("openvino", "torch"):
        record = frostline.run(study, engine=engine, cache="always", resume=False)
        assert all(row.engine.startswith(engine) and not row.reused for row in record.passes)


def test_judging_goes_on_after_the_cache_is_gone(
    fresh_places: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_places("judging")
    study = small_study({"train_from": "head"}, **RESNET)

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("frostline.ledger.Ledger.set_test", stop)
        with pytest.raises(KeyboardInterrupt):
            frostline.run(study, cache="always", engine="torch")
    frostline.FeatureStore().prune(0)
    record = frostline.run(study, cache="always", engine="torch", resume=True)
    assert record.arms[0].test_accuracy is not None


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", "/dev/null/nowhere")
    with pytest.raises(FrostlineError, match="FROSTLINE_CACHE"):
        frostline.run(small_study({"train_from": "head"}, **RESNET), cache="always")
