"""Carries out a study: plan, feature passes, trajectories, the choice and its test; stored as it goes."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from frostline.errors import FrostlineError, LedgerError
from frostline.execution._checks import check_networks, raise_problems
from frostline.execution._chosen import choose_arms, judge
from frostline.execution._context import Context
from frostline.execution._cost import describe_cost, seconds_left
from frostline.execution._devices import choose_device, choose_engine, choose_precision, describe_provenance
from frostline.execution._executors import choose_executor
from frostline.execution._files import RunFiles
from frostline.execution._networks import Networks
from frostline.execution._own import knows_networks
from frostline.execution._plain import plain_trajectory, run_plain
from frostline.execution._planning import check_cache_policy
from frostline.execution._prepare import Prepared, is_measured, prepare, read_data
from frostline.execution._recorder import LedgerRecorder
from frostline.execution._resuming import decided_by, describe_basis, find_finished, take_up
from frostline.execution._row_room import make_row_room
from frostline.execution._spent import Spent
from frostline.execution._stored import rows_missing
from frostline.execution._turns import taking_turns
from frostline.execution._units import units_of
from frostline.execution.events import Event, Listener, Notice, Preparing, RunFinished, RunFound, RunStarted
from frostline.features import Engines, FeatureStore, computing
from frostline.ledger import ArmEntry, Ledger, RunRecord, Segment, save_run_record
from frostline.machine import CPU, Bench, Place
from frostline.places import workspace_directory
from frostline.plan import read_budgets
from frostline.quantities import format_number_of
from frostline.study import Study, load_study

if TYPE_CHECKING:
    from frostline.plan import Budgets, CachePolicy, Plan, Precision

__all__ = ["run"]

NO_OPENVINO = "OpenVINO is not installed, so torch runs the frozen stages, which takes longer: pip install openvino"


def run(
    study: Study | str | Path,
    *,
    plain: bool = False,
    workspace: Path | str | None = None,
    resume: bool | None = None,
    again: bool = False,
    device: str = "auto",
    engine: str = "auto",
    precision: Precision = "ieee",
    cache: CachePolicy = "auto",
    disk: int | str | None = None,
    memory: int | str | None = None,
    device_memory: int | str | None = None,
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
    budgets = read_budgets(disk, memory, device_memory)
    asked = study if isinstance(study, Study) else load_study(study)
    place = Path(workspace) if workspace is not None else workspace_directory()
    chosen_device = choose_device(device)
    chosen_precision = choose_precision(precision, chosen_device)
    chosen_engine = "torch" if plain else choose_engine(engine, chosen_device, chosen_precision)
    place_of_run = Place(chosen_device.type, chosen_precision)
    fresh = again or resume is not None
    engines = Engines()
    spent = Spent(began, None if chosen_engine == "torch" else engines)
    emit = listener or _ignore
    if not plain and engine == "auto" and place_of_run == CPU and chosen_engine == "torch":
        emit(Notice(NO_OPENVINO))
    with taking_turns(emit, spent.waiting), computing(chosen_precision, chosen_device.type):
        return _run(
            asked,
            plain,
            place,
            resume,
            fresh,
            chosen_device,
            chosen_engine,
            chosen_precision,
            cache,
            budgets,
            emit,
            engines,
            spent,
        )


@knows_networks
def _run(
    study: Study,
    plain: bool,
    place: Path,
    resume: bool | None,
    fresh: bool,
    chosen_device: torch.device,
    chosen_engine: str,
    precision: Precision,
    cache: CachePolicy,
    budgets: Budgets,
    emit: Listener,
    engines: Engines,
    spent: Spent,
) -> RunRecord:
    with Bench() as bench:
        if not is_measured(study, chosen_engine, Place(str(chosen_device), precision)):
            bench.start()  # loads torch while the networks and images are looked at
        backbones = {arm.recipe.backbone for arm in study.expand()}
        several = format_number_of(len(backbones), "network")
        emit(Preparing(f"looking at {several if len(backbones) > 1 else min(backbones)}"))
        networks = Networks()
        raise_problems(check_networks(study, networks=networks))
        basis = describe_basis(study, networks, chosen_device, chosen_engine, precision)
        for note in networks.notes:
            emit(Notice(note))
        emit(Preparing("reading the images"))
        dataset = read_data(study, emit)
        for warning in dataset.warnings:
            emit(Notice(warning))
        mode = "plain" if plain else "shared"
        finished = None if fresh else find_finished(place, study, dataset.fingerprint, mode, basis)
        if finished is not None:
            emit(RunFound(finished.run, study.name, finished.finished or finished.created))
            return finished
        emit(Preparing("planning"))
        threads = torch.get_num_threads()
        prepared = prepare(
            study,
            emit,
            networks,
            engines,
            chosen_engine,
            spent.measuring,
            bench,
            str(chosen_device),
            threads,
            dataset,
            precision,
        )
    provenance = describe_provenance(chosen_device)
    with Ledger(place) as ledger, closing(FeatureStore(engines=engines)) as store:
        taken_up = None if resume is False else take_up(ledger, prepared, mode, basis, provenance, emit, spent)
        if resume and taken_up is None:
            raise LedgerError(
                f'nothing to resume: no interrupted run of "{study.name}" ({mode}) in {place}; run it without --resume '
                "(resume=True in Python)"
            )
        if plain:
            plan = prepared.plan("never", budgets=budgets)
        elif taken_up is None:
            missing = rows_missing(prepared, networks, chosen_engine, store)
            plan = prepared.plan(cache, budgets=budgets, missing=missing)
        else:
            plan = prepared.plan(cache, decided_by(ledger, taken_up), budgets=budgets)
        run_id = taken_up or _start(ledger, prepared, plan, mode, basis, provenance, spent)
        context = Context(
            prepared=prepared,
            plan=plan,
            recorder=LedgerRecorder(ledger, run_id),
            run=run_id,
            files=RunFiles(ledger.run_directory(run_id)),
            store=store,
            networks=networks,
            device=chosen_device,
            engine=chosen_engine,
            plain=plain,
            emit=emit,
            room=make_row_room(chosen_device, budgets, plan.totals),
        )
        n_trajectories = len(plan.arms) if plain else len(plan.trajectories)
        left = seconds_left(context, ledger)
        emit(RunStarted(run_id, study.name, taken_up is not None, len(plan.arms), n_trajectories, left))
        try:
            _carry_out(context, ledger)
        except KeyboardInterrupt:
            _end(context, ledger, "interrupted", spent)
            raise
        except BaseException:
            _end(context, ledger, "failed", spent)
            raise
        shutil.rmtree(context.files.checkpoints, ignore_errors=True)
        _end(context, ledger, "complete", spent)
        return ledger.load(run_id)


def _carry_out(context: Context, ledger: Ledger) -> None:
    if context.plain:
        for arm in context.prepared.arms:
            run_plain(context, arm)
    else:
        with choose_executor(context) as executor:
            executor.run(units_of(context.plan))
    judge(context, ledger, choose_arms(ledger.load(context.run).arms))


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


def _end(context: Context, ledger: Ledger, status: str, spent: Spent) -> None:
    """Record how the run ended; a disk that can't be written any more mustn't hide the error that ended it."""
    try:
        ledger.finish_run(context.run, status, describe_cost(context, ledger), spent.parts)
        save_run_record(ledger.load(context.run))
    except FrostlineError:
        if status == "complete":
            raise
    context.emit(RunFinished(context.run, status, ledger.load(context.run).took.seconds))


def _ignore(event: Event) -> None:
    """Listen to nothing."""
