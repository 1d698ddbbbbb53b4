"""Classifiers of every kind are replaced, and what the new head takes are the features that the library means."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from frostline.errors import ModelError
from frostline.models import build_chain, load_backbone
from frostline.models._classifier import find_classifier, isolate_classifier
from frostline.study import Head

K = 3


def images(size: int) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "size", "head_path"),
    [
        ("levit_128s", 64, "classifier"),  # two classifiers, one for distillation
        ("poolformerv2_s12", 64, "head.fc"),  # the layers of a sequence called by name
        ("dla46x_c", 64, "classifier"),  # a convolution of what was pooled
        ("vit_tiny_patch16_dinov3_qkvb", 64, "head"),  # none
        *(
            pytest.param(name, size, path, marks=pytest.mark.slow)
            for name, size, path in [
                ("crossvit_tiny_240", 240, "classifier"),
                ("efficientvim_m1", 64, "classifier"),
                ("deit_tiny_distilled_patch16_224", 64, "classifier"),
                ("iformer_t", 64, "head.head.l"),
                ("resnetv2_18", 64, "classifier"),
                ("dpn48b", 64, "classifier_"),
                ("volo_d1_224", 64, "classifier"),
                ("repvit_m1", 64, "classifier"),
                ("swiftformer_xs", 64, "classifier"),
                ("efficientformer_l1", 224, "classifier"),
                ("efficientformerv2_s0", 64, "classifier"),
                ("vit_small_patch14_dinov2", 224, "head"),
                ("vit_small_patch16_dinov3", 64, "head"),
                ("convnext_tiny.dinov3_lvd1689m", 64, "head.fc"),
                ("vit_base_patch16_siglip_224", 64, "head"),
                ("vit_base_patch16_224.mae", 64, "head"),
                ("eva02_tiny_patch14_224", 224, "head"),
                ("resnet50_clip", 64, "classifier"),
                ("sam2_hiera_tiny", 64, "head.fc"),
            ]
        ),
    ],
)
def test_a_new_head_takes_what_timm_calls_the_features(name: str, size: int, head_path: str) -> None:
    if name not in timm.list_models():
        pytest.skip(f"timm {timm.__version__} has no {name} yet")
    reference = load_backbone(f"timm:{name}", "none", size)._source.build_random().eval()
    chain = build_chain(load_backbone(f"timm:{name}", "none", size), K, Head(), seed=0)
    assert chain.head_path == head_path
    x = images(size)
    with torch.inference_mode():
        features = reference.forward_head(reference.forward_features(x), pre_logits=True)  # type: ignore[operator]
        (row,) = chain.prefix(["head"])(x)
        if name != "iformer_t":  # its classifier has a normalisation in front, which stays
            assert torch.equal(row, features)
        logits = chain.model.eval()(x)
        head = chain.model.get_submodule(chain.head_path)
        assert torch.equal(logits, head(row))
        assert torch.equal(logits, chain.tail("head").eval()(row))
    assert logits.shape == (2, K)
    assert chain.facts.head_features == features.shape[1]
    assert set(chain.trained("head")) == {f"{head_path}.weight", f"{head_path}.bias"}
    own = dict(reference.named_parameters())
    kept = [n for n, _ in chain.model.named_parameters() if not n.startswith(f"{head_path}.")]
    assert set(kept) <= set(own)
    dropped = [n for n in own if n not in kept]
    assert all(n.startswith(("head", "fc", "classifier", "aux_head")) for n in dropped)


def test_a_convolution_that_is_pooled_afterwards_is_replaced_by_a_head_on_pooled_maps() -> None:
    backbone = load_backbone("squeezenet1_1", "none", 64)
    chain = build_chain(backbone, K, Head(), seed=0)
    x = images(64)
    with torch.inference_mode():
        maps = backbone.module.get_submodule("features")(x)
        (row,) = chain.prefix(["head"])(x)
        torch.testing.assert_close(row, maps.mean((2, 3)), rtol=1e-6, atol=1e-6)
        # The rectifier after the old convolution is gone with it: logits may be negative.
        chain.model.get_parameter(f"{chain.head_path}.bias").sub_(10)
        logits = chain.model.eval()(x)
        assert torch.equal(logits, chain.model.get_submodule(chain.head_path)(row))
    assert float(logits.min()) < 0
    assert chain.facts.head_features == 512


class Named(nn.Module):
    """A head in a sequence whose layers are called by name, with more after it or not."""

    def __init__(self, *last: nn.Module) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 1)
        self.tail = nn.Sequential(nn.Flatten(), *last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x).mean((2, 3))
        for layer in self.tail:
            x = layer(x)
        return x


@pytest.mark.parametrize(
    ("last", "paths", "head_path"),
    [
        ([nn.Linear(4, 2)], ("tail.1",), "tail.1"),
        ([nn.Dropout(), nn.Linear(4, 2)], ("tail.1", "tail.2"), "tail.2"),
        ([nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)], ("tail.1", "tail.2", "tail.3"), "tail.3"),
    ],
)
def test_a_classifier_at_the_end_of_a_longer_sequence_becomes_one_module(
    last: list[nn.Module], paths: tuple[str, ...], head_path: str
) -> None:
    module = Named(*last).eval()
    wanted = module(images(8))
    assert find_classifier(module, "toy") == paths
    assert isolate_classifier(module, "toy") == head_path
    assert torch.equal(module(images(8)), wanted)


def test_a_network_without_a_classifier_that_could_be_replaced_is_refused() -> None:
    with pytest.raises(ModelError, match=r"backbone toy ends in BatchNorm1d tail\.1, not in a linear classifier"):
        isolate_classifier(Named(nn.BatchNorm1d(4)), "toy")


class Stubborn(Named):
    def get_classifier(self) -> tuple[nn.Module, ...]:
        return (self.tail, self.tail)

    def reset_classifier(self, num_classes: int) -> None:
        raise NotImplementedError("no other head")


def test_classifiers_that_a_network_does_not_let_go_of() -> None:
    with pytest.raises(ModelError, match=r"backbone toy: its classifiers can't be removed: NotImplementedError\('no o"):
        isolate_classifier(Stubborn(nn.Linear(4, 2)), "toy")
