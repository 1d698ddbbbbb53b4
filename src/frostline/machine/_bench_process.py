"""The process that times pieces of work: ``python -m frostline.machine._bench_process``; see ``Bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.machine._bench import Answer, Refused, Request
from frostline.machine._pieces import Pieces
from frostline.machine._pipes import read_messages, take_output, write_message

if TYPE_CHECKING:
    from frostline.machine._place import Place
    from frostline.models.facts import BackboneFacts


def main() -> None:
    """Time what standard input asks for."""
    answers, asked = take_output(), read_messages()
    pieces: Pieces | None = None
    built: tuple[BackboneFacts, Place] | None = None
    while True:
        request: Request = asked.get()
        try:
            if request.threads is not None:
                torch.set_num_threads(request.threads)
            if pieces is None or built != (request.facts, request.place):
                pieces, built = None, (request.facts, request.place)
                pieces = Pieces(request.facts, request.most_share, request.place)
            value = pieces.take(request.piece, request.arguments)
            write_message(answers, Answer(value, pieces.disturbed))
        except Exception as error:  # told to whoever asked, who goes on without this piece
            reason = (str(error).strip().splitlines() or [""])[0]
            write_message(answers, Refused(f"{type(error).__name__}: {reason}", pieces is not None))


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled here is found there.
    from frostline.machine._bench_process import main as own_main

    own_main()
