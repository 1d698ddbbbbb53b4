"""Cut networks equal uncut ones: at every stage of every backbone, in eval mode and in train mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.models.conftest import TABLE
from torch import nn

from frostline.models import Backbone, Chain, build_chain, freeze, frozen_digest
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

K = 3
LABELS = torch.tensor([0, 2])
# A head with dropout, so that random numbers are drawn in the tail of every backbone.
HEAD = Head(hidden=(8,), dropout=0.5)


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def stage_cuts(chain: Chain) -> list[str]:
    return [chain.facts.resolve(name).name for name in chain.stages]


def split_rows(chain: Chain, cuts: Sequence[str], flat: Sequence[torch.Tensor]) -> dict[str, tuple[torch.Tensor, ...]]:
    rows, start = {}, 0
    for cut in cuts:
        n = len(chain.crossing(cut))
        rows[cut] = tuple(flat[start : start + n])
        start += n
    assert start == len(flat)
    return rows


def test_tail_of_prefix_equals_the_model_at_every_stage(backbone: Backbone) -> None:
    chain = build_chain(backbone, K, HEAD, seed=0)
    chain.model.eval()
    x = images()
    cuts = stage_cuts(chain)
    with torch.inference_mode():
        wanted = chain.model(x)
        together = split_rows(chain, cuts, chain.prefix(cuts)(x))
        for cut in cuts:
            alone = chain.prefix([cut])(x)
            assert [tuple(t.shape[1:]) for t in alone] == list(chain.crossing(cut))
            # One pass for all cuts stores what a pass for each would: nothing later in it overwrites a row.
            assert all(torch.equal(a, b) for a, b in zip(alone, together[cut], strict=True))
            before = [t.clone() for t in alone]
            torch.testing.assert_close(chain.tail(cut)(*alone), wanted, rtol=1e-5, atol=1e-6)
            assert all(torch.equal(a, b) for a, b in zip(alone, before, strict=True))
    assert chain.facts.cuttable
    assert float(wanted.std()) > 0


def loss_and_gradients(
    chain: Chain, module: nn.Module, inputs: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """One forward and backward in train mode with the same random numbers each time."""
    for parameter in chain.model.parameters():
        parameter.grad = None
    module.train()
    torch.manual_seed(7)
    loss = nn.functional.cross_entropy(module(*inputs), LABELS)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), {n: p.grad for n, p in chain.model.named_parameters() if p.grad is not None}


# vit_b_16 takes as long as all others together, and timm's ViT is cut in the same way.
@pytest.mark.parametrize(
    "backbone",
    [pytest.param(name, marks=pytest.mark.slow if name == "vit_b_16" else ()) for name in TABLE],
    indirect=True,
)
def test_losses_and_gradients_of_a_tail_equal_the_uncut_models(backbone: Backbone) -> None:
    chain = build_chain(backbone, K, HEAD, seed=0)
    x = images()
    cuts = stage_cuts(chain)[1:]
    with torch.inference_mode():
        flat = chain.prefix(cuts)(x)
    rows = split_rows(chain, cuts, [t.clone() for t in flat])
    buffers = {n: b.clone() for n, b in chain.model.named_buffers()}
    for cut in cuts:
        freeze(chain.model, chain, cut)
        loss, gradients = loss_and_gradients(chain, chain.model, [x])
        moved = {n: b.clone() for n, b in chain.model.named_buffers()}
        restore(chain, buffers)

        tail = freeze(chain.tail(cut), chain, cut)
        tail_loss, tail_gradients = loss_and_gradients(chain, tail, [t.clone() for t in rows[cut]])

        torch.testing.assert_close(tail_loss, loss, rtol=1e-5, atol=1e-6)
        assert tail_gradients.keys() == gradients.keys()
        assert set(gradients) <= set(chain.trained(cut))
        for name, gradient in gradients.items():
            # Relative to the largest entry of each gradient, as its small entries are sums that cancel.
            scale = float(gradient.abs().max()) + 1e-12
            torch.testing.assert_close(tail_gradients[name] / scale, gradient / scale, rtol=0, atol=1e-4)
        for name, buffer in chain.model.named_buffers():
            torch.testing.assert_close(buffer, moved[name], rtol=1e-5, atol=1e-6)
        restore(chain, buffers)


def restore(chain: Chain, buffers: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, buffer in chain.model.named_buffers():
            buffer.copy_(buffers[name])


def test_frozen_means_frozen(backbone: Backbone) -> None:
    chain = build_chain(backbone, K, HEAD, seed=0)
    middle = chain.stages[len(chain.stages) // 2]
    for train_from in ("head", middle):
        for module, inputs in (
            (chain.model, [images()]),
            (chain.tail(train_from), [t.clone() for t in prefix_rows(chain, train_from)]),
        ):
            freeze(module, chain, train_from)
            trained = [p for p in module.parameters() if p.requires_grad]
            before = frozen_digest(module, chain, train_from)
            values = [p.detach().clone() for p in trained]
            optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.1)
            for _ in range(2):
                module.eval()
                module.train()
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(*inputs), LABELS).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            assert frozen_digest(module, chain, train_from) == before
            assert all(not torch.equal(p, value) for p, value in zip(trained, values, strict=True))
            everything = {n for n, _ in chain.model.named_parameters()}
            assert {n for n, p in chain.model.named_parameters() if p.requires_grad} == set(chain.trained(train_from))
            assert set(chain.trained(train_from)) < everything


def prefix_rows(chain: Chain, cut: str) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        return tuple(chain.prefix([cut])(images()))
