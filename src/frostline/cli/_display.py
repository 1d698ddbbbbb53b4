"""The display of a run in a terminal: what is going on, how far it is, the time left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from frostline.cli._listener import describe_event
from frostline.cli._time_left import TimeLeft
from frostline.errors import FrostlineError
from frostline.execution.events import (
    DataRead,
    EpochFinished,
    Event,
    PassFinished,
    PassProgress,
    Preparing,
    RunFound,
    RunStarted,
    StepProgress,
    TrajectoryEnded,
)
from frostline.quantities import format_estimate, format_fraction, format_loss, format_number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["DisplayListener"]


class DisplayListener:
    """Draws two bars on standard error, the whole run and what is under way, and remarks above them."""

    def __init__(self, workspace: Path, console: Console | None = None) -> None:
        self.run: str | None = None
        self._workspace = workspace
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            _Remarks(self._remark),
            console=console or Console(stderr=True, highlight=False),
            transient=True,
            expand=True,
        )
        self._whole: TaskID | None = None
        self._current: TaskID | None = None
        self._preparing: TaskID | None = None
        self._time_left = TimeLeft({}, 0, None)
        self._reading = threading.Lock()  # the display is drawn by a thread of its own, all the time
        self._started = time.monotonic()
        self._planned_epochs: dict[str, int] = {}
        self._train_from: dict[str, str] = {}
        self._n_replayed: Counter[str] = Counter()
        self._worked: set[str] = set()
        self._scores: dict[str, str] = {}  # of each trajectory's last epoch

    def __enter__(self) -> DisplayListener:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show what an event changes."""
        remark = describe_event(event)
        if remark is not None:
            self._progress.console.print(Text(remark))
        if isinstance(event, Preparing):
            self._prepare(event.what)
        elif isinstance(event, DataRead):
            from frostline.report import data_table, draw

            draw(data_table(event.summary), self._progress.console)
        elif isinstance(event, RunFound):
            self._end_preparing()
        elif isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, PassProgress):
            done = event.n_done / max(event.n_images, 1)
            self._show(f"feature pass {event.name}", done, format_number_of(event.n_done, "image"))
            self._advance(("pass", event.name), done)
        elif isinstance(event, PassFinished):
            self._advance(("pass", event.name), 1.0, free=event.reused)
        elif isinstance(event, StepProgress):
            self._step(event)
        elif isinstance(event, EpochFinished):
            self._epoch(event)
        elif isinstance(event, TrajectoryEnded):
            # What was read back, or ended early, cost no time now.
            free = event.status != "complete" or event.trajectory not in self._worked
            with self._reading:
                self._time_left.end(event.trajectory, self._elapsed(), free=free)
            self._redraw()

    def _prepare(self, what: str) -> None:
        if self._preparing is None:
            self._preparing = self._progress.add_task(what, total=None, remark="")
        self._progress.update(self._preparing, description=what)
        self._progress.refresh()  # now: what follows may leave the drawing thread no time

    def _end_preparing(self) -> None:
        if self._preparing is not None:
            self._progress.remove_task(self._preparing)
            self._preparing = None

    def _begin(self, event: RunStarted) -> None:
        self._end_preparing()
        self.run = event.run
        self._started = time.monotonic()
        plan = self._read_plan(event.run)
        trajectories = plan.get("trajectories", ())
        self._planned_epochs = {each["id"]: each["epochs"] for each in trajectories}
        for group in plan.get("groups", ()):  # what is trained together goes on to the last epoch of any
            last = max(self._planned_epochs[id_] for id_ in group["trajectories"])
            self._planned_epochs |= dict.fromkeys(group["trajectories"], last)
        self._train_from = {each["id"]: each["train_from"] for each in trajectories}
        self._time_left = TimeLeft(plan, event.n_trajectories, event.predicted_seconds)
        self._whole = self._progress.add_task(event.study, total=1.0, remark="")

    def _read_plan(self, run: str) -> Mapping[str, Any]:
        import frostline

        try:
            with frostline.Ledger(self._workspace, create=False) as ledger:
                record = ledger.load(run)
        except FrostlineError:
            # Only the estimate suffers; whatever is wrong, the run itself will say it.
            return {}
        return record.plan if record.mode == "shared" else {}

    def _step(self, event: StepProgress) -> None:
        self._worked.add(event.trajectory)
        done = event.step / max(event.n_steps, 1)
        where = self._train_from.get(event.trajectory)
        what = f"training {f'from {where}' if where else event.trajectory}, epoch {event.epoch}/{event.epochs}"
        self._show(what, done, self._scores.get(event.trajectory, f"step {event.step}/{event.n_steps}"))
        self._advance(("trajectory", event.trajectory), (event.epoch - 1 + done) / max(event.epochs, 1))

    def _epoch(self, event: EpochFinished) -> None:
        # Without the validation loss, so that it stands beside a bar in 80 columns.
        accuracy = "" if event.val_accuracy is None else f", val acc {format_fraction(event.val_accuracy)}"
        self._scores[event.trajectory] = f"loss {format_loss(event.train_loss)}{accuracy}"
        if event.replayed and event.trajectory in self._planned_epochs:
            self._n_replayed[event.trajectory] += 1
            done = self._n_replayed[event.trajectory] / self._planned_epochs[event.trajectory]
            self._advance(("trajectory", event.trajectory), done, free=True)

    def _show(self, what: str, done: float, remark: str) -> None:
        if self._current is None:
            self._current = self._progress.add_task(what, total=1.0, remark=remark)
        self._progress.update(self._current, description=what, completed=done, remark=remark)

    def _advance(self, part: tuple[str, str], fraction: float, *, free: bool = False) -> None:
        with self._reading:
            self._time_left.advance(part, fraction, self._elapsed(), free=free)
        self._redraw()

    def _redraw(self) -> None:
        if self._whole is not None:
            self._progress.update(self._whole, completed=self._time_left.fraction)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _remark(self, task: Task) -> str:
        """Return what stands behind a task's bar: of the whole run the time left, as it is at this moment."""
        if task.id != self._whole:
            return str(task.fields["remark"])
        with self._reading:
            left = self._time_left.seconds_left(self._elapsed())
        return "longer than predicted" if left is None else f"{format_estimate(left)} left"


class _Remarks(ProgressColumn):
    """A column of what a function says of each task whenever it is drawn."""

    def __init__(self, remark: Callable[[Task], str]) -> None:
        super().__init__(Column(no_wrap=True))
        self._of = remark

    def render(self, task: Task) -> Text:
        return Text(self._of(task))
