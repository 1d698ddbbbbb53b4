"""Whether an interrupted run can be taken up: the same question, on the same images, computed from the same things."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

import torch

from frostline.artifacts import FORMAT_VERSION as ARTIFACT_FORMAT
from frostline.errors import LedgerError
from frostline.execution._own import describe_code
from frostline.execution.events import Listener, Notice
from frostline.ledger import Ledger
from frostline.plan import Decided, pass_batch_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from frostline.execution._networks import Networks
    from frostline.execution._prepare import Prepared
    from frostline.execution._spent import Spent
    from frostline.ledger import RunRecord
    from frostline.plan import Precision
    from frostline.study import Study

__all__ = ["decided_by", "describe_basis", "find_finished", "take_up"]


def describe_basis(
    study: Study, networks: Networks, device: torch.device, engine: str, precision: Precision
) -> dict[str, Any]:
    """Return what a run's numbers rest on beside its study: where and how it computes, weights and own code by digest.

    The rest of the numerics, layout and threads, the plan has for each trajectory: a rule gives them.

    Raises:
        WeightsError: weights are missing, damaged or another network's; so that is known before a run begins.
    """
    weights = {}
    for arm in study.expand():
        recipe = arm.recipe
        key = f" {recipe.weights_key}" if recipe.weights_key else ""
        name = f"{recipe.backbone}, weights {recipe.weights}{key}, {recipe.image_size} px"
        if name not in weights:
            weights[name] = networks.identity(recipe).weights_digest
    numerics = {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "pass_batch_size": pass_batch_size(device.type),
        "versions": {name: metadata.version(name) for name in ("torch", "openvino")},
        "artifacts": ARTIFACT_FORMAT,
    }
    where = {"device": str(device), "engine": engine, "precision": precision}
    basis: dict[str, Any] = {**where, "numerics": numerics, "weights": weights}
    code = describe_code(study)
    # First, since other code may well be why weights differ.
    return {"code of own networks": code, **basis} if code else basis


def take_up(
    ledger: Ledger,
    prepared: Prepared,
    mode: str,
    basis: dict[str, Any],
    provenance: dict[str, str],
    emit: Listener,
    spent: Spent,
) -> str | None:
    """Claim and return the newest unfinished run that can be gone on with, if there is one."""
    for candidate in ledger.unfinished(prepared.study.digest, mode):
        record = ledger.load(candidate)
        if record.data.get("fingerprint") != prepared.dataset.fingerprint:
            emit(Notice(f"{candidate} can't be resumed: the images have changed since it began"))
            continue
        before = record.plan.get("basis", {})
        changed = [key for key, value in basis.items() if key != "numerics" and before.get(key) != value]
        if changed:
            emit(Notice(f"{candidate} can't be resumed: {' and '.join(changed)} changed since it began"))
            continue
        differences = _differences(before.get("numerics", {}), basis["numerics"])
        if differences:
            emit(
                Notice(
                    f"{candidate} can't be resumed: it began {', '.join(differences)}, so the last digits of its "
                    "numbers would change; continue it where these are the same as then, or start a new run here"
                )
            )
            continue
        with suppress(LedgerError):  # another process was quicker to take it up
            ledger.reopen(candidate, provenance, spent.began, spent.parts)
            return candidate
    return None


def find_finished(place: Path, study: Study, fingerprint: str, mode: str, basis: dict[str, Any]) -> RunRecord | None:
    """Return the newest complete run of a study on the same images, computed from the same things, if there is one."""
    if not place.is_dir():
        return None
    with suppress(LedgerError), Ledger(place, create=False) as ledger:
        for candidate in ledger.finished(study.digest, mode):
            record = ledger.load(candidate)
            same = record.data.get("fingerprint") == fingerprint and record.plan.get("basis") == basis
            if same and record.directory.is_dir():
                return record
    return None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what of the numerics was otherwise when a run began, in words."""
    began = {**before, **before.get("versions", {})}
    is_now = {**now, **now["versions"]}
    words = {
        "torch": "with torch {}, not {}",
        "openvino": "with openvino {}, not {}",
        "capability": "on a processor with {}, not {}",
        "threads": "on {} of torch's threads, not {} (OMP_NUM_THREADS sets them)",
        "pass_batch_size": "with {} images in a batch of a feature pass, not {}",
    }
    differing = (key for key in words if began.get(key) != is_now[key])
    return [words[key].format(began.get(key, "another number or version"), is_now[key]) for key in differing]


def decided_by(ledger: Ledger, run_id: str) -> dict[str, Decided]:
    """Return what the interrupted run planned for each trajectory: the same plan gives the same bits."""
    plan = ledger.load(run_id).plan
    groups = {id_: group["id"] for group in plan["groups"] for id_ in group["trajectories"]}
    return {t["id"]: Decided(t["mode"], t.get("activations"), groups[t["id"]]) for t in plan["trajectories"]}
