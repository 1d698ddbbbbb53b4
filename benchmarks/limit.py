"""How far training and inference are from what the processor can do: operations a second beside a matrix product."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure_limit"]

BATCH = 16
SIZE = 2048


def measure_limit() -> list[dict[str, Any]]:
    """Return what reaches how many operations a second, in Gop/s and as a share of a large matrix product's."""
    import numpy as np
    import torch

    from frostline.features import BATCH_SIZE, EngineKey, Engines, measure_engine
    from frostline.models import build_chain, load_backbone
    from frostline.study import Head
    from frostline.training import apply_layout, in_layout

    a, b = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    product = 2 * SIZE**3 / _fastest(lambda: a @ b)
    rows = [{"what": f"matrix product, {SIZE} x {SIZE}", "gops": product / 1e9, "share": 1.0}]

    def add(what: str, operations: float, seconds: float) -> None:
        rate = operations / seconds
        rows.append({"what": what, "gops": rate / 1e9, "share": rate / product})

    backbone = load_backbone("resnet18", "none", 224)
    chain = build_chain(backbone, 10, Head(), 0)
    facts = chain.facts
    for cut in ("layer4", "head"):
        at = facts.resolve(cut)
        key = EngineKey(
            "resnet18", "", backbone.preprocessing, (cut,), BATCH_SIZE, ("openvino",), "cpu", one_stream=False
        )
        images = np.zeros((BATCH_SIZE, 3, 224, 224), np.uint8)
        rate = measure_engine(
            Engines(), key, chain.prefix([cut]), lambda images: images.float() / 255, at.shapes, images
        )
        add(f"ResNet-18 to the input of {cut}, inference", at.flops_before, rate.seconds)
    left = facts.flops - facts.resolve("layer4").flops_before
    for layout in ("contiguous", "channels_last"):
        apply_layout(chain.model, layout)
        tail = chain.tail("layer4").train()
        inputs = in_layout(tuple(torch.rand(BATCH, *shape) for shape in facts.resolve("layer4").shapes), layout)

        def train(tail: torch.nn.Module = tail, inputs: tuple[torch.Tensor, ...] = inputs) -> None:
            tail.zero_grad(set_to_none=True)
            torch.autograd.backward(tail(*inputs).sum())

        # A backward pass takes two operations for each of the forward pass.
        add(f"ResNet-18's layer4, training, {layout}", 3 * left * BATCH, _fastest(train))
    return rows


def _fastest(work: Callable[[], object], repeats: int = 5) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
