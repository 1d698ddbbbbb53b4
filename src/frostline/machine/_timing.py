"""Measures the pieces of a study's work on this machine, in seconds and in bytes."""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from frostline.features import autocast
from frostline.machine._lanes import lane_seconds
from frostline.machine._place import CPU
from frostline.models import build_head
from frostline.places import cache_directory
from frostline.study import Head, Optimizer, Phase, Recipe
from frostline.training import HeadsTraining, StackMember, StackSpec, apply_layout, in_layout, saved_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from frostline.machine._place import Place
    from frostline.models import Chain
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Layout

__all__ = [
    "decode_seconds",
    "forward_seconds",
    "head_parameter_seconds",
    "parameter_step_seconds",
    "saved_image_bytes",
    "slowdown",
    "stack_seconds",
    "step_seconds",
    "store_rate",
    "train_seconds",
]

MOST_IMAGES, LEAST_IMAGES, ENOUGH_OPERATIONS = 16, 4, 60e9
"""Images at a time: enough for the rates of a usual batch, and a few seconds for the largest networks."""

MANY = 1024

STACK_STEPS, MANY_HEADS = 32, 16

LEAST_REPEATS, MOST_REPEATS, ENOUGH_SECONDS, LONG_SECONDS = 2, 20, 0.2, 2.0

STORE_BYTES = 32 * 1024 * 1024


def forward_seconds(
    chain: Chain, facts: BackboneFacts, cut: str, layout: Layout, roughly: bool = False, *, place: Place = CPU
) -> float:
    """Return the seconds for one image of a tail's evaluation.

    ``roughly`` takes few images, once after a warm-up: for what is only compared with.
    """
    tail, inputs = _tail(chain, facts, cut, layout, LEAST_IMAGES if roughly else _batch_size(facts), place)
    tail.eval()

    def evaluate() -> None:
        with torch.no_grad(), autocast(place.precision, place.kind):
            tail(*inputs)

    return _fastest(evaluate, 1 if roughly else LEAST_REPEATS, place) / len(inputs[0])


def train_seconds(chain: Chain, facts: BackboneFacts, cut: str, layout: Layout, *, place: Place = CPU) -> float:
    """Return the seconds for one image of a tail's forward and backward pass."""
    tail, inputs = _tail(chain, facts, cut, layout, _batch_size(facts), place)
    tail.train()
    labels = torch.zeros(len(inputs[0]), dtype=torch.long, device=place.device)

    def train() -> None:
        tail.zero_grad(set_to_none=True)
        with autocast(place.precision, place.kind):
            logits = tail(*inputs)
        loss: torch.Tensor = torch.nn.functional.cross_entropy(logits.float(), labels)
        torch.autograd.backward(loss)

    return _fastest(train, place=place) / len(labels)


def _tail(
    chain: Chain, facts: BackboneFacts, cut: str, layout: Layout, n_images: int, place: Place
) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    chain.model.to(place.device)
    apply_layout(chain.model, layout)
    tail = chain.tail(cut) if facts.cuttable else chain.model
    inputs = tuple(torch.rand(n_images, *shape, device=place.device) for shape in facts.resolve(cut).shapes)
    return tail, in_layout(inputs, layout)


def saved_image_bytes(chain: Chain, facts: BackboneFacts, cut: str, *, place: Place = CPU) -> float:
    """Return the bytes that training a tail keeps of an image for its backward pass."""
    tail = (chain.tail(cut) if facts.cuttable else chain.model).to(place.device).train()

    def saved(n_images: int) -> int:
        inputs = tuple(torch.rand(n_images, *shape, device=place.device) for shape in facts.resolve(cut).shapes)
        with autocast(place.precision, place.kind):
            return saved_bytes(tail, inputs)

    # Autocast keeps converted weights as well, which don't grow with the images.
    before = saved(LEAST_IMAGES) if place.precision == "bf16" else 0
    return (saved(2 * LEAST_IMAGES) - before) / LEAST_IMAGES if before else saved(LEAST_IMAGES) / LEAST_IMAGES


def slowdown(chain: Chain, facts: BackboneFacts, cut: str, layout: Layout, alone: float, n_lanes: int) -> float:
    """Return how many times longer training a tail takes in each of several processes than alone.

    Both ends aren't measured: what starts from images takes longest to measure, and heads are stacked. No gain is
    expected of them.
    """
    if cut in ("input", "head") or not facts.cuttable:
        return float(n_lanes)
    apply_layout(chain.model, layout)
    return lane_seconds(chain.tail(cut), facts.resolve(cut).shapes, layout, _batch_size(facts), n_lanes) / alone


def decode_seconds(facts: BackboneFacts) -> float:
    """Return the seconds to bring one small image to the network's size; large photographs take longer."""
    from torchvision.transforms import v2

    image = torch.zeros((3, 32, 32), dtype=torch.uint8)
    return _fastest(lambda: v2.functional.resize(image, [facts.image_size, facts.image_size], antialias=True))


def step_seconds(chain: Chain, place: Place = CPU) -> float:
    """Return the seconds of an optimizer step over the head: what an epoch of cached features mostly costs."""
    head = chain.tail("head") if chain.facts.cuttable else torch.nn.Linear(chain.facts.head_features, 10)
    head.to(place.device)
    optimizer = torch.optim.Adam(head.parameters())
    inputs = torch.rand(MOST_IMAGES, chain.facts.head_features, device=place.device)

    def step() -> None:
        optimizer.zero_grad()
        head(inputs).sum().backward()
        optimizer.step()

    return _fastest(step, place=place)


def stack_seconds(facts: BackboneFacts, place: Place = CPU) -> tuple[float, float]:
    """Return the seconds of a step of a stack beside one on each other thread, and each parameter and image on top."""
    n_classes, recipe = 10, Recipe()
    rows, one = (_RandomRows(n, facts.head_features) for n in (STACK_STEPS * recipe.batch_size, 1))
    head = build_head(Head(), facts.head_features, n_classes, 0)
    phases = [Phase(optimizer=Optimizer(name="sgd")), Phase(optimizer=Optimizer(name="adam"))]
    lanes = torch.get_num_threads() if place.kind == "cpu" else 1

    def step_seconds(n_heads: int) -> float:
        members = [StackMember(str(i), phases[i % 2]) for i in range(n_heads * lanes)]
        specs = [
            StackSpec(head, recipe, tuple(members[start : start + n_heads]), rows, one)
            for start in range(0, len(members), n_heads)
        ]
        classes, device = [str(i) for i in range(n_classes)], torch.device(place.device)
        with HeadsTraining(specs, rows.labels, classes, device, place.precision) as training:
            return _fastest(lambda: training.run_epoch(0, lambda step, n: None), place=place) / STACK_STEPS

    few, many = step_seconds(2), step_seconds(MANY_HEADS)
    each = max(many - few, 0.0) / (MANY_HEADS - 2)
    return few - 2 * each, each / ((facts.head_features + 1) * n_classes * recipe.batch_size)


class _RandomRows:
    """Rows of noise in memory, with labels all alike."""

    concurrent = True

    def __init__(self, n: int, width: int) -> None:
        self.n, self.labels, self._rows = n, np.zeros(n, np.int64), torch.rand(n, width)

    def batches(
        self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        for positions in order:
            rows = self._rows[torch.from_numpy(positions)].to(device)
            yield (rows,), torch.from_numpy(self.labels[positions]).to(device)


def parameter_step_seconds(place: Place = CPU) -> float:
    """Return the seconds that Adam, the most expensive of the optimizers, takes for a parameter in a step."""
    parameter = torch.nn.Parameter(torch.zeros(MANY, MANY, device=place.device))
    parameter.grad = torch.ones_like(parameter)
    return _fastest(torch.optim.Adam([parameter]).step, place=place) / parameter.numel()


def head_parameter_seconds(place: Place = CPU) -> float:
    """Return the seconds that a parameter of a hidden layer takes in training on an image."""
    layer = torch.nn.Linear(MANY, MANY).to(place.device)
    images = torch.rand(4 * MOST_IMAGES, MANY, device=place.device, requires_grad=True)

    def train() -> None:
        with autocast(place.precision, place.kind):
            outputs = layer(images)
        torch.autograd.backward(outputs.sum())

    return _fastest(train, place=place) / (4 * MOST_IMAGES * MANY * MANY)


def store_rate() -> float:
    """Return how many bytes a second reach the disk that stored rows go to; infinite where that can't be tried.

    Passes say so where nothing can be written.
    """
    content = os.urandom(STORE_BYTES)
    try:
        cache_directory().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_directory()) as file:
            started = time.perf_counter()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            return STORE_BYTES / (time.perf_counter() - started)
    except OSError:
        return float("inf")


def _batch_size(facts: BackboneFacts) -> int:
    return max(LEAST_IMAGES, min(MOST_IMAGES, int(ENOUGH_OPERATIONS / max(facts.flops, 1))))


def _fastest(compute: Callable[[], object], least: int = LEAST_REPEATS, place: Place = CPU) -> float:
    """Return the fastest of several repeats after a warm-up: other programs can only make one slower.

    What takes seconds is its own warm-up.
    """

    def work() -> None:
        compute()
        place.synchronise()

    begun = time.perf_counter()
    work()
    first = time.perf_counter() - begun
    if first > LONG_SECONDS:
        return first
    begun = time.perf_counter()
    times: list[float] = []
    while len(times) < least or time.perf_counter() - begun < ENOUGH_SECONDS:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
        if len(times) == MOST_REPEATS:
            break
    return min(times)
