"""New heads equal torch's own layers, initialised from a stream of their own."""

from __future__ import annotations

import torch
from torch import nn

from frostline.models import Backbone, build_chain
from frostline.models._head import build_head
from frostline.models._weights import digest_tensors
from frostline.streams import stream_seed
from frostline.study import Head


def test_linear_head_is_torchs_linear_with_torchs_initial_weights() -> None:
    state = torch.get_rng_state()
    head = build_head(Head(), 512, 10, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(head) is nn.Linear
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed("head", 3))
        reference = nn.Linear(512, 10)
    torch.testing.assert_close(head.state_dict(), reference.state_dict(), rtol=0, atol=0)


def test_seeds_give_different_heads_and_the_same_seed_the_same() -> None:
    first, again, other = (build_head(Head(), 8, 2, seed).state_dict()["weight"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_exercises_classifier_of_vgg16() -> None:
    head = build_head(Head(hidden=(4096, 4096), dropout=0.5), 25088, 10, seed=0)
    kinds = [type(layer).__name__ for layer in head.children()]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    # Linear(512*7*7, 4096), Linear(4096, 4096), Linear(4096, 10), with biases
    assert sum(p.numel() for p in head.parameters()) == 25089 * 4096 + 4097 * 4096 + 4097 * 10


def test_a_chain_leaves_its_backbone_alone(resnet: Backbone) -> None:
    before = digest_tensors(resnet.module.state_dict())
    chain = build_chain(resnet, 3, Head(), seed=0)
    with torch.no_grad():
        for parameter in chain.model.parameters():
            parameter.add_(1)
    assert digest_tensors(resnet.module.state_dict()) == before
    assert resnet.module.get_parameter("fc.weight").shape == (1000, 512)
    assert chain.model.get_parameter("fc.weight").shape == (3, 512)
    assert list(chain.model.state_dict()) == list(resnet.module.state_dict())
