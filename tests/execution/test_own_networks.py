"""Own weights and own networks in a run: checked, told, the same in every process, never shared by mistake."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.execution.studies import RESNET, numbers_of, small_study
from torch import nn

import frostline
from frostline.errors import StudyError
from frostline.execution.events import Event, Notice
from frostline.models import load_backbone
from frostline.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = """
import random
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(16, 10)

def build():
    return Net()

def restless():
    net = Net()
    net.stem[0].weight.data.fill_(random.random())
    return net
"""
ARMS: list[dict[str, Any]] = [{"train_from": ["head", "block"], "seed": [0, 1]}]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_places: Callable[[str], None]) -> Path:
    """A module of networks in the working directory, and places of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("networks_of_this_test", None)
    fresh_places("own")
    path = tmp_path / "networks_of_this_test.py"
    path.write_text(SOURCE)
    importlib.invalidate_caches()
    return path


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> None:
    """Have plans use two processes whatever they take to start."""
    monkeypatch.setattr("frostline.plan._side_by_side.START_SECONDS", 0.0)


def study(networks: dict[str, Any], backbone: str = "mine", *arms: dict[str, Any]) -> Study:
    plain = small_study(*(arms or ARMS), backbone=backbone, image_size=32)
    return Study(name="own", data=plain.data, networks=networks, defaults=plain.defaults, arms=plain.arms)


def run(asked: Study, events: list[Event] | None = None, **options: Any) -> frostline.RunRecord:
    listener = None if events is None else events.append
    return frostline.run(asked, cache="always", engine="torch", listener=listener, **options)


def local() -> nn.Module:
    class Net(nn.Sequential):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
            self.block = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.fc = nn.Linear(16, 10)

    return Net()


def test_however_a_network_is_given_its_numbers_are_the_same(module: Path, side_by_side: None) -> None:
    named = run(study({"mine": "py:networks_of_this_test:build"}))
    here = run(study({"mine": lambda: local()}))
    plain = run(study({"mine": "py:networks_of_this_test:build"}), plain=True)
    assert named.plan["workers"] == 2
    assert here.plan["workers"] == 1
    assert numbers_of(named) == numbers_of(here)
    assert all(arm.status == "complete" for arm in named.arms)
    assert numbers_of(plain).keys() == numbers_of(named).keys()
    for arm, rows in numbers_of(plain).items():
        assert [row[0] for row in rows] == pytest.approx([row[0] for row in numbers_of(named)[arm]], rel=1e-6)
    assert named.plan["basis"]["code of own networks"].keys() == {"mine"}
    assert here.plan["basis"]["code of own networks"] != named.plan["basis"]["code of own networks"]


REGISTERED = """
import timm

@timm.models.register_model
def frostline_side_by_side(pretrained=False, **_):
    return Net()
"""


def test_what_a_module_registered_with_timm_is_trained_in_other_processes(
    module: Path, side_by_side: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    module.write_text(SOURCE + REGISTERED)
    monkeypatch.syspath_prepend(str(module.parent))
    importlib.import_module("networks_of_this_test")
    registered = run(study({}, "timm:frostline_side_by_side"))
    assert registered.plan["workers"] == 2
    assert [arm.status for arm in registered.arms] == ["complete"] * 4
    assert registered.plan["basis"]["code of own networks"].keys() == {"timm:frostline_side_by_side"}


def test_a_run_is_not_resumed_with_other_code(module: Path) -> None:
    asked = study({"mine": "py:networks_of_this_test:build"})

    def interrupt(event: Event) -> None:
        if type(event).__name__ == "EpochFinished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frostline.run(asked, cache="always", engine="torch", listener=interrupt)
    module.write_text(SOURCE + "# a remark\n")
    events: list[Event] = []
    run(asked, events)
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("can't be resumed: code of own networks and weights changed since it began" in text for text in told)


def test_a_network_that_is_another_each_time_is_refused(module: Path) -> None:
    asked = study({"mine": "py:networks_of_this_test:restless"})
    (problem,) = frostline.check_networks(asked)
    assert problem.key.endswith(": backbone")
    with pytest.raises(StudyError, match="its function builds another network each time it is called; draw its random"):
        run(asked)


@pytest.mark.parametrize(
    ("networks", "backbone", "message"),
    [
        ({"mine": "py:networks_of_this_test:build"}, "mien", r': backbone = "mien": is unknown; did you mean "mine"\?'),
        ({"mine": "py:networks_of_this_test:biuld"}, "mine", r'has no function "biuld"; did you mean "build"\?'),
        (
            {"resnet18": "py:networks_of_this_test:build"},
            "resnet18",
            "resnet18: is the name of a torchvision",
        ),
        ({}, "py:absent_module:build", "there is no module absent_module, neither in the working directory"),
    ],
)
def test_check_knows_own_networks(module: Path, networks: dict[str, Any], backbone: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        run(study(networks, backbone))


def test_check_reads_weights_files(tmp_path: Path) -> None:
    state = load_backbone("resnet18", "none", 32).module.state_dict()
    other = {name: tensor[..., None] if name.startswith("layer4.0.conv") else tensor for name, tensor in state.items()}
    torch.save(other, tmp_path / "other.pth")
    torch.save({"model": state, "model_ema": state}, tmp_path / "both.pth")
    weights = [str(tmp_path / "other.pth"), str(tmp_path / "both.pth")]
    asked = small_study({"train_from": ["head", "layer4"]}, **{**RESNET, "weights": weights})
    events: list[Event] = []
    (problem,) = frostline.check_networks(asked, listener=events.append)
    assert problem.key.endswith(": weights")
    assert problem.given == f'"{weights[0]}"'
    assert problem.message.startswith("do not fit resnet18: the file holds tensors of other shapes: layer4")
    assert [event.text.partition(": ")[2] for event in events if isinstance(event, Notice)] == [
        'the tensors under "model" are used',
        'averaged ones (EMA) are under "model_ema": weights_key = "model_ema" uses them',
    ]


def test_sets_of_a_file_are_other_networks(tmp_path: Path, fresh_places: Callable[[str], None]) -> None:
    fresh_places("sets")
    state = load_backbone("resnet18", "none", 32).module.state_dict()
    averaged = {name: tensor * 0.9 if name.startswith("layer1") else tensor for name, tensor in state.items()}
    torch.save({"model": state, "ema": averaged}, tmp_path / "both.pth")
    torch.save(averaged, tmp_path / "averaged.pth")
    settings = {**RESNET, "weights": str(tmp_path / "both.pth"), "train_from": ["head", "layer4"]}
    both = numbers_of(run(small_study({}, {"weights_key": "ema"}, **settings)))
    alone = numbers_of(run(small_study({}, **{**settings, "weights": str(tmp_path / "averaged.pth")})))
    chosen = [rows for name, rows in both.items() if "key=ema" in name]
    assert chosen == list(alone.values())
    assert chosen != [rows for name, rows in both.items() if "key=ema" not in name]
