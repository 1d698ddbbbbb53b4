"""A study's plan before it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from frostline.errors import FrostlineError
from frostline.execution._own import knows_networks
from frostline.execution._prepare import is_measured, prepare
from frostline.execution.events import Notice
from frostline.machine import CPU, Bench, Place, may_have_accelerator, usual_engine
from frostline.plan import CachePolicy, read_budgets

if TYPE_CHECKING:
    from frostline.execution.events import Listener
    from frostline.plan import Plan, Precision
    from frostline.study import Study

__all__ = ["check_cache_policy", "plan_study"]


@knows_networks
def plan_study(
    study: Study,
    *,
    device: str = "auto",
    precision: Precision = "ieee",
    cache: CachePolicy = "auto",
    disk: int | str | None = None,
    memory: int | str | None = None,
    device_memory: int | str | None = None,
    listener: Listener | None = None,
) -> Plan:
    """Return what a study would share, train and cost with nothing stored yet.

    This machine is measured first where it hasn't been.

    Args:
        study: what is asked.
        device: what the run would compute on: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: how exactly products are computed: ``ieee``, ``tf32`` or ``bf16``.
        cache: ``auto`` stores activations where that is predicted cheaper, ``always`` wherever it gives the same
            answer, ``never`` nowhere.
        disk: the most that the study's stored activations may take together, in bytes or as text such as ``10GB``;
            what doesn't fit is recomputed.
        memory: the most that the run may take of memory, likewise; heads are trained in smaller groups to keep it.
        device_memory: the most that the run may take of an accelerator's own memory, likewise.
        listener: told what of the images is used and what there is to know about them, and when the machine is
            measured.

    Raises:
        BudgetError: a budget is no size, or can't be kept.
        StudyError, DataError, ModelError: the study asks for what isn't there.
    """
    check_cache_policy(cache)
    budgets = read_budgets(disk, memory, device_memory)
    place, engine = _choose_place(device, precision)
    with Bench() as bench:
        if not is_measured(study, engine, place):
            bench.start()  # loads torch while the networks and images are looked at
        prepared = prepare(study, listener, engine=engine, bench=bench, device=place.device, precision=place.precision)
    if listener is not None:
        for warning in prepared.dataset.warnings:
            listener(Notice(warning))
    return prepared.plan(cache, budgets=budgets)


def _choose_place(device: str, precision: Precision) -> tuple[Place, str]:
    """Return where a run would compute, and by which engine; the CPU, without loading torch, where that is sure."""
    if precision == "ieee" and (device == "cpu" or (device == "auto" and not may_have_accelerator())):
        return CPU, usual_engine(CPU)
    from frostline.execution._devices import choose_device, choose_engine, choose_precision

    chosen = choose_device(device)
    exactness = choose_precision(precision, chosen)
    return Place(str(chosen), exactness), choose_engine("auto", chosen, exactness)


def check_cache_policy(cache: str) -> None:
    """Raise FrostlineError for a policy that doesn't exist."""
    if cache not in get_args(CachePolicy):
        raise FrostlineError(f'cache "{cache}" is unknown: choose {", ".join(get_args(CachePolicy))}')
