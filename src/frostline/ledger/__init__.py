"""What happened: runs, arms, epochs, costs and files, in one SQLite database for each workspace."""

from __future__ import annotations

from frostline.ledger._ledger import Ledger
from frostline.ledger._records import ArmEntry, ArmRecord, EpochRow, FileRow, PassRow, RunRecord, RunRow, Segment, Took
from frostline.ledger._run_folder import load_run, save_run_record

__all__ = [
    "ArmEntry",
    "ArmRecord",
    "EpochRow",
    "FileRow",
    "Ledger",
    "PassRow",
    "RunRecord",
    "RunRow",
    "Segment",
    "Took",
    "load_run",
    "save_run_record",
]
