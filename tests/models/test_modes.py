"""What goes by a network's mode outside of any layer: on where it is trained, off where it is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.models.test_crossing import Toy, X, chain_of, check_every_cut
from torch import nn
from torch.nn import functional

from frostline.errors import ModelError
from frostline.models import Chain, freeze

if TYPE_CHECKING:
    from collections.abc import Callable


def dropped_late(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.c(t.b(t.a(x))).mean((2, 3))
    return t.fc(functional.dropout(x, 0.5, t.training))  # type: ignore[no-any-return]


def dropped_early(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = functional.dropout(t.a(x), p=0.5 if t.training else 0.0)
    return t.fc(t.c(t.b(x)).mean((2, 3)))  # type: ignore[no-any-return]


def train_mode_logits(chain: Chain, module: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    return module.train()(*inputs)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "train_from", "on"),
    [
        (dropped_late, "b", True),
        (dropped_late, "c", True),
        (dropped_late, "head", False),
        (dropped_early, "all", True),
        (dropped_early, "c", False),
        (dropped_early, "head", False),
    ],
)
def test_functional_dropout_is_on_in_the_tail_and_off_in_the_prefix(
    run: Callable[[Toy, torch.Tensor], torch.Tensor], train_from: str, on: bool
) -> None:
    chain = chain_of(Toy(run))
    check_every_cut(chain)
    plain = chain.model.eval()(X)
    whole = train_mode_logits(chain, freeze(chain.model, chain, train_from), X)
    assert torch.equal(whole, plain) != on
    cut = chain.facts.resolve(train_from).name
    rows = chain.prefix([cut]).train()(X)
    tail = freeze(chain.tail(cut), chain, train_from)
    assert torch.equal(train_mode_logits(chain, tail, *rows), whole)
    # A tail from an earlier cut has the same frost line.
    longer = freeze(chain.tail("input"), chain, train_from)
    assert torch.equal(train_mode_logits(chain, longer, X), whole)
    assert torch.equal(tail.eval()(*rows), plain)


def test_a_longer_tail_is_frozen_up_to_the_frost_line() -> None:
    chain = chain_of(Toy(dropped_late))
    (row,) = chain.prefix(["b"])(X)
    tail = freeze(chain.tail("b"), chain, "head").train()
    assert torch.equal(tail(row), chain.model.eval()(X))


def dropped_everywhere(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = functional.dropout(t.a(x), 0.5, t.training)
    return t.fc(functional.dropout(t.c(t.b(x)).mean((2, 3)), 0.5, t.training))  # type: ignore[no-any-return]


def test_a_network_that_goes_by_its_mode_on_both_sides_is_refused_there() -> None:
    chain = chain_of(Toy(dropped_everywhere))
    with pytest.raises(ModelError, match="can't be cut at 'b': the network itself asks on both sides whether it is"):
        chain.tail("b")
    freeze(chain.model, chain, "head")
    assert torch.equal(train_mode_logits(chain, chain.model, X), chain.model.eval()(X))


class SharedBias(nn.Module):
    """A bias from a small network of its own, with dropout, added by every block, as timm's vit_srelpos has it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.shared = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 4))
        self.register_buffer("places", torch.ones(1, 2))
        self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bias = self.shared(self.get_buffer("places"))[:, :, None, None]
        x = self.stem(x)
        x = self.a(x) + bias
        return self.fc((self.b(x) + bias).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_module_of_several_blocks_is_trained_with_its_dropout_or_refused() -> None:
    chain = chain_of(SharedBias())
    check_every_cut(chain)
    assert "shared.0.weight" in chain.trained("a")
    tail = freeze(chain.tail("a"), chain, "a").train()
    assert tail.get_submodule("shared.1").training
    (row,) = chain.prefix(["a"])(X)
    whole = train_mode_logits(chain, freeze(chain.model, chain, "a"), X)
    assert chain.model.get_submodule("shared.1").training
    assert torch.equal(train_mode_logits(chain, tail, row), whole)
    assert not torch.equal(whole, chain.model.eval()(X))
    with pytest.raises(ModelError, match=r"can't be cut at 'b': shared\.0\.bias is used on both sides"):
        chain.tail("b")
    # Behind its last use it is frozen, dropout included.
    assert not freeze(chain.model, chain, "head").train().get_submodule("shared.1").training
