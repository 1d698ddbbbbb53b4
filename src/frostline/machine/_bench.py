"""Has pieces of work timed in a process of its own: where native code crashes there, the run goes on."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import IO, TYPE_CHECKING, Any

from frostline.errors import FrostlineError
from frostline.machine import _busy
from frostline.machine._place import CPU

if TYPE_CHECKING:
    from types import TracebackType

    from frostline.machine._place import Place
    from frostline.models.facts import BackboneFacts

__all__ = ["Answer", "Bench", "NotBuiltError", "PieceLostError", "Refused", "Request", "how_it_ended"]

MODULE = "frostline.machine._bench_process"


class NotBuiltError(FrostlineError, RuntimeError):
    """A network that the process can't build: it may be one that only the asking process knows."""


class PieceLostError(FrostlineError, RuntimeError):
    """A piece that can't be timed; the message says what became of it."""


@dataclass(frozen=True)
class Request:
    """A piece of a backbone's work to be timed, on so many threads; None is what torch takes by itself.

    ``most_share`` is what others may have of the computing time meanwhile.
    """

    facts: BackboneFacts
    threads: int | None
    most_share: float
    piece: str
    arguments: tuple[Any, ...] = ()
    place: Place = CPU


@dataclass(frozen=True)
class Answer:
    """What a piece gave, and whether others used the machine all the while."""

    value: Any
    disturbed: bool


@dataclass(frozen=True)
class Refused:
    """A piece raised an error, or its network can't be built in that process."""

    message: str
    built: bool = True


class Bench:
    """A process that times what it is asked, and another one where it has died; a context manager.

    It starts when it is first asked, or before, as it loads torch for seconds.
    """

    def __init__(self) -> None:
        self._process: Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, which finds what this one imports; one that can't be started is told of when asked."""
        if self._process is not None:
            return
        self.close()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with suppress(OSError):
            self._process = Popen(
                [sys.executable, "-m", MODULE], stdin=PIPE, stdout=PIPE, stderr=self._errors, env=environment
            )

    def prepare(self, facts: BackboneFacts, threads: int | None, place: Place = CPU) -> None:
        """Have a network built meanwhile, so that it is there when its pieces are asked for."""
        with suppress(PieceLostError):
            self._send(Request(facts, threads, _busy.MOST_SHARE, "nothing", (), place))

    def settle(self) -> None:
        """Wait until the process does nothing, so that it doesn't disturb what is timed elsewhere."""
        with suppress(PieceLostError):
            while self._unread:
                self._receive()

    def ask(self, request: Request) -> Answer:
        """Return what a piece gave.

        Raises:
            PieceLostError: it raised an error, or ended the process.
            NotBuiltError: its network can't be built there.
        """
        self.settle()
        self._send(request)
        answer = self._receive()
        if isinstance(answer, Refused) and not answer.built:
            raise NotBuiltError(answer.message)
        if isinstance(answer, Refused):
            raise PieceLostError(f"failed ({answer.message})")
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # what it died of reading
                    stream.close()  # type: ignore[union-attr]
            self._process.kill()
            self._process.wait()
        if self._errors is not None:
            self._errors.close()
        self._process, self._errors, self._unread = None, None, 0

    def _send(self, request: Request) -> None:
        self.start()
        if self._process is None or self._process.stdin is None:
            self.close()
            raise PieceLostError("could not begin, as no process can be started")
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._lost() from error
        self._unread += 1

    def _receive(self) -> Answer | Refused:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            answer: Answer | Refused = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._lost() from error
        self._unread -= 1
        return answer

    def _lost(self) -> PieceLostError:
        """Return the error for a process that has died, and make room for another one."""
        assert self._process is not None
        assert self._errors is not None
        how = how_it_ended(self._process.wait())
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        said = f": {lines[-1]}" if lines and how.startswith("ended") else ""
        return PieceLostError(f"ended its process, which {how}{said}")


def how_it_ended(status: int) -> str:
    """Return a process's exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
