"""Who carries out the units of a plan: this process, or processes beside it; a cluster would be a third."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from frostline.execution._units import carry_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from frostline.execution._context import Context
    from frostline.execution._units import Unit

__all__ = ["Executor", "Here", "choose_executor"]


class Executor(Protocol):
    """Carries out units of work; a context manager, which leaves nothing running behind.

    Whatever it does, results go to the recorder of the context, and are stored when it has taken them. A unit that was
    cut off may be carried out again: what it had stored isn't done twice, and its bits are the same.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, units: Sequence[Unit]) -> None:
        """Carry out units, each after those that it needs; returns when all have ended.

        Raises:
            FrostlineError: what stopped one of them; what was stored before is kept.
            TrainingError: some were given up, and all that don't need them have ended.
            KeyboardInterrupt: nothing runs any more, and what was stored is kept.
        """


class Here:
    """Carries out units in this process, one after another."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def run(self, units: Sequence[Unit]) -> None:
        """See Executor."""
        for unit in units:
            carry_out(self._context, unit)


def choose_executor(context: Context) -> Executor:
    """Return the executor that the plan was made for."""
    from frostline.execution._processes import Processes

    plan = context.plan
    if plan.workers == 1 or context.device.type != "cpu":
        return Here(context)
    return Processes(context, plan.workers, plan.threads)
