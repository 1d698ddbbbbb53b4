"""Who listens to a run: a display in a terminal, lines anywhere else."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Protocol

from frostline.execution.events import (
    DataRead,
    EpochFinished,
    Event,
    Notice,
    PassFinished,
    PassStarted,
    Preparing,
    RunFound,
    RunStarted,
    TrajectoryEnded,
)
from frostline.quantities import (
    format_bytes,
    format_estimate,
    format_fraction,
    format_loss,
    format_number_of,
    format_seconds,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["LineListener", "RunListener", "describe_event", "make_listener", "make_progress"]


class RunListener(Protocol):
    """Takes a run's events while it is entered; ``run`` is the run's id once it has begun."""

    run: str | None

    def __call__(self, event: Event) -> None: ...

    def __enter__(self) -> RunListener: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def make_listener(workspace: Path, lines_to: IO[str]) -> RunListener:
    """Return the display when both outputs are a terminal, and otherwise the lines.

    Args:
        workspace: where the display reads the run's plan, for the time left.
        lines_to: where lines go.
    """
    if sys.stderr.isatty() and lines_to.isatty():
        from frostline.cli._display import DisplayListener

        return DisplayListener(workspace)
    return LineListener(lines_to, sys.stderr)


def make_progress(workspace: Path, wanted: bool | None) -> RunListener | None:
    """Return what shows a run that a program has started on standard error.

    Args:
        workspace: where the display reads the run's plan, for the time left.
        wanted: whether it is asked for; None asks for it in a terminal or a notebook alone.
    """
    # Elsewhere nothing of a notebook is loaded. Bars need its widgets.
    notebook = "ipykernel" in sys.modules
    if sys.stderr.isatty() or (notebook and find_spec("ipywidgets") is not None):
        from frostline.cli._display import DisplayListener

        return DisplayListener(workspace)
    return LineListener(sys.stderr, sys.stderr) if wanted or notebook else None


class LineListener:
    """Writes a line for each arm and epoch to one stream, everything else to another."""

    def __init__(self, results: IO[str], remarks: IO[str]) -> None:
        self.run: str | None = None
        self._results = results
        self._remarks = remarks
        self._n_replayed = 0

    def __enter__(self) -> LineListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Write what an event has to say; epochs read back from the ledger are counted, not repeated."""
        if isinstance(event, EpochFinished):
            if event.replayed:
                self._n_replayed += 1
                return
            for arm in event.arms:
                line = f"{arm.name}: epoch {arm.epoch}/{arm.epochs}, {_describe_scores(event)}"
                print(line, file=self._results, flush=True)
        elif isinstance(event, Preparing):
            print(event.what, file=self._remarks, flush=True)
        elif isinstance(event, DataRead):
            from frostline.report import data_table, draw, make_console

            draw(data_table(event.summary), make_console(self._remarks))
        else:
            if isinstance(event, RunStarted):
                self.run = event.run
            remark = describe_event(event)
            if remark is not None:
                print(remark, file=self._remarks, flush=True)


def describe_event(event: Event) -> str | None:
    """Return an event in words, or None when it is only a step on the way."""
    if isinstance(event, RunStarted):
        begins = "continues where it was interrupted" if event.resumed else "started"
        left = "" if event.predicted_seconds is None else f", {format_estimate(event.predicted_seconds)} to go"
        arms = format_number_of(event.n_arms, "arm")
        return f"{event.run} {begins}: {arms}, {format_number_of(event.n_trajectories, 'trajectory')}{left}"
    if isinstance(event, RunFound):
        when = event.finished[:16].replace("T", " ")
        return f"this study has been run ({event.run}, {when} UTC); to train it anew, add --again"
    if isinstance(event, Notice):
        return f"note: {event.text}"
    if isinstance(event, PassStarted):
        return f"feature pass {event.name}: {format_number_of(event.n_images, 'image')}"
    if isinstance(event, PassFinished):
        how = "found in the cache" if event.reused else f"done in {format_seconds(event.seconds)}"
        if 0 < event.n_passed < event.n_images:
            how += f", {event.n_images - event.n_passed:,} of {event.n_images:,} images found in the cache"
        return f"feature pass {event.name}: {how}, {format_bytes(event.n_bytes)}"
    if isinstance(event, TrajectoryEnded) and event.status != "complete":
        return f"trajectory {event.trajectory} {event.status}" + (f": {event.message}" if event.message else "")
    return None


def _describe_scores(event: EpochFinished) -> str:
    """Return what an epoch gave, ``loss 0.8285, val loss 0.7112, val acc 72.9%``; only the loss where it diverged."""
    scores = [f"loss {format_loss(event.train_loss)}"]
    if event.val_loss is not None:
        scores.append(f"val loss {format_loss(event.val_loss)}")
    if event.val_accuracy is not None:
        scores.append(f"val acc {format_fraction(event.val_accuracy)}")
    return ", ".join(scores)
