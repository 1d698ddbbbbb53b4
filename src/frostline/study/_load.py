"""Reading studies from files, or by the names of those that ship with Frostline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frostline.data_paths import data_path_fault
from frostline.errors import StudyError, closest
from frostline.study._builtin import builtin_studies, read_builtin
from frostline.study._check import Checked, check_values
from frostline.study._fit import Finding
from frostline.study._overrides import SET, apply_override
from frostline.study._problem import KeyPath, Problem, format_key, format_problems, format_value
from frostline.study._study import Study
from frostline.study._toml import Document, parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["check_study", "load_study", "study_name"]

_LARGEST_FILE_BYTES = 1_000_000


def load_study(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Return the study of a TOML file, or the built-in one of that name.

    ``overrides`` are as for ``--set``: ``data.train=2000``, ``arms[0].epochs=3``, ``defaults.seed=[0,1]``. A built-in
    study's name goes before a file of that name; ``./NAME`` is the file. Raises StudyError with every problem there is.
    """
    reading = _read(path_or_name, overrides)
    if reading.problems or reading.checked is None:
        raise StudyError(format_problems(reading.problems), reading.problems)
    return Study.from_checked(reading.values, reading.checked)


def check_study(
    path_or_name: str | Path, overrides: Sequence[str] = (), *, look_for_images: bool = False
) -> list[Problem]:
    """Return everything that is wrong with a study, in the order of its file; an empty list when nothing is.

    Args:
        path_or_name: as for ``load_study``, which raises these problems.
        overrides: likewise.
        look_for_images: whether a data path that leads nowhere, or to a file instead of a folder, is a problem too,
            which ``load_study`` leaves to reading the images.
    """
    return _read(path_or_name, overrides, look_for_images=look_for_images).problems


def study_name(path_or_name: str | Path) -> str:
    """Return the name under which results of a study are filed, whatever else is wrong with it by now.

    That of a file which isn't there any more is the one that it had without a ``name`` of its own. Raises StudyError
    for a file that can't be read or isn't TOML.
    """
    name = str(path_or_name)
    if name in builtin_studies() or not Path(name).exists():
        return _name_of_file(name)
    text, problem = _read_file(name)
    document = parse_toml(text, name)
    problems = [problem] if problem else document.problems
    if problems:
        raise StudyError(format_problems(problems), problems)
    return str(document.values.get("name", _name_of_file(name)))


def _name_of_file(name: str) -> str:
    return Path(name).stem.lstrip(".") or "study"


@dataclass
class _Reading:
    """What became of reading a study."""

    values: dict[str, Any] = field(default_factory=dict)
    checked: Checked | None = None
    problems: list[Problem] = field(default_factory=list)


def _read(path_or_name: str | Path, overrides: Sequence[str], *, look_for_images: bool = False) -> _Reading:
    name = str(path_or_name)
    if name in builtin_studies():
        file, text, problem = f"built-in {name}", read_builtin(name), None
    else:
        file, (text, problem) = name, _read_file(name)
    if problem:
        return _Reading(problems=[problem])
    document = parse_toml(text, file)
    if document.problems:
        return _Reading(problems=document.problems)
    values = document.values
    named = "name" in values
    values.setdefault("name", _name_of_file(name))
    set_paths: list[KeyPath] = []
    problems: list[Problem] = []
    for override in overrides:
        paths, refusals = apply_override(values, override)
        set_paths += paths
        problems += refusals
    checked = check_values(values)
    for finding in (*checked.findings, *(_missing_images(checked) if look_for_images else ())):
        if finding.path == ("name",) and not named and ("name",) not in set_paths:
            hint = "comes from the file's name and " + finding.message + '; give the study a name = ".."'
            problems.append(Problem(file, None, None, "name", hint, finding.given))
        else:
            problems.append(_locate(finding, file, document, set_paths))
    problems += _ineffective(values, set_paths)
    # In the order of the file; what has no place in it comes last.
    problems.sort(key=lambda problem: (problem.line is None, problem.line or 0, problem.column or 0))
    return _Reading(values, checked, problems)


def _missing_images(checked: Checked) -> Iterator[Finding]:
    """Yield what keeps the images from being where the study says."""
    data = checked.data
    fault = data_path_fault(data.source, data.path) if data is not None and data.path is not None else None
    if data is not None and fault is not None:
        yield Finding(("data", "path"), fault, format_value(data.path))


def _locate(finding: Finding, file: str, document: Document, set_paths: list[KeyPath]) -> Problem:
    key = format_key(finding.path)
    if any(finding.path[: len(path)] == path for path in set_paths):
        return Problem(SET, None, None, key, finding.message, finding.given)
    line, column = document.place(finding.path, finding.at_key) or (None, None)
    return Problem(file, line, column, key, finding.message, finding.given)


def _ineffective(values: dict[str, Any], set_paths: list[KeyPath]) -> list[Problem]:
    """Return the overrides of defaults that every arm overrides again: they would change nothing, silently."""
    arms = values.get("arms")
    if not isinstance(arms, list) or not arms or not all(isinstance(arm, dict) for arm in arms):
        return []
    problems = []
    for path in dict.fromkeys(path for path in set_paths if path[0] == "defaults" and len(path) > 1):
        shadows = {path[1], "phases"} if path[1] == "train_from" else {path[1]}
        if all(shadows & arm.keys() for arm in arms):
            message = f"changes nothing, because every arm has its own: set arms[*].{format_key(path[1:])} instead"
            problems.append(Problem(SET, None, None, format_key(path), message))
    return problems


def _read_file(name: str) -> tuple[str, Problem | None]:
    """Return a file's text, or why it has none."""

    def failure(message: str, line: int | None = None, column: int | None = None) -> tuple[str, Problem]:
        return "", Problem(name, line, column, "", message)

    path = Path(name)
    if not name:
        return failure("no study was given")
    try:
        if path.is_dir():
            return failure("is a folder, not a study file")
        if path.exists() and not path.is_file():
            return failure("is not a regular file")
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        return failure(_not_found(path))
    except (OSError, ValueError) as error:
        return failure(f"can't be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > _LARGEST_FILE_BYTES:
        return failure(f"is larger than {_LARGEST_FILE_BYTES:,} bytes, too large for a study file")
    try:
        return content.decode("utf-8-sig"), None  # Windows editors begin files with a byte order mark
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace").split("\n")
        message = f"is not UTF-8 text: byte 0x{content[error.start]:02x}; save it as UTF-8"
        return failure(message, len(before), len(before[-1]) + 1)


def _not_found(path: Path) -> str:
    names = list(builtin_studies())
    try:
        files = [item.name for item in path.parent.iterdir() if item.suffix == ".toml"][:1000]
    except OSError:
        files = []
    near = closest(path.name, [*names, *files]) or closest(path.name + ".toml", files)
    built_in = " and ".join(f'"{name}"' for name in names)
    return f"there is no such file, and the built-in studies are {built_in}{near}"
