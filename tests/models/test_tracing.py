"""What tracing makes of constants, sizes and tensors that depend on no image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.models.test_crossing import Toy, X, backbone_of, chain_of, check_every_cut
from torch import nn

from frostline.models import build_chain, freeze
from frostline.models._layout import lay_out
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable


class Weighted(nn.Module):
    """Constants of its own making, and a number worked out from a buffer that comes with the weights."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.register_buffer("scale", torch.tensor([scale]))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x) * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
        scale = self.get_buffer("scale").log().clamp(max=torch.tensor(5.0))
        return self.fc((self.b(x) * scale).mean((2, 3)))  # type: ignore[no-any-return]


def test_constants_are_found_in_every_network_of_a_layout_with_its_own_numbers() -> None:
    first = backbone_of(Weighted(2.0))
    assert first.layout.analysis is not None
    assert first.layout.analysis.network.extras
    before = set(vars(first.module))
    assert not any(name.startswith("_tensor_constant") for name in before)
    check_every_cut(build_chain(first, 2, Head(), seed=0))
    # The same layout, as for other weights of the same backbone.
    second = Weighted(3.0)
    second.load_state_dict({**first.module.state_dict(), "scale": torch.tensor([7.0])})
    object.__setattr__(first, "module", second.eval())
    chain = build_chain(first, 2, Head(), seed=0)
    assert check_every_cut(chain) == ["input", "b", "head"]
    tail = chain.tail("b")
    assert set(tail.state_dict()) <= set(chain.model.state_dict())
    assert set(freeze(tail, chain, "b").state_dict()) <= set(chain.model.state_dict())


def test_a_layout_without_numbers_stands_for_no_network_that_has_some() -> None:
    class Made(Weighted):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            waves = torch.zeros(4, device=self.device).cos()
            return self.fc(self.b(self.a(x) * waves.view(1, 4, 1, 1)).mean((2, 3)))  # type: ignore[no-any-return]

        @property
        def device(self) -> torch.device:
            return next(self.parameters()).device

    with torch.device("meta"):
        empty = Made(2.0).eval()
    layout = lay_out(empty, "fc", 16)
    full = Made(2.0).eval()
    assert layout.stands_for(empty)
    assert not layout.stands_for(full)


class ClassToken(nn.Module):
    """A token that is repeated for each image before the blocks, and joins them only after the first."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        token = self.token.expand(x.shape[0], -1, -1)
        x = self.first(self.patch(x).flatten(2).transpose(1, 2))
        x = torch.cat([token, x], dim=1)
        return self.fc(self.second(x)[:, : token.shape[1]].squeeze(1))  # type: ignore[no-any-return]


def test_a_parameter_repeated_for_each_image_is_trained_where_it_is_used() -> None:
    chain = chain_of(ClassToken())
    assert check_every_cut(chain) == ["input", "first", "second", "head"]
    assert chain.crossing("first") == ((16, 8),)
    assert "token" in chain.trained("first")
    assert "token" not in chain.trained("second")
    tail = freeze(chain.tail("first"), chain, "first").train()
    tail(*chain.prefix(["first"])(X)).sum().backward()
    assert chain.model.get_parameter("token").grad is not None


def checked(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.a(x)
    torch._assert((x.abs() < 1e6).all(), "too large")
    y = t.b(x)
    torch._assert((x.abs() < 1e6).all(), "too large")
    return t.fc(t.c(y).mean((2, 3)))  # type: ignore[no-any-return]


def masked(t: Toy, x: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros((1, 1, 14, 14), device=x.device)
    mask[..., :7] = 1.0
    x = t.b(t.a(x))
    return t.fc(t.c(x * mask).mean((2, 3)))  # type: ignore[no-any-return]


def counted_anew(t: Toy, x: torch.Tensor) -> torch.Tensor:
    n, _, h, _ = x.shape
    places = torch.arange(n * h, device=x.device)
    x = t.b(t.a(x))
    return t.fc((t.c(x) + places.reshape(n, h)[:, :4, None, None] * 1e-3).mean((2, 3)))  # type: ignore[no-any-return]


def sized_late(t: Toy, x: torch.Tensor) -> torch.Tensor:
    y = t.b(t.a(x))
    return t.fc(t.c(y).reshape(x.shape[0], 4, -1).mean(2))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "crossing"),
    [
        (checked, ((4, 14, 14),)),  # checks of a tensor cross nothing
        (masked, ((4, 14, 14),)),  # a tensor that is filled in place
        (counted_anew, ((4, 14, 14),)),  # numbers of images and rows, though these aren't float32
        (sized_late, ((4, 14, 14),)),  # the images don't cross for their number
    ],
)
def test_what_depends_on_no_image_does_not_cross(
    run: Callable[[Toy, torch.Tensor], torch.Tensor], crossing: tuple[tuple[int, ...], ...]
) -> None:
    chain = chain_of(Toy(run))
    assert check_every_cut(chain) == ["input", "b", "c", "head"]
    assert chain.crossing("c") == crossing


def scaled_by_content(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.a(x)
    largest = x.abs().max().item()
    return t.fc((t.b(x) / largest).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_number_read_off_the_images_is_no_constant() -> None:
    chain = chain_of(Toy(scaled_by_content))
    assert dict(chain.facts.refused)["b"] == "a float that depends on the batch crosses there"
