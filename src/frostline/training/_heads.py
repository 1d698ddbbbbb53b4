"""A group of heads on stored activations: stacks of them side by side, an epoch of all at a time."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from frostline.plan import SeedHeads, divide_heads, likeness, stack_lanes
from frostline.training._loss import build_loss
from frostline.training._order import batches_in_order
from frostline.training._rates import HeadRates
from frostline.training._stack import HeadStack, StackSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from frostline.plan import Precision

__all__ = ["HeadEpoch", "HeadsTraining"]

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class HeadEpoch:
    """What an epoch gave for one head: the mean training loss over images, and the validation logits [N, K]."""

    train_loss: float
    logits: torch.Tensor


class HeadsTraining:
    """Trains heads an epoch at a time; a context manager, which holds threads.

    Args:
        specs: the heads, by what they have in common.
        labels: the training labels, int64 [N].
        classes: the K class names.
        device: where to train.
        precision: of products.
    """

    def __init__(
        self,
        specs: Sequence[StackSpec],
        labels: NDArray[np.int64],
        classes: Sequence[str],
        device: torch.device,
        precision: Precision = "ieee",
    ) -> None:
        self._specs, self._labels, self._classes, self._device = specs, labels, classes, device
        self._precision = precision
        self._threads = torch.get_num_threads()
        # Stacks with dropout take turns, as on an accelerator they draw from its one generator; so do its kernels.
        self._n_workers = stack_lanes(list(map(_seed_heads, specs)), self._threads) if device.type == "cpu" else 1
        self._workers = ThreadPoolExecutor(self._n_workers, thread_name_prefix="frostline-heads")
        self._stop = threading.Event()
        steps = [len(batches_in_order(spec.train_rows.n, spec.recipe.batch_size)) for spec in specs]
        self._rates = HeadRates(
            {m.id: (m.phase, n) for spec, n in zip(specs, steps, strict=True) for m in spec.members}
        )
        self._stacks: list[HeadStack] = []
        self._build(None)

    def __enter__(self) -> HeadsTraining:
        # One thread to a stack: what a stack computes doesn't fill more, and its last bits stay the same.
        torch.set_num_threads(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._workers.shutdown()
        torch.set_num_threads(self._threads)

    def run_epoch(self, epoch: int, on_step: Callable[[int, int], None]) -> dict[str, HeadEpoch]:
        """Train epoch ``epoch`` (0-based), evaluate, and return what it gave for each head by its id.

        ``on_step`` is told the steps done by all stacks and how many there are, from the calling thread.
        """
        done: dict[int, tuple[int, int]] = {}
        futures: list[Future[dict[str, HeadEpoch]]] = []
        rates = self._rates.of_epoch(epoch, [member.id for stack in self._stacks for member in stack.members])
        for index, stack in enumerate(self._stacks):

            def count(step: int, n_steps: int, index: int = index) -> None:
                done[index] = (step, n_steps)
                if self._stop.is_set():
                    raise InterruptedError

            futures.append(self._workers.submit(_run, stack, epoch, rates, count))
        pending: set[Future[dict[str, HeadEpoch]]] = set(futures)
        try:
            while pending:
                finished, pending = wait(pending, POLL_SECONDS, FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                steps = list(done.values())
                if steps:
                    on_step(sum(step for step, _ in steps), max(n for _, n in steps) * len(self._stacks))
        except BaseException:
            self._stop.set()
            raise
        return {id_: result for future in futures for id_, result in future.result().items()}

    def drop(self, ids: Collection[str]) -> None:
        """Stop training some heads; the others' numbers are not to change by that."""
        if ids:
            states = {id_: state for id_, state in self._states().items() if id_ not in ids}
            self._build(states)

    def head_state(self, id_: str) -> dict[str, torch.Tensor]:
        """Return a head's parameters by the names they have in the head; the tensors are live."""
        for stack in self._stacks:
            for index, member in enumerate(stack.members):
                if member.id == id_:
                    return stack.head_state(index)
        raise KeyError(id_)

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """Return the state of every head after the last epoch as named tensors."""
        return {f"{id_}/{name}": t for id_, state in self._states().items() for name, t in state.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from a checkpoint of the same heads, or of more of them."""
        states: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            id_, _, name = key.partition("/")
            states.setdefault(id_, {})[name] = tensor
        known = set(self._states())
        self._build({id_: state for id_, state in states.items() if id_ in known})

    def _states(self) -> dict[str, dict[str, torch.Tensor]]:
        return {m.id: stack.state(i) for stack in self._stacks for i, m in enumerate(stack.members)}

    def _build(self, states: Mapping[str, Mapping[str, torch.Tensor]] | None) -> None:
        """Stack the heads: all of them as they begin, or those of which there is a state."""
        kept = [
            replace(spec, members=tuple(m for m in spec.members if states is None or m.id in states))
            for spec in self._specs
        ]
        seeds = list(map(_seed_heads, kept))
        self._stacks = []
        for own in divide_heads(seeds, len(self._classes), self._n_workers):
            specs = [replace(kept[i], members=tuple(kept[i].members[j] for j in own[i])) for i in own]
            loss = build_loss(specs[0].recipe, self._labels, self._classes).to(self._device)
            stack = HeadStack(specs, loss, self._device, self._precision)
            for index, member in enumerate(stack.members):
                if states is not None:
                    stack.restore(index, states[member.id])
            self._stacks.append(stack)


def _seed_heads(spec: StackSpec) -> SeedHeads:
    optimizers = tuple(member.phase.optimizer for member in spec.members)
    alike = (likeness(spec.recipe), spec.train_rows.n)
    return SeedHeads(alike, optimizers, spec.val_rows.n, bool(spec.recipe.head.dropout), spec.train_rows.concurrent)


def _run(
    stack: HeadStack, epoch: int, rates: Mapping[str, NDArray[np.float32]], on_step: Callable[[int, int], None]
) -> dict[str, HeadEpoch]:
    losses = stack.run_epoch(epoch, rates, on_step)
    logits = stack.evaluate()
    return {m.id: HeadEpoch(losses[i], logits[i]) for i, m in enumerate(stack.members)}
