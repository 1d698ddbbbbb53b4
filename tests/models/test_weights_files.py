"""Weights files as people have them: wrapped, prefixed, averaged, halved, old, damaged."""

from __future__ import annotations

import argparse
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from frostline.errors import WeightsError
from frostline.models import Backbone, load_backbone
from frostline.models._sources import find_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = "shufflenet_v2_x0_5"
FIRST = "conv1.0.weight"
State = dict[str, Any]


@pytest.fixture(scope="module")
def small() -> Backbone:
    return load_backbone(SMALL, "none", 64)


@pytest.fixture(scope="module")
def state(small: Backbone) -> State:
    """The small network's tensors, each a little above its random ones."""
    return {
        name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in small.module.state_dict().items()
    }


def load(content: object, folder: Path, key: str | None = None, name: str = SMALL, size: int = 64) -> Backbone:
    path = folder / "weights.pth"
    torch.save(content, path)
    return load_backbone(name, str(path), size, key)


def below(prefix: str, tensors: State) -> State:
    return {prefix + name: tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("module.", None),
        ("model.", "state_dict"),
        ("backbone.", "model"),
        ("encoder.", "model_state_dict"),
        ("model.module.", "net"),
        ("_orig_mod.model.", "state_dict_ema"),
        ("", "ema.module"),
        ("timm_model.", "model_ema"),
    ],
)
def test_what_training_programs_put_around_a_network(
    state: State, prefix: str, key: str | None, tmp_path: Path
) -> None:
    content: Any = below(prefix, state)
    for part in reversed(key.split(".") if key else []):
        content = {part: content, "epoch": 3, "best": np.float64(0.9), "args": argparse.Namespace(lr=0.1)}
    loaded = load(content, tmp_path)
    torch.testing.assert_close(dict(loaded.module.state_dict()), state, rtol=0, atol=0)
    assert loaded.weights_from == str(tmp_path / "weights.pth") + (f" ({key})" if key else "")
    assert any("averaged (EMA), are used" in note for note in loaded.notes) == ("ema" in (key or ""))


def test_plain_weights_are_used_and_averaged_ones_by_their_key(state: State, tmp_path: Path) -> None:
    averaged = {name: tensor * 2 for name, tensor in state.items()}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(1)}}, "param_groups": []}
    content = {"model": state, "model_ema": below("module.", averaged), "optimizer": optimizer}
    plain = load(content, tmp_path)
    assert torch.equal(plain.module.get_parameter("conv1.0.weight"), state["conv1.0.weight"])
    assert plain.notes == (
        f'weights "{tmp_path / "weights.pth"}": the tensors under "model" are used',
        f'weights "{tmp_path / "weights.pth"}": averaged ones (EMA) are under "model_ema": '
        'weights_key = "model_ema" uses them',
    )
    chosen = load(content, tmp_path, "model_ema")
    assert torch.equal(chosen.module.get_parameter("conv1.0.weight"), averaged["conv1.0.weight"])
    assert chosen.weights_from.endswith("(model_ema)")
    with pytest.raises(WeightsError, match=r'no weights_key "model_em"; did you mean "model_ema"\? \(it has model, '):
        load(content, tmp_path, "model_em")


def test_a_set_within_a_set_is_something_of_a_layers(state: State, tmp_path: Path) -> None:
    loaded = load({**state, "statistics": {"seen": torch.zeros(3)}, "epoch": 3}, tmp_path)
    torch.testing.assert_close(dict(loaded.module.state_dict()), state, rtol=0, atol=0)


def test_several_networks_in_a_file(state: State, tmp_path: Path) -> None:
    other = {name: tensor * 2 for name, tensor in state.items()}
    both = {"student": state, "teacher": other}
    with pytest.raises(WeightsError, match=r'several sets of tensors \("student", "teacher"\): choose one'):
        load(both, tmp_path)
    teacher = load(both, tmp_path, "teacher").module
    assert torch.equal(teacher.get_buffer("conv1.1.running_mean"), other["conv1.1.running_mean"])
    flat = {"state_dict": below("encoder_q.", state) | below("encoder_k.", other)}
    with pytest.raises(WeightsError, match=r'the network several times \("encoder_q", "encoder_k"\): choose one'):
        load(flat, tmp_path)
    chosen = load(flat, tmp_path, "state_dict.encoder_k").module
    assert torch.equal(chosen.get_buffer("conv1.1.running_mean"), other["conv1.1.running_mean"])


def test_what_a_file_has_beside_the_network_is_named(state: State, tmp_path: Path) -> None:
    projector = {"projector.0.weight": torch.zeros(2, 2), "queue": torch.zeros(3)}
    loaded = load({**below("backbone.", state), **projector}, tmp_path)
    assert loaded.notes[-1].endswith(f"left out, as {SMALL} doesn't use them: projector.0.weight, queue")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {**s, FIRST: s[FIRST] * torch.nan}, f"NaN or infinite values: {FIRST};"),
        (lambda s: {**s, "conv1.1.running_var": s["conv1.1.running_var"] / 0}, "NaN or infinite values: conv1.1.runn"),
        (lambda s: {**s, FIRST: s[FIRST].to(torch.int8)}, rf"packed tensors: {FIRST} \(int8\)"),
        (
            lambda s: {**s, FIRST: torch.quantize_per_tensor(s[FIRST], 0.1, 0, torch.qint8)},
            rf"packed tensors: {FIRST} \(qint8\); save them as float32",
        ),
        (lambda s: {**s, FIRST: s[FIRST].to_sparse()}, rf"packed tensors: {FIRST} \(float32\)"),
        (
            lambda s: {name: t[..., None] if "branch2.0" in name and t.ndim else t for name, t in s.items()},
            r"other shapes: \S+ has shape \[.*\], not \[.*\]; \S+ has shape .* and \d+ more",
        ),
        (lambda s: {n: t for n, t in s.items() if "stage4" not in n}, r"lacks stage4\S+, .*, stage4\S+ and \d+ more"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor:DeprecationWarning", "ignore:.*quantized:UserWarning")
def test_tensors_that_will_not_do(state: State, change: Callable[[State], State], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf'weights "{re.escape(str(tmp_path))}.*the file .*{message}'):
        load(change(state), tmp_path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(state: State, kind: torch.dtype, tmp_path: Path) -> None:
    given = {n: t.to(kind) if t.is_floating_point() else t for n, t in state.items() if not n.startswith("fc.")}
    save_file(given, tmp_path / "half.safetensors")
    own = load_backbone(SMALL, str(tmp_path / "half.safetensors"), 64).module.state_dict()
    for name, tensor in given.items():
        assert own[name].dtype == (torch.float32 if tensor.is_floating_point() else tensor.dtype)
        assert torch.equal(own[name], tensor.to(own[name].dtype))


def test_files_without_counts_of_batches(state: State, tmp_path: Path) -> None:
    given = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert len(given) < len(state)
    loaded = load(given, tmp_path).module.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in given.items())


def old_densenet(state: State) -> State:
    return {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): t for name, t in state.items()}


def old_vit(state: State) -> State:
    return {n.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): t for n, t in state.items()}


def with_auxiliary(state: State) -> State:
    return {**state, "aux1.fc2.weight": torch.zeros(1000, 1024), "AuxLogits.fc.weight": torch.zeros(1000, 768)}


@pytest.mark.parametrize(
    ("name", "size", "as_torchvision_has_it"),
    [
        ("densenet121", 64, old_densenet),
        ("vit_b_16", 224, old_vit),
        ("googlenet", 64, with_auxiliary),
        ("inception_v3", 96, with_auxiliary),
        ("mnasnet0_5", 64, dict),  # whose own code refuses tensors without the version that saved them
    ],
)
def test_torchvisions_own_files(
    name: str, size: int, as_torchvision_has_it: Callable[[State], State], tmp_path: Path
) -> None:
    state = find_source(name, size, any_size=True).build_random().state_dict()
    wanted = {n: t.half().float() if t.is_floating_point() else t for n, t in state.items()}
    given = as_torchvision_has_it({n: t.half() if t.is_floating_point() else t for n, t in wanted.items()})
    assert name.startswith("mnas") or given.keys() != wanted.keys()
    loaded = load(given, tmp_path, name=name, size=size)
    own = loaded.module.state_dict()
    assert all(torch.equal(own[n], tensor) for n, tensor in wanted.items())


def test_timms_positions_are_adapted_below_a_prefix_and_for_other_classes(tmp_path: Path) -> None:
    name = "timm:vit_tiny_patch16_224"
    large = load_backbone(name, "none", 224).module.state_dict()
    tuned = {**large, "head.weight": torch.zeros(7, 192), "head.bias": torch.zeros(7)}
    small = load({"model": below("module.", tuned)}, tmp_path, name=name, size=96).module
    assert small.get_parameter("pos_embed").shape == (1, 37, 192)
    assert torch.equal(small.get_parameter("blocks.3.attn.qkv.weight"), large["blocks.3.attn.qkv.weight"])


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, but people have such files
        torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda path: torch.save(nn.Linear(2, 2), path),
            r"without code \(torch.nn.modules.linear.Linear\)",
        ),
        (lambda path: torch.save({"w": print}, path), r"can't be read without code \(print\), which Frostline never"),
        (script, "is a TorchScript archive, which holds code, which Frostline never runs"),
        (lambda path: path.write_bytes(b""), "is empty$"),
        (lambda path: path.write_text("<!DOCTYPE html>"), "is a web page, not the file itself"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut off"), "it is damaged, cut off, or another kind of file"),
    ],
)
def test_files_that_cannot_be_read_say_so_in_one_line(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    write(path)
    with pytest.raises(WeightsError, match=message) as caught:
        load_backbone(SMALL, str(path), 64)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
