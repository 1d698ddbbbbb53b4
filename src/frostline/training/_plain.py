"""The plain loop: one arm, alone and uncut, as a careful person would write it. It is the oracle.

Nothing here knows of stored activations, trajectories or checkpoints: the images of each batch are decoded, augmented
and run through all stages anew. It shares with the shared path what defines the experiment (batch order, head
initialisation, freezing, loss, optimizer) and its numerics: layout, threads, and that the frozen stages take one image
at a time, so that what they make of it depends on no batch.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from frostline.features import autocast, run_frozen
from frostline.models import freeze, frozen_digest
from frostline.streams import stream_seed
from frostline.training._dropout import DropoutStream
from frostline.training._layout import apply_layout, in_layout
from frostline.training._loss import build_loss, has_diverged, score
from frostline.training._optimizers import build_optimizer, build_scheduler
from frostline.training._order import batch_order, batches_in_order
from frostline.training._phase import frozen_changed
from frostline.training._pooling import make_pooling_deterministic
from frostline.training._threads import on_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from frostline.models import Chain
    from frostline.plan import Layout, Precision
    from frostline.study import Recipe

__all__ = ["PlainEpoch", "PlainPhase", "train_plain"]


@dataclass(frozen=True)
class PlainPhase:
    """The numerics of a phase.

    ``cut`` is where its frozen stages end, None where the whole network runs on each batch.
    """

    cut: str | None
    layout: Layout
    threads: int


@dataclass(frozen=True)
class PlainEpoch:
    """An epoch (1-based, over all phases) of the plain loop; logits [N, K] are those of the validation split."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    logits: torch.Tensor | None


def train_plain(
    chain: Chain,
    recipe: Recipe,
    numerics: Sequence[PlainPhase],
    train_images: Callable[[NDArray[np.int64], int], torch.Tensor],
    train_labels: NDArray[np.int64],
    val_images: Callable[[NDArray[np.int64]], torch.Tensor],
    val_labels: NDArray[np.int64],
    classes: Sequence[str],
    device: torch.device,
    on_step: Callable[[int, int, int], None],
    precision: Precision = "ieee",
) -> Iterator[PlainEpoch]:
    """Train one arm and yield each epoch as it ends; a diverged epoch is the last.

    Args:
        chain: the network with its new head; ``chain.model`` is trained in place.
        recipe: the arm's recipe.
        numerics: those of each of its phases.
        train_images: float32 images [B, 3, H, W] at positions of the training split, in an epoch's view.
        train_labels: int64 [N].
        val_images: float32 images at positions of the validation split.
        val_labels: int64 [N].
        classes: the K class names.
        device: where to train.
        on_step: told the epoch (1-based), the step and the number of steps.
        precision: of products.
    """
    model = chain.model.to(device)
    if device.type == "cuda":
        make_pooling_deterministic(model)
    loss_function = build_loss(recipe, train_labels, classes).to(device)
    available, number = torch.get_num_threads(), 0
    for phase, own in zip(recipe.phases, numerics, strict=True):
        apply_layout(model, own.layout)
        prefix = None if own.cut is None else chain.prefix([own.cut])
        part = model if own.cut is None else chain.tail(own.cut)
        module = freeze(part, chain, phase.train_from, recipe.frozen_norm, recipe.tail_norm)
        frozen = frozen_digest(module, chain, phase.train_from, recipe.frozen_norm)
        optimizer = build_optimizer(model.named_parameters(), phase.optimizer, chain.stages_before_head)
        steps = len(batch_order(recipe.seed, number, len(train_labels), recipe.batch_size))
        scheduler = build_scheduler(optimizer, phase.schedule, steps, phase.epochs)

        def inputs_of(
            images: torch.Tensor, prefix: torch.nn.Module | None = prefix, layout: Layout = own.layout
        ) -> tuple[torch.Tensor, ...]:
            if prefix is None:
                return in_layout((images.to(device),), layout)
            return in_layout(run_frozen(prefix, images, layout, device, available, precision), layout)

        def logits_of(images: torch.Tensor, module: torch.nn.Module = module) -> torch.Tensor:
            inputs = inputs_of(images)
            with autocast(precision, device.type):
                logits: torch.Tensor = module(*inputs)
            return logits.float()

        for _ in range(phase.epochs):
            started = time.perf_counter()
            module.train()
            total = 0.0
            order = batch_order(recipe.seed, number, len(train_labels), recipe.batch_size)
            stream = DropoutStream(stream_seed("dropout", recipe.seed, number), device)
            with on_threads(own.threads):
                for step, positions in enumerate(order, start=1):
                    images = train_images(positions, number)
                    labels = torch.from_numpy(train_labels[positions]).to(device)
                    optimizer.zero_grad()
                    with stream.drawing():
                        loss = loss_function(logits_of(images), labels)
                        loss.backward()
                    optimizer.step()
                    if scheduler is not None:
                        scheduler.step()
                    total += loss.item() * len(positions)
                    if not math.isfinite(total):
                        total = math.nan
                        break
                    on_step(number + 1, step, len(order))
            train_loss = total / len(train_labels)
            number += 1
            if has_diverged(train_loss, len(classes)):
                yield PlainEpoch(number, train_loss, None, None, time.perf_counter() - started, None)
                return
            module.eval()
            with torch.no_grad(), on_threads(own.threads):
                batches = batches_in_order(len(val_labels), recipe.batch_size)
                logits = torch.cat([logits_of(val_images(positions)).cpu() for positions in batches])
            val_loss, val_accuracy = score(logits, val_labels)
            yield PlainEpoch(number, train_loss, val_loss, val_accuracy, time.perf_counter() - started, logits)
        if frozen_digest(module, chain, phase.train_from, recipe.frozen_norm) != frozen:
            raise frozen_changed(recipe.backbone, phase.train_from)
