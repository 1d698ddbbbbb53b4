"""The list of backbones: what is known without building, what is measured when asked, where weights are."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torchvision

from frostline.errors import ModelError
from frostline.models import BackboneLine, backbone_facts, known_backbones, list_backbones
from frostline.models._weights_at_hand import LITE0, lite0_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of the libraries' weights that are empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_everything_is_listed_without_torch() -> None:
    names = known_backbones()
    code = "import sys, frostline; print(len(frostline.list_backbones()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(names)), "False"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("RegNetY_008", ["timm:regnety_008", "timm:regnety_008_tv"]),
        ("timm:regnety_002", ["timm:regnety_002"]),
        ("shufflenet_v2_x0_?", ["shufflenet_v2_x0_5"]),
        ("mnasnet1_0*", ["mnasnet1_0"]),
    ],
)
def test_patterns(pattern: str, names: list[str]) -> None:
    assert [line.name for line in list_backbones(pattern, measure=False)] == names


def test_few_are_measured_and_many_are_not(no_weights: Path) -> None:
    told: list[tuple[str, int, int]] = []
    lines = list_backbones("shufflenet_v2_x0", progress=lambda *each: told.append(each))
    (line,) = lines
    # torchvision's documentation.
    assert line.parameters == torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT.meta["num_params"] == 1_366_792
    assert line.flops == backbone_facts(line.name, line.image_size).flops
    assert (line.image_size, line.cuttable, line.why_not, line.weights) == (224, True, None, "download")
    assert told in ([], [("shufflenet_v2_x0_5", 1, 1)])
    told.clear()
    assert list_backbones("shufflenet_v2_x0", measure=True, progress=lambda *each: told.append(each)) == lines
    many = list_backbones("timm:vit_", progress=lambda *each: told.append(each))
    assert len(many) > 100
    assert told == []


def test_where_weights_are(no_weights: Path) -> None:
    def weights(name: str) -> str:
        return next(line.weights for line in list_backbones(name, measure=False) if line.name == name)

    assert weights("resnet18") == "download"
    (no_weights / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (no_weights / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth").touch()
    assert weights("resnet18") == "here"
    assert weights("timm:regnety_002") == "download"
    snapshot = no_weights / "hub" / "models--timm--regnety_002.pycls_in1k" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    assert weights("timm:regnety_002") == "download"  # begun, perhaps, and not finished
    (snapshot / "model.safetensors").touch()
    assert weights("timm:regnety_002") == "here"
    assert weights("timm:botnet50ts_256") == "none"
    assert weights(LITE0) == ("download" if lite0_file() is None else "here")


def test_own_and_unusable_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "networks_to_list.py").write_text("def build():\n    raise ValueError('not today')\n")
    (line,) = list_backbones("py:networks_to_list:build")
    reason = "backbone py:networks_to_list:build: its function raised ValueError: not today"
    assert line == BackboneLine("py:networks_to_list:build", 224, "own code", why_not=reason)
    with pytest.raises(ModelError, match="there is no module absent_module"):
        list_backbones("py:absent_module:build")


def test_no_match_has_a_hint() -> None:
    with pytest.raises(ModelError, match=r'no backbone is named "resnet5O"; did you mean "resnet50"\?'):
        list_backbones("resnet5O")
