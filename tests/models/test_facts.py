"""Facts against what torchvision's and timm's own documentation says of their networks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import timm
import torchvision

from frostline.errors import ModelError
from frostline.models import backbone_facts, build_chain, check_backbone, known_backbones, load_backbone
from frostline.models import facts as facts_module
from frostline.models._measured import measure_backbone
from frostline.models._sources import find_source
from frostline.places import cache_directory
from frostline.study import Head

if TYPE_CHECKING:
    from pathlib import Path

TORCHVISION = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "maxvit_t",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x1_0",
    "swin_t",
    "vgg16",
    "vgg16_bn",
    "vit_b_16",
)


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_and_operations_are_those_torchvision_documents(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    facts = backbone_facts(name, 224)
    assert facts.parameters == weights.meta["num_params"]
    # torchvision counts a multiplication and an addition as one operation and leaves some small ones out.
    assert facts.flops == pytest.approx(2e9 * weights.meta["_ops"], rel=0.02)
    assert (facts.mean, facts.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert facts.interpolation == weights.transforms().interpolation.value


@pytest.mark.parametrize(
    ("name", "millions"),  # of parameters, as timm's model cards state them
    [
        ("timm:tf_efficientnet_lite0", 4.7),
        ("timm:vit_tiny_patch16_224", 5.7),
        ("timm:regnety_002", 3.2),
        ("timm:convnext_atto", 3.7),
        ("timm:resnet50", 25.6),
        ("timm:swin_tiny_patch4_window7_224", 28.3),
    ],
)
def test_parameters_are_those_timm_documents(name: str, millions: float) -> None:
    assert round(backbone_facts(name, 224).parameters / 1e6, 1) == millions


def test_vgg16_has_138_million_parameters() -> None:
    facts = backbone_facts("vgg16", 224)
    assert facts.parameters == 138_357_544
    assert facts.head_features == 512 * 7 * 7
    assert [s.name for s in facts.stages] == ["stem", "features.5", "features.10", "features.17", "features.24", "head"]
    assert [s.layers for s in facts.stages] == [2, 2, 3, 3, 3, 3]  # the 16 layers of its name
    assert facts.resolve("head").shapes == ((25088,),)


def test_stages_of_resnet18() -> None:
    facts = backbone_facts("resnet18", 224)
    assert [s.name for s in facts.stages] == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert next(facts.resolve(s.name).name for s in facts.stages) == "input"
    assert facts.cuts[0].row_bytes == 3 * 224 * 224  # images are stored as bytes
    layer4 = facts.resolve("layer4")
    assert layer4.shapes == ((256, 14, 14),)
    assert layer4.row_bytes == 4 * 256 * 14 * 14
    assert layer4.paths == ("layer4", "layer4.0", "layer4.0.conv1")
    assert facts.parameters - layer4.parameters_before == 8_393_728 + 513_000
    # The second convolution of a block runs beside its shortcut, so that two tensors cross.
    assert facts.resolve("layer4.0.conv2").shapes == ((256, 14, 14), (512, 7, 7))
    assert facts.cuts[-1].name == "head"
    assert facts.resolve("fc") == facts.resolve("head")


STAGES = {
    "densenet121": "features.denseblock1",
    "timm:tf_efficientnet_lite0": "blocks.5",
    "timm:regnety_002": "s4",
    "timm:convnext_atto": "stages.3",
    "timm:vit_tiny_patch16_224": "blocks.11",
    "vit_b_16": "encoder.layers.encoder_layer_11",
    "convnext_tiny": "features.7",
    "swin_t": "features.7",
}


@pytest.mark.parametrize("name", [*TORCHVISION, *STAGES])
def test_stages_add_up(name: str) -> None:
    facts = backbone_facts(name, 224)
    assert sum(s.parameters for s in facts.stages) == facts.parameters
    assert sum(s.flops for s in facts.stages) == facts.flops
    assert facts.stages[0].name == "stem"
    assert facts.stages[-1].name == "head"
    assert len({s.name for s in facts.stages}) == len(facts.stages) >= 4
    assert STAGES.get(name, "head") in [s.name for s in facts.stages]
    before = [c.parameters_before for c in facts.cuts]
    assert before == sorted(before)
    assert [facts.resolve(c.name) for c in facts.cuts] == list(facts.cuts)
    assert facts.resolve("all") == facts.cuts[0]


def test_facts_of_a_loaded_backbone_are_the_same() -> None:
    chain = build_chain(load_backbone("timm:regnety_002", "none", 96), 3, Head(), seed=0)
    assert chain.facts == backbone_facts("timm:regnety_002", 96)


def test_known_facts_need_no_torch_and_damaged_ones_are_measured_again() -> None:
    wanted = backbone_facts("resnet18", 64)
    code = (
        "import sys; from frostline.models import backbone_facts, check_backbone; check_backbone('resnet18');"
        "print(backbone_facts('resnet18', 64).flops, 'torch' in sys.modules)"
    )
    known_backbones()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.split() == [str(wanted.flops), "False"]
    for path in (cache_directory() / "facts").glob("*.json"):
        record = json.loads(path.read_text())
        if record.get("key", {}).get("backbone") == "resnet18" and record["key"]["image_size"] == 64:
            path.write_text(path.read_text()[:100])
    facts_module._facts.cache_clear()
    assert backbone_facts("resnet18", 64) == wanted


def test_an_unwritable_cache_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("FROSTLINE_CACHE", str(blocked / "cache"))
    assert backbone_facts("resnet18", 64).parameters == 11_689_512


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", r'backbone "resnet5O" is unknown; did you mean "resnet50"\?'),
        ("timm:resnet5O", r'backbone "timm:resnet5O" is unknown; did you mean "timm:resnet50"\?'),
        ("tf_efficientnet_lite0", r'did you mean "timm:tf_efficientnet_lite0"\?'),
        ("timm:resnet18.nowhere", r"is unknown; did you mean"),
        ("fasterrcnn_resnet50_fpn", r"is unknown"),
        ("", r'backbone "" is unknown: torchvision .* has no such classifier'),
        ("timm:", r'backbone "timm:" is unknown: timm has no such classifier'),
    ],
)
def test_unknown_backbones(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_backbone(name)


def test_known_backbones_are_classifiers() -> None:
    names = known_backbones()
    assert {"resnet18", "vgg16", "timm:tf_efficientnet_lite0"} <= set(names)
    assert not {"fcn_resnet50", "fasterrcnn_resnet50_fpn", "raft_large", "quantized_resnet18", "r3d_18"} & set(names)
    check_backbone("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k")


@pytest.mark.parametrize(
    ("name", "image_size", "message"),
    [
        (
            "timm:deepseek_vit_412m_enc",
            224,
            r"timm:deepseek_vit_412m_enc: it has no classifier that takes one vector for each image: aligner\.fc2",
        ),
        (
            "vit_b_16",
            96,
            r"vit_b_16 takes images of 224 pixels only, not 96: set image_size = 224, or use one of timm's",
        ),
        (
            "densenet121",
            8,
            r"backbone densenet121: it can't be run on images of 8 pixels \(Given input size: .*\); it can on those of "
            r"224: set image_size = 224",
        ),
    ],
)
def test_backbones_that_cannot_be_used(name: str, image_size: int, message: str) -> None:
    if name.startswith("timm:deepseek") and name.removeprefix("timm:") not in timm.list_models():
        pytest.skip(f"timm {timm.__version__} has no {name} yet")
    with pytest.raises(ModelError, match=message):
        backbone_facts(name, image_size)


def test_a_size_that_a_network_cannot_be_built_for() -> None:
    with pytest.raises(
        ModelError, match=r"vit_h_14 can't be built for this image size: .*; it was trained on images of 518 pixels"
    ):
        backbone_facts("vit_h_14", 64, weights="none")


def test_without_its_weights_a_vit_takes_any_size() -> None:
    assert backbone_facts("vit_b_16", 64, weights="none").resolve("head").shapes == ((768,),)


@pytest.mark.parametrize(
    ("name", "train_from", "message"),
    [
        ("resnet18", "layer5", r'train_from "layer5" is not a stage of resnet18; did you mean "layer[1-4]"\?'),
        ("resnet18", "Head", r'did you mean "head"\? \(stages: all, stem, layer1, layer2, layer3, layer4, head;'),
        (
            "swin_t",
            "features.1.0.mlp",
            r"can't be cut at 'features.1.0.mlp': features.1.0.stochastic_depth is used on both",
        ),
        ("swin_t", "features.1.0.mlp", r"the nearest place before it is 'features.1'"),
    ],
)
def test_places_that_cannot_be_trained_from(name: str, train_from: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        backbone_facts(name, 224).resolve(train_from)


def test_networks_of_a_backbone_are_laid_out_once() -> None:
    one, other = (load_backbone("resnet18", "none", 32) for _ in range(2))
    assert one.module is not other.module
    assert one.layout is other.layout
    assert one.layout is not load_backbone("resnet18", "none", 64).layout
    assert measure_backbone("resnet18", 32, any_size=True) == one.facts == backbone_facts("resnet18", 32, "none")
    assert find_source("resnet18", 32, any_size=True).layouts == {("fc", 32): one.layout}
