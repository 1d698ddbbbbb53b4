"""The side of a process that another one started to ask things of: pickled messages in, pickled answers out."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

__all__ = ["read_messages", "take_output", "write_message"]


def take_output() -> BinaryIO:
    """Return standard output for answers alone: whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Ctrl-C reaches every process of a terminal; whoever started this one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return answers


def read_messages() -> queue.SimpleQueue[Any]:
    """Return where messages from standard input arrive; this process ends with it, so that it outlives nobody."""
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, asked), daemon=True).start()
    return asked


def write_message(answers: BinaryIO, message: object) -> None:
    """Write an answer at once."""
    pickle.dump(message, answers)
    answers.flush()


def _read(source: BinaryIO, asked: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            asked.put(pickle.load(source))
    except (EOFError, pickle.UnpicklingError):
        # Whoever asked has ended, perhaps by a kill: nothing here is to go on, and what is finished is stored.
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # main waits for what can't come
