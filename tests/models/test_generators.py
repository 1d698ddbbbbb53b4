"""Nothing that is found out about a network moves torch's global generators, whatever its code does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from frostline.models import build_chain, load_backbone
from frostline.models._measured import measure_backbone
from frostline.models._own import find_own, use_networks
from frostline.models._own_building import digest_built
from frostline.streams import torch_stream
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable


class Drawing(nn.Module):
    """A network that draws random numbers when it is built, and whenever it is run."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(11)
        self.stem, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.stem(images).mean(dim=(2, 3))
        noise = torch.rand(1).item()
        logits: torch.Tensor = self.fc(nn.functional.dropout(features, 0.5) + noise)
        return logits


def digest() -> str:
    own = find_own("drawing")
    assert own is not None
    return digest_built(own)


@pytest.mark.parametrize(
    "find_out",
    [
        lambda: measure_backbone("squeezenet1_1", 64),
        lambda: measure_backbone("timm:convnext_atto", 64),  # with stochastic depth
        lambda: load_backbone("squeezenet1_1", "none", 64).facts,
        lambda: build_chain(load_backbone("squeezenet1_1", "none", 64), 3, Head(hidden=(4,), dropout=0.5), seed=1),
        lambda: measure_backbone("drawing", 32),
        lambda: load_backbone("drawing", image_size=32).facts,
        digest,
    ],
)
def test_no_generator_is_moved(find_out: Callable[[], Any]) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with use_networks({"drawing": Drawing}):
        assert find_out() is not None
    assert torch.equal(torch.get_rng_state(), state)


def test_a_stream_begins_at_its_seed_and_is_put_back_after_an_error() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    drawn = []

    def draw_and_fail() -> None:
        with torch_stream(3):
            drawn.append(torch.rand(2))
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        draw_and_fail()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(drawn[0], torch.rand(2, generator=torch.Generator().manual_seed(3)))


def test_streams_within_one_another_in_a_thread_do_not_wait() -> None:
    with torch_stream(3):
        first = torch.rand(1)
        with torch_stream(4):
            torch.rand(5)
        second = torch.rand(1)
    assert torch.equal(torch.cat([first, second]), torch.rand(2, generator=torch.Generator().manual_seed(3)))
