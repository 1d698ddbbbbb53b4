"""A study's own networks: as text wherever another process can find them, as functions where only this one can."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import pytest

from frostline.errors import StudyError
from frostline.study import Study, load_study


def build() -> None:
    """Stand for a function that another process can import."""


def study(networks: Any, backbone: str = "mine") -> Study:
    return Study(data={"source": "digits"}, networks=networks, defaults={"backbone": backbone}, arms=[{}])


def test_a_function_that_can_be_imported_is_text() -> None:
    asked = study({"mine": build})
    assert asked.networks == asked.own_networks == {"mine": "py:tests.study.test_networks:build"}
    assert asked.digest == study({"mine": "py:tests.study.test_networks:build"}).digest
    assert pickle.loads(pickle.dumps(asked)).networks == asked.networks
    assert asked.model_dump(mode="json")["networks"] == asked.networks


def test_it_is_in_the_studys_file(tmp_path: Any) -> None:
    asked = study({"mine": build})
    (tmp_path / "study.toml").write_text(asked.to_toml())
    read = load_study(tmp_path / "study.toml")
    assert read == asked
    assert read.digest == asked.digest


def only_here() -> Any:
    def inner() -> None:
        """Build nothing."""

    return inner


@pytest.mark.parametrize("function", [lambda: None, only_here(), partial(build)])
def test_a_function_that_only_this_process_has(function: Any) -> None:
    asked = study({"mine": function})
    assert asked.own_networks == {"mine": function}
    assert asked.networks["mine"].startswith("function ")
    assert asked.model_dump(mode="json")["networks"] == asked.networks
    with pytest.raises(StudyError, match=r"networks.mine is a function .*that only this process has: write it in"):
        asked.to_toml()


def test_the_digest_covers_the_networks_that_are_used() -> None:
    plain = study(None, "resnet18")
    assert study({"mine": "py:a:b"}, "resnet18").digest == plain.digest
    assert study({"mine": "py:a:b"}).digest != study({"mine": "py:a:c"}).digest


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({"mine": 3}, r"networks.mine = 3: must be py:MODULE:FUNCTION, .*, or in Python the function itself"),
        ({"mine": "build"}, r'networks.mine = "build": must be py:MODULE:FUNCTION'),
        ({"my own": build}, r"a network's name must not contain spaces"),
        (["mine"], r"networks = .*: must be a table of names and functions"),
    ],
)
def test_what_is_no_network(networks: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(networks)
