"""Places of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import frostline.places
from frostline.execution import _calibration
from frostline.plan import Rates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from frostline.models.facts import BackboneFacts


@pytest.fixture
def fresh_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that moves cache and workspace to a new, empty place (facts and rates stay known)."""
    shared = frostline.places.cache_directory()

    def move(name: str) -> None:
        cache = tmp_path / name / "cache"
        cache.mkdir(parents=True)
        for folder in ("facts", "calibration"):
            (shared / folder).mkdir(parents=True, exist_ok=True)
            (cache / folder).symlink_to(shared / folder)
        monkeypatch.setenv("FROSTLINE_CACHE", str(cache))
        monkeypatch.setenv("FROSTLINE_WORKSPACE", str(tmp_path / name / "runs"))

    return move


@pytest.fixture(autouse=True)
def made_up_rates(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare each network's measurement, seconds long, where a test doesn't ask for ``measured``.

    Maps are contiguous, as in the plain loop, where a test isn't marked ``channels_last``.
    """
    if "measured" in request.keywords:
        return
    layout = "channels_last" if "channels_last" in request.keywords else "contiguous"

    def made_up(facts: BackboneFacts, names: list[str]) -> Rates:
        flops = tuple(float(facts.resolve(name).flops_before) for name in names)
        left = tuple((facts.flops - f) * 1e-11 + 1e-6 for f in flops)
        train = tuple(3 * seconds for seconds in left)
        return Rates(
            flops=flops,
            layouts=(layout,) * len(names),  # type: ignore[arg-type]
            forward=left,
            train=train,
            plain_forward=left,
            plain_train=train,
            prefix=left[0] / 2,
            setup=1.0,
            decode=1e-4,
            step=1e-4,
            parameter_step=1e-9,
            head_parameter=1e-10,
            engine="made up",
        )

    monkeypatch.setattr(_calibration, "_measure", made_up)
    # Rates that another layout's test has left are none of this test's.
    monkeypatch.setattr(_calibration, "MACHINE", f"{layout} made up")
