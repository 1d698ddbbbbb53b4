"""The pieces of a backbone's work that are timed, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from frostline.features import computing
from frostline.machine import _timing as timing
from frostline.machine._busy import Watch
from frostline.machine._engine_timing import any_situation, engine_rate
from frostline.machine._place import CPU
from frostline.models import build_chain, load_backbone
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.machine._place import Place
    from frostline.models import Backbone, Chain
    from frostline.models.facts import BackboneFacts

__all__ = ["Pieces"]

PIECES: dict[str, Callable[..., Any]] = {
    "forward": timing.forward_seconds,
    "training": timing.train_seconds,
    "memory of training": timing.saved_image_bytes,
    "training side by side": lambda chain, facts, *what, place: timing.slowdown(chain, facts, *what),
    "stacked heads": lambda _, facts, place: timing.stack_seconds(facts, place),
    "decoding": lambda _, facts, place: timing.decode_seconds(facts),
    "a step": lambda chain, _, place: timing.step_seconds(chain, place),
    "a parameter's step": lambda *_, place: timing.parameter_step_seconds(place),
    "a head's parameter": lambda *_, place: timing.head_parameter_seconds(place),
    "threads": lambda *_, place: torch.get_num_threads(),
    "nothing": lambda *_, place: None,
}


class Pieces:
    """Those of a backbone of random numbers, which is as fast as one of others.

    Args:
        facts: the backbone's.
        most_share: what others may have of the computing time while something is timed.
        place: the device and the precision that are timed.

    Raises:
        ModelError: the backbone can't be built in this process.
    """

    def __init__(self, facts: BackboneFacts, most_share: float, place: Place = CPU) -> None:
        self.facts, self.place, self._watch = facts, place, Watch(most_share=most_share)
        self.backbone: Backbone = load_backbone(facts.backbone, "none", facts.image_size)
        self.chain: Chain = build_chain(self.backbone, 10, Head(), 0)

    @property
    def disturbed(self) -> bool:
        """Whether others used the machine all the while that something was timed."""
        return self._watch.disturbed

    def take(self, piece: str, arguments: tuple[Any, ...]) -> Any:
        """Return what a piece gives."""
        with computing(self.place.precision, self.place.kind):
            if piece == "engine":
                (asked,) = arguments
                return engine_rate(self.facts, asked, any_situation(self.backbone, self.facts, asked), self._watch)
            return self._watch.measure(lambda: PIECES[piece](self.chain, self.facts, *arguments, place=self.place))
