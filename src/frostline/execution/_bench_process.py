"""The process that times pieces of work: ``python -m frostline.execution._bench_process``; see ``Bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from frostline.execution import _timing as timing
from frostline.execution._bench import Answer, Refused, Request
from frostline.execution._busy import Watch
from frostline.execution._engine_timing import any_situation, engine_rate
from frostline.execution._pipes import read_messages, take_output, write_message
from frostline.models import build_chain, load_backbone
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.models import Backbone, Chain
    from frostline.models.facts import BackboneFacts

PIECES: dict[str, Callable[..., Any]] = {
    "forward": timing.forward_seconds,
    "training": timing.train_seconds,
    "memory of training": timing.saved_image_bytes,
    "training side by side": timing.slowdown,
    "stacked heads": lambda _, facts: timing.stack_seconds(facts),
    "decoding": lambda _, facts: timing.decode_seconds(facts),
    "a step": lambda chain, _: timing.step_seconds(chain),
    "a parameter's step": lambda *_: timing.parameter_step_seconds(),
    "a head's parameter": lambda *_: timing.head_parameter_seconds(),
    "threads": lambda *_: torch.get_num_threads(),
    "nothing": lambda *_: None,
}


class _Network:
    """A backbone of random numbers, which is as fast as one of others, and a watch over what is timed of it."""

    def __init__(self, facts: BackboneFacts, most_share: float) -> None:
        self.facts, self.watch = facts, Watch(most_share=most_share)
        self.backbone: Backbone = load_backbone(facts.backbone, "none", facts.image_size)
        self.chain: Chain = build_chain(self.backbone, 10, Head(), 0)

    def take(self, piece: str, arguments: tuple[Any, ...]) -> Any:
        if piece == "engine":
            asked, tuned = arguments
            return engine_rate(self.facts, asked, tuned, any_situation(self.backbone, self.facts), self.watch)
        return self.watch.measure(lambda: PIECES[piece](self.chain, self.facts, *arguments))


def main() -> None:
    """Time what standard input asks for."""
    answers, asked = take_output(), read_messages()
    network: _Network | None = None
    while True:
        request: Request = asked.get()
        try:
            if request.threads is not None:
                torch.set_num_threads(request.threads)
            if network is None or network.facts != request.facts:
                network = _Network(request.facts, request.most_share)
            value = network.take(request.piece, request.arguments)
            write_message(answers, Answer(value, network.watch.disturbed))
        except Exception as error:  # told to whoever asked, who goes on without this piece
            reason = (str(error).strip().splitlines() or [""])[0]
            write_message(answers, Refused(f"{type(error).__name__}: {reason}"))


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled here is found there.
    from frostline.execution._bench_process import main as own_main

    own_main()
