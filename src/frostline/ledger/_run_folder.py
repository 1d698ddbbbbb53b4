"""A run's folder as a whole: everything the ledger knows of the run, beside its files, so that it can be copied."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.errors import LedgerError
from frostline.files import save_file
from frostline.ledger._ledger import Ledger
from frostline.ledger._records import ArmRecord, EpochRow, FileRow, PassRow, RunRecord, Segment, Took
from frostline.places import workspace_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_run", "save_run_record"]

RECORD = "run.json"
FORMAT_VERSION = 1


def load_run(run: str | Path | None = None, workspace: str | Path | None = None) -> RunRecord:
    """Return what is known of a run.

    Args:
        run: its id or the beginning of it, a study's name for its newest run, the path of a run's folder, wherever
            that was copied; the newest run when left out.
        workspace: the directory of results; ``runs`` in the working directory when left out.

    Raises:
        LedgerError: there is no such run, or the folder's record is damaged.
    """
    if run is not None and (Path(run) / RECORD).is_file():
        return _read(Path(run))
    if isinstance(run, Path) or (run is not None and Path(run).is_dir() and len(Path(run).parts) > 1):
        raise LedgerError(f"{run}: no {RECORD} there, so this is not the folder of a run that has ended")
    place = workspace_directory() if workspace is None else workspace
    with Ledger(place, create=False) as ledger:
        return ledger.load(run)


def save_run_record(record: RunRecord) -> None:
    """Write a run's record into its folder.

    Raises:
        DiskFullError: it can't be written.
    """
    fields = {
        "format": FORMAT_VERSION,
        **record.to_json(),
        "study_digest": record.study_digest,
        "definition": dict(record.definition),
    }
    content = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    save_file(record.directory / RECORD, content.encode())


def _read(folder: Path) -> RunRecord:
    path = folder / RECORD
    try:
        fields = json.loads(path.read_bytes())
        if fields["format"] != FORMAT_VERSION:
            raise ValueError(f"it has format {fields['format']}, and this version reads format {FORMAT_VERSION}")
        return RunRecord(
            **{name: fields[name] for name in ("run", "study", "study_digest", "mode", "status", "created")},
            **{name: fields[name] for name in ("finished", "definition", "data", "plan", "cost")},
            provenance=tuple(fields["provenance"]),
            passes=tuple(PassRow(**_without(each, "reused")) for each in fields["passes"]),
            arms=tuple(map(_arm, fields["arms"])),
            directory=folder,
            took=Took(**fields["took"]),
            chosen=tuple(fields["chosen"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path} can't be read ({error}): copy the run's folder again") from error


def _arm(fields: Mapping[str, Any]) -> ArmRecord:
    return ArmRecord(
        name=fields["name"],
        recipe=fields["recipe"],
        status=fields["status"],
        message=fields["message"],
        path=tuple(Segment(*segment) for segment in fields["path"]),
        epochs=tuple(_epoch(row) for row in fields["epochs"]),
        test_loss=fields["test_loss"],
        test_accuracy=fields["test_accuracy"],
        files=tuple(FileRow(**file) for file in fields["files"]),
    )


def _epoch(fields: Mapping[str, Any]) -> EpochRow:
    loss = fields["train_loss"]
    return EpochRow(**{**fields, "train_loss": math.nan if loss is None else loss})


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
