"""Gathers what is measured of a backbone, piece by piece, and estimates the pieces that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.machine import _busy
from frostline.machine._bench import Answer, NotBuiltError, PieceLostError, Request
from frostline.machine._place import CPU

if TYPE_CHECKING:
    from frostline.machine._bench import Bench
    from frostline.machine._pieces import Pieces
    from frostline.machine._place import Place
    from frostline.models.facts import BackboneFacts

__all__ = ["Gathering"]

MOST_LOST = 3
"""Pieces after which nothing more is asked: the fault isn't that of a piece, and each may take a process along."""

SECONDS_PER_OPERATION = 1e-10
"""Ten billion operations a second: a few cores, or one with wide vectors."""

TRAINING = 3.0
"""A backward pass does twice the work of the forward pass before it."""

KEPT = 4.0
"""Bytes that training keeps, for each byte that crosses a cut after it: layers between cuts keep theirs as well."""


class Gathering:
    """Asks for pieces of a backbone, on so many threads, and goes on without those that are lost."""

    def __init__(self, bench: Bench, facts: BackboneFacts, threads: int | None, place: Place = CPU) -> None:
        self._bench, self._facts, self._threads, self._place = bench, facts, threads, place
        self._lost: list[str] = []
        self._own: Pieces | None = None
        self.disturbed = False

    def take(self, piece: str, *arguments: Any, otherwise: Any) -> Any:
        """Return what a piece gives, or something else where it is lost."""
        if len(self._lost) == MOST_LOST:
            return otherwise
        try:
            answer = self._ask(piece, arguments)
        except PieceLostError as error:
            cut = next((f" from {each}" for each in arguments if isinstance(each, str)), "")
            self._lost.append(f"timing {piece}{cut} {error}")
            return otherwise
        self.disturbed = self.disturbed or answer.disturbed
        return answer.value

    def _ask(self, piece: str, arguments: tuple[Any, ...]) -> Answer:
        """Ask the bench, and this process for a network that nobody else knows, such as one defined in a notebook."""
        if self._own is None:
            try:
                return self._bench.ask(
                    Request(self._facts, self._threads, _busy.MOST_SHARE, piece, arguments, self._place)
                )
            except NotBuiltError:
                from frostline.machine._pieces import Pieces

                self._own = Pieces(self._facts, _busy.MOST_SHARE, self._place)
        try:
            return Answer(self._own.take(piece, arguments), self._own.disturbed)
        except Exception as error:  # as there
            raise PieceLostError(f"failed ({type(error).__name__}: {error})") from error

    def forward_seconds(self, cut: str, per_operation: float | None = None) -> float:
        """Estimate the evaluation of a tail."""
        left = max(self._facts.flops - self._facts.resolve(cut).flops_before, 0)
        return left * (per_operation or SECONDS_PER_OPERATION) + 1e-6

    def saved_bytes(self, cut: str) -> float:
        """Estimate what training a tail keeps of an image."""
        before = self._facts.resolve(cut).flops_before
        return KEPT * sum(each.row_bytes for each in self._facts.cuts if each.flops_before >= before)

    @property
    def doubt(self) -> str:
        """Why the rates are used this once and measured anew the next time; empty where there is no reason to."""
        facts, doubts = self._facts, []
        if self.disturbed:
            doubts.append(
                f"{facts.backbone} at {facts.image_size} pixels was measured while the machine was busy: predictions "
                "may be too high"
            )
        if self._lost:
            doubts.append(
                f"{facts.backbone} at {facts.image_size} pixels: {'; '.join(self._lost)}; predictions use an estimate. "
                "If training ends the run in the same way, choose another train_from"
            )
        return "; ".join(doubts)
