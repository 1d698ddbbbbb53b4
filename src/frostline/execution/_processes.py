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
from typing import TYPE_CHECKING, Self

import frostline.errors
from frostline.data import detach
from frostline.errors import FrostlineError, TrainingError
from frostline.execution._own import make_portable
from frostline.execution._units import TrajectoryUnit, carry_out, find_rest, seconds_ahead
from frostline.execution._worker import Call, Done, Failed, Reply, Task
from frostline.execution.events import Notice, TrajectoryEnded
from frostline.machine import how_it_ended

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from frostline.execution._context import Context
    from frostline.execution._units import Unit

__all__ = ["Processes"]

TRIES = 2
"""How often a unit is begun before it is given up: whatever killed its process may have been chance."""


@dataclass(frozen=True)
class _Lost:
    """A process has ended."""

    process: Popen[bytes]


class Processes:
    """Trains trajectories in processes of their own, each started when there is work for it; all else is done here.

    Args:
        context: the run.
        n_processes: how many train at once.
        threads: how many each of them has.
    """

    def __init__(self, context: Context, n_processes: int, threads: int) -> None:
        self._context = context
        prepared = context.prepared
        task = Task(
            replace(prepared, dataset=detach(prepared.dataset)),
            context.plan,
            context.files,
            context.run,
            context.engine,
            threads,
            make_portable(prepared.study),
            dict(context.networks.identities),
        )
        self._messages: queue.SimpleQueue[tuple[_Worker, object]] = queue.SimpleQueue()
        self._workers = [_Worker(pickle.dumps(task), threads, self._messages) for _ in range(n_processes)]
        self._tries: Counter[str] = Counter()
        self._given_up: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()

    def run(self, units: Sequence[Unit]) -> None:
        """See Executor; of units that could begin, those that the most work waits for go first."""
        here = [unit for unit in units if not isinstance(unit, TrajectoryUnit)]
        for unit in here:  # which take all cores, and need nothing that is trained in a process
            carry_out(self._context, unit)
        ahead = seconds_ahead(self._context.plan, units)
        waiting = sorted((unit for unit in units if isinstance(unit, TrajectoryUnit)), key=lambda unit: -ahead[unit.id])
        unfinished = {unit.id for unit in waiting}
        while True:
            for worker in (worker for worker in self._workers if worker.unit is None):
                ready = next((unit for unit in waiting if not unit.needs & unfinished), None)
                if ready is None:
                    break
                waiting.remove(ready)
                self._tries[ready.id] += 1
                worker.ask(ready)
            if all(worker.unit is None for worker in self._workers):
                break
            self._hear(*self._messages.get(), waiting, unfinished)
        if self._given_up:
            raise TrainingError(
                f"{', '.join(self._given_up)}: given up, as the process that trained it ended twice; all others are "
                "kept, and the same command tries it again. If memory was short, use a smaller batch_size."
            )

    def _hear(self, worker: _Worker, message: object, waiting: list[TrajectoryUnit], unfinished: set[str]) -> None:
        """Act on what a process says, or on its end."""
        match message:
            case Call():
                # Answered when it is stored: only then does the process tell it, and go on.
                worker.answer(Reply(getattr(self._context.recorder, message.method)(*message.arguments)))
            case Done():
                worker.unit = None
                unfinished.remove(message.unit)
            case Failed():
                raise _error(message)
            case _Lost():
                if worker.unit is None or worker.process is not message.process:
                    return  # it had nothing to do, or another one has taken its place
                unit, worker.unit = worker.unit, None
                how = how_it_ended(message.process.wait())
                if self._tries[unit.id] < TRIES:
                    notice = f"the process that trained {unit.trajectory} {how}: it is tried once more"
                    self._context.emit(Notice(notice))
                    waiting.insert(0, unit)
                else:
                    self._give_up(unit, waiting, how)
            case _:
                self._context.emit(message)  # type: ignore[arg-type]

    def _give_up(self, unit: TrajectoryUnit, waiting: list[TrajectoryUnit], how: str) -> None:
        """Record that a trajectory failed, and with it all that would continue from it."""
        message = f"the process that trained it {how}, twice"
        for lost in [unit, *find_rest(waiting, unit.id)]:
            if lost in waiting:
                waiting.remove(lost)
            self._given_up.append(lost.trajectory)
            self._context.recorder.record_trajectory(lost.trajectory, "failed", message)
            self._context.emit(TrajectoryEnded(lost.trajectory, "failed", message))


class _Worker:
    """One process, and what it is training."""

    def __init__(self, task: bytes, threads: int, messages: queue.SimpleQueue[tuple[_Worker, object]]) -> None:
        self._task, self._threads, self._messages = task, threads, messages
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.process: Popen[bytes] | None = None
        self.unit: TrajectoryUnit | None = None

    def _start(self) -> None:
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

    def ask(self, unit: TrajectoryUnit) -> None:
        """Have a unit carried out; the process is started where there is none, or it has died."""
        self.unit = unit
        if self.process is None or self.process.poll() is not None:
            self._start()
        self._outbox.put(pickle.dumps(unit))

    def answer(self, reply: Reply) -> None:
        """Say what its call gave."""
        self._outbox.put(pickle.dumps(reply))

    def kill(self) -> None:
        """End the process; what it has finished is stored."""
        self.unit = None
        self._outbox.put(None)
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _listen(self, process: Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as answers:
            try:
                while True:
                    self._messages.put((self, pickle.load(answers)))
            except Exception:  # cut off where the process was killed, or damaged: whatever that unpickles to
                process.kill()
        self._messages.put((self, _Lost(process)))


def _deliver(process: Popen[bytes], outbox: queue.SimpleQueue[bytes | None]) -> None:
    """Write messages to a process until None comes, whether or not anybody reads them."""
    assert process.stdin is not None
    with suppress(OSError), process.stdin as stream:
        while (message := outbox.get()) is not None:
            with suppress(BrokenPipeError):  # it has died, and whoever listens to it will say so
                stream.write(message)
                stream.flush()


def _error(failed: Failed) -> Exception:
    kind = getattr(frostline.errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, FrostlineError):
        with suppress(TypeError):  # an error that isn't made from its message alone
            return kind(failed.message)
    return RuntimeError(failed.message)
