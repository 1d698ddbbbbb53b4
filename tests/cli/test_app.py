from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import frostline
from frostline.cli import app
from frostline.errors import FrostlineError
from frostline.study._other_names import KEPT_ELSEWHERE

if TYPE_CHECKING:
    from .conftest import Invoke, Spawn

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = [
    *([name] for name in ("run", "check", "plan", "stages", "backbones", "runs", "show", "doctor", "cache")),
    *(["cache", name] for name in ("list", "prune", "verify", "path")),
]


def test_version(spawn: Spawn) -> None:
    result = spawn("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"frostline {frostline.__version__}\n", "")


def test_help_loads_nothing_slow() -> None:
    code = "import sys, frostline.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pyarrow", "pydantic", "numpy", "rich"} & set(modules)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(invoke: Invoke, words: list[str]) -> None:
    result = invoke(*words, "--help")
    assert result.exit_code == 0
    assert re.search(r"Examples:\n.*frostline " + " ".join(words), result.output, re.DOTALL)
    assert invoke(*words, "-h").output == result.output


def test_the_list_of_commands_is_not_cut_off(invoke: Invoke) -> None:
    assert "..." not in invoke("--help").output.split("Commands:")[1]


def test_the_documented_commands_are_these() -> None:
    made = subprocess.run(
        [sys.executable, "docs/make_commands.py"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout
    assert (REPOSITORY / "docs" / "commands.md").read_text() == made, "run the command at the top of docs/commands.md"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["run"], "Missing argument 'STUDY'"),
        (["run", "starter", "--nosuch"], "No such option"),
        (["run", "starter", "--engine", "tensorrt"], "'tensorrt' is not one of 'auto', 'openvino', 'torch'"),
        (["show", "--pivot", "epochs"], '"epochs": give two settings with a comma between them'),
        (["show", "--pivot", "a,b,c"], '"a,b,c": give two settings'),
        (["show", "--value", "loss"], "'loss' is not one of"),
        (["show", "--value", "val_loss"], "--value needs --pivot ROWS,COLUMNS"),
        (["stages", "resnet18", "--image-size", "0"], "Input should be greater than or equal to 1"),
        (
            ["cache", "prune", "--keep", "much"],
            '"much" is not a size: give bytes, or a number of up to 18 digits with kB, MB, GB or TB',
        ),
    ],
)
def test_wrong_usage_is_code_2_and_says_what_is_allowed(spawn: Spawn, words: list[str], message: str) -> None:
    result = spawn(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in re.sub(r"\s+", " ", result.stderr)
    assert "Value error" not in result.stderr
    assert "Traceback" not in result.stderr


def test_what_a_study_is_told_to_set_by_an_option_has_one(invoke: Invoke) -> None:
    options = invoke("run", "--help").output
    told = {found[1] for hint in KEPT_ELSEWHERE.values() if (found := re.search(r" --(\w+), in Python", hint))}
    assert {"device", "workspace", "memory"} <= told
    assert all(f"--{name} " in options for name in told)


def test_an_expected_failure_is_one_message(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    def fail(*_: object) -> None:
        raise FrostlineError('backbone "resnet5O" is unknown; did you mean "resnet50"?')

    monkeypatch.setattr(frostline, "backbone_facts", fail, raising=False)
    result = invoke("stages", "resnet5O")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == 'error: backbone "resnet5O" is unknown; did you mean "resnet50"?\n'


def test_interruption_of_any_command_is_code_130(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(frostline, "backbone_facts", interrupt, raising=False)
    result = invoke("stages", "resnet18")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_a_file_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "weights.pth")

    monkeypatch.setattr(frostline, "backbone_facts", fail, raising=False)
    result = invoke("stages", "resnet18")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "error: weights.pth: Permission denied\n")


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(frostline, "backbone_facts", break_down, raising=False)
    result = CliRunner().invoke(app, ["stages", "resnet18"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_closed_pipe_is_no_traceback(spawn: Spawn, workspace: Path) -> None:
    from .conftest import write_run

    for _ in range(3):
        write_run(workspace)
    command = f"{sys.executable} -m frostline show --json | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=workspace.parent)
    assert result.stdout == "{\n"
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["runs", "show", "doctor"])
def test_a_place_that_no_system_can_have_is_named(spawn: Spawn, command: str) -> None:
    result = spawn(command, "--workspace", "x" * 300)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "x" * 300 in result.stderr
    assert result.stderr.endswith(": File name too long\n")
