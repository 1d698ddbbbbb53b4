"""A process that trains trajectories for a run: ``python -m frostline.execution._worker``.

It reads pickled messages from standard input, first its Task and then ids of trajectories, and writes what happens to
standard output. It ends with its standard input, so that none outlives the run, however that ends.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from frostline.data import load_dataset
from frostline.errors import DataError, FrostlineError
from frostline.execution._context import Context
from frostline.execution._files import RunFiles
from frostline.execution._networks import Identity, Networks
from frostline.execution._pipes import read_messages, take_output, write_message
from frostline.execution._trajectories import run_trajectory
from frostline.execution.events import StepProgress
from frostline.features import FeatureStore, computing
from frostline.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from frostline.execution._own import Portable
    from frostline.execution._prepare import Prepared
    from frostline.execution.events import Event
    from frostline.plan import Plan

__all__ = ["Done", "Failed", "Task"]

SECONDS_BETWEEN_STEPS = 0.1
"""Steps are told no more often than a display shows them."""


@dataclass(frozen=True)
class Task:
    """What a worker must know of a run to train its trajectories, on so many threads.

    ``identities`` are those of the run's networks: what the worker builds must be the same.
    """

    prepared: Prepared
    plan: Plan
    workspace: Path
    run: str
    engine: str
    threads: int
    own: Portable
    identities: Mapping[Any, Identity]


@dataclass(frozen=True)
class Done:
    """A trajectory has ended, and the ledger says how."""

    trajectory: str


@dataclass(frozen=True)
class Failed:
    """A trajectory can't be trained: the name of a Frostline error and its message, or of any other and its text."""

    kind: str
    message: str


def main() -> None:
    """Train what standard input asks for."""
    answers, asked = take_output(), read_messages()
    task: Task = asked.get()
    torch.set_num_threads(task.threads)
    settings = computing(task.prepared.precision, "cpu")
    with task.own.known(), settings, Ledger(task.workspace) as ledger, closing(FeatureStore()) as store:
        context = _context(task, ledger, store, answers)
        planned = {trajectory.id: trajectory for trajectory in task.plan.trajectories}
        while True:
            id_ = asked.get()
            try:
                if planned[id_].mode != "cached":
                    context = _with_images(context)
                run_trajectory(context, planned[id_])
            except Exception as error:  # told to the run, which knows what to do
                kind = type(error).__name__
                write_message(
                    answers, Failed(kind, str(error) if isinstance(error, FrostlineError) else f"{kind}: {error}")
                )
            else:
                write_message(answers, Done(id_))


def _context(task: Task, ledger: Ledger, store: FeatureStore, answers: BinaryIO) -> Context:
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
        ledger=ledger,
        run=task.run,
        files=RunFiles(ledger.run_directory(task.run)),
        store=store,
        networks=Networks(task.identities),
        device=torch.device("cpu"),
        engine=task.engine,
        plain=False,
        emit=emit,
    )


def _with_images(context: Context) -> Context:
    """Return a context whose dataset has its pixels, which no cached trajectory needs."""
    prepared = context.prepared
    dataset = load_dataset(prepared.study.data)
    if dataset.fingerprint != prepared.dataset.fingerprint:
        raise DataError("the images changed since the run began; start the run again")
    return replace(context, prepared=replace(prepared, dataset=dataset))


if __name__ == "__main__":
    # Imported under its own name, so that what is pickled here is found there.
    from frostline.execution._worker import main as own_main

    own_main()
