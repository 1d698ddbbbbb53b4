from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from frostline.errors import DiskFullError, MissingExtraError
from frostline.report import to_arrow, to_pandas, write_csv, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

    from frostline.ledger import RunRecord

    from .conftest import MakeArm, MakeRecord


def test_one_row_an_arm_and_epoch_with_every_setting(exercise: RunRecord) -> None:
    table = to_arrow(exercise)
    # 2 + 3 + 5, twice, and 2 + 5.
    assert table.num_rows == 27
    first = table.slice(0, 1).to_pylist()[0]
    assert first["arm"] == "resnet18 head adam 2ep seed0"
    assert (first["epoch"], first["epochs"], first["train_loss"]) == (1, 2, 0.8285)
    assert (first["optimizer.name"], first["optimizer.lr"], first["optimizer.momentum"]) == ("adam", 1e-3, 0.0)
    assert (first["backbone"], first["train_from"], first["seed"]) == ("resnet18", "head", 0)
    assert "phases" not in table.column_names
    assert table.schema.field("seed").type == pa.int64()
    assert table.schema.field("optimizer.lr").type == pa.float64()
    assert table.schema.field("optimizer.nesterov").type == pa.bool_()


def test_settings_of_several_kinds_are_text(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(
        make_arm([0.5], views=4, head={"hidden": [64], "dropout": 0.5}),
        make_arm([0.5], views="fresh", seed=1),
        make_arm([0.5], seed=2, phases=[{"train_from": "head", "epochs": 1}, {"train_from": "layer4", "epochs": 1}]),
    )
    rows = to_arrow(record).to_pylist()
    assert [row["views"] for row in rows] == ["4", "fresh", "1"]
    assert [row["head.hidden"] for row in rows] == ["[64]", "[]", "[]"]
    assert [row["phases"] for row in rows] == [None, None, '[{"train_from": "head", "epochs": 1}]']


def test_no_arm_is_left_out(make_arm: MakeArm, make_record: MakeRecord) -> None:
    record = make_record(make_arm([math.nan], epochs=2, status="diverged"), make_arm([], epochs=2, status="waiting"))
    rows = to_arrow(record).to_pylist()
    assert [row["status"] for row in rows] == ["diverged", "waiting"]
    assert math.isnan(rows[0]["train_loss"])
    assert rows[1]["epoch"] is None


def test_files_hold_the_same_table(exercise: RunRecord, tmp_path: Path) -> None:
    table = to_arrow(exercise)
    write_parquet(exercise, tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").equals(table)
    write_csv(exercise, tmp_path / "t.csv")
    read = csv.read_csv(tmp_path / "t.csv")
    assert read.column_names == table.column_names
    assert read["train_loss"].to_pylist() == table["train_loss"].to_pylist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_place_that_cannot_be_written(exercise: RunRecord, tmp_path: Path, write: object) -> None:
    assert callable(write)
    with pytest.raises(
        DiskFullError, match=r'can\'t write ".*absent.t\.out" \(No such file or directory\): give another place'
    ):
        write(exercise, tmp_path / "absent" / "t.out")


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_folder_is_no_file(exercise: RunRecord, tmp_path: Path, write: object) -> None:
    assert callable(write)
    for place in (tmp_path, type(tmp_path)(), type(tmp_path)("..")):
        with pytest.raises(DiskFullError, match=r"can't write .*\(it is a folder\): give the name of a file"):
            write(exercise, place)
    assert list(tmp_path.iterdir()) == []


def test_pandas(exercise: RunRecord) -> None:
    pytest.importorskip("pandas")
    frame = to_pandas(exercise)
    assert frame.groupby("arm")["epoch"].max().loc["resnet18 layer4 adam 5ep seed0"] == 5


def test_pandas_that_is_not_installed(exercise: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(
        MissingExtraError, match=r"needs pandas, which is not installed: pip install 'frostline\[pandas\]'"
    ):
        to_pandas(exercise)
