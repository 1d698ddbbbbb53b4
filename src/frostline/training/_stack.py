"""Stacked heads: heads of one shape and one seed, which read the same rows in the same order, trained as one tensor.

A head's numbers don't depend on the others in its stack, not even their last bits: nothing is summed over heads, and a
stack computes on one thread. Small stacks have spare heads, batches are filled up with images of no weight, and the
parameters of a head with zeros, because the routines for products, exponentials and steps treat small matrices, and
the last few numbers of any, in another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from frostline.streams import stream_seed
from frostline.training._epoch import dropout_stream
from frostline.training._loss import Targets
from frostline.training._optimizers import learning_rates
from frostline.training._order import batch_order, batches_in_order
from frostline.training._stepping import HeadsOptimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from frostline.study import Optimizer, Phase, Recipe
    from frostline.training._rows import Rows

__all__ = ["HeadStack", "StackMember"]

LEAST_UNITS = 16
"""Units of all heads together, spare ones included, in each layer."""

IMAGES_AT_ONCE = 16
"""Batches are filled up to a multiple of these: as many numbers as the widest vector unit takes."""

NUMBERS_AT_ONCE = 32
"""A head's parameters are filled up to a multiple of these: two of the widest vectors, as loops are unrolled."""

ROWS_AT_ONCE = 4096
"""Rows read in one go, a few megabytes: each read costs as much as several steps of a small stack."""


@dataclass(frozen=True)
class StackMember:
    """One head: the id of its trajectory and its phase of training."""

    id: str
    phase: Phase


class HeadStack:
    """Trains heads together, an epoch at a time.

    Maps between layers are [S, O, B]: S heads, O units, B images side by side.

    Args:
        head: the initial head of all of them: a linear layer, or linear layers with ReLU and dropout between.
        members: the M heads; equal in everything but optimizer, schedule and epochs.
        recipe: what they have in common: seed, batch size.
        loss: the cross-entropy of their recipe.
        device: where to train.
    """

    def __init__(
        self,
        head: nn.Module,
        members: Sequence[StackMember],
        recipe: Recipe,
        loss: nn.CrossEntropyLoss,
        device: torch.device,
    ) -> None:
        # Heads stand with those that are stepped in the same way.
        self.members = tuple(sorted(members, key=lambda member: _way_to_step(member.phase.optimizer)))
        self._recipe, self._device = recipe, device
        linear = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
        self._targets = Targets(loss, linear[-1].out_features, device)
        self._dropout = next((layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)), 0.0)
        n = max(len(members), math.ceil(LEAST_UNITS / min(layer.out_features for layer in linear)))
        self._shapes = {name: parameter.shape for name, parameter in head.named_parameters()}
        initial = (parameter.detach().to(device) for parameter in head.parameters())
        self._rows = [_in_rows(parameter.expand(n, *parameter.shape)).clone() for parameter in initial]
        both = [_out_of_rows(rows, shape) for rows, shape in zip(self._rows, self._shapes.values(), strict=True)]
        self._weights, self._biases = both[::2], both[1::2]  # [S, O, I] and [S, O] each
        self._parts: list[tuple[slice, HeadsOptimizer]] = []
        for _, own in groupby(self.members, key=lambda member: _way_to_step(member.phase.optimizer)):
            optimizers = [member.phase.optimizer for member in own]
            start = self._parts[-1][0].stop if self._parts else 0
            part = slice(start, start + len(optimizers))
            self._parts.append((part, HeadsOptimizer([rows[part] for rows in self._rows], optimizers[0])))
        self._n_steps = torch.zeros((), device=device)

    def run_epoch(self, epoch: int, rows: Rows, on_step: Callable[[int, int], None]) -> list[float]:
        """Train an epoch (0-based) and return each head's mean loss over images, NaN where a step's isn't finite."""
        recipe = self._recipe
        order = batch_order(recipe.seed, epoch, rows.n, recipe.batch_size)
        of_members = [
            learning_rates(m.phase.optimizer, m.phase.schedule, len(order), m.phase.epochs, epoch) for m in self.members
        ]
        rates = torch.tensor(of_members, device=self._device).T.unsqueeze(2)  # [steps, M, 1]
        of_parts = [rates[:, part].unbind() for part, _ in self._parts]
        total = torch.zeros(self._weights[0].shape[0], dtype=torch.float64, device=self._device)
        self._n_steps.fill_(epoch * len(order))
        with dropout_stream(stream_seed("dropout", recipe.seed, epoch), self._device), torch.no_grad():
            for step, batch in enumerate(self._batches(rows, order, epoch)):
                losses, gradients = self._backward(*batch)
                total.add_(losses, alpha=len(batch[0]))
                self._n_steps += 1
                for (part, optimizer), own in zip(self._parts, of_parts, strict=True):
                    optimizer.step([gradient[part] for gradient in gradients], own[step], self._n_steps)
                on_step(step + 1, len(order))
        return [float(loss) / rows.n for loss in total[: len(self.members)]]

    def evaluate(self, rows: Rows) -> torch.Tensor:
        """Return each head's logits of all rows, float32 [M, N, K] on the CPU."""
        order = batches_in_order(rows.n, self._recipe.batch_size)
        # One piece of memory: small ones, kept between reads that come and go, would keep theirs from being used again.
        logits = torch.empty(len(self.members), rows.n, self._biases[-1].shape[1])
        with torch.no_grad():
            start = 0
            for sizes, inputs, _ in _reads(rows, order, 0, self._device):
                for batch in torch.split(inputs, sizes):
                    logits[:, start : start + len(batch)] = self._logits(batch)
                    start += len(batch)
        return logits

    def head_state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a head's parameters under the names that they have in a head of its own; the tensors are live."""
        return self._of_head(self._rows, index)

    def state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a head's parameters and optimizer state; the tensors are live."""
        part, optimizer = next(each for each in self._parts if index < each[0].stop)
        moments = {name: self._of_head(rows, index - part.start) for name, rows in optimizer.state().items() if rows}
        of_optimizer = {f"{name}.{i}": t for name, own in moments.items() for i, t in enumerate(own.values())}
        return self.head_state(index) | of_optimizer

    def restore(self, index: int, state: Mapping[str, torch.Tensor]) -> None:
        """Set a head to a state of its own."""
        for name, tensor in self.state(index).items():
            tensor.copy_(state[name])

    def _of_head(self, tensors: Sequence[torch.Tensor], index: int) -> dict[str, torch.Tensor]:
        """Return what rows hold for a head, by the names and in the shapes of its parameters."""
        named = zip(self._shapes.items(), tensors, strict=True)
        return {name: _out_of_rows(rows, shape)[index] for (name, shape), rows in named}

    def _batches(
        self, rows: Rows, order: Sequence[NDArray[np.int64]], epoch: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield the inputs of each batch, [B, D], and its targets; see ``Targets``."""
        for sizes, inputs, labels in _reads(rows, order, epoch, self._device):
            targets, weights = self._targets.of(labels, sizes)
            yield from zip(
                torch.split(inputs, sizes), torch.split(targets, sizes, 1), torch.split(weights, sizes), strict=True
            )

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return each member's logits of a batch, [M, B, K] on the CPU."""
        return self._forward(_filled_up(inputs.T).T)[-1][: len(self.members), :, : len(inputs)].transpose(1, 2).cpu()

    def _forward(self, inputs: torch.Tensor, masks: Sequence[torch.Tensor] = ()) -> list[torch.Tensor]:
        """Return what each layer gives for a batch [B, D]: hidden layers after ReLU and dropout, then logits [S, K, B].

        ``masks`` are what dropout multiplies hidden layers by, [O, B] each; none for evaluation.
        """
        weight, bias = self._weights[0], self._biases[0]
        # One product for all heads: they have the same inputs.
        outputs = [torch.addmm(bias.reshape(-1, 1), weight.flatten(0, 1), inputs.T).view(*bias.shape, len(inputs))]
        for layer, (weight, bias) in enumerate(zip(self._weights[1:], self._biases[1:], strict=True)):
            outputs[-1].relu_()
            if masks:
                outputs[-1].mul_(masks[layer])
            outputs.append(torch.baddbmm(bias.unsqueeze(2), weight, outputs[-1]))
        return outputs

    def _backward(
        self, inputs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return each head's mean loss on a batch, [S], and its gradients as rows, in the order of the parameters.

        The cross-entropy of a target distribution q is -sum(q log p), its gradient in the logits p sum(q) - q.
        """
        masks = self._draw_masks(len(inputs))
        inputs, target, weight = _filled_up(inputs.T).T, _filled_up(target).contiguous(), _filled_up(weight)
        outputs = self._forward(inputs, masks)
        log_p = torch.log_softmax(outputs[-1], dim=1)
        losses = (log_p * target).sum(dim=(1, 2)).neg_()
        delta = log_p.exp_().mul_(weight).sub_(target)
        gradients: list[torch.Tensor] = []
        for layer in range(len(outputs) - 1, 0, -1):
            gradients[:0] = [torch.bmm(delta, outputs[layer - 1].transpose(1, 2)), delta.sum(dim=2)]
            delta = torch.bmm(self._weights[layer].transpose(1, 2), delta).mul_(outputs[layer - 1] > 0)
            if masks:
                delta.mul_(masks[layer - 1])
        flat = delta.flatten(0, 1)
        gradients[:0] = [torch.mm(flat, inputs).view_as(self._weights[0]), delta.sum(dim=2)]
        return losses, [_in_rows(gradient) for gradient in gradients]

    def _draw_masks(self, n_images: int) -> list[torch.Tensor]:
        """Draw dropout for a batch, [O, B] for each hidden layer: once, as heads of one seed draw the same alone."""
        if not self._dropout:
            return []
        sizes = [bias.shape[1] for bias in self._biases[:-1]]
        ones = (torch.ones(n_images, size, device=self._device) for size in sizes)
        return [_filled_up(nn.functional.dropout(each, self._dropout).T) for each in ones]


def _way_to_step(optimizer: Optimizer) -> tuple[str, float, bool, float]:
    """Return what heads have in common that are stepped together: everything but the learning rate."""
    return optimizer.name, optimizer.momentum, optimizer.nesterov, optimizer.weight_decay


def _filled_up(tensor: torch.Tensor) -> torch.Tensor:
    """Return numbers of each image in a batch, [..., B], with zeros for images of no weight behind them."""
    filling = -tensor.shape[-1] % IMAGES_AT_ONCE
    return nn.functional.pad(tensor, (0, filling)) if filling else tensor


def _in_rows(tensor: torch.Tensor) -> torch.Tensor:
    """Return what there is for each head, [S, ...], as rows [S, P] that are filled up."""
    rows = tensor.flatten(1)
    filling = -rows.shape[1] % NUMBERS_AT_ONCE
    return nn.functional.pad(rows, (0, filling)) if filling else rows.contiguous()


def _out_of_rows(rows: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return what rows [S, P] hold as [S, ...], a view."""
    return rows[:, : shape.numel()].view(len(rows), *shape)


def _reads(
    rows: Rows, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield the sizes of many batches, and their rows [N, D] and labels [N] behind each other."""
    per_read = max(1, ROWS_AT_ONCE // max(map(len, order)))
    groups = [order[i : i + per_read] for i in range(0, len(order), per_read)]
    reads = rows.batches([np.concatenate(group) for group in groups], epoch, device)
    for group, ((inputs,), labels) in zip(groups, reads, strict=True):
        yield [len(positions) for positions in group], inputs, labels
