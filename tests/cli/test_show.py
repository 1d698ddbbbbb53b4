from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from frostline.ledger import Ledger, save_run_record

from .conftest import write_run

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Invoke, Spawn


def test_the_pivot_is_the_exercises_table(workspace: Path, spawn: Spawn) -> None:
    write_run(workspace)
    result = spawn("show", "--pivot", "epochs,train_from")
    assert (result.returncode, result.stderr) == (0, "")
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in result.stdout.splitlines()]
    assert ["epochs", "train_from head", "train_from layer4"] in cells
    assert ["2", "0.8229, 0.6165", "0.4460, 0.2133"] in cells
    assert ["3", "0.8229, 0.6165, 0.5859", "0.4460, 0.2133, 0.1221"] in cells
    assert ["5", "0.8229, 0.6165, 0.5859, 0.5764, 0.5681", "0.4460, 0.2133, 0.1221, 0.0799, 0.0595"] in cells


def test_seeds_are_averaged_and_said(workspace: Path, invoke: Invoke) -> None:
    write_run(workspace, n_seeds=3)
    output = invoke("show", "--pivot", "epochs, train_from").stdout
    assert "mean of 3 seeds" in output
    assert "0.9229, 0.7165" in output


def test_the_latest_run_is_shown_unless_another_is_named(workspace: Path, invoke: Invoke) -> None:
    first, second = write_run(workspace, name="first"), write_run(workspace, name="second")
    assert second in invoke("show").stdout
    assert first in invoke("show", first).stdout
    assert json.loads(invoke("show", "--json").stdout)["run"] == second
    result = invoke("show", "1999")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'error: "1999" is neither a run nor a study with runs in' in result.stderr


def test_a_study_is_named_for_its_newest_run(workspace: Path, invoke: Invoke, tmp_path: Path) -> None:
    runs = [write_run(workspace, name=name) for name in ("mine", "own", "mine", "starter")]
    (tmp_path / "mine.toml").write_text("this = 'is wrong'")
    (tmp_path / "renamed.toml").write_text("name = 'own'")
    for named, run in [
        ("mine", runs[2]),
        ("mine.toml", runs[2]),
        (str(tmp_path / "mine.toml"), runs[2]),
        ("renamed.toml", runs[1]),
        ("own.toml", runs[1]),  # the file may be gone
        ("starter", runs[3]),
        (runs[0], runs[0]),
    ]:
        assert json.loads(invoke("show", named, "--json").stdout)["run"] == run


def test_a_study_without_runs_and_a_file_that_is_none(workspace: Path, invoke: Invoke, tmp_path: Path) -> None:
    write_run(workspace, name="mine")
    result = invoke("show", "starter")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f'error: "starter" is neither a run nor a study with runs in "{workspace}": there are runs of mine; '
        "`frostline runs` lists them all\n"
    )
    (tmp_path / "broken.toml").write_text("name = ")
    result = invoke("show", "broken.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: broken.toml:1:8: not valid TOML")


def test_arms(workspace: Path, invoke: Invoke) -> None:
    run = write_run(workspace, status="interrupted")
    output = invoke("show").stdout
    assert f"{run}: shared, interrupted, 3 of 6 arms complete" in output
    (line,) = (line for line in output.splitlines() if line.startswith("resnet18 head adam-0.001 2ep"))
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    assert cells[1:] == ["0.8229, 0.6165", "0.9229, 0.7165", "90.0%, 90.0%", "complete"]
    assert "waiting (0/5)" in output


def test_what_was_left_out_is_counted_in_every_report(workspace: Path, invoke: Invoke) -> None:
    run = write_run(workspace, n_skipped=2)
    note = f"2 items of the data were left out as unusable; `frostline show {run} --json` names them"
    for words in ([], ["--pivot", "epochs,train_from"]):
        assert note in invoke("show", *words).stdout.splitlines()
    assert json.loads(invoke("show", "--pivot", "epochs,train_from", "--json").stdout)["n_skipped"] == 2


def test_json_twins(workspace: Path, invoke: Invoke) -> None:
    run = write_run(workspace)
    record = json.loads(invoke("show", "--json").stdout)
    assert record["run"] == run
    assert record["data"] == {"source": "digits"}
    assert record["cost"] == {"seconds": 20.0}
    arm = record["arms"][0]
    assert arm["recipe"]["optimizer"] == {"name": "adam", "lr": 0.001}
    assert arm["epochs"][1] == {
        "epoch": 2,
        "train_loss": 0.6165,
        "val_loss": 0.7165,
        "val_accuracy": 0.9,
        "seconds": 2.0,
    }

    pivot = json.loads(invoke("show", "--json", "--pivot", "epochs,train_from", "--value", "val_accuracy").stdout)
    assert (pivot["run"], pivot["value"]) == (run, "val_accuracy")
    (table,) = pivot["tables"]
    assert table["columns"] == {"key": "train_from", "values": ["head", "layer4"]}
    assert table["cells"][0][0] == {"values": [0.9, 0.9], "n": 1, "others": []}

    (row,) = json.loads(invoke("runs", "--json").stdout)
    assert (row["run"], row["n_arms"], row["n_complete"], row["status"]) == (run, 6, 6, "complete")


def test_runs(workspace: Path, invoke: Invoke) -> None:
    first, second = write_run(workspace), write_run(workspace, status="interrupted")
    lines = invoke("runs").stdout.splitlines()
    assert lines[0] == f"runs in {workspace}"
    assert [line.split()[0] for line in lines[3:5]] == [second, first]
    assert lines[3].split()[1:6] == ["exercise", "shared", "interrupted", "6", "3"]


def test_tables_for_elsewhere(workspace: Path, invoke: Invoke, tmp_path: Path) -> None:
    write_run(workspace)
    result = invoke("show", "--csv", str(tmp_path / "t.csv"), "--parquet", str(tmp_path / "t.parquet"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {tmp_path / 't.csv'}\nwrote {tmp_path / 't.parquet'}\n"
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == parquet.read_table(tmp_path / "t.parquet").num_rows == 20
    assert (rows[0]["arm"], rows[0]["train_loss"]) == ("resnet18 head adam-0.001 2ep seed0", "0.8229")
    # What else is asked for is done besides.
    for words in (["--json"], ["--pivot", "epochs,train_from"]):
        result = invoke("show", "--csv", str(tmp_path / "u.csv"), *words)
        assert result.exit_code == 0
        assert result.stdout == invoke("show", *words).stdout != ""
        assert (tmp_path / "u.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()
        (tmp_path / "u.csv").unlink()
    result = invoke("show", "--csv", str(tmp_path / "absent" / "t.csv"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: can't write" in result.stderr


@pytest.mark.parametrize("command", [["runs"], ["show"], ["show", "--json"]])
def test_a_place_without_runs(workspace: Path, invoke: Invoke, command: list[str]) -> None:
    result = invoke(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f'error: no runs in "{workspace}" yet: start one, e.g. `frostline run starter`\n'
    assert not workspace.exists()


def test_a_setting_that_no_arm_has(workspace: Path, invoke: Invoke) -> None:
    write_run(workspace)
    result = invoke("show", "--pivot", "epoch,train_from")
    assert (result.exit_code, result.stdout) == (1, "")
    assert 'did you mean "epochs"?' in result.stderr


def test_a_damaged_ledger(workspace: Path, invoke: Invoke) -> None:
    workspace.mkdir()
    (workspace / "ledger.db").write_bytes(b"x" * 5000)
    result = invoke("show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: the ledger {workspace / 'ledger.db'} is damaged")


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_a_terminal(workspace: Path, spawn: Spawn, columns: int) -> None:
    write_run(workspace)
    for words in (["show"], ["show", "--pivot", "epochs,train_from"], ["runs"]):
        result = spawn(*words, COLUMNS=str(columns))
        assert max(len(line) for line in result.stdout.splitlines()) <= columns
        assert "…" not in result.stdout


@pytest.mark.parametrize("option", ["--csv", "--parquet"])
def test_another_kind_of_file_is_not_overwritten(option: str, workspace: Path, invoke: Invoke, tmp_path: Path) -> None:
    write_run(workspace)
    study = tmp_path / "mine.toml"
    study.write_text("name = 'mine'")
    result = invoke("show", option, str(study))
    assert result.exit_code == 1
    assert f'mine.toml exists and doesn\'t end in ".{option[2:]}": name another file' in result.stderr
    assert study.read_text() == "name = 'mine'"


def test_a_runs_folder_is_shown_wherever_it_was_copied(
    workspace: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(workspace)
    with Ledger(workspace, create=False) as ledger:
        record = ledger.load(run)
    save_run_record(record)
    copied = tmp_path / "another place" / "renamed"
    copied.parent.mkdir()
    record.directory.rename(copied)
    expected = invoke("show", run).stdout
    monkeypatch.setenv("FROSTLINE_WORKSPACE", str(tmp_path / "no runs"))
    assert invoke("show", str(copied)).stdout == expected
    shown = json.loads(invoke("show", str(copied), "--json").stdout)
    assert (shown["run"], shown["directory"]) == (run, str(copied))
    result = invoke("show", str(tmp_path / "another place"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no run.json there" in result.stderr
