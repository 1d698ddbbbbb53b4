"""A process that carries out units of a run: ``python -m frostline.execution._worker``.

It reads pickled messages from standard input, first its Task and then units, and writes what happens to standard
output. Results go to the recorder of the process that started it: nothing here writes the ledger. It ends with its
standard input, so that none outlives the run, however that ends.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from frostline.data import is_detached, load_dataset
from frostline.errors import DataError, FrostlineError
from frostline.execution._context import Context
from frostline.execution._networks import Identity, Networks
from frostline.execution._recorder import RemoteRecorder
from frostline.execution._units import carry_out, needs_images
from frostline.execution.events import StepProgress
from frostline.features import FeatureStore, computing
from frostline.machine import read_messages, take_output, write_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frostline.execution._files import RunFiles
    from frostline.execution._own import Portable
    from frostline.execution._prepare import Prepared
    from frostline.execution._recorder import Recorder
    from frostline.execution._units import Unit
    from frostline.execution.events import Event
    from frostline.plan import Plan

__all__ = ["Call", "Done", "Failed", "Reply", "Task"]

SECONDS_BETWEEN_STEPS = 0.1
"""Steps are told no more often than a display shows them."""


@dataclass(frozen=True)
class Task:
    """What a worker must know of a run to carry out its units, on so many threads.

    ``identities`` are those of the run's networks: what the worker builds must be the same.
    """

    prepared: Prepared
    plan: Plan
    files: RunFiles
    run: str
    engine: str
    threads: int
    own: Portable
    identities: Mapping[Any, Identity]


@dataclass(frozen=True)
class Call:
    """A method of the recorder, to be called with arguments; the worker waits for the Reply."""

    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Reply:
    """What a call gave."""

    value: Any


@dataclass(frozen=True)
class Done:
    """A unit has ended, and its results are stored."""

    unit: str


@dataclass(frozen=True)
class Failed:
    """A unit can't be carried out: the name of a Frostline error and its message, or of any other and its text."""

    kind: str
    message: str


def main() -> None:
    """Carry out what standard input asks for."""
    answers, asked = take_output(), read_messages()
    task: Task = asked.get()
    torch.set_num_threads(task.threads)

    def call(method: str, arguments: tuple[Any, ...]) -> Any:
        write_message(answers, Call(method, arguments))
        return asked.get().value

    settings = computing(task.prepared.precision, "cpu")
    with task.own.known(), settings, closing(FeatureStore()) as store:
        context = _context(task, RemoteRecorder(call), store, answers)
        while True:
            unit: Unit = asked.get()
            try:
                if needs_images(task.plan, unit):
                    context = _with_images(context)
                carry_out(context, unit)
            except Exception as error:  # told to the run, which knows what to do
                kind = type(error).__name__
                write_message(
                    answers, Failed(kind, str(error) if isinstance(error, FrostlineError) else f"{kind}: {error}")
                )
            else:
                write_message(answers, Done(unit.id))


def _context(task: Task, recorder: Recorder, store: FeatureStore, answers: BinaryIO) -> Context:
    told = 0.0

    def emit(event: Event) -> None:
        nonlocal told
        if isinstance(event, StepProgress):
            if time.monotonic() - told < SECONDS_BETWEEN_STEPS:
                return
            told = time.monotonic()
        write_message(answers, event)

    return Context(
        prepared=task.prepared,
        plan=task.plan,
        recorder=recorder,
        run=task.run,
        files=task.files,
        store=store,
        networks=Networks(task.identities),
        device=torch.device("cpu"),
        engine=task.engine,
        plain=False,
        emit=emit,
    )


def _with_images(context: Context) -> Context:
    """Return a context whose dataset has its pixels, read when a unit first needs them."""
    prepared = context.prepared
    if not is_detached(prepared.dataset):
        return context
    dataset = load_dataset(prepared.study.data)
    if dataset.fingerprint != prepared.dataset.fingerprint:
        raise DataError("the images changed since the run began; start the run again")
    return replace(context, prepared=replace(prepared, dataset=dataset))


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled here is found there.
    from frostline.execution._worker import main as own_main

    own_main()
