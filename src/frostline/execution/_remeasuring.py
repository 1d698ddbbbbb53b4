"""Measures this machine anew, when somebody asks for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frostline.errors import FrostlineError, ModelError
from frostline.execution.events import Notice
from frostline.machine import Asked, Bench, Place, measure_rates, measured_cuts, rates_path, read_known
from frostline.models.facts import backbone_facts
from frostline.places import cache_directory
from frostline.study import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.execution.events import Listener
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Rates

__all__ = ["Measured", "measure_anew"]


@dataclass(frozen=True)
class Measured:
    """What was measured of a backbone at an image size, with the cuts that it was measured at in execution order."""

    backbone: str
    image_size: int
    cuts: tuple[str, ...]
    rates: Rates

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data; see ``Rates``."""
        return {
            "backbone": self.backbone,
            "image_size": self.image_size,
            "cuts": list(self.cuts),
            "rates": self.rates.to_json(),
        }


def measure_anew(backbones: Sequence[str] = (), listener: Listener | None = None) -> list[Measured]:
    """Measure backbones on this machine, whatever is remembered of them, and remember what is found instead.

    Args:
        backbones: which; at every image size that is remembered, or at that of a recipe that names none. All that are
            remembered, when left out.
        listener: told what is being measured.

    Raises:
        FrostlineError: no backbone is named, and none is remembered.
        ModelError: there is no such backbone.
    """
    remembered = _remembered()
    wanted: list[tuple[BackboneFacts, Asked]] = []
    for name in backbones:
        if all(backbone != name for backbone, _, _ in remembered):
            facts = _facts(name, Recipe.model_fields["image_size"].default)
            wanted.append((facts, Asked(frozenset({"head"}))))
    for backbone, image_size, asked in remembered:
        if not backbones or backbone in backbones:
            wanted.append((_facts(backbone, image_size), asked))
    if not wanted:
        raise FrostlineError(
            "nothing was measured on this machine yet: name a backbone, such as resnet18, or run a study first"
        )
    found = []
    with Bench() as bench:
        bench.start()
        for facts, asked in wanted:
            if listener is not None:
                listener(Notice(f"measuring {facts.backbone} at {facts.image_size} pixels on this machine"))
            rates = measure_rates(facts, asked, bench=bench)
            cuts = tuple(measured_cuts(facts, asked.cuts))
            found.append(Measured(facts.backbone, facts.image_size, cuts, rates))
    return found


def _remembered() -> list[tuple[str, int, Asked]]:
    """Return the backbones and image sizes of which there are rates of this machine, and what these cover."""
    found = []
    for path in sorted((cache_directory() / "calibration").glob("*.json")):
        try:
            record = json.loads(path.read_text())
            where = Place(record.get("device", "cpu"), record.get("precision", "ieee"))
            place = (str(record["backbone"]), int(record["image_size"]), str(record["engine"]), where)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged, or from before rates said what they are of
        known = read_known(path)
        if path == rates_path(*place) and known.rates is not None:
            backbone, image_size, engine, _ = place
            found.append((backbone, image_size, Asked(known.cuts, known.beside, engine, where)))
    return found


def _facts(backbone: str, image_size: int) -> BackboneFacts:
    try:
        return backbone_facts(backbone, image_size)
    except ModelError:
        # Its weights may fix an image size that a network without them doesn't have.
        try:
            return backbone_facts(backbone, image_size, "none")
        except ModelError:
            pass
        raise
