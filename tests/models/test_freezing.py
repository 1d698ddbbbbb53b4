"""What freezing does that ``requires_grad = False`` alone doesn't."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

import pytest
import torch
from torch import nn

from frostline.errors import ModelError
from frostline.models import Chain, build_chain, freeze, frozen_digest
from frostline.study import Head

if TYPE_CHECKING:
    from frostline.models import Backbone

X = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def chain(resnet: Backbone) -> Chain:
    return build_chain(resnet, 3, Head(), seed=0)


def modes(model: nn.Module) -> dict[str, bool]:
    return {name: m.training for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}


def test_the_naive_way_drifts(chain: Chain) -> None:
    """The notebook's way: the digest can fail."""
    before = frozen_digest(chain.model, chain, "head")
    for parameter in chain.model.parameters():
        parameter.requires_grad_(False)
    chain.model.get_submodule("fc").requires_grad_(True)
    chain.model.eval()
    chain.model.train()  # as at the start of every epoch
    chain.model(X)
    assert frozen_digest(chain.model, chain, "head") != before


def test_a_changed_parameter_changes_the_digest(chain: Chain) -> None:
    before = frozen_digest(chain.model, chain, "layer4")
    with torch.no_grad():
        chain.model.get_parameter("layer4.0.conv1.weight").add_(1)
    assert frozen_digest(chain.model, chain, "layer4") == before
    with torch.no_grad():
        chain.model.get_parameter("layer3.0.conv1.weight")[0, 0, 0, 0].mul_(1.0001)
    assert frozen_digest(chain.model, chain, "layer4") != before


def test_eval_mode_survives_every_train(chain: Chain) -> None:
    model = freeze(chain.model, chain, "layer4")
    model.train()
    for name, training in modes(model).items():
        assert training == name.startswith("layer4"), name
    model.get_submodule("layer1").train()
    model.get_submodule("layer1.0.bn1").train()
    assert not model.get_submodule("layer1.0.bn1").training
    assert model.training
    model.eval()
    assert not any(modes(model).values())


def test_a_copy_of_a_frozen_model_is_frozen(chain: Chain) -> None:
    twin = copy.deepcopy(freeze(chain.model, chain, "layer4")).train()
    assert not twin.get_submodule("layer1.0.bn1").training
    assert twin.get_submodule("layer4.0.bn1").training


@pytest.mark.parametrize("frozen_norm", ["stored", "batch"])
@pytest.mark.parametrize("tail_norm", ["stored", "batch"])
def test_norm_policies(
    chain: Chain, frozen_norm: Literal["stored", "batch"], tail_norm: Literal["stored", "batch"]
) -> None:
    model = freeze(chain.model, chain, "layer4", frozen_norm, tail_norm).train()
    for name, training in modes(model).items():
        policy = tail_norm if name.startswith("layer4") else frozen_norm
        assert training == (policy == "batch"), name
    others = [n for n, m in model.named_modules() if n.startswith("layer1") and m.training]
    assert others == [n for n in modes(model) if n.startswith("layer1") and frozen_norm == "batch"]
    digests = {norm: frozen_digest(model, chain, "layer4", norm) for norm in ("stored", "batch")}
    model(X)
    assert frozen_digest(model, chain, "layer4", "batch") == digests["batch"]
    assert (frozen_digest(model, chain, "layer4", "stored") == digests["stored"]) == (frozen_norm == "stored")
    assert set(chain.trained("layer4")) == {n for n, p in model.named_parameters() if p.requires_grad}


def test_the_next_phase_forgets_the_last_one(chain: Chain) -> None:
    freeze(chain.model, chain, "head", tail_norm="stored")
    freeze(chain.model, chain, "all").train()
    assert all(modes(chain.model).values())
    assert all(p.requires_grad for p in chain.model.parameters())
    freeze(chain.model, chain, "head").train()
    assert not any(modes(chain.model).values())
    assert [n for n, p in chain.model.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]


def test_freezing_a_tail_freezes_the_model_it_shares(chain: Chain) -> None:
    tail = freeze(chain.tail("layer3"), chain, "layer4").train()
    assert not tail.get_submodule("layer3.0.bn1").training
    assert tail.get_submodule("layer4.0.bn1").training
    assert not chain.model.get_parameter("conv1.weight").requires_grad
    assert tail.get_parameter("fc.weight") is chain.model.get_parameter("fc.weight")
    assert set(tail.state_dict()) <= set(chain.model.state_dict())


def test_a_prefix_stays_in_eval_mode_and_follows_the_model(chain: Chain) -> None:
    prefix = chain.prefix(["layer2"])
    chain.model.train()
    prefix.train()
    assert not any(m.training for m in prefix.modules())
    assert chain.model.get_submodule("layer1.0.bn1").training
    (before,) = prefix(X)
    with torch.no_grad():
        chain.model.get_parameter("conv1.weight").mul_(2)
    (after,) = prefix(X)
    assert not torch.equal(before, after)


def test_an_unknown_place(chain: Chain) -> None:
    with pytest.raises(
        ModelError, match=r'train_from "layre4" is not a stage of resnet18; did you mean "layer4"\?.*stem,'
    ):
        freeze(chain.model, chain, "layre4")


def test_stage_depths(chain: Chain) -> None:
    assert chain.stages == ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    depths = {name: chain.stages_before_head(name) for name, _ in chain.model.named_parameters()}
    assert depths["fc.weight"] == 0
    assert depths["layer4.0.conv1.weight"] == 1
    assert depths["conv1.weight"] == 5
    assert chain.stage_of("layer1.0.bn1.bias") == 1
