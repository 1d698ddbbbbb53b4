"""Carries out a study: plan, feature passes, trajectories, the choice and its test; stored as it goes."""

from __future__ import annotations

import shutil
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.errors import FrostlineError, LedgerError
from frostline.execution._choice import choose_arms, judge
from frostline.execution._context import Context
from frostline.execution._devices import choose_device, describe_provenance
from frostline.execution._files import RunFiles
from frostline.execution._networks import Networks
from frostline.execution._passes import make_pass
from frostline.execution._plain import run_plain
from frostline.execution._prepare import Prepared, prepare
from frostline.execution._trajectories import run_trajectory
from frostline.execution.events import Event, Listener, Notice, RunFinished, RunStarted
from frostline.features import FeatureStore
from frostline.ledger import ArmEntry, Ledger, RunRecord, Segment
from frostline.places import workspace_directory

if TYPE_CHECKING:
    from frostline.plan import CachePolicy, Layout, Plan
    from frostline.study import Study

__all__ = ["run"]


def run(
    study: Study,
    *,
    plain: bool = False,
    workspace: Path | str | None = None,
    resume: bool | None = None,
    device: str = "auto",
    engine: str = "auto",
    cache: CachePolicy = "auto",
    listener: Listener | None = None,
) -> RunRecord:
    """Run a study and return what the ledger has of it.

    A run of the same study that was interrupted is taken up where it stopped; every number is then the one that the
    uninterrupted run would have had.

    Args:
        study: what is asked.
        plain: train each arm alone and uncut by the plain loop, the oracle.
        workspace: the directory of results; ``runs`` in the working directory when left out.
        resume: True insists on an interrupted run to take up, False begins anew, None takes one up if there is one.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        engine: of feature passes: ``auto``, ``openvino`` or ``torch``.
        cache: whether activations are stored: ``auto`` where that is predicted cheaper, ``always``, ``never``.
        listener: told each event as it happens.

    Raises:
        FrostlineError: anything a user can cause; what was finished before is kept.
        KeyboardInterrupt: the run was stopped, is marked so, and can be resumed.
    """
    emit: Listener = listener or _ignore
    started = time.perf_counter()
    chosen_device = choose_device(device)
    prepared = prepare(study, emit)
    for warning in prepared.dataset.warnings:
        emit(Notice(warning))
    place = Path(workspace) if workspace is not None else workspace_directory()
    with Ledger(place) as ledger, closing(FeatureStore()) as store:
        mode = "plain" if plain else "shared"
        provenance = describe_provenance(chosen_device)
        taken_up = None if resume is False else _take_up(ledger, prepared, mode, provenance, emit)
        if resume and taken_up is None:
            raise LedgerError(
                f'nothing to resume: no interrupted run of "{study.name}" ({mode}) in {place}; run it without --resume'
            )
        plan = prepared.plan(cache, _decided(ledger, taken_up))
        run_id = taken_up or _start(ledger, prepared, plan, mode, provenance)
        context = Context(
            prepared=prepared,
            plan=plan,
            ledger=ledger,
            run=run_id,
            files=RunFiles(ledger.run_directory(run_id)),
            store=store,
            networks=Networks(len(prepared.dataset.classes)),
            device=chosen_device,
            engine=engine,
            plain=plain,
            emit=emit,
        )
        seconds = plan.totals.plain_seconds if plain else plan.totals.seconds
        n_trajectories = len(plan.arms) if plain else len(plan.trajectories)
        emit(RunStarted(run_id, study.name, taken_up is not None, len(plan.arms), n_trajectories, seconds))
        try:
            _carry_out(context)
        except KeyboardInterrupt:
            _end(context, "interrupted", started)
            raise
        except BaseException:
            _end(context, "failed", started)
            raise
        _end(context, "complete", started)
        shutil.rmtree(context.files.checkpoints, ignore_errors=True)
        return ledger.load(run_id)


def _carry_out(context: Context) -> None:
    if context.plain:
        for arm in context.prepared.arms:
            run_plain(context, arm)
    else:
        for planned in context.plan.passes:
            make_pass(context, planned)
        for trajectory in context.plan.trajectories:
            run_trajectory(context, trajectory)
    judge(context, choose_arms(context.ledger.load(context.run).arms))


def _take_up(ledger: Ledger, prepared: Prepared, mode: str, provenance: dict[str, str], emit: Listener) -> str | None:
    """Claim and return the newest unfinished run of the same study on the same images, if there is one."""
    for candidate in ledger.unfinished(prepared.study.digest, mode):
        if ledger.load(candidate).data.get("fingerprint") != prepared.dataset.fingerprint:
            emit(Notice(f"{candidate} can't be resumed: the images have changed since it began"))
            continue
        with suppress(LedgerError):  # another process was quicker to take it up
            ledger.reopen(candidate, provenance)
            return candidate
    return None


def _decided(ledger: Ledger, run_id: str | None) -> dict[str, tuple[str, Layout]] | None:
    """Return cut and layout of each trajectory as the interrupted run planned it: the same plan gives the same bits."""
    if run_id is None:
        return None
    return {t["id"]: (t["cut"], t["layout"]) for t in ledger.load(run_id).plan["trajectories"]}


def _start(ledger: Ledger, prepared: Prepared, plan: Plan, mode: str, provenance: dict[str, str]) -> str:
    arms = []
    for arm, planned in zip(prepared.arms, plan.arms, strict=True):
        plain_path = ((arm.recipe.key()[:8], arm.recipe.total_epochs),)
        path = plain_path if mode == "plain" else planned.path
        arms.append(ArmEntry(arm.name, arm.recipe.to_json(), tuple(Segment(*segment) for segment in path)))
    definition = prepared.study.model_dump(mode="json")
    return ledger.start_run(
        prepared.study.name,
        prepared.study.digest,
        mode,
        definition,
        prepared.dataset.to_json(),
        plan.to_json(),
        provenance,
        arms,
    )


def _end(context: Context, status: str, started: float) -> None:
    """Record how the run ended; a ledger that can't be written any more mustn't hide the error that ended it."""
    seconds = time.perf_counter() - started
    try:
        context.ledger.finish_run(context.run, status, _cost(context, seconds))
    except FrostlineError:
        if status == "complete":
            raise
    context.emit(RunFinished(context.run, status, seconds))


def _cost(context: Context, seconds: float) -> dict[str, Any]:
    """Return measured beside predicted: the run, its passes and trajectories, and each arm alone and on top."""
    if context.plain:
        return {"seconds": seconds, "predicted_seconds": context.plan.totals.plain_seconds}
    passes = {p.name: p.seconds for p in context.ledger.passes(context.run) if not p.reused}
    epochs = {
        t.id: [row.seconds for row in context.ledger.epochs(context.run, t.id)] for t in context.plan.trajectories
    }
    measured = {**passes, **{id_: sum(rows) / len(rows) for id_, rows in epochs.items() if rows}}
    decided = {t.id: (t.cut, t.layout) for t in context.plan.trajectories}
    again = context.prepared.plan(decided=decided, measured=measured)
    return {
        "seconds": seconds,
        "predicted_seconds": context.plan.totals.seconds,
        "pass_seconds": sum(passes.values()),
        "training_seconds": sum(sum(rows) for rows in epochs.values()),
        "predicted_bytes": context.plan.totals.bytes,
        "plain_seconds": context.plan.totals.plain_seconds,
        "arms": {
            arm.name: {
                "alone_seconds": arm.alone_seconds,
                "marginal_seconds": arm.marginal_seconds,
                "predicted_alone_seconds": planned.alone_seconds,
                "predicted_marginal_seconds": planned.marginal_seconds,
                "plain_seconds": arm.plain_seconds,
            }
            for arm, planned in zip(again.arms, context.plan.arms, strict=True)
        },
    }


def _ignore(event: Event) -> None:
    """Listen to nothing."""
