"""Stacked heads: heads of one shape and one seed, which read the same rows in the same order, trained as one tensor.

A head's numbers don't depend on the others in its stack, not even their last bits: nothing is summed over heads, and a
stack computes on one thread. Small stacks have spare heads, and batches are filled up with images of no weight, because
the routines for products and exponentials treat small matrices, and the last few numbers of any, in another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from frostline.streams import stream_seed
from frostline.training._epoch import dropout_stream
from frostline.training._optimizers import learning_rates
from frostline.training._order import batch_order, batches_in_order
from frostline.training._stepping import HeadOptimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from frostline.study import Phase, Recipe
    from frostline.training._rows import Rows

__all__ = ["HeadStack", "StackMember"]

LEAST_UNITS = 16
"""Units of all heads together, spare ones included, in each layer."""

IMAGES_AT_ONCE = 16
"""Batches are filled up to a multiple of these: as many numbers as the widest vector unit takes."""

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
        self.members = tuple(members)
        self._recipe, self._device = recipe, device
        linear = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
        self._class_weights, self._targets = _targets(loss, linear[-1].out_features, device)
        self._dropout = next((layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)), 0.0)
        n = max(len(members), math.ceil(LEAST_UNITS / min(layer.out_features for layer in linear)))
        self._weights = [_repeat(layer.weight, n, device) for layer in linear]  # [S, O, I] each
        self._biases = [_repeat(layer.bias, n, device) for layer in linear]  # [S, O] each
        names = [name for name, _ in head.named_parameters()]
        both = [tensor for pair in zip(self._weights, self._biases, strict=True) for tensor in pair]
        self._named = dict(zip(names, both, strict=True))
        self._optimizers = [
            HeadOptimizer([tensor[i] for tensor in self._named.values()], member.phase.optimizer)
            for i, member in enumerate(members)
        ]
        self._n_steps = torch.zeros((), device=device)

    def run_epoch(self, epoch: int, rows: Rows, on_step: Callable[[int, int], None]) -> list[float]:
        """Train an epoch (0-based) and return each head's mean loss over images, NaN where a step's isn't finite."""
        recipe = self._recipe
        order = batch_order(recipe.seed, epoch, rows.n, recipe.batch_size)
        rates = [
            learning_rates(m.phase.optimizer, m.phase.schedule, len(order), m.phase.epochs, epoch) for m in self.members
        ]
        total = torch.zeros(self._weights[0].shape[0], dtype=torch.float64, device=self._device)
        self._n_steps.fill_(epoch * len(order))
        with dropout_stream(stream_seed("dropout", recipe.seed, epoch), self._device), torch.no_grad():
            for step, (inputs, labels) in enumerate(_in_batches(rows, order, epoch, self._device)):
                losses, gradients = self._backward(inputs, labels)
                total += losses.double() * len(labels)
                self._n_steps += 1
                of_head = zip(*(gradient.unbind() for gradient in gradients), strict=True)
                for optimizer, own, rate in zip(self._optimizers, of_head, rates, strict=False):
                    optimizer.step(own, rate[step], self._n_steps)
                on_step(step + 1, len(order))
        return [float(loss) / rows.n for loss in total[: len(self.members)]]

    def evaluate(self, rows: Rows) -> torch.Tensor:
        """Return each head's logits of all rows, float32 [M, N, K] on the CPU."""
        order = batches_in_order(rows.n, self._recipe.batch_size)
        # One piece of memory: small ones, kept between reads that come and go, would keep theirs from being used again.
        logits = torch.empty(len(self.members), rows.n, self._biases[-1].shape[1])
        with torch.no_grad():
            for positions, (inputs, _) in zip(order, _in_batches(rows, order, 0, self._device), strict=True):
                logits[:, positions[0] : positions[-1] + 1] = self._logits(inputs)
        return logits

    def head_state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a head's parameters under the names that they have in a head of its own; the tensors are live."""
        return {name: tensor[index] for name, tensor in self._named.items()}

    def state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a head's parameters and optimizer state; the tensors are live."""
        return self.head_state(index) | self._optimizers[index].state()

    def restore(self, index: int, state: Mapping[str, torch.Tensor]) -> None:
        """Set a head to a state of its own."""
        for name, tensor in self.state(index).items():
            tensor.copy_(state[name])

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return each member's logits of a batch, [M, B, K] on the CPU."""
        filled = nn.functional.pad(inputs, (0, 0, 0, -len(inputs) % IMAGES_AT_ONCE))
        return self._forward(filled)[-1][: len(self.members), :, : len(inputs)].transpose(1, 2).cpu()

    def _forward(self, inputs: torch.Tensor, masks: Sequence[torch.Tensor] = ()) -> list[torch.Tensor]:
        """Return what each layer gives for a batch [B, D]: hidden layers after ReLU and dropout, then logits [S, K, B].

        ``masks`` are what dropout multiplies hidden layers by, [O, B] each; none for evaluation.
        """
        weight, bias = self._weights[0], self._biases[0]
        # One product for all heads: they have the same inputs.
        outputs = [torch.addmm(bias.view(-1, 1), weight.flatten(0, 1), inputs.T).view(*bias.shape, len(inputs))]
        for layer, (weight, bias) in enumerate(zip(self._weights[1:], self._biases[1:], strict=True)):
            outputs[-1].relu_()
            if masks:
                outputs[-1].mul_(masks[layer])
            outputs.append(torch.baddbmm(bias.unsqueeze(2), weight, outputs[-1]))
        return outputs

    def _backward(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return each head's mean loss on a batch, [S], and its gradients in the order of the parameters.

        The cross-entropy of a target distribution q is -sum(q log p), its gradient in the logits p sum(q) - q.
        """
        filling = -len(inputs) % IMAGES_AT_ONCE
        masks = self._draw_masks(len(inputs), filling)
        scale = 1 / self._class_weights[labels].sum()
        target = nn.functional.pad(self._targets[:, labels], (0, filling))
        inputs = nn.functional.pad(inputs, (0, 0, 0, filling))
        outputs = self._forward(inputs, masks)
        log_p = torch.log_softmax(outputs[-1], dim=1)
        losses = (log_p * target).sum(dim=(1, 2)).mul_(-scale)
        delta = log_p.exp_().mul_(target.sum(dim=0)).sub_(target).mul_(scale)
        gradients: list[torch.Tensor] = []
        for layer in range(len(outputs) - 1, 0, -1):
            gradients[:0] = [torch.bmm(delta, outputs[layer - 1].transpose(1, 2)), delta.sum(dim=2)]
            delta = torch.bmm(self._weights[layer].transpose(1, 2), delta).mul_(outputs[layer - 1] > 0)
            if masks:
                delta.mul_(masks[layer - 1])
        flat = delta.flatten(0, 1)
        return losses, [torch.mm(flat, inputs).view_as(self._weights[0]), delta.sum(dim=2), *gradients]

    def _draw_masks(self, n_images: int, filling: int) -> list[torch.Tensor]:
        """Draw dropout for a batch, [O, B] for each hidden layer: once, as heads of one seed draw the same alone."""
        if not self._dropout:
            return []
        sizes = [bias.shape[1] for bias in self._biases[:-1]]
        ones = (torch.ones(n_images, size, device=self._device) for size in sizes)
        return [nn.functional.pad(nn.functional.dropout(each, self._dropout).T, (0, filling)) for each in ones]


def _targets(loss: nn.CrossEntropyLoss, n_classes: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the class weights, [K], and the target distribution for each label, a column each of [K, K].

    As torch.nn.CrossEntropyLoss has it: label smoothing mixes in a uniform distribution, a class weight multiplies the
    class's part, and a batch's loss is the sum over its images by the sum of the weights of their labels.
    """
    weight = torch.ones(n_classes) if loss.weight is None else loss.weight.cpu()
    smooth = loss.label_smoothing
    distribution = torch.eye(n_classes) * (1 - smooth) + smooth / n_classes
    return weight.to(device), (weight[:, None] * distribution).to(device)


def _repeat(parameter: torch.Tensor, n: int, device: torch.device) -> torch.Tensor:
    return parameter.detach().to(device).expand(n, *parameter.shape).clone()


def _in_batches(
    rows: Rows, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the rows [B, D] and labels [B] of each batch, reading many batches at a time."""
    per_read = max(1, ROWS_AT_ONCE // max(map(len, order)))
    groups = [order[i : i + per_read] for i in range(0, len(order), per_read)]
    reads = rows.batches([np.concatenate(group) for group in groups], epoch, device)
    for group, ((inputs,), labels) in zip(groups, reads, strict=True):
        sizes = [len(positions) for positions in group]
        yield from zip(torch.split(inputs, sizes), torch.split(labels, sizes), strict=True)
