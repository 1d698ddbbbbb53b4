"""Results as an Arrow or pandas table, and as CSV and Parquet files."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from frostline.errors import DiskFullError, MissingExtraError
from frostline.report._settings import flat_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from frostline.ledger import RunRecord

__all__ = ["to_arrow", "to_pandas", "write_csv", "write_parquet"]


def to_arrow(record: RunRecord) -> pa.Table:
    """Return a run as a long table: one row for each arm and epoch, every setting of the recipe a column.

    An arm without epochs has one row with nulls, so that none is left out. Settings that are lists are JSON text.
    """
    import pyarrow as pa

    rows = [row for arm in record.arms for row in _rows(record, arm)]
    fixed = {
        "run": pa.string(),
        "study": pa.string(),
        "mode": pa.string(),
        "arm": pa.string(),
        "status": pa.string(),
        "trajectory": pa.string(),
        "epoch": pa.int64(),
        "train_loss": pa.float64(),
        "val_loss": pa.float64(),
        "val_accuracy": pa.float64(),
        "seconds": pa.float64(),
        "test_loss": pa.float64(),
        "test_accuracy": pa.float64(),
    }
    settings = list(dict.fromkeys(key for row in rows for key in row if key not in fixed))
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in fixed.items()}
    columns |= {name: _setting_array([row.get(name) for row in rows]) for name in settings}
    return pa.table(columns)


def to_pandas(record: RunRecord) -> pd.DataFrame:
    """Return the table of `to_arrow` as a pandas frame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pandas", "pandas", "a table as a pandas frame") from error
    frame: pd.DataFrame = to_arrow(record).to_pandas()
    return frame


def write_csv(record: RunRecord, path: Path) -> None:
    """Write the table of `to_arrow` as CSV; the file is complete or not there.

    Raises:
        DiskFullError: it can't be written.
    """
    from pyarrow import csv

    _write(path, lambda file: csv.write_csv(to_arrow(record), file))


def write_parquet(record: RunRecord, path: Path) -> None:
    """Write the table of `to_arrow` as Parquet; the file is complete or not there.

    Raises:
        DiskFullError: it can't be written.
    """
    from pyarrow import parquet

    _write(path, lambda file: parquet.write_table(to_arrow(record), file))


def _write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    if not path.name or path.is_dir():
        raise DiskFullError(f'can\'t write "{path}" (it is a folder): give the name of a file')
    target = path.with_name(f".{path.name}.partial")
    try:
        with target.open("wb") as file:
            write(file)
        target.replace(path)
    except OSError as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise DiskFullError(f'can\'t write "{path}" ({error.strerror or error}): give another place') from error


def _rows(record: RunRecord, arm: Any) -> list[dict[str, Any]]:
    fixed = {
        "run": record.run,
        "study": record.study,
        "mode": record.mode,
        "arm": arm.name,
        "status": arm.status,
        "trajectory": arm.trajectory,
        "test_loss": arm.test_loss,
        "test_accuracy": arm.test_accuracy,
    }
    settings = flat_settings(arm.recipe)
    epochs = [
        {
            "epoch": row.epoch,
            "train_loss": row.train_loss,
            "val_loss": row.val_loss,
            "val_accuracy": row.val_accuracy,
            "seconds": row.seconds,
        }
        for row in arm.epochs
    ] or [dict.fromkeys(("epoch", "train_loss", "val_loss", "val_accuracy", "seconds"))]
    return [settings | fixed | each for each in epochs]


def _setting_array(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) == 1 and kinds <= {int, bool, str}:
        return pa.array(values)
    return pa.array(
        [value if value is None or isinstance(value, str) else json.dumps(value) for value in values], pa.string()
    )
