"""The cost model: from measured rates of this machine to the seconds of any piece of work."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from frostline.plan._numerics import choose_layout, choose_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.models.facts import BackboneFacts, CutFacts
    from frostline.plan._numerics import Layout

__all__ = ["CostModel", "EpochWork", "Rates"]

COPY_BYTES_PER_SECOND = 1e9
"""Rows copied to or from the page cache; the cost of a cached epoch where the tail is nearly free."""

BOOKKEEPING_SECONDS = 0.01
"""A checkpoint and the ledger's entries, at the end of an epoch."""


@dataclass(frozen=True)
class Rates:
    """What calibration measured for one backbone at one image size on this machine, in seconds for one image.

    ``forward`` and ``train`` are the tail's evaluation and its forward and backward pass at each cut of ``flops``
    (operations before the cut, ascending), on all ``threads``. ``prefix`` is the inference engine's whole prefix, which
    takes ``setup`` to compile.
    ``store`` is how many bytes a second reach the disk. ``step`` is the cost of an optimizer step, ``parameter_step``
    that of each trained parameter in it, and ``head_parameter`` that of each of the head's parameters in training on an
    image. ``stack_step`` is a step of a stack of heads, with ``stack_parameter`` for each parameter and image on top,
    with a stack on each of ``threads``. ``saved`` are the bytes that training from a cut keeps of an image for its
    backward pass. ``lanes`` are numbers of processes side by side, which share the threads, and ``slowdowns[i]`` how
    many times longer than alone training from each cut takes in each of ``lanes[i]``. ``doubt`` says why all that may
    be wrong, such as that the machine was busy; it is measured anew the next time.
    """

    flops: tuple[float, ...]
    forward: tuple[float, ...]
    train: tuple[float, ...]
    prefix: float
    setup: float
    store: float
    decode: float
    step: float
    parameter_step: float
    head_parameter: float
    stack_step: float
    stack_parameter: float
    saved: tuple[float, ...]
    threads: int
    lanes: tuple[int, ...]
    slowdowns: tuple[tuple[float, ...], ...]
    engine: str
    doubt: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the rates as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rates:
        """Rebuild rates from what to_json returned."""
        return cls(**{key: _frozen(value) for key, value in data.items()})


@dataclass(frozen=True)
class EpochWork:
    """What an epoch does: images trained and evaluated, from which place on, and the size of the head."""

    train_from: CutFacts
    n_train: int
    n_val: int
    batch_size: int
    head_parameters: int


@dataclass(frozen=True)
class CostModel:
    """Predicts seconds for one backbone at one image size; every method is linear in the number of images.

    ``device`` is the kind that it runs on: ``cpu``, ``cuda`` or ``mps``. Only this process can build a network that is
    ``only_here``, so that none beside it can train it. ``compiled`` are the prefixes that are compiled already and
    kept for the run: the weights, which of the file, and the cuts.
    """

    facts: BackboneFacts
    rates: Rates
    device: str = "cpu"
    only_here: bool = False
    compiled: frozenset[tuple[str, str | None, tuple[str, ...]]] = frozenset()

    @property
    def lanes(self) -> int:
        """How many stacks of heads are trained at a time: one on an accelerator, which they share."""
        return self.rates.threads if self.device == "cpu" else 1

    @property
    def layout(self) -> Layout:
        """How maps lie in memory wherever torch computes them."""
        return choose_layout(self.facts, self.device)

    def threads(self, epoch: EpochWork) -> int:
        """Return how many threads train an epoch: by rule, the same whatever else is trained."""
        operations = self.facts.flops - epoch.train_from.flops_before + 2 * epoch.head_parameters
        return choose_threads(operations * epoch.batch_size, self.rates.threads)

    def pass_seconds(self, cut: CutFacts, n_images: int, n_bytes: int) -> float:
        """Return the seconds of a feature pass up to its last cut, decoding and writing included.

        The disk writes while the processor computes, so that only the slower of both counts.
        """
        share = cut.flops_before / max(self.facts.cuts[-1].flops_before, 1)
        computed = n_images * (self.rates.prefix * share + self.rates.decode) + n_bytes / COPY_BYTES_PER_SECOND
        return max(computed, n_bytes / self.rates.store)

    def epoch_seconds(self, epoch: EpochWork, cut: CutFacts) -> float:
        """Return the seconds of an epoch whose rows are at hand at a cut; at ``input`` they are images to decode."""
        computed = self._computed_seconds(epoch, cut, self._load_seconds(cut))
        if cut.name == "input":
            return computed
        # Rows are read ahead, and from the disk itself where memory can't hold them all.
        return max(computed, (epoch.n_train + epoch.n_val) * cut.row_bytes / self.rates.store)

    def recomputed_seconds(self, epoch: EpochWork, cut: CutFacts) -> float:
        """Return the seconds of an epoch whose rows at a cut are computed anew, by the engine of a pass."""
        return self.anew_seconds(epoch, cut) + self.epoch_seconds(epoch, cut)

    def anew_seconds(self, epoch: EpochWork, cut: CutFacts) -> float:
        """Return the seconds to compute an epoch's rows at a cut; none at ``input``, whose rows are images."""
        return 0.0 if cut.name == "input" else self.pass_seconds(cut, epoch.n_train + epoch.n_val, 0)

    def stack_epoch_seconds(self, epoch: EpochWork, n_heads: int, n_seeds: int = 1) -> float:
        """Return the seconds of an epoch of a stack of heads on one thread, reading the rows of each seed included."""
        cut = epoch.train_from
        steps = -(-epoch.n_train // epoch.batch_size)
        reading = (epoch.n_train + epoch.n_val) * cut.row_bytes / COPY_BYTES_PER_SECOND
        return steps * self.rates.stack_step + n_seeds * reading + n_heads * self.stacked_head_seconds(epoch)

    def stacked_head_seconds(self, epoch: EpochWork) -> float:
        """Return the seconds that one more head of a stack adds to an epoch."""
        # Evaluation does a third of the arithmetic.
        return (epoch.n_train + epoch.n_val / 3) * epoch.head_parameters * self.rates.stack_parameter

    def plain_epoch_seconds(self, epoch: EpochWork, cut: CutFacts) -> float:
        """Return the seconds of an epoch by the plain loop, which runs the whole network on every image.

        It loads images and runs the stages up to ``cut`` on all threads, the rest on the epoch's own number.
        """
        images, forward = self.facts.cuts[0], self.rates.forward
        before = self._load_seconds(images) + max(self._at(forward, images) - self._at(forward, cut), 0.0)
        return (epoch.n_train + epoch.n_val) * before + self._computed_seconds(epoch, cut, 0.0)

    def evaluation_seconds(self, n_images: int, cut: CutFacts) -> float:
        """Return the seconds to evaluate a network on images whose rows enter at a cut."""
        return n_images * (self._at(self.rates.forward, cut) + self._load_seconds(cut))

    def plain_evaluation_seconds(self, n_images: int) -> float:
        """Return the seconds to evaluate a network on images by the plain loop."""
        return n_images * (self.rates.forward[0] + self.rates.decode)

    def trained_parameters(self, epoch: EpochWork) -> int:
        """Return how many parameters an epoch trains, the new head's among them."""
        return self.facts.parameters_without_head - epoch.train_from.parameters_before + epoch.head_parameters

    def saved_bytes(self, train_from: CutFacts) -> float:
        """Return the bytes that training from a cut keeps of each image for its backward pass."""
        return self._at(self.rates.saved, train_from)

    def _computed_seconds(self, epoch: EpochWork, cut: CutFacts, load: float) -> float:
        """Return the seconds to train and evaluate on rows at a cut, each of which takes ``load`` seconds to be had."""
        forward, train = self.rates.forward, self.rates.train
        frozen = max(self._at(forward, cut) - self._at(forward, epoch.train_from), 0.0)
        # The measured tails end in a linear head, next to nothing beside hidden layers of thousands of units.
        head = self.rates.head_parameter * epoch.head_parameters
        trained = epoch.n_train * (frozen + self._at(train, epoch.train_from) + load + head)
        evaluated = epoch.n_val * (self._at(forward, cut) + load + head / 3)
        step = self.rates.step + self.rates.parameter_step * self.trained_parameters(epoch)
        computed = trained + evaluated + -(-epoch.n_train // epoch.batch_size) * step
        return computed * self._slowdown(epoch)

    def _slowdown(self, epoch: EpochWork) -> float:
        """Return how many times longer training takes on its own number of threads than on all."""
        n = self.rates.threads // self.threads(epoch)
        if epoch.train_from.name == "head" or self.device != "cpu":
            return 1.0  # a head that is given one of several threads keeps none of them busy, nor does an accelerator
        # As one of so many side by side, the worst case; between two that were measured, the larger one's.
        lane = next((i for i, lanes in enumerate(self.rates.lanes) if lanes >= n), None)
        return 1.0 if n == 1 or lane is None else self._at(self.rates.slowdowns[lane], epoch.train_from)

    def _load_seconds(self, cut: CutFacts) -> float:
        """Return the seconds to have an image's row at a cut in memory."""
        return self.rates.decode if cut.name == "input" else cut.row_bytes / COPY_BYTES_PER_SECOND

    def _at(self, seconds: Sequence[float], cut: CutFacts) -> float:
        """Interpolate between the measured cuts by the operations before them."""
        flops = self.rates.flops
        i = min(max(bisect_right(flops, cut.flops_before) - 1, 0), len(flops) - 1)
        j = min(i + 1, len(flops) - 1)
        if flops[j] <= flops[i]:
            return seconds[i]
        share = min(max((cut.flops_before - flops[i]) / (flops[j] - flops[i]), 0.0), 1.0)
        return seconds[i] + share * (seconds[j] - seconds[i])


def _frozen(value: Any) -> Any:
    """Turn the lists that JSON gives back into tuples, all the way down."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
