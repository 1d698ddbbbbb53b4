"""Networks of the user's own: found, built the same every time, known by their code."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from torch import nn

from frostline.errors import ModelError, WeightsError
from frostline.models import backbone_facts, build_chain, check_backbone, find_own, load_backbone, use_networks
from frostline.models._names import listed_backbones
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOURCE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(width, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(16, 10)

def build():
    return Net()

def sized(image_size):
    return Net(width=image_size)

def half():
    return Net().half()

def with_cfg():
    net = Net()
    net.pretrained_cfg = {"mean": [0.1, 0.2, 0.3], "std": (0.5, 0.5, 0.5), "interpolation": "bicubic"}
    return net

def restless():
    net = Net()
    net.fc.weight.data.fill_(torch.seed() % 1000)
    net.stem[0].weight.data.fill_(torch.seed() % 1000)
    return net

def broken():
    raise ValueError("no such thing")

def needy(depth, width=3):
    return Net()

def lazy():
    return nn.Sequential(nn.LazyConv2d(3, 3), nn.Flatten(), nn.LazyLinear(10))

def a_dictionary():
    return {"net": Net()}

def empty():
    return nn.Sequential(nn.Flatten())

number = 3
network = Net()
"""


class Small(nn.Sequential):
    """What a notebook would define."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(width, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(16, 10)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_networks_here.py").write_text(SOURCE)
    importlib.invalidate_caches()
    yield tmp_path / "own_networks_here.py"
    sys.modules.pop("own_networks_here", None)


NAME = "py:own_networks_here"


def test_a_function_in_the_working_directory(module: Path) -> None:
    state = torch.get_rng_state()
    one, other = load_backbone(f"{NAME}:build", image_size=32), load_backbone(f"{NAME}:build", "none", 32)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.weights_digest == other.weights_digest
    assert one.weights_from == other.weights_from == "its function"
    assert not one.module.training
    assert one.facts == backbone_facts(f"{NAME}:build", 32)
    assert one.facts.parameters == sum(p.numel() for p in Small().parameters())
    chain = build_chain(one, 3, Head(), seed=0)
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        (features,) = chain.prefix(["block"])(x)
        torch.testing.assert_close(chain.tail("block")(features), chain.model.eval()(x))


def test_image_size_precision_and_preprocessing(module: Path) -> None:
    assert load_backbone(f"{NAME}:sized", image_size=24).module.get_parameter("stem.0.weight").shape[0] == 24
    assert load_backbone(f"{NAME}:half", image_size=32).module.get_parameter("fc.weight").dtype == torch.float32
    plain = load_backbone(f"{NAME}:build", image_size=32).preprocessing
    assert (plain.mean, plain.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert plain.interpolation == "bilinear"
    said = load_backbone(f"{NAME}:with_cfg", image_size=32).preprocessing
    assert (said.mean, said.std, said.interpolation) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5), "bicubic")


def test_a_file_is_loaded_into_what_the_function_builds(module: Path, tmp_path: Path) -> None:
    built = load_backbone(f"{NAME}:build", image_size=32)
    state = {f"model.{name}": tensor + 1 for name, tensor in built.module.state_dict().items()}
    torch.save(state, tmp_path / "own.pth")
    loaded = load_backbone(f"{NAME}:build", str(tmp_path / "own.pth"), 32)
    assert torch.equal(loaded.module.get_parameter("fc.weight"), state["model.fc.weight"])
    with pytest.raises(WeightsError, match=r"do not fit py:own_networks_here:sized: .*\[8, 3, 3, 3\], not \[32, 3,"):
        load_backbone(f"{NAME}:sized", str(tmp_path / "own.pth"), 32)


def test_the_code_is_in_every_key(module: Path) -> None:
    before = load_backbone(f"{NAME}:build", image_size=32)
    wider = SOURCE.replace("width=8", "width=12")
    for changed, parameters in ((SOURCE + "\n# a remark\n", before.facts.parameters), (wider, None)):
        module.write_text(changed)
        del sys.modules["own_networks_here"]
        importlib.invalidate_caches()
        after = load_backbone(f"{NAME}:build", image_size=32)
        assert after.weights_digest != before.weights_digest
        assert after.facts == backbone_facts(f"{NAME}:build", 32)
        assert (after.facts.parameters == before.facts.parameters) == (parameters is not None)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("buidl", r'own_networks_here.py has no function "buidl"; did you mean "build"\?'),
        ("number", "is not a function but a value of type int"),
        ("network", "is a network, not a function that builds one"),
        ("broken", "its function raised ValueError: no such thing"),
        ("needy", "its function needs depth: it is called without arguments, or with image_size alone"),
        ("a_dictionary", "its function returned dict, where a torch.nn.Module is needed"),
        ("lazy", "has layers whose shape isn't known yet"),
        ("empty", "has no parameters"),
    ],
)
def test_functions_that_build_nothing(module: Path, function: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_backbone(f"{NAME}:{function}", image_size=32)


def test_modules_that_are_not_there(module: Path) -> None:
    with pytest.raises(ModelError, match="there is no module own_networks_her, neither in the working directory"):
        backbone_facts("py:own_networks_her:build", 32)
    with pytest.raises(ModelError, match="there is no module own_networks_her, neither"):
        backbone_facts("py:own_networks_her.inner:build", 32)
    for text, reason in (("import nothing_of_it", "nothing_of_it"), ("def f(:", "SyntaxError"), ("1 / 0", "ZeroDiv")):
        module.write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("own_networks_here", None)
        with pytest.raises(ModelError, match=f"py:own_networks_here:build: .*{reason}"):
            backbone_facts(f"{NAME}:build", 32)


def test_names_of_a_study(module: Path) -> None:
    with use_networks({"mine": f"{NAME}:build", "here": Small}, ["mine"]):
        assert load_backbone("mine", image_size=32).facts.backbone == "mine"
        assert backbone_facts("here", 32).parameters == backbone_facts("mine", 32).parameters
        with pytest.raises(ModelError, match=r'backbone "mien" is unknown; did you mean "mine"\?'):
            check_backbone("mien")
    with pytest.raises(ModelError, match='backbone "mine" is unknown'):
        check_backbone("mine")


def wide(width: int) -> Callable[[], nn.Module]:
    return lambda: Small(width)


def test_what_only_this_process_has_is_known_by_what_it_builds() -> None:
    codes = []
    for function in (wide(8), wide(8), wide(12), lambda: nn.Sequential(Small(8))):
        with use_networks({"mine": function}):
            own = find_own("mine")
            assert own is not None
            assert own.reference is None
            codes.append(own.code)
    assert codes[0] == codes[1]
    assert len(set(codes)) == 3


def test_a_networks_own_module_stays_as_it_was() -> None:
    kept = Small().train()
    before = {name: tensor.clone() for name, tensor in kept.state_dict().items()}
    with use_networks({"mine": lambda: kept}):
        load_backbone("mine", image_size=32).module.get_parameter("fc.weight").data.zero_()
    assert kept.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in kept.state_dict().items())


def test_what_was_registered_with_timm() -> None:
    listed_backbones()

    @timm.models.register_model  # type: ignore[untyped-decorator]
    def frostline_test_network(pretrained: bool = False, **_: Any) -> nn.Module:
        return Small()

    backbone = load_backbone("timm:frostline_test_network", image_size=32)
    assert backbone.is_own
    assert backbone.weights_digest == load_backbone("timm:frostline_test_network", "none", 32).weights_digest
    assert backbone_facts("timm:frostline_test_network", 32).parameters == backbone.facts.parameters
    assert "timm:frostline_test_network" not in listed_backbones()
    own = find_own("timm:frostline_test_network")
    assert own is not None
    assert own.reference is None  # a function within a function
    assert find_own("timm:resnet18") is None
