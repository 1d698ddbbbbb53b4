"""check, plan and stages, on what the library gives them."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import frostline
from frostline.execution.events import Listener, Notice

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Invoke

STUDY = """\
[data]
source = "digits"

[[arms]]
train_from = ["head", "layer4"]
epochs = [2, 3]
"""

WRONG = """\
[data]
source = "digit"

[[arms]]
optimizer = {name = "adam", lr = -0.1}
epoch = 3
"""


@pytest.fixture
def study(tmp_path: Path, workspace: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def wrong(tmp_path: Path, workspace: Path) -> Path:
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)
    return path


def test_check_a_study_without_problems(study: Path, invoke: Invoke) -> None:
    result = invoke("check", "study.toml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "study.toml: 4 arms, no problems\n", "")
    result = invoke("check", "study.toml", "--set", "arms[0].epochs=3", "--set", "arms[0].train_from='head'")
    assert result.stdout == "study.toml: 1 arm, no problems\n"
    assert json.loads(invoke("check", "study.toml", "--json").stdout) == []


def test_check_says_all_that_is_wrong(wrong: Path, invoke: Invoke) -> None:
    result = invoke("check", "wrong.toml")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("wrong.toml:2:")
    assert any(line.startswith("wrong.toml:5:") and "arms[0].optimizer.lr = -0.1" in line for line in lines)
    assert any(line.startswith("wrong.toml:6:") and "epochs" in line for line in lines)
    assert result.stderr == "3 problems\n"
    problems = json.loads(invoke("check", "wrong.toml", "--json").stdout)
    assert [problem["line"] for problem in problems] == [2, 5, 6]
    assert {"file", "line", "column", "key", "message"} <= problems[0].keys()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("defaults.backbone=resnet5O", ['backbone: backbone "resnet5O" is unknown; did you mean "resnet50"?']),
        ("arms[0].train_from=['head', 'layer44']", ['train_from: .*layer44.* did you mean "layer4"']),
        ("defaults.weights=absent.pth", ["weights: .*absent.pth"]),
    ],
)
def test_check_knows_what_networks_have(study: Path, invoke: Invoke, override: str, said: list[str]) -> None:
    result = invoke("check", "study.toml", "--set", override)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    for line, pattern in zip(lines, said, strict=True):
        assert re.match(f'arm "resnet.*": {pattern}', line)
    assert result.stderr == f"{len(said)} problem\n"
    (problem,) = json.loads(invoke("check", "study.toml", "--set", override, "--json").stdout)
    assert (problem["file"], problem["line"], problem["column"]) == (None, None, None)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_other_commands_say_the_same_of_a_wrong_study(wrong: Path, invoke: Invoke, command: str) -> None:
    result = invoke(command, "wrong.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    for place in ("wrong.toml:2:", "wrong.toml:5:", "wrong.toml:6:"):
        assert place in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["run", "check", "plan"])
def test_a_study_that_is_not_there(workspace: Path, invoke: Invoke, command: str) -> None:
    result = invoke(command, "statrer")
    assert result.exit_code == 1
    assert "starter" in result.stdout + result.stderr


def test_stages(invoke: Invoke) -> None:
    facts = json.loads(invoke("stages", "resnet18", "--image-size", "64", "--json").stdout)
    assert [stage["name"] for stage in facts["stages"]] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    # torchvision's documentation.
    assert facts["parameters"] == 11_689_512
    assert facts["head_features"] == 512
    assert facts["stages"][-1]["crossing_shapes"] == [[512]]
    # layer4 of ResNet-18: 256*512*9 + 512*512*9*3 + 256*512 weights, and five BatchNorms of 2*512.
    assert facts["stages"][4]["parameters"] == 256 * 512 * 9 + 3 * 512 * 512 * 9 + 256 * 512 + 5 * 2 * 512
    table = invoke("stages", "resnet18", "--image-size", "64").stdout
    assert table.startswith("resnet18 at 64 pixels\n")
    assert "8,393,728 + head" in table


def test_a_backbone_that_is_not_there(invoke: Invoke) -> None:
    result = invoke("stages", "resnet5O")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'did you mean "resnet50"?' in result.stderr


def test_plan(study: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    planned = {
        "study": "study",
        "n_arms": 1,
        "passes": [],
        "trajectories": [],
        "arms": [{"name": "a", "path": [["t", 2]], "alone_seconds": 2.0, "marginal_seconds": 1.0, "notes": []}],
        "totals": {
            "seconds": 2.0,
            "alone_seconds": 3.0,
            "plain_seconds": 9.0,
            "bytes": 0,
            "peak_bytes": 1_500_000_000,
            "trained_epochs": 2,
            "asked_epochs": 2,
        },
        "notes": [],
    }

    def plan_study(
        given: frostline.Study, *, cache: str, disk: str | None, memory: str | None, listener: Listener
    ) -> SimpleNamespace:
        asked.append((len(given.expand()), cache, disk, memory))
        listener(Notice("measuring resnet18 on this machine, once"))
        return SimpleNamespace(to_json=lambda: planned)

    monkeypatch.setattr(frostline, "plan_study", plan_study, raising=False)
    result = invoke("plan", "study.toml", "--set", "arms[0].epochs=5")
    assert (result.exit_code, result.stderr) == (0, "note: measuring resnet18 on this machine, once\n")
    assert (
        "Predicted: 2.00 s in all; 3.00 s with arms trained alone; 9.00 s in an ordinary loop (--plain)."
        in result.stdout
    )
    assert (
        json.loads(
            invoke("plan", "study.toml", "--cache", "never", "--disk", "1GB", "--memory", "4GB", "--json").stdout
        )
        == planned
    )
    assert asked == [(2, "auto", None, None), (4, "never", "1GB", "4GB")]
