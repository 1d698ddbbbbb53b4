"""How far training and inference are from what the processor can do: operations a second beside a matrix product."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.rows import Row, fastest

if TYPE_CHECKING:
    import torch

    from benchmarks.measuring import Session

BATCH = 16
SIZE = 2048


def measure(session: Session) -> list[Row]:
    import numpy as np
    import torch

    from frostline.features import BATCH_SIZE, EngineKey, EngineRequest, Engines, measure_engine
    from frostline.models import build_chain, load_backbone
    from frostline.study import Head
    from frostline.training import apply_layout, in_layout

    a, b = torch.rand(SIZE, SIZE), torch.rand(SIZE, SIZE)
    product = 2 * SIZE**3 / fastest(lambda: a @ b)
    rows = [Row(f"matrix product, {SIZE} x {SIZE}", product / 1e9, "Gop/s", 0)]

    def add(what: str, operations: float, seconds: float) -> None:
        rate = operations / seconds
        rows.append(Row(what, rate / 1e9, "Gop/s", 0, detail=f"{rate / product:.0%} of the product"))

    backbone = load_backbone("resnet18", "none", 224)
    chain = build_chain(backbone, 10, Head(), 0)
    facts = chain.facts
    for cut in ("layer4", "head"):
        at = facts.resolve(cut)
        key = EngineKey(
            "resnet18", "", backbone.preprocessing, (cut,), BATCH_SIZE, ("openvino",), "cpu", "channels_last"
        )
        request = EngineRequest(
            key,
            partial(chain.prefix, [cut]),
            lambda images: images.float() / 255,
            at.shapes,
            lambda: np.zeros((BATCH_SIZE, 3, 224, 224), np.uint8),
        )
        rate = measure_engine(Engines(), request)
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
        add(f"ResNet-18's layer4, training, {layout}", 3 * left * BATCH, fastest(train))
    return rows
