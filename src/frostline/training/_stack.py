"""Stacked heads: heads of one shape, trained as one tensor, where those of a seed read the same rows in the same order.

A head's numbers don't depend on the others in its stack, not even their last bits: nothing is summed over heads, and a
stack computes on one thread. Small stacks have spare heads, batches are filled up with images of no weight, a single
feature and the parameters of a head with zeros, because the routines for products, exponentials and steps treat small
matrices, and the last few numbers of any, in another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import nn

from frostline.plan import ROWS_AT_ONCE, way_to_step
from frostline.streams import stream_seed
from frostline.training._dropout import DropoutStream
from frostline.training._filling import LEAST_UNITS, filled_up, in_rows, out_of_rows, wide
from frostline.training._loss import Targets
from frostline.training._order import batch_order, batches_in_order
from frostline.training._stepping import HeadsOptimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from frostline.plan import Precision
    from frostline.study import Phase, Recipe
    from frostline.training._rows import Rows

__all__ = ["HeadStack", "StackMember", "StackSpec"]

StackBatch: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""The inputs of a batch, [B, D], and its targets: see ``Targets``."""

Gradients: TypeAlias = tuple[torch.Tensor, list[torch.Tensor]]


@dataclass(frozen=True)
class StackMember:
    """One head: the id of its trajectory and its phase of training."""

    id: str
    phase: Phase


@dataclass(frozen=True)
class StackSpec:
    """Heads that can be stacked: equal recipes but for their single phases.

    ``head`` is their initial head; rows are those of ``recipe`` at the cut before the head.
    """

    head: nn.Module
    recipe: Recipe
    members: tuple[StackMember, ...]
    train_rows: Rows
    val_rows: Rows


class HeadStack:
    """Trains heads together, an epoch at a time.

    Maps between layers are [S, O, B]: S heads, those of a seed behind each other, O units, B images side by side.

    Args:
        specs: the heads of each of G seeds; equal in everything else, with members that are stepped in the same ways
            in the same order. Only one where there is dropout, which draws from one stream.
        loss: the cross-entropy of their recipes.
        device: where to train.
        precision: of products; in bfloat16 what a layer gives is rounded, too, as autocast has it.
    """

    def __init__(
        self,
        specs: Sequence[StackSpec],
        loss: nn.CrossEntropyLoss,
        device: torch.device,
        precision: Precision = "ieee",
    ) -> None:
        self._specs, self._device = tuple(specs), device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.members = tuple(member for spec in specs for member in spec.members)
        self._recipe, head = specs[0].recipe, specs[0].head
        linear = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
        self._targets = Targets(loss, linear[-1].out_features, device)
        self._dropout = next((layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)), 0.0)
        self._n_own = len(specs[0].members)
        # Spare ones included.
        self._n_heads = max(self._n_own, math.ceil(LEAST_UNITS / min(layer.out_features for layer in linear)))
        self._shapes = {name: parameter.shape for name, parameter in head.named_parameters()}
        self._rows = [self._repeat(each) for each in zip(*(spec.head.parameters() for spec in specs), strict=True)]
        both = [out_of_rows(rows, shape) for rows, shape in zip(self._rows, self._shapes.values(), strict=True)]
        self._weights, self._biases = both[::2], both[1::2]  # [S, O, I] and [S, O] each
        self._parts: list[tuple[slice, HeadsOptimizer]] = []
        for _, own in groupby(specs[0].members, key=lambda member: way_to_step(member.phase.optimizer)):
            optimizers = [member.phase.optimizer for member in own]
            start = self._parts[-1][0].stop if self._parts else 0
            part = slice(start, start + len(optimizers))
            self._parts.append((part, HeadsOptimizer(self._of_part(self._rows, part), optimizers[0])))
        self._n_steps = torch.zeros((), device=device)

    def run_epoch(
        self, epoch: int, rates: Mapping[str, NDArray[np.float32]], on_step: Callable[[int, int], None]
    ) -> list[float]:
        """Train an epoch (0-based) and return each member's mean loss over images, not finite where a step's isn't.

        ``rates`` are the learning rates of each member in each step, by its id.
        """
        n, recipe = self._specs[0].train_rows.n, self._recipe
        orders = [batch_order(spec.recipe.seed, epoch, n, recipe.batch_size) for spec in self._specs]
        n_steps = len(orders[0])
        of_members = torch.from_numpy(np.stack([rates[member.id] for member in self.members])).to(self._device)
        of_heads = of_members.view(len(orders), self._n_own, n_steps, 1)
        of_parts = [of_heads[:, part].unbind(2) for part, _ in self._parts]
        exact = torch.float32 if self._device.type == "mps" else torch.float64  # which MPS doesn't have
        total = torch.zeros(len(self._weights[0]), dtype=exact, device=self._device)
        self._n_steps.fill_(epoch * n_steps)
        batches = (self._batches(spec, order, epoch) for spec, order in zip(self._specs, orders, strict=True))
        stream = DropoutStream(stream_seed("dropout", recipe.seed, epoch), self._device)
        with torch.no_grad():
            for step, of_seeds in enumerate(zip(*batches, strict=True)):
                losses, gradients = self._backward(of_seeds, self._draw_masks(len(of_seeds[0][0]), stream))
                total.add_(losses, alpha=len(of_seeds[0][0]))
                self._n_steps += 1
                for (part, optimizer), own in zip(self._parts, of_parts, strict=True):
                    optimizer.step(self._of_part(gradients, part), own[step], self._n_steps)
                on_step(step + 1, n_steps)
        means = (total / n).view(len(orders), self._n_heads)
        return [float(loss) for loss in means[:, : self._n_own].flatten()]

    def evaluate(self) -> torch.Tensor:
        """Return each member's logits of all validation rows, float32 [M, N, K] on the CPU."""
        n = self._specs[0].val_rows.n
        order = batches_in_order(n, self._recipe.batch_size)
        # One piece of memory: small ones, kept between reads that come and go, would keep theirs from being used again.
        logits = torch.empty(len(self.members), n, self._biases[-1].shape[1])
        with torch.no_grad():
            for number, spec in enumerate(self._specs):
                own, start = logits[number * self._n_own : (number + 1) * self._n_own], 0
                for sizes, inputs, _ in _reads(spec.val_rows, order, 0, self._device, ROWS_AT_ONCE):
                    for batch in torch.split(inputs, sizes):
                        own[:, start : start + len(batch)] = self._logits(batch, number)
                        start += len(batch)
        return logits

    def head_state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a member's parameters under the names that they have in a head of its own; the tensors are live."""
        number, place = divmod(index, self._n_own)
        return self._named([rows[number * self._n_heads + place] for rows in self._rows])

    def state(self, index: int) -> dict[str, torch.Tensor]:
        """Return a member's parameters and optimizer state; the tensors are live."""
        number, place = divmod(index, self._n_own)
        part, optimizer = next(each for each in self._parts if place < each[0].stop)
        state = self.head_state(index)
        for name, moments in optimizer.state().items():
            own = self._named([rows[number, place - part.start] for rows in moments]) if moments else {}
            state |= {f"{name}.{i}": tensor for i, tensor in enumerate(own.values())}
        return state

    def restore(self, index: int, state: Mapping[str, torch.Tensor]) -> None:
        """Set a member to a state of its own."""
        for name, tensor in self.state(index).items():
            tensor.copy_(state[name])

    def _repeat(self, parameters: Sequence[nn.Parameter]) -> torch.Tensor:
        """Return the initial parameter of each seed for all of its heads, as rows [S, P]."""
        initial = (parameter.detach().to(self._device) for parameter in parameters)
        return in_rows(torch.cat([parameter.expand(self._n_heads, *parameter.shape) for parameter in initial]))

    def _of_part(self, rows: Sequence[torch.Tensor], part: slice) -> list[torch.Tensor]:
        """Return the rows [S, P] of heads that are stepped together, [G, H, P]."""
        return [each.view(len(self._specs), self._n_heads, -1)[:, part] for each in rows]

    def _named(self, rows: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a head's row of each parameter, [P], by the names and in the shapes of its parameters."""
        named = zip(self._shapes.items(), rows, strict=True)
        return {name: out_of_rows(row.unsqueeze(0), shape)[0] for (name, shape), row in named}

    def _batches(self, spec: StackSpec, order: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[StackBatch]:
        for sizes, inputs, labels in _reads(
            spec.train_rows, order, epoch, self._device, ROWS_AT_ONCE // len(self._specs)
        ):
            targets, weights = self._targets.of(labels, sizes)
            yield from zip(
                torch.split(inputs, sizes), torch.split(targets, sizes, 1), torch.split(weights, sizes), strict=True
            )

    def _logits(self, inputs: torch.Tensor, number: int) -> torch.Tensor:
        """Return the logits of a batch [B, D] by each member of a seed, [H, B, K] on the CPU."""
        heads = slice(number * self._n_heads, (number + 1) * self._n_heads)
        logits = self._forward(filled_up(wide(inputs).T).unsqueeze(0), heads)[-1]
        return logits[: self._n_own, :, : len(inputs)].transpose(1, 2).cpu()

    def _forward(
        self, inputs: torch.Tensor, heads: slice = slice(None), masks: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Return what each layer gives: hidden layers after ReLU and dropout, then logits [S, K, B].

        Args:
            inputs: [G, D, B], of two features at least.
            heads: which of all, those of G seeds.
            masks: what dropout multiplies hidden layers by, [O, B] each; none for evaluation.
        """
        weights, biases = ([each[heads].to(self._dtype) for each in part] for part in (self._weights, self._biases))
        n_seeds, n_units = len(inputs), self._n_heads * biases[0].shape[1]
        # One product for all heads of a seed: they have the same inputs.
        weight, bias = wide(weights[0]).reshape(n_seeds, n_units, -1), biases[0].reshape(n_seeds, n_units, 1)
        outputs = [torch.baddbmm(bias, weight, inputs.to(self._dtype)).view(*biases[0].shape, -1)]
        for layer, (weight, bias) in enumerate(zip(weights[1:], biases[1:], strict=True)):
            outputs[-1].relu_()
            if masks:
                outputs[-1].mul_(masks[layer])
            outputs.append(torch.baddbmm(bias.unsqueeze(2), weight, outputs[-1]))
        return outputs

    def _backward(self, batches: Sequence[StackBatch], masks: Sequence[torch.Tensor]) -> Gradients:
        """Return each head's mean loss on its seed's batch, [S], and its gradients as rows, in the parameters' order.

        The cross-entropy of a target distribution q is -sum(q log p), its gradient in the logits p sum(q) - q.
        """
        inputs, target, weight = (torch.stack(parts) for parts in zip(*batches, strict=True))
        inputs = filled_up(wide(inputs).transpose(1, 2))
        target, weight = filled_up(target), filled_up(weight)
        outputs = self._forward(inputs, masks=masks)
        log_p = torch.log_softmax(outputs[-1].float(), dim=1).view(len(batches), self._n_heads, *target.shape[1:])
        losses = (log_p * target.unsqueeze(1)).sum(dim=(2, 3)).neg_().flatten()
        delta = log_p.exp_().mul_(weight[:, None, None]).sub_(target.unsqueeze(1)).view_as(outputs[-1])
        delta = delta.to(self._dtype)
        gradients: list[torch.Tensor] = []
        for layer in range(len(outputs) - 1, 0, -1):
            gradients[:0] = [torch.bmm(delta, outputs[layer - 1].transpose(1, 2)), delta.sum(dim=2)]
            delta = torch.bmm(self._weights[layer].to(self._dtype).transpose(1, 2), delta).mul_(outputs[layer - 1] > 0)
            if masks:
                delta.mul_(masks[layer - 1])
        of_seeds = delta.view(len(batches), -1, delta.shape[2])
        inputs = inputs.to(self._dtype)
        first = torch.bmm(of_seeds, inputs.transpose(1, 2)).view(*self._weights[0].shape[:2], -1)
        gradients[:0] = [first[:, :, : self._weights[0].shape[2]], delta.sum(dim=2)]
        return losses, [in_rows(gradient.float()) for gradient in gradients]

    def _draw_masks(self, n_images: int, stream: DropoutStream) -> list[torch.Tensor]:
        """Draw dropout for a batch, [O, B] for each hidden layer: once, as heads of one seed draw the same alone."""
        if not self._dropout:
            return []
        sizes = [bias.shape[1] for bias in self._biases[:-1]]
        return [filled_up(stream.noise((n_images, size), self._dropout).T).to(self._dtype) for size in sizes]


def _reads(
    rows: Rows, order: Sequence[NDArray[np.int64]], epoch: int, device: torch.device, n_rows: int
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield the sizes of many batches, about ``n_rows`` rows together, these [N, D] and their labels [N]."""
    per_read = max(1, n_rows // max(map(len, order)))
    groups = [order[i : i + per_read] for i in range(0, len(order), per_read)]
    reads = rows.batches([np.concatenate(group) for group in groups], epoch, device)
    for group, ((inputs,), labels) in zip(groups, reads, strict=True):
        yield [len(positions) for positions in group], inputs, labels
