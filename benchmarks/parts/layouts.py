"""The two memory layouts: processor seconds of training whole networks in each, on one thread.

What the rule for layouts rests on (``frostline.plan.choose_layout``). Processor time hardly depends on other programs.
Another instruction set: ``ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python -m benchmarks layouts``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from benchmarks.rows import Row
from frostline.models import build_chain, load_backbone
from frostline.study import Head
from frostline.training import apply_layout, in_layout, on_threads

if TYPE_CHECKING:
    from benchmarks.measuring import Session
    from frostline.plan import Layout

NETWORKS = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "vgg11",
    "densenet121",
    "googlenet",
    "squeezenet1_1",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "efficientnet_b0",
    "timm:tf_efficientnet_lite0",
    "shufflenet_v2_x0_5",
    "regnet_y_400mf",
    "convnext_tiny",
    "timm:convnext_atto",
)
SIZE, BATCH, ROUNDS = 64, 16, 3
LAYOUTS: tuple[Layout, Layout] = ("contiguous", "channels_last")


def measure(session: Session) -> list[Row]:
    rows = []
    with on_threads(1):
        for name in NETWORKS:
            model = build_chain(load_backbone(name, "none", SIZE), 10, Head(), 0).model.train()
            seconds = {layout: float("inf") for layout in LAYOUTS}
            for _ in range(ROUNDS + 1):  # the first one warms up: the fastest counts
                for layout in LAYOUTS:
                    seconds[layout] = min(seconds[layout], _train(model, layout))
            both = " and ".join(f"{seconds[layout] * 1000:.0f} ms {layout}" for layout in LAYOUTS)
            detail = f"{both}, the best of {ROUNDS} steps of {BATCH} images"
            ratio = seconds["contiguous"] / seconds["channels_last"]
            rows.append(Row(f"{name} at {SIZE} px, channels_last", ratio, "times as fast", 2, detail=detail))
    return rows


def _train(model: torch.nn.Module, layout: Layout) -> float:
    apply_layout(model, layout)
    (images,) = in_layout((torch.rand(BATCH, 3, SIZE, SIZE),), layout)
    started = time.process_time()
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.nn.functional.cross_entropy(model(images), torch.zeros(BATCH, dtype=torch.long)))
    return time.process_time() - started
