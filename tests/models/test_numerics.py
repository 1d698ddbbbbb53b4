"""What of a network decides its numerics: convolutions that torch gets wrong in channels_last, folded BatchNorm."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from frostline.models._measured import _is_narrow_and_strided
from frostline.models.facts import backbone_facts
from frostline.plan import choose_layout


@pytest.mark.parametrize(
    ("layer", "narrow"),
    [
        (nn.Conv2d(3, 48, 1, stride=2), True),
        (nn.Conv2d(2, 16, 1, stride=(2, 1)), True),
        (nn.Conv2d(15, 16, 1, stride=3), True),
        (nn.Conv2d(16, 16, 1, stride=2), False),
        (nn.Conv2d(3, 48, 1), False),
        (nn.Conv2d(3, 48, 3, stride=2, padding=1), False),
        (nn.Conv2d(6, 12, 1, stride=2, groups=3), False),
        (nn.Linear(3, 4), False),
    ],
)
def test_which_convolutions(layer: nn.Module, narrow: bool) -> None:
    """Seen with torch 2.14 at 64 and 224 pixels: wrong or crashing from 2 to 15 channels, and for no other kernel."""
    assert _is_narrow_and_strided(layer) is narrow


@pytest.mark.parametrize(
    ("backbone", "layout"),
    [
        pytest.param("timm:mobileone_s0", "contiguous", marks=pytest.mark.slow),
        pytest.param("timm:repvgg_a0", "contiguous", marks=pytest.mark.slow),
        pytest.param("timm:fastvit_t8", "contiguous", marks=pytest.mark.slow),
        ("resnet18", "channels_last"),
    ],
)
def test_such_networks_never_get_that_layout(backbone: str, layout: Any) -> None:
    assert choose_layout(backbone_facts(backbone, 64, "none"), "cpu", "x86_64") == layout


@pytest.mark.parametrize(
    ("backbone", "place", "folds"),
    [
        ("resnet18", "layer4", False),
        ("resnet18", "layer4.1.conv2", False),
        ("resnet18", "layer4.1.bn2", True),
        ("resnet18", "bn1", True),
        ("densenet121", "features.transition3", False),
        ("timm:tf_efficientnet_lite0", "blocks.5.0.bn1", True),
        ("timm:tf_efficientnet_lite0", "blocks.5", False),
    ],
)
def test_which_cuts_separate_batchnorm_from_what_it_is_folded_into(backbone: str, place: str, folds: bool) -> None:
    assert backbone_facts(backbone, 64, "none").resolve(place).folds is folds
