"""Backbones with random weights, of which nothing is trivial: no constant parameter, no fresh BatchNorm statistics."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
import torch

from frostline.models import Backbone, load_backbone

if TYPE_CHECKING:
    from collections.abc import Iterator

# Every architecture is met in several sizes of map; 64 pixels are enough for all of them, five halvings leaving 2 by 2.
TABLE = (
    "resnet18",
    "resnet50",
    "vgg16",
    "densenet121",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "timm:tf_efficientnet_lite0",
    "timm:vit_tiny_patch16_224",
    "timm:regnety_002",
    "timm:convnext_atto",
)
IMAGE_SIZE = 64


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: for tensors this small several only wait for each other, minutes long where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def roughened(name: str) -> Backbone:
    """A backbone whose constant parameters and fresh statistics are replaced by random ones."""
    backbone = load_backbone(name, "none", IMAGE_SIZE)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in backbone.module.parameters():
            low, high = parameter.aminmax()
            if low == high:  # a bias of 0, a BatchNorm weight of 1, a layer scale of 1e-6
                centre = 0.0 if low == 0 else 0.8
                parameter.copy_(centre + 0.1 * torch.randn(parameter.shape, generator=generator))
        for path, buffer in backbone.module.named_buffers():
            if path.endswith("running_mean"):
                buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
            elif path.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return backbone


@pytest.fixture(scope="module", params=TABLE)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """Each backbone of the table in turn; tests of a module are grouped by it."""
    return roughened(request.param)


@pytest.fixture(scope="session")
def resnet() -> Backbone:
    """A ResNet-18 with random weights."""
    return load_backbone("resnet18", "none", IMAGE_SIZE)
