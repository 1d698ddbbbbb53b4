"""The folders of runs, whose names are the runs' ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from frostline.errors import LedgerError
from frostline.ledger._database import explain_write_failure

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = ["keep_folder", "make_folder"]


def make_folder(workspace: Path, study_name: str, now: datetime) -> str:
    """Make the folder of a new run and return its id: UTC time and study, ``20261124-034216-starter``.

    Making the folder decides who has the name: two processes may start a study in the same second.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", study_name.lower()).strip("-")[:40] or "study"
    name = f"{now:%Y%m%d-%H%M%S}-{slug}"
    for number in range(1, 1000):
        run = name if number == 1 else f"{name}-{number}"
        try:
            (workspace / run).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise explain_write_failure(error, workspace / run, "the run's folder") from error
        return run
    raise LedgerError(f'no name is left for another run "{name}" in "{workspace}"')


def keep_folder(folder: Path) -> None:
    """Make a run's folder where someone has removed it."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise explain_write_failure(error, folder, "the run's folder") from error
