"""check, plan and stages, on what the library gives them."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import frostline
from frostline.data import DataSummary
from frostline.execution.events import DataRead, Listener, Notice

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
        ("defaults.backbone=resnet5O", ['backbone = "resnet5O": is unknown; did you mean "resnet50"?']),
        (
            "arms[0].train_from=['head', 'layer44']",
            ['train_from = "layer44": is not a stage of resnet18; did you mean "layer4"'],
        ),
        ("defaults.weights=absent.pth", ['weights = "absent.pth": there is no such file; ']),
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


FOLDERS = """\
[data]
source = "folder"
path = "photos"

[[arms]]
weights = "absent.pth"
"""


@pytest.mark.parametrize(
    ("files", "message"),
    [((), r"does not exist \(looked for .*photos\)"), (("photos",), "is a file, not a folder")],
)
def test_check_says_that_images_are_not_where_the_study_says(
    tmp_path: Path, workspace: Path, invoke: Invoke, files: tuple[str, ...], message: str
) -> None:
    (tmp_path / "study.toml").write_text(FOLDERS)
    for name in files:
        (tmp_path / name).write_text("")
    result = invoke("check", "study.toml")
    assert (result.exit_code, result.stderr) == (1, "2 problems\n")
    first, second = result.stdout.splitlines()
    assert re.fullmatch(rf'study.toml:3:8: data.path = "photos": {message}', first)
    assert re.match(r'arm ".*": weights = "absent.pth": there is no such file', second)
    assert re.match(
        r'--set: data.path = "absent": does', invoke("check", "study.toml", "--set", "data.path=absent").stdout
    )
    if not files:
        (tmp_path / "photos").mkdir()
        assert invoke("check", "study.toml").stderr == "1 problem\n"


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


PETS = DataSummary(
    *("csv", "pets.csv", ("cat", "dog"), (300, 100), (30, 10), (30, 10), 3.0, 0.75),
    n_skipped=0,
    ignored={},
    notes=("splits: taken from column fold",),
)


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

    def plan_study(given: frostline.Study, *, listener: Listener, **options: str | None) -> SimpleNamespace:
        asked.append((len(given.expand()), options))
        listener(DataRead(PETS))
        listener(Notice("measuring resnet18 on this machine, once"))
        return SimpleNamespace(to_json=lambda: planned)

    monkeypatch.setattr(frostline, "plan_study", plan_study, raising=False)
    result = invoke("plan", "study.toml", "--set", "arms[0].epochs=5")
    assert (result.exit_code, result.stderr) == (0, "note: measuring resnet18 on this machine, once\n")
    assert result.stdout.startswith("data: 480 images of 2 classes (csv, pets.csv)\n")
    assert "splits: taken from column fold" in result.stdout
    assert (
        "Predicted: 2.00 s in all; 3.00 s with arms trained alone; 9.00 s in an ordinary loop (--plain)."
        in result.stdout
    )
    words = ["--device", "cpu", "--precision", "bf16", "--cache", "never", "--disk", "1GB", "--memory", "4GB"]
    words += ["--device-memory", "8GB", "--json"]
    printed = json.loads(invoke("plan", "study.toml", *words).stdout)
    assert printed == planned | {"data": json.loads(json.dumps(PETS.to_json()))}
    names = ("device", "precision", "cache", "disk", "memory", "device_memory")
    assert asked == [
        (2, dict(zip(names, ("auto", "ieee", "auto", None, None, None), strict=True))),
        (4, dict(zip(names, ("cpu", "bf16", "never", "1GB", "4GB", "8GB"), strict=True))),
    ]


def test_backbones(invoke: Invoke) -> None:
    result = invoke("backbones", "shufflenet_v2_x0")
    assert result.exit_code == 0
    assert re.search(r"shufflenet_v2_x0_5 +1,366,792 +\S+ M +224 +yes +(here|download)", result.stdout)
    assert result.stderr in ("", "measuring shufflenet_v2_x0_5 (1 of 1)\n")
    (line,) = json.loads(invoke("backbones", "shufflenet_v2_x0", "--json").stdout)
    assert (line["name"], line["parameters"], line["cuttable"]) == ("shufflenet_v2_x0_5", 1_366_792, True)
    result = invoke("backbones", "resnet5O")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'no backbone is named "resnet5O"; did you mean "resnet50"?' in result.stderr
