"""docs/studies.md has every key, every choice and every default, and runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from frostline.study import Data, Head, Optimizer, Phase, Recipe, Schedule, Study

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
SECTIONS: dict[str, Any] = {
    "## The file": Study,
    "## `[data]`: the images": Data,
    "## Recipes: `[defaults]` and `[[arms]]`": Recipe,
    "### `optimizer`": Optimizer,
    "### `schedule`": Schedule,
    "### `head`": Head,
}


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of a section's table by key."""
    section = re.split(r"\n##", PAGE.split(heading + "\n", 1)[1])[0]
    table = [line.strip("|").split("|") for line in section.split("\n") if line.startswith("| `")]
    return {key: [cell.strip() for cell in cells] for cells in table for key in re.findall(r"`(\w+)`", cells[0])}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_where_it_belongs_and_no_other(heading: str) -> None:
    model = SECTIONS[heading]
    keys = set(model.model_fields) | (set(Phase.model_fields) if model is Recipe else set())
    assert set(rows(heading)) == keys


@pytest.mark.parametrize("heading", list(SECTIONS)[1:])
def test_every_choice_is_documented(heading: str) -> None:
    for key, field in SECTIONS[heading].model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        for choice in choices:
            assert f'"{choice}"' in rows(heading)[key][1], (key, choice)


@pytest.mark.parametrize("heading", list(SECTIONS)[1:])
def test_every_default_is_documented(heading: str) -> None:
    for key, field in SECTIONS[heading].model_fields.items():
        told = re.fullmatch(r"`(.+)`", rows(heading)[key][2])
        if told is None or isinstance(field.default, Optimizer | Schedule | Head):
            continue
        value = {"true": True, "false": False, "[]": ()}.get(told[1], told[1].strip('"'))
        assert value == field.default or float(str(value)) == field.default, key


def test_phases_are_documented() -> None:
    section = PAGE.split("### `phases`", 1)[1].split("\n## ")[0]
    assert all(f"`{key}`" in section for key in Phase.model_fields)


def test_the_toml_is_a_study(tmp_path: Path) -> None:
    from frostline.study import load_study

    blocks = [block.split("```")[0] for block in PAGE.split("```toml\n")[1:]]
    arms = []
    for index, block in enumerate(blocks):
        file = tmp_path / f"block-{index}.toml"
        data = "" if "[data]" in block else '[data]\nsource = "digits"\n'
        file.write_text(data + block, encoding="utf-8")
        arms.append(load_study(file).expand())
    assert [len(each) for each in arms] == [12, 2, 2, 36]
    assert [arm.name for arm in arms[1]] == ["head first 2ep", "head first 4ep"]


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = PAGE.split("```python\n", 1)[1].split("```")[0]
    exec(compile(block, "studies.md", "exec"), {})
    assert capsys.readouterr().out.startswith("resnet18 head adam-0.001 2ep seed0 2\n")
