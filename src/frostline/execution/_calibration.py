"""Measures this machine once for each backbone and image size, and remembers the rates."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from frostline.places import cache_directory
from frostline.plan import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from frostline.models import Chain
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Layout

__all__ = ["known_rates", "measure_rates"]

MOST_IMAGES, LEAST_IMAGES, ENOUGH_OPERATIONS = 16, 4, 60e9
"""Images at a time: enough for the rates of a usual batch, and a few seconds for the largest networks."""

MANY = 1024

STACK_STEPS, MANY_HEADS = 32, 16

MACHINE = f"{platform.node()}-{platform.machine()}-{os.cpu_count()}"
"""Whose rates they are: a cache directory may be shared between machines."""

LEAST_REPEATS, MOST_REPEATS, ENOUGH_SECONDS, LONG_SECONDS = 2, 20, 0.2, 2.0


def known_rates(facts: BackboneFacts, cuts: Iterable[str]) -> Rates | None:
    """Return the remembered rates of a backbone if they cover these cuts, without loading torch."""
    path = _path(facts)
    if not set(_measured_cuts(facts, cuts)) <= _known_cuts(path):
        return None
    return Rates.from_json(json.loads(path.read_text())["rates"])


def _known_cuts(path: Path) -> set[str]:
    """Return the cuts that a file of rates covers; none where it is absent or damaged, as it can be made again."""
    try:
        stored = json.loads(path.read_text())
        Rates.from_json(stored["rates"])
        return set(stored["cuts"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def measure_rates(facts: BackboneFacts, cuts: Iterable[str]) -> Rates:
    """Measure a backbone's rates at these cuts, remember and return them; the first call imports torch."""
    path = _path(facts)
    names = _measured_cuts(facts, {*cuts, *_known_cuts(path)})
    rates = _measure(facts, names)
    with suppress(OSError):  # rates that can't be kept are measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"cuts": names, "rates": rates.to_json()}))
        temporary.replace(path)
    return rates


def _measure(facts: BackboneFacts, names: Sequence[str]) -> Rates:
    """Time the prefix on its inference engine and the tails at these cuts in torch, in both memory layouts.

    Timings are on random images and random weights: speed doesn't depend on the values.
    """
    import torch

    from frostline.data import normalise
    from frostline.execution._lanes import lane_numbers
    from frostline.features import engine_seconds
    from frostline.models import build_chain, load_backbone
    from frostline.study import Head
    from frostline.training import apply_layout

    backbone = load_backbone(facts.backbone, "none", facts.image_size)
    chain = build_chain(backbone, 10, Head(), 0)
    forward, train = zip(*(_tail_seconds(chain, facts, name, "contiguous") for name in names), strict=True)
    apply_layout(chain.model, "channels_last")
    forward_last, train_last = zip(*(_tail_seconds(chain, facts, name, "channels_last") for name in names), strict=True)
    faster = [b < a for a, b in zip(train, train_last, strict=True)]
    if facts.cuttable:
        preprocessing = backbone.preprocessing
        engine, setup, prefix = engine_seconds(
            chain.prefix(["head"]),
            lambda images: normalise(images, preprocessing),
            facts.resolve("head").shapes,
            facts.image_size,
        )
    else:
        engine, setup, prefix = "torch", 0.0, forward[0]
    stack_step, stack_parameter = _stack_seconds(facts)
    lanes = lane_numbers(torch.get_num_threads())
    layouts: tuple[Layout, ...] = tuple("channels_last" if last else "contiguous" for last in faster)
    slowdowns = tuple(
        tuple(
            _slowdown(chain, facts, name, layout, min(both), n)
            for name, layout, both in zip(names, layouts, zip(train, train_last, strict=True), strict=True)
        )
        for n in lanes
    )
    return Rates(
        flops=tuple(float(facts.resolve(name).flops_before) for name in names),
        layouts=layouts,
        forward=tuple(b if last else a for a, b, last in zip(forward, forward_last, faster, strict=True)),
        train=tuple(map(min, train, train_last)),
        plain_forward=forward,
        plain_train=train,
        prefix=prefix,
        setup=setup,
        decode=_decode_seconds(facts),
        step=_step_seconds(chain),
        parameter_step=_parameter_step_seconds(),
        head_parameter=_head_parameter_seconds(),
        stack_step=stack_step,
        stack_parameter=stack_parameter,
        threads=torch.get_num_threads(),
        lanes=lanes,
        slowdowns=slowdowns,
        engine=engine,
    )


def _measured_cuts(facts: BackboneFacts, cuts: Iterable[str]) -> list[str]:
    """Return the cuts to measure in execution order: both ends, and those that are asked for."""
    wanted = {"input", "head", *cuts}
    return [cut.name for cut in facts.cuts if cut.name in wanted]


def _tail_seconds(chain: Chain, facts: BackboneFacts, cut: str, layout: Layout) -> tuple[float, float]:
    """Return the seconds for one image of a tail's evaluation, and of its forward and backward pass."""
    import torch

    from frostline.training import in_layout

    tail = chain.tail(cut) if facts.cuttable else chain.model
    shapes = facts.resolve(cut).shapes
    n = _batch_size(facts)
    inputs = in_layout(tuple(torch.rand(n, *shape) for shape in shapes), layout)
    labels = torch.zeros(n, dtype=torch.long)

    def evaluate() -> None:
        with torch.no_grad():
            tail(*inputs)

    def train() -> None:
        tail.zero_grad(set_to_none=True)
        loss: torch.Tensor = torch.nn.functional.cross_entropy(tail(*inputs), labels)
        torch.autograd.backward(loss)

    tail.eval()
    forward = _fastest(evaluate)
    tail.train()
    return forward / n, _fastest(train) / n


def _slowdown(chain: Chain, facts: BackboneFacts, cut: str, layout: Layout, alone: float, n_lanes: int) -> float:
    """Return how many times longer training a tail takes in each of several processes than alone.

    Both ends aren't measured: what starts from images takes longest to measure, and heads are stacked. No gain is
    expected of them.
    """
    from frostline.execution._lanes import lane_seconds
    from frostline.training import apply_layout

    if cut in ("input", "head") or not facts.cuttable:
        return float(n_lanes)
    apply_layout(chain.model, layout)
    return lane_seconds(chain.tail(cut), facts.resolve(cut).shapes, layout, _batch_size(facts), n_lanes) / alone


def _decode_seconds(facts: BackboneFacts) -> float:
    """Return the seconds to bring one small image to the network's size; large photographs take longer."""
    import numpy as np
    import torch
    from torchvision.transforms import v2

    image = torch.from_numpy(np.zeros((3, 32, 32), np.uint8))
    return _fastest(lambda: v2.functional.resize(image, [facts.image_size, facts.image_size], antialias=True))


def _step_seconds(chain: Chain) -> float:
    """Return the seconds of an optimizer step over the head: what an epoch of cached features mostly costs."""
    import torch

    head = chain.tail("head") if chain.facts.cuttable else torch.nn.Linear(chain.facts.head_features, 10)
    optimizer = torch.optim.Adam(head.parameters())
    inputs = torch.rand(MOST_IMAGES, chain.facts.head_features)

    def step() -> None:
        optimizer.zero_grad()
        head(inputs).sum().backward()
        optimizer.step()

    return _fastest(step)


def _stack_seconds(facts: BackboneFacts) -> tuple[float, float]:
    """Return the seconds of a step of a stack on one thread, and those for each parameter and image on top."""
    import torch

    from frostline.models import build_head
    from frostline.study import Head, Optimizer, Phase, Recipe
    from frostline.training import HeadStack, StackMember

    n_classes, recipe = 10, Recipe()
    rows = _RandomRows(STACK_STEPS * recipe.batch_size, facts.head_features)
    head = build_head(Head(), facts.head_features, n_classes, 0)
    phases = [Phase(optimizer=Optimizer(name="sgd")), Phase(optimizer=Optimizer(name="adam"))]

    def step_seconds(n_heads: int) -> float:
        members = [StackMember(str(i), phases[i % 2]) for i in range(n_heads)]
        stack = HeadStack(head, members, recipe, torch.nn.CrossEntropyLoss(), torch.device("cpu"))
        return _fastest(lambda: stack.run_epoch(0, rows, lambda step, n: None)) / STACK_STEPS

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        few, many = step_seconds(2), step_seconds(MANY_HEADS)
    finally:
        torch.set_num_threads(threads)
    each = max(many - few, 0.0) / (MANY_HEADS - 2)
    return few - 2 * each, each / ((facts.head_features + 1) * n_classes * recipe.batch_size)


class _RandomRows:
    """Rows of noise in memory, with labels all alike."""

    def __init__(self, n: int, width: int) -> None:
        import torch

        self.n, self._rows = n, torch.rand(n, width)

    def batches(
        self, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
    ) -> Iterator[tuple[tuple[torch.Tensor, ...], torch.Tensor]]:
        import torch

        for positions in order:
            yield (self._rows[torch.from_numpy(positions)],), torch.zeros(len(positions), dtype=torch.long)


def _parameter_step_seconds() -> float:
    """Return the seconds that Adam, the dearest of the optimizers, takes for a parameter in a step."""
    import torch

    parameter = torch.nn.Parameter(torch.zeros(MANY, MANY))
    parameter.grad = torch.ones_like(parameter)
    return _fastest(torch.optim.Adam([parameter]).step) / parameter.numel()


def _head_parameter_seconds() -> float:
    """Return the seconds that a parameter of a hidden layer takes in training on an image."""
    import torch

    layer, images = torch.nn.Linear(MANY, MANY), torch.rand(4 * MOST_IMAGES, MANY, requires_grad=True)
    return _fastest(lambda: torch.autograd.backward(layer(images).sum())) / (4 * MOST_IMAGES * MANY * MANY)


def _batch_size(facts: BackboneFacts) -> int:
    return max(LEAST_IMAGES, min(MOST_IMAGES, int(ENOUGH_OPERATIONS / max(facts.flops, 1))))


def _fastest(work: Callable[[], object]) -> float:
    """Return the fastest of several repeats after a warm-up: other programs can only make one slower.

    What takes seconds is its own warm-up.
    """
    begun = time.perf_counter()
    work()
    first = time.perf_counter() - begun
    if first > LONG_SECONDS:
        return first
    begun = time.perf_counter()
    times: list[float] = []
    while len(times) < LEAST_REPEATS or time.perf_counter() - begun < ENOUGH_SECONDS:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
        if len(times) == MOST_REPEATS:
            break
    return min(times)


def _path(facts: BackboneFacts) -> Path:
    """Return where the rates of a backbone at an image size are kept, for this machine and these packages."""
    versions = "-".join(metadata.version(name) for name in ("torch", "openvino"))
    name = f"{facts.backbone}-{facts.image_size}-{MACHINE}-{versions}.json".replace("/", "_").replace(":", "_")
    return cache_directory() / "calibration" / name
