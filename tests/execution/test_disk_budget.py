"""A disk budget kept by real runs: what lies in the store afterwards, and what a resumed run keeps to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.rates import made_up
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.errors import BudgetError
from frostline.machine import _calibration
from frostline.places import workspace_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.execution.events import Event

BOTH: list[dict[str, Any]] = [
    {"train_from": "head"},
    {"train_from": "layer4", "optimizer": {"name": "sgd", "lr": 1e-3}},
]
WHOLE, SMALL = 650_000, 500_000
"""192 images (48 of them to test) take 192 * (4,096 + 2,048) bytes, halved 590 kB; without room for layer4, 393 kB."""


@pytest.fixture(autouse=True)
def storing_pays(made_up_rates: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let even two epochs pay for a pass, so that it is the budget that decides."""
    measure = partial(made_up, setup=0.0)
    monkeypatch.setattr(_calibration, "_measure", measure)
    monkeypatch.setattr(_calibration, "MACHINE", "compiles in no time")


def stored() -> int:
    return sum(entry.n_bytes for entry in frostline.FeatureStore().entries())


@pytest.mark.parametrize(
    ("activations", "disk", "kinds"),
    [
        pytest.param("float32", 1_300_000, ["float32", "float32"], marks=pytest.mark.slow),
        ("float32", WHOLE, ["float32", None]),
        ("auto", WHOLE, ["float16", "float16"]),
        ("auto", SMALL, ["float32", None]),
        ("auto", "1.3 MB", ["float32", "float32"]),
        pytest.param("float16", 100_000, [None, None], marks=pytest.mark.slow),
    ],
)
def test_a_run_stores_no_more_than_its_budget(
    fresh_places: Callable[[str], None], activations: str, disk: int | str, kinds: list[str | None]
) -> None:
    fresh_places("budget")
    study = small_study(*BOTH, **RESNET, activations=activations)
    planned = frostline.plan_study(study, disk=disk)
    assert [t.activations if t.mode == "cached" else None for t in planned.trajectories] == kinds
    record = frostline.run(study, disk=disk)
    assert all(arm.status == "complete" for arm in record.arms)
    assert any(arm.test_accuracy is not None for arm in record.arms)
    assert stored() <= (disk if isinstance(disk, int) else 1_300_000)
    assert stored() == pytest.approx(planned.totals.bytes, rel=0.05, abs=1)


def test_what_others_stored_is_not_this_budgets_matter(fresh_places: Callable[[str], None]) -> None:
    fresh_places("others")
    frostline.run(small_study(*BOTH, **RESNET, batch_size=8), cache="always")
    before = stored()
    record = frostline.run(small_study(BOTH[0], **{**RESNET, "image_size": 40}), disk=500_000, cache="always")
    assert record.status == "complete"
    assert before < stored() <= before + 500_000


def test_to_store_always_is_refused_before_anything_begins(fresh_places: Callable[[str], None]) -> None:
    fresh_places("refused")
    with pytest.raises(BudgetError, match=r'cache "always" would store 1\.2 MB of activations, .* budget of 650\.0 kB'):
        frostline.run(small_study(*BOTH, **RESNET), cache="always", disk=WHOLE)
    with pytest.raises(BudgetError, match='disk budget: "lots" is not a size'):
        frostline.run(small_study(*BOTH, **RESNET), disk="lots")
    assert stored() == 0
    with frostline.Ledger(workspace_directory()) as ledger:
        assert list(ledger.runs()) == []


def test_a_resumed_run_keeps_the_numbers_it_had_chosen(fresh_places: Callable[[str], None]) -> None:
    study = small_study(*BOTH, **RESNET, activations="auto")
    fresh_places("whole")
    whole = numbers_of(frostline.run(study, disk=WHOLE, engine="torch"))
    fresh_places("interrupted")

    def stop(event: Event) -> None:
        if type(event).__name__ == "EpochFinished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frostline.run(study, disk=WHOLE, engine="torch", listener=stop)
    # Without the budget, float32 would have been chosen.
    resumed = frostline.run(study, engine="torch", resume=True)
    assert {t["activations"] for t in resumed.plan["trajectories"]} == {"float16"}
    assert numbers_of(resumed) == whole


def test_the_plain_loop_stores_nothing(fresh_places: Callable[[str], None]) -> None:
    fresh_places("plain")
    study = small_study(BOTH[0], **RESNET, epochs=1)
    assert frostline.run(study, plain=True, cache="always", disk=0).status == "complete"
    assert stored() == 0
