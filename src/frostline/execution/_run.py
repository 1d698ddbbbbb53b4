"""Carries out a study: plan, feature passes, trajectories, the choice and its test; stored as it goes."""

from __future__ import annotations

import shutil
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from frostline.errors import FrostlineError, LedgerError
from frostline.execution._bench import Bench
from frostline.execution._checks import check_networks, raise_problems
from frostline.execution._choice import choose_arms, judge
from frostline.execution._context import Context
from frostline.execution._cost import describe_cost, seconds_left
from frostline.execution._devices import choose_device, choose_engine, describe_provenance
from frostline.execution._files import RunFiles
from frostline.execution._heads import run_heads
from frostline.execution._networks import Networks
from frostline.execution._own import knows_networks
from frostline.execution._passes import make_pass
from frostline.execution._plain import plain_trajectory, run_plain
from frostline.execution._prepare import Prepared, check_cache_policy, is_measured, prepare
from frostline.execution._resuming import decided_by, describe_basis, take_up
from frostline.execution._spent import Spent
from frostline.execution._stored import rows_stored
from frostline.execution._trajectories import run_trajectory
from frostline.execution._turns import taking_turns
from frostline.execution._workers import Workers
from frostline.execution.events import Event, Listener, Notice, RunFinished, RunStarted
from frostline.features import Engines, FeatureStore
from frostline.ledger import ArmEntry, Ledger, RunRecord, Segment
from frostline.places import workspace_directory
from frostline.plan import read_budgets

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from frostline.plan import Budgets, CachePolicy, Plan
    from frostline.study import Study

__all__ = ["run"]


@knows_networks
def run(
    study: Study,
    *,
    plain: bool = False,
    workspace: Path | str | None = None,
    resume: bool | None = None,
    device: str = "auto",
    engine: str = "auto",
    cache: CachePolicy = "auto",
    disk: int | str | None = None,
    memory: int | str | None = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> RunRecord:
    """Run a study and return what the ledger has of it, as ``frostline.run`` says, which also shows it.

    Raises:
        FrostlineError: anything a user can cause; what was finished before is kept.
        KeyboardInterrupt: the run was stopped, is marked so, and can be resumed.
    """
    began = time.time() if began is None else began
    check_cache_policy(cache)
    budgets = read_budgets(disk, memory)
    chosen_device = choose_device(device)
    chosen_engine = "torch" if plain else choose_engine(engine, chosen_device)
    engines = Engines()
    spent = Spent(began, None if chosen_engine == "torch" else engines)
    emit = listener or _ignore
    with taking_turns(emit, spent.waiting):
        return _run(study, plain, workspace, resume, chosen_device, chosen_engine, cache, budgets, emit, engines, spent)


def _run(
    study: Study,
    plain: bool,
    workspace: Path | str | None,
    resume: bool | None,
    chosen_device: torch.device,
    chosen_engine: str,
    cache: CachePolicy,
    budgets: Budgets,
    emit: Listener,
    engines: Engines,
    spent: Spent,
) -> RunRecord:
    with Bench() as bench:
        if not is_measured(study, chosen_engine):
            bench.start()  # loads torch while the networks and images are looked at
        networks = Networks()
        raise_problems(check_networks(study, networks=networks))
        basis = describe_basis(study, networks, chosen_device, chosen_engine)
        for note in networks.notes:
            emit(Notice(note))
        threads = torch.get_num_threads()
        prepared = prepare(
            study, emit, networks, engines, chosen_engine, spent.measuring, bench, chosen_device.type, threads
        )
    for warning in prepared.dataset.warnings:
        emit(Notice(warning))
    place = Path(workspace) if workspace is not None else workspace_directory()
    mode = "plain" if plain else "shared"
    provenance = describe_provenance(chosen_device)
    with Ledger(place) as ledger, closing(FeatureStore(engines=engines)) as store:
        taken_up = None if resume is False else take_up(ledger, prepared, mode, basis, provenance, emit, spent)
        if resume and taken_up is None:
            raise LedgerError(
                f'nothing to resume: no interrupted run of "{study.name}" ({mode}) in {place}; run it without --resume'
            )
        if plain:
            plan = prepared.plan("never", budgets=budgets)
        elif taken_up is None:
            stored = rows_stored(prepared, networks, chosen_engine, store)
            plan = prepared.plan(cache, budgets=budgets, rows_stored=stored)
        else:
            plan = prepared.plan(cache, decided_by(ledger, taken_up), budgets=budgets)
        run_id = taken_up or _start(ledger, prepared, plan, mode, basis, provenance, spent)
        context = Context(
            prepared=prepared,
            plan=plan,
            ledger=ledger,
            run=run_id,
            files=RunFiles(ledger.run_directory(run_id)),
            store=store,
            networks=networks,
            device=chosen_device,
            engine=chosen_engine,
            plain=plain,
            emit=emit,
        )
        n_trajectories = len(plan.arms) if plain else len(plan.trajectories)
        left = seconds_left(context)
        emit(RunStarted(run_id, study.name, taken_up is not None, len(plan.arms), n_trajectories, left))
        try:
            _carry_out(context)
        except KeyboardInterrupt:
            _end(context, "interrupted", spent)
            raise
        except BaseException:
            _end(context, "failed", spent)
            raise
        shutil.rmtree(context.files.checkpoints, ignore_errors=True)
        _end(context, "complete", spent)
        return ledger.load(run_id)


def _carry_out(context: Context) -> None:
    if context.plain:
        for arm in context.prepared.arms:
            run_plain(context, arm)
    else:
        with _workers(context) as workers:
            for planned in context.plan.passes:
                make_pass(context, planned)
            # Heads go on from nothing but the pretrained network, so everything else can follow them.
            for group in context.plan.groups:
                if group.stacked:
                    run_heads(context, group)
            single = {group.id for group in context.plan.groups if not group.stacked}
            trajectories = [planned for planned in context.plan.trajectories if planned.id in single]
            if workers is not None:
                workers.run(trajectories)
            else:
                for trajectory in trajectories:
                    run_trajectory(context, trajectory)
    judge(context, choose_arms(context.ledger.load(context.run).arms))


def _workers(context: Context) -> AbstractContextManager[Workers | None]:
    """Return the processes that the plan has trajectories trained in, or nothing for the run's own."""
    plan = context.plan
    if plan.workers == 1 or context.device.type != "cpu":
        return nullcontext()
    return Workers(context, plan.workers, plan.threads)


def _start(
    ledger: Ledger,
    prepared: Prepared,
    plan: Plan,
    mode: str,
    basis: dict[str, Any],
    provenance: dict[str, str],
    spent: Spent,
) -> str:
    arms = []
    for arm, planned in zip(prepared.arms, plan.arms, strict=True):
        plain_path = ((plain_trajectory(arm.recipe), arm.recipe.total_epochs),)
        path = plain_path if mode == "plain" else planned.path
        arms.append(ArmEntry(arm.name, arm.recipe.to_json(), tuple(Segment(*segment) for segment in path)))
    definition = prepared.study.model_dump(mode="json")
    return ledger.start_run(
        prepared.study.name,
        prepared.study.digest,
        mode,
        definition,
        prepared.dataset.to_json(),
        {**plan.to_json(), "basis": basis},
        provenance,
        arms,
        spent.began,
        spent.parts,
    )


def _end(context: Context, status: str, spent: Spent) -> None:
    """Record how the run ended; a ledger that can't be written any more mustn't hide the error that ended it."""
    try:
        context.ledger.finish_run(context.run, status, describe_cost(context), spent.parts)
    except FrostlineError:
        if status == "complete":
            raise
    context.emit(RunFinished(context.run, status, context.ledger.load(context.run).took.seconds))


def _ignore(event: Event) -> None:
    """Listen to nothing."""
