"""Without OpenVINO everything works on the torch engine, and the run says what that costs."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.errors import FrostlineError
from frostline.execution import _artifacts
from frostline.execution.events import Notice
from frostline.versions import installed_version

if TYPE_CHECKING:
    from frostline.execution.events import Event

STUDY = small_study({**RESNET, "train_from": ["head", "layer4"]})

SLOWER = "OpenVINO is not installed, so torch runs the frozen stages, which takes longer: pip install openvino"


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def installed(name: str) -> str:
        if name == "openvino":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(metadata, "version", installed)
    monkeypatch.setattr(_artifacts, "_versions", _artifacts._versions.__wrapped__)  # asked anew, not remembered
    assert installed_version("openvino") == "none"


@pytest.mark.usefixtures("no_openvino")
@pytest.mark.parametrize(("options", "said"), [({}, 1), ({"engine": "torch"}, 0), ({"plain": True}, 0)])
def test_a_run_uses_torch_and_says_so(options: dict[str, Any], said: int) -> None:
    told: list[Event] = []
    record = frostline.run(STUDY, listener=told.append, resume=False, **options)
    assert record.status == "complete"
    assert record.plan["basis"]["engine"] == "torch"
    assert [event.text for event in told if isinstance(event, Notice)].count(SLOWER) == said
    plain = numbers_of(frostline.run(STUDY, plain=True, resume=False))
    for name, rows in numbers_of(record).items():
        for mine, other in zip(rows, plain[name], strict=True):
            assert mine[0] == pytest.approx(other[0], rel=1e-6)
    arm = frostline.load_arm(record)
    assert arm.numerics.versions["openvino"] == "none"
    assert frostline.plan_study(STUDY).totals.seconds > 0


@pytest.mark.usefixtures("no_openvino")
def test_openvino_by_name_is_refused() -> None:
    with pytest.raises(FrostlineError, match='engine "openvino" is not installed: pip install openvino, or leave'):
        frostline.run(STUDY, engine="openvino")
