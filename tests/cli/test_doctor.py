from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from frostline import __version__, execution, models
from frostline.execution.events import Notice

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.execution.events import Listener

    from .conftest import Invoke


@pytest.fixture(autouse=True)
def some_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"resnet18-f37072fd": "/cache/resnet18-f37072fd.pth (46.8 MB)"}
    monkeypatch.setattr(models, "describe_weights", lambda: weights, raising=False)


def test_everything_a_report_of_a_fault_needs(workspace: Path, invoke: Invoke) -> None:
    result = invoke("doctor", "--json")
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert list(facts) == ["versions", "devices", "places", "engines", "weights", "data sets"]
    assert facts["versions"]["frostline"] == __version__
    assert facts["versions"]["torch"] == metadata.version("torch")
    assert "cores" in facts["devices"]["cpu"]
    assert facts["places"]["workspace"].startswith(f"{workspace} (writable, ")
    assert "doesn't exist yet" in facts["places"]["workspace"]
    assert facts["engines"]["torch"] == "usable"
    assert "usable on CPU" in facts["engines"]["openvino"]
    assert facts["weights"] == {"resnet18-f37072fd": "/cache/resnet18-f37072fd.pth (46.8 MB)"}
    assert facts["data sets"]["cifar10"] == "downloaded when first used (170 MB)"


def test_the_table_says_the_same(workspace: Path, invoke: Invoke) -> None:
    lines = invoke("doctor").stdout.splitlines()
    assert any(line.split() == ["versions", "frostline", __version__] for line in lines)
    assert any(line.split()[:2] == ["weights", "resnet18-f37072fd"] for line in lines)


def test_places_that_can_not_be(workspace: Path, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        facts = json.loads(invoke("doctor", "--json", "--workspace", str(place)).stdout)
        assert facts["places"]["workspace"] == f"{place} (NOT usable: {tmp_path / 'file'} is not a directory)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "none; set FROSTLINE_CACHE_LIMIT, e.g. to 20GB"),
        ("20GB", "20.0 GB (FROSTLINE_CACHE_LIMIT)"),
        ("much", 'NOT usable: FROSTLINE_CACHE_LIMIT = "much" is not a size: '),
    ],
)
def test_the_limit_of_the_cache(
    workspace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE_LIMIT", given)
    assert json.loads(invoke("doctor", "--json").stdout)["places"]["cache limit"].startswith(said)


def test_data_sets_that_need_no_download(
    workspace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "datasets" / "cifar-10-batches-py").mkdir(parents=True)
    facts = json.loads(invoke("doctor", "--json").stdout)
    assert facts["data sets"]["cifar10"] == f"available in {tmp_path / 'cache' / 'datasets'}"


def test_an_engine_that_does_not_load(workspace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    facts = json.loads(invoke("doctor", "--json").stdout)
    assert facts["engines"]["openvino"].startswith("not usable: import of openvino halted")


def test_no_weights(workspace: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "describe_weights", dict, raising=False)
    facts = json.loads(invoke("doctor", "--json").stdout)
    assert facts["weights"] == {"none": "downloaded when first used"}


RATES = {"forward": [0.02, 1e-6], "train": [0.05, 1e-5], "prefix": 0.004, "setup": 2.5, "engine": "openvino 1"}
MEASURED = {
    "backbone": "resnet18",
    "image_size": 224,
    "cuts": ["input", "head"],
    "rates": {**RATES, "threads": 2, "store": 1.5e9, "doubt": ""},
}


class Bench:
    """Stands in for execution.measure_anew."""

    doubt = ""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, backbones: list[str], listener: Listener) -> list[Bench]:
        self.given = backbones
        listener(Notice("measuring resnet18 at 224 pixels on this machine"))
        return [self]

    def to_json(self) -> dict[str, Any]:
        return {**MEASURED, "rates": {**MEASURED["rates"], "doubt": self.doubt}}  # type: ignore[dict-item]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    monkeypatch.setattr(execution, "measure_anew", made, raising=False)
    return made


def test_measure_shows_what_it_measured(workspace: Path, invoke: Invoke, bench: Bench) -> None:
    result = invoke("doctor", "--measure", "resnet18")
    assert (result.exit_code, bench.given) == (0, ["resnet18"])
    assert result.stderr == "note: measuring resnet18 at 224 pixels on this machine\n"
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0] == "resnet18 at 224 pixels on this machine"
    assert [line.split() for line in lines if line.startswith(("images ", "head "))] == [
        ["images", "50.0", "20.0"],
        ["head", "1,000,000", "100,000"],
    ]
    said = "Frozen stages, images to head: 250 images a second by openvino 1, after 2.5 s of compiling."
    assert lines[-3:-1] == [said, "2 threads; the disk takes 1.5 GB a second."]


def test_measure_says_that_the_machine_was_busy(workspace: Path, invoke: Invoke, bench: Bench) -> None:
    bench.doubt = "it was measured while the machine was busy"
    output = " ".join(invoke("doctor", "--measure").stdout.split())
    assert "Not certain: it was measured while the machine was busy. It is measured anew next time." in output
    assert bench.given == []


def test_measure_has_a_json_twin(workspace: Path, invoke: Invoke, bench: Bench) -> None:
    assert json.loads(invoke("doctor", "--measure", "--json").stdout) == [MEASURED]


def test_a_backbone_without_measure_is_wrong_usage(workspace: Path, invoke: Invoke, bench: Bench) -> None:
    result = invoke("doctor", "resnet18")
    assert result.exit_code == 2
    assert "a backbone needs --measure" in result.stderr
