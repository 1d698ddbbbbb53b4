"""Trains trajectories side by side in processes of their own; one that dies takes only its trajectory with it."""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import frostline.errors
from frostline.data import detach
from frostline.errors import FrostlineError, TrainingError
from frostline.execution._bench import how_it_ended
from frostline.execution._own import make_portable
from frostline.execution._worker import Done, Failed, Task
from frostline.execution.events import Notice, TrajectoryEnded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from frostline.execution._context import Context
    from frostline.plan import TrajectoryPlan

__all__ = ["Workers"]

TRIES = 2
"""How often a trajectory is begun before it is given up: whatever killed its process may have been chance."""


@dataclass(frozen=True)
class _Lost:
    """A process has ended."""

    process: Popen[bytes]


class Workers:
    """Processes that train a run's trajectories; a context manager, which leaves none behind.

    They start at once, so that they have loaded their libraries when they are needed.
    """

    def __init__(self, context: Context, n_workers: int, threads: int) -> None:
        self._context = context
        prepared = context.prepared
        dataset = detach(prepared.dataset)
        task = Task(
            replace(prepared, dataset=dataset),
            context.plan,
            context.ledger.workspace,
            context.run,
            context.engine,
            threads,
            make_portable(prepared.study),
            dict(context.networks.identities),
        )
        self._messages: queue.SimpleQueue[tuple[_Worker, object]] = queue.SimpleQueue()
        self._workers = [_Worker(pickle.dumps(task), threads, self._messages) for _ in range(n_workers)]

    def __enter__(self) -> Workers:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()

    def run(self, trajectories: Sequence[TrajectoryPlan]) -> None:
        """Train trajectories to their ends, each after its parent, those that take longest first.

        Raises:
            FrostlineError: what stopped one of them.
            TrainingError: some were given up, when all others have ended.
        """
        waiting = sorted(trajectories, key=lambda planned: -_seconds_ahead(planned, trajectories))
        unfinished = {planned.id for planned in trajectories}
        tries: Counter[str] = Counter()
        given_up: list[str] = []
        while True:
            for worker in (worker for worker in self._workers if worker.trajectory is None):
                ready = next((planned for planned in waiting if planned.parent not in unfinished), None)
                if ready is None:
                    break
                waiting.remove(ready)
                tries[ready.id] += 1
                worker.ask(ready)
            if all(worker.trajectory is None for worker in self._workers):
                break
            worker, message = self._messages.get()
            if isinstance(message, Done):
                worker.trajectory = None
                unfinished.remove(message.trajectory)
            elif isinstance(message, Failed):
                raise _error(message)
            elif not isinstance(message, _Lost):
                self._context.emit(message)  # type: ignore[arg-type]
            elif worker.trajectory is not None and worker.process is message.process:
                planned, worker.trajectory = worker.trajectory, None
                how = how_it_ended(message.process.wait())
                if tries[planned.id] < TRIES:
                    self._context.emit(Notice(f"the process that trained {planned.id} {how}: it is tried once more"))
                    waiting.insert(0, planned)
                else:
                    given_up += self._give_up(planned, waiting, how)
        if given_up:
            raise TrainingError(
                f"{', '.join(given_up)}: given up, as the process that trained it ended twice; all others are kept, "
                "and the same command tries it again. If memory was short, use a smaller batch_size."
            )

    def _give_up(self, planned: TrajectoryPlan, waiting: list[TrajectoryPlan], how: str) -> list[str]:
        """Record that a trajectory failed, and with it all that would go on from it; return their ids."""
        message = f"the process that trained it {how}, twice"
        self._context.ledger.record_trajectory(self._context.run, planned.id, "failed", message)
        self._context.emit(TrajectoryEnded(planned.id, "failed", message))
        ids = [planned.id]
        for child in [other for other in waiting if other.parent == planned.id]:
            waiting.remove(child)
            ids += self._give_up(child, waiting, how)
        return ids


class _Worker:
    """One process, and what it is training."""

    def __init__(self, task: bytes, threads: int, messages: queue.SimpleQueue[tuple[_Worker, object]]) -> None:
        self._task, self._threads, self._messages = task, threads, messages
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.process: Popen[bytes] | None = None
        self.trajectory: TrajectoryPlan | None = None

    def start(self) -> None:
        """Start the process, which finds what this one imports."""
        settings = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": str(self._threads)}
        self._outbox.put(None)  # for the process before it, which has died
        self._outbox = queue.SimpleQueue()
        self._outbox.put(self._task)
        self.process = Popen(
            [sys.executable, "-m", "frostline.execution._worker"],
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **settings},
        )
        # In threads: a process reads when it has loaded its libraries, seconds from now.
        threading.Thread(target=_deliver, args=(self.process, self._outbox), daemon=True).start()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def ask(self, planned: TrajectoryPlan) -> None:
        """Have a trajectory trained; a process that has died is started again."""
        self.trajectory = planned
        if self.process is None or self.process.poll() is not None:
            self.start()
        self._outbox.put(pickle.dumps(planned.id))

    def kill(self) -> None:
        """End the process; what it has finished is stored."""
        self.trajectory = None
        self._outbox.put(None)
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _listen(self, process: Popen[bytes]) -> None:
        assert process.stdout is not None
        # Cut off in the middle of a message where the process was killed.
        with process.stdout as answers, suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self._messages.put((self, pickle.load(answers)))
        self._messages.put((self, _Lost(process)))


def _deliver(process: Popen[bytes], outbox: queue.SimpleQueue[bytes | None]) -> None:
    """Write messages to a process until None comes, whether or not anybody reads them."""
    assert process.stdin is not None
    with suppress(OSError), process.stdin as stream:
        while (message := outbox.get()) is not None:
            with suppress(BrokenPipeError):  # it has died, and whoever listens to it will say so
                stream.write(message)
                stream.flush()


def _seconds_ahead(planned: TrajectoryPlan, trajectories: Sequence[TrajectoryPlan]) -> float:
    """Return the predicted seconds of a trajectory and of the longest that goes on from it."""
    after = (_seconds_ahead(other, trajectories) for other in trajectories if other.parent == planned.id)
    return planned.seconds + max(after, default=0.0)


def _error(failed: Failed) -> Exception:
    kind = getattr(frostline.errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, FrostlineError):
        with suppress(TypeError):  # an error that isn't made from its message alone
            return kind(failed.message)
    return RuntimeError(failed.message)
