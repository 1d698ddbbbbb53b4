"""Small networks with every trait that makes cutting hard, each against itself uncut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from frostline.errors import ModelError
from frostline.models import Backbone, Chain, build_chain, freeze
from frostline.models._layout import lay_out
from frostline.models._sources import NetworkSource
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def backbone_of(module: nn.Module) -> Backbone:
    """A backbone of a network that no library knows."""
    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    source = NetworkSource("toy", lambda _pretrained: module, lambda _path: None, None, mean, std, "bilinear")
    return Backbone("toy", 16, module.eval(), "none", "random", "fc", source)


def chain_of(module: nn.Module) -> Chain:
    return build_chain(backbone_of(module), 2, Head(), seed=0)


def check_every_cut(chain: Chain) -> list[str]:
    """Assert that every cut gives the uncut network's logits and leaves rows as they were; return the cuts."""
    chain.model.eval()
    cuts = [cut.name for cut in chain.facts.cuts]
    with torch.inference_mode():
        wanted = chain.model(X)
        flat = chain.prefix(cuts)(X)
        start = 0
        for cut in cuts:
            rows = flat[start : start + len(chain.crossing(cut))]
            start += len(rows)
            before = [row.clone() for row in rows]
            assert all(torch.equal(a, b) for a, b in zip(rows, chain.prefix([cut])(X), strict=True))
            torch.testing.assert_close(chain.tail(cut)(*rows), wanted, rtol=1e-6, atol=1e-6)
            assert all(torch.equal(a, b) for a, b in zip(rows, before, strict=True))
            # batches of any size: nothing of the batch at tracing time is left in the graph
            one = chain.tail(cut)(*(row[:1] for row in rows))
            torch.testing.assert_close(one, wanted[:1], rtol=1e-5, atol=1e-5)
    return cuts


class Residual(nn.Module):
    """In-place activations right after a cut, and one activation module for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(c, 4, 3, padding=1) for c in (3, 4, 4))
        self.act = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        y = self.conv2(x)
        y += x
        y = self.act(y)
        z = self.conv3(y).mul_(2)
        x.relu_()
        return self.fc(self.act(z + x).mean((2, 3)))  # type: ignore[no-any-return]


def test_tensors_overwritten_after_a_cut_are_copied() -> None:
    chain = chain_of(Residual())
    cuts = check_every_cut(chain)
    assert "conv3" in cuts
    assert chain.crossing("conv3") == ((4, 16, 16), (4, 16, 16))


class Tokens(nn.Module):
    """Parameters of its own, sizes that follow the batch, and a bias computed from a table before it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 17, 8))
        self.table = nn.Parameter(torch.randn(4, 8))
        self.register_buffer("index", torch.arange(17) % 4)
        self.mix = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        bias = self.table[self.get_buffer("index")].unsqueeze(0)
        x = self.patch(x).flatten(2).transpose(1, 2)
        shape = x.shape
        x = torch.cat([self.token.expand(n, -1, -1), x], dim=1) + self.position
        x = self.mix(x)
        x = (x + bias).reshape(n * 17, shape[2])
        x = self.norm(x.view(n, 17, 8))
        return self.fc(x[:, 0].view(shape[0], shape[2]))  # type: ignore[no-any-return]


def test_parameters_read_on_the_way_and_sizes_of_the_batch() -> None:
    chain = chain_of(Tokens())
    assert check_every_cut(chain) == ["input", "mix", "norm", "head"]
    # What is trained is what the tail reads, though its table was looked up before the cut.
    assert set(chain.trained("mix")) == {"table", "mix.weight", "mix.bias", "norm.weight", "norm.bias", *HEAD}
    assert set(chain.trained("norm")) == {"norm.weight", "norm.bias", *HEAD}
    tail = freeze(chain.tail("mix"), chain, "mix").train()
    tail(*chain.prefix(["mix"])(X)).sum().backward()
    assert chain.model.get_parameter("table").grad is not None
    assert chain.model.get_parameter("position").grad is None


HEAD = {"fc.weight", "fc.bias"}


class Toy(nn.Module):
    """Three convolutions and a classifier, run as a function says."""

    def __init__(self, run: Callable[[Toy, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.run = run
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, x)


def twice(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.b(t.a(x)).relu()
    return t.fc(t.b(t.c(x)).mean((2, 3)))  # type: ignore[no-any-return]


def dropped_twice(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.drop(t.a(x))
    return t.fc(t.drop(t.b(x)).mean((2, 3)))  # type: ignore[no-any-return]


def folded(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.a(x).reshape(-1, 4, 7, 14)
    return t.fc(t.b(x).reshape(-1, 2, 4, 7, 14).mean((1, 3, 4)))  # type: ignore[no-any-return]


def counted(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.a(x)
    places = (x > 0).long()
    return t.fc((t.b(x) * places).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "path", "reason"),
    [
        (twice, "c", "b.bias is used on both sides"),
        (dropped_twice, "b", "drop is used on both sides"),
        (folded, "b", r"a tensor of shape \[4, 4, 7, 14\] for 2 images crosses there"),
        (counted, "b", "a tensor of int64 crosses there"),
    ],
)
def test_refused_cuts(run: Callable[[Toy, torch.Tensor], torch.Tensor], path: str, reason: str) -> None:
    chain = chain_of(Toy(run))
    assert path not in check_every_cut(chain)
    with pytest.raises(ModelError, match=rf"toy can't be cut at '{path}': {reason}; the nearest place before it is"):
        chain.tail(path)


def branching(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.a(x)
    if x.sum() > 1e9:
        return t.fc(x.mean((2, 3)))  # type: ignore[no-any-return]
    return t.fc(t.b(t.c(x)).mean((2, 3)))  # type: ignore[no-any-return]


def training(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.c(t.b(t.a(x))).mean((2, 3))
    return t.fc(x + torch.randn_like(x) if t.training else x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "order", "why"),
    [
        (branching, ["input", "c", "b", "head"], "what it runs depends on the size or the content of its images"),
        (training, ["input", "b", "c", "head"], "it runs other operations in train mode than in eval mode"),
    ],
)
def test_networks_that_cannot_be_cut_are_still_frozen_in_execution_order(
    run: Callable[[Toy, torch.Tensor], torch.Tensor], order: list[str], why: str
) -> None:
    chain = chain_of(Toy(run))
    facts = chain.facts
    assert not facts.cuttable
    assert facts.why_not is not None
    assert why in facts.why_not
    assert [cut.name for cut in facts.cuts] == order
    assert facts.parameters == sum(stage.parameters for stage in facts.stages)
    assert chain.tail("input") is chain.model
    first, second = order[1:3]
    assert set(chain.trained(second)) == {f"{second}.weight", f"{second}.bias", *HEAD}
    freeze(chain.model, chain, second).train()
    assert not chain.model.get_submodule(first).training
    assert chain.model.get_submodule(second).training
    with pytest.raises(ModelError, match="backbone toy can't be cut: "):
        chain.prefix([second])
    with pytest.raises(ModelError, match="backbone toy can't be cut: "):
        chain.tail(second)


def doubled(t: Toy, x: torch.Tensor) -> torch.Tensor:
    x = t.b(t.a(x)).mean((2, 3))
    return t.fc(x) + t.fc(-x)  # type: ignore[no-any-return]


def scaled(t: Toy, x: torch.Tensor) -> torch.Tensor:
    return t.fc(t.b(t.a(x)).mean((2, 3))) * 2  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (doubled, "its classifier fc is run 2 times, where once is needed"),
        (scaled, "what its classifier fc returns isn't what the network returns"),
    ],
)
def test_classifiers_that_cannot_be_replaced(run: Callable[[Toy, torch.Tensor], torch.Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        lay_out(Toy(run).eval(), "fc", 16)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "timm:tf_efficientnet_lite0", "densenet121", "swin_t", "vit_b_16", "googlenet", "timm:resnest14d"],
)
def test_every_cut_of_real_networks_crosses_what_it_says(name: str) -> None:
    """Shapes at each cut, not only at stages, are what the prefix of all cuts gives."""
    from frostline.models import load_backbone

    chain = build_chain(load_backbone(name, "none", 64), 2, Head(), seed=0)
    cuts = [cut.name for cut in chain.facts.cuts]
    with torch.inference_mode():
        flat = chain.prefix(cuts)(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert [tuple(t.shape[1:]) for t in flat] == [shape for cut in cuts for shape in chain.crossing(cut)]
    for some in cuts[:: max(len(cuts) // 6, 1)]:
        with torch.inference_mode():
            x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
            wanted = chain.model.eval()(x)
            torch.testing.assert_close(chain.tail(some)(*chain.prefix([some])(x)), wanted, rtol=1e-5, atol=1e-5)
