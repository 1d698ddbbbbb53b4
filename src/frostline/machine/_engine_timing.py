"""Times the inference engine of a backbone's prefix, which is compiled where a run uses it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from frostline.plan import choose_layout, pass_batch_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray

    from frostline.features import EngineRate, Engines
    from frostline.machine._busy import Watch
    from frostline.machine._calibration import Asked
    from frostline.models import Backbone
    from frostline.models.facts import BackboneFacts

__all__ = ["Situation", "any_situation", "engine_rate", "prefix_cuts"]


@dataclass(frozen=True)
class Situation:
    """What measuring takes from the study that it is done for, so that what it compiles can be used again.

    ``cuts`` are those that the study most likely stores together; ``images``, uint8 [B, 3, H, W], are the first of the
    training split; ``engines`` keeps what is compiled.
    """

    backbone: Backbone
    cuts: tuple[str, ...]
    images: NDArray[np.uint8]
    engines: Engines


def any_situation(backbone: Backbone, facts: BackboneFacts, asked: Asked) -> Situation:
    """Return a situation of random images, which are as fast as any."""
    import numpy as np

    from frostline.features import BATCH_SIZE, Engines

    generator = np.random.Generator(np.random.PCG64(0))
    images = generator.integers(0, 256, (BATCH_SIZE, 3, facts.image_size, facts.image_size), np.uint8)
    return Situation(backbone, prefix_cuts(facts, asked.cuts), images, Engines())


def prefix_cuts(facts: BackboneFacts, asked: Collection[str]) -> tuple[str, ...]:
    """Return the cuts, in execution order, of the prefix that is measured for those that are asked for."""
    return tuple(cut.name for cut in facts.cuts if cut.name in asked and cut.name != "input") or (facts.cuts[-1].name,)


def engine_rate(
    facts: BackboneFacts,
    asked: Asked,
    situation: Situation,
    watch: Watch,
    settle: Callable[[], None] = lambda: None,
) -> EngineRate | None:
    """Measure the engine on the prefix of a situation, as if it went on to the head.

    ``settle`` is called when it is compiled, before it is timed.
    """
    from frostline.data import normalise
    from frostline.features import EngineKey, EngineRequest, measure_engine
    from frostline.models import build_chain
    from frostline.study import Head

    if not facts.cuttable:
        settle()
        return None
    backbone = situation.backbone
    names = situation.cuts
    cuts = [facts.resolve(name) for name in names]
    key = EngineKey(
        facts.backbone,
        backbone.weights_digest,
        backbone.preprocessing,
        names,
        pass_batch_size(asked.place.kind),
        (asked.engine,),
        asked.place.device,
        choose_layout(facts, asked.place.kind),
        asked.place.precision,
    )
    request = EngineRequest(
        key,
        lambda: build_chain(backbone, 10, Head(), 0).prefix(names).to(asked.place.device),
        lambda images: normalise(images, backbone.preprocessing),
        [shape for cut in cuts for shape in cut.shapes],
        lambda: situation.images,
    )

    def timed(piece: Callable[[], float]) -> float:
        settle()
        return watch.measure(piece)

    rate = measure_engine(situation.engines, request, timed)
    share = cuts[-1].flops_before / max(facts.cuts[-1].flops_before, 1)
    return replace(rate, seconds=rate.seconds / share) if share else rate
