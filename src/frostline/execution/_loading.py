"""An arm of a run, found again as a network that predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.artifacts import load_arm_folder
from frostline.errors import ArtifactError, closest
from frostline.execution._devices import choose_device
from frostline.execution._files import RunFiles
from frostline.ledger import RunRecord, load_run
from frostline.models import PY, use_networks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import nn

    from frostline.artifacts import TrainedArm

__all__ = ["load_arm"]


def load_arm(
    run: RunRecord | str | Path | None = None,
    arm: str | None = None,
    *,
    workspace: str | Path | None = None,
    device: str = "auto",
    weights: str | None = None,
    networks: Mapping[str, Callable[[], nn.Module] | str] | None = None,
) -> TrainedArm:
    """Return an arm of a run as a network that predicts, with its preprocessing and classes.

    Example::

        arm = frostline.load_arm("starter")  # the arm that validation chose
        arm.classes[arm.logits(["cat.jpg"]).argmax()]

    Args:
        run: a run, its id, its study's name, or the path of its folder, wherever that was copied; the newest run when
            left out.
        arm: the arm's name; the chosen arm when left out, of several seeds the first.
        workspace: the directory of results; ``runs`` in the working directory when left out.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        weights: the file of the pretrained weights, where it isn't any more where it was.
        networks: the study's own networks by name, where its recipes have any.

    Raises:
        LedgerError: there is no such run.
        ArtifactError: there is no such arm, it isn't complete, or one of its files is missing or damaged.
        WeightsError: the pretrained weights can't be found; says what to put where.
    """
    record = run if isinstance(run, RunRecord) else load_run(run, workspace)
    names = [each.name for each in record.arms]
    if arm is None and not record.chosen:
        raise ArtifactError(f"{record.run} has no chosen arm ({record.status}): name one of {_listed(names)}")
    name = record.chosen[0] if arm is None else arm
    if name not in names:
        raise ArtifactError(f'{record.run} has no arm "{name}", but {_listed(names)}{closest(name, names)}')
    status = record.arm(name).status
    if status != "complete":
        raise ArtifactError(f'{record.run}: the arm "{name}" is {status}, so there is no network to load')
    definition = {k: v for k, v in (record.definition.get("networks") or {}).items() if v.startswith(PY)}
    backbone = str(record.arm(name).recipe["backbone"])
    with use_networks({**definition, **(networks or {})}, (backbone,)):
        return load_arm_folder(RunFiles(record.directory).arm(name), choose_device(device), weights)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:10])
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")
