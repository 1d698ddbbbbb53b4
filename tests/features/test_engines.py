"""An engine is believed only where it agrees with eager torch."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from frostline.errors import FeatureError
from frostline.features import FeatureStore, _engine
from frostline.features._engine import largest_difference
from frostline.features._openvino import OpenVinoEngine
from frostline.features._torch import TorchEngine
from frostline.training import on_threads

from . import passes
from .passes import BATCH_SIZE, SHAPES, N, Prefix, contents, digests, images, make_specs, normalise_batch, run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from frostline.plan import Layout, Precision


class Altered(TorchEngine):
    """An engine whose numbers are not quite right."""

    alter: Callable[[NDArray[Any]], NDArray[Any]]

    def __init__(
        self, module: nn.Module, batch: torch.Tensor, device: str, layout: Layout, precision: Precision
    ) -> None:
        super().__init__(module, batch, "cpu", layout, precision)
        self.identity = "altered"

    def run(self, batches: Iterable[NDArray[np.uint8]]) -> Generator[tuple[NDArray[Any], ...]]:
        for outputs in super().run(batches):
            yield tuple(type(self).alter(output) for output in outputs)


def with_nan(rows: NDArray[Any]) -> NDArray[Any]:
    result = rows.copy()
    result.flat[7] = np.nan
    return result


WRONG: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], str]] = {
    "scaled": (lambda rows: rows * 1.002, r"differs from eager torch by 0\.2% on the first batch"),
    "one number": (
        lambda rows: np.where(rows == rows.max(), rows * 1.5, rows),
        r"differs from eager torch by 50% on the first batch",
    ),
    "nan": (with_nan, "gives NaN on the first batch, or other shapes than eager torch"),
    "transposed": (
        lambda rows: rows.swapaxes(1, -1)[..., :-1],
        "gives NaN on the first batch, or other shapes than eager torch",
    ),
    "half": (lambda rows: rows.astype(np.float16), "gives NaN on the first batch, or other shapes than eager torch"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_an_engine_that_differs_is_rejected(
    store: FeatureStore, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch, wrong: str, engine: str
) -> None:
    alter, message = WRONG[wrong]
    monkeypatch.setitem(_engine.ENGINES, "openvino", type("Wrong", (Altered,), {"alter": staticmethod(alter)}))
    report = run(store, ["layer4"], engine=engine, notice=notices.append)
    assert report.engine.startswith("torch")
    assert len(notices) == 1
    assert notices[0].startswith("engine openvino ")
    assert "up to 0.1% is allowed: eager torch on the CPU is used instead" in notices[0]
    assert re.search(message, notices[0])
    plain = FeatureStore(tmp_path / "plain")
    run(plain, ["layer4"])
    assert contents(plain) == contents(store)


def test_an_engine_within_tolerance_is_used(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    slight = type("Slight", (Altered,), {"alter": staticmethod(lambda rows: rows * np.float32(1.0005))})
    monkeypatch.setitem(_engine.ENGINES, "openvino", slight)
    assert run(store, ["layer4"], engine="auto").engine == "altered"


def test_an_engine_that_cannot_run_the_network_is_passed_over(
    store: FeatureStore, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: object) -> TorchEngine:
        raise RuntimeError("no such operation\nand a long trace")

    monkeypatch.setitem(_engine.ENGINES, "openvino", build)
    report = run(store, ["layer4"], engine="auto", notice=notices.append)
    assert report.engine.startswith("torch")
    assert notices == [
        "engine openvino can't run this network (no such operation): eager torch on the CPU does, more slowly"
    ]


def test_what_an_accelerator_cannot_run_is_not_moved_to_the_cpu(
    store: FeatureStore, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass on the CPU would take hours where minutes were expected, and give other bits than the plan says."""

    def build(*arguments: object) -> TorchEngine:
        raise TypeError("to() received an invalid combination of arguments")

    monkeypatch.setitem(_engine.ENGINES, "torch", build)
    expected = (
        r"engine torch can't run this network on mps \(to\(\) received an invalid combination.*: use --device cpu"
    )
    with pytest.raises(FeatureError, match=expected):
        run(store, ["layer4"], engine="torch", device="mps", notice=notices.append)
    assert notices == []


@pytest.mark.parametrize("wrong", WRONG)
def test_an_accelerator_that_gives_other_numbers_is_an_error(
    store: FeatureStore, notices: list[str], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    alter, message = WRONG[wrong]
    monkeypatch.setitem(_engine.ENGINES, "torch", type("Wrong", (Altered,), {"alter": staticmethod(alter)}))
    with pytest.raises(FeatureError, match=f"{message}.*Results on cuda would be wrong: use --device cpu"):
        run(store, ["layer4"], engine="torch", device="cuda", notice=notices.append)
    assert notices == []


@pytest.mark.parametrize("allowed", ["auto", "torch"])
def test_in_bfloat16_torch_makes_the_rows(store: FeatureStore, tmp_path: Path, allowed: str) -> None:
    """Stored as float32, with the numbers of bfloat16: within its rounding of those of float32, and not equal."""
    report = run(store, ["layer4"], engine=allowed, precision="bf16")
    assert report.engine.startswith("torch")
    assert report.engine.endswith(", bf16")
    exact = FeatureStore(tmp_path / "exact")
    run(exact, ["layer4"], engine="torch")
    (spec,) = make_specs(["layer4"])
    ours, theirs = store.open(replace(spec, precision="bf16"), digests()), exact.open(spec, digests())
    assert ours is not None
    assert theirs is not None
    rows, reference = ours.read(np.arange(N)), theirs.read(np.arange(N))
    assert all(row.dtype == np.float32 for row in rows)
    assert all(np.array_equal(torch.from_numpy(row).bfloat16().float().numpy(), row) for row in rows)
    assert 1e-4 < largest_difference(rows, reference) < _engine.TOLERANCES["bf16"]


def test_automatic_on_the_cpu_is_openvino(store: FeatureStore, notices: list[str]) -> None:
    report = run(store, ["head"], engine="auto", notice=notices.append)
    assert report.engine.startswith("openvino 20")
    assert notices == []


def test_an_unknown_engine(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match='engine "tensorrt" is unknown: choose auto, openvino, torch'):
        run(store, ["head"], engine="tensorrt")


def stop_halfway(done: int, total: int) -> None:
    if done > N // 2:
        raise KeyboardInterrupt("stopped")


def test_rows_begun_by_another_engine_are_made_again(
    store: FeatureStore, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slight = type("Slight", (Altered,), {"alter": staticmethod(lambda rows: rows * np.float32(1.0005))})
    with monkeypatch.context() as patched:
        patched.setitem(_engine.ENGINES, "openvino", slight)
        with pytest.raises(KeyboardInterrupt, match="stopped"):
            run(store, ["head"], engine="openvino", progress=stop_halfway, seconds_a_batch=0.01)
    run(FeatureStore(store.path), ["head"], engine="torch", notice=notices.append)
    assert any("were made by altered, now it is torch" in text for text in notices)
    plain = FeatureStore(tmp_path / "plain")
    run(plain, ["head"], engine="torch")
    assert contents(plain) == contents(store)


def test_automatic_goes_on_with_the_engine_that_began(store: FeatureStore, notices: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        run(store, ["head"], engine="torch", progress=stop_halfway, seconds_a_batch=0.01)
    report = run(store, ["head"], engine="auto", notice=notices.append)
    assert report.engine.startswith("torch")
    assert 0 < report.n_passed < N
    assert notices == []


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_rows_dont_depend_on_the_batches_that_made_them(store: FeatureStore, tmp_path: Path, engine: str) -> None:
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        run(store, ["head"], progress=stop_halfway, seconds_a_batch=0.01, engine=engine)
    run(store, ["layer4", "head"], batch_size=5, engine=engine)
    whole = FeatureStore(tmp_path / "whole")
    run(whole, ["layer4", "head"], engine=engine)
    for spec in make_specs(["layer4", "head"]):
        ours, theirs = (each.open(spec, digests()) for each in (store, whole))
        assert ours is not None
        assert theirs is not None
        for one, other in zip(ours.read(np.arange(N)), theirs.read(np.arange(N)), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.002], [1.0, 2.0], 0.001),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, np.inf], [1.0, np.inf], 0.0),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0, 2.0, 3.0], [1.0, 2.0], np.inf),
        ([], [], 0.0),
    ],
)
def test_differences_are_relative_to_the_largest_number(
    ours: list[float], theirs: list[float], difference: float
) -> None:
    arrays = [np.array(ours, np.float32)], [np.array(theirs, np.float32)]
    assert largest_difference(*arrays) == pytest.approx(difference, rel=1e-3)


def test_a_prefix_of_other_shapes_is_an_error(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "head", ((513,),))
    with pytest.raises(FeatureError, match=r"shapes \[\(4, 512\)\] .* expected one row each of \[\(513,\)"):
        run(store, ["head"])


def test_a_prefix_of_too_few_tensors_is_an_error(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "head", ((512,), (512,)))
    with pytest.raises(FeatureError, match="the prefix gives 1 tensors, expected 2"):
        run(store, ["head"])


def test_specifications_of_different_images_are_no_pass(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match=r"stores each cut once, got \['head', 'head'\]"):
        run(store, ["head", "head"])


def test_an_error_while_loading_reaches_the_caller(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> NDArray[np.uint8]:
        raise FileNotFoundError("cat.jpg is gone")

    monkeypatch.setattr(passes, "images", fail)
    with pytest.raises(FileNotFoundError, match=r"cat\.jpg is gone"):
        run(store, ["head"])


def test_openvino_gives_the_same_bits_whatever_its_threads() -> None:
    import openvino

    module = _engine.Prefix(normalise_batch, Prefix(["layer4", "head"]), [0, 1])
    batch = torch.from_numpy(images()[:BATCH_SIZE])
    engine = OpenVinoEngine(module, batch, "cpu", "contiguous")
    (expected,) = engine.run([images()[:BATCH_SIZE]])
    for n_streams, n_threads in [(1, 1), (1, 2), (2, 2)]:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": n_streams, "INFERENCE_NUM_THREADS": n_threads}
        found = openvino.Core().compile_model(engine.model, "CPU", settings)(images()[:BATCH_SIZE])
        for index, rows in enumerate(expected):
            assert np.array_equal(found[index], rows)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_on_torch_an_images_row_depends_on_no_other_image_and_on_no_threads(layout: Layout) -> None:
    """In a batch it does: the last numbers of a tensor go through other code than those before them."""
    torch.manual_seed(0)
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(7, 3, 1), nn.SiLU(), nn.Conv2d(3, 5, 1), nn.Sigmoid())
    module = nn.Sequential(nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.GELU(), squeeze, nn.Flatten(), nn.Linear(5, 9))
    whole = nn.Sequential(module.eval())
    module.register_forward_pre_hook(lambda _module, inputs: (inputs[0].float(),))
    whole.register_forward_hook(lambda _module, _inputs, rows: (rows,))
    drawn = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (11, 3, 9, 9), np.uint8)
    found = []
    for threads in (1, 2):
        for order in (np.arange(11), np.arange(11)[::-1].copy()):
            for size in (1, 4, 11):
                with on_threads(threads):
                    engine = TorchEngine(whole, torch.from_numpy(drawn), "cpu", layout)
                    batches = [drawn[order[i : i + size]] for i in range(0, 11, size)]
                    rows = np.concatenate([outputs[0] for outputs in engine.run(batches)])
                found.append(rows[np.argsort(order)])
    assert all(np.array_equal(rows, found[0]) for rows in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_cpu(store: FeatureStore) -> None:
    report = run(store, ["layer4", "head"], engine="auto", device="cuda")
    assert report.engine.startswith("torch")
    assert "cuda" in report.engine
    assert store.open(make_specs(["head"])[0], digests()) is not None
