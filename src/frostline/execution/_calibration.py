"""Measures this machine once for each backbone and image size, and remembers the rates."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING

from frostline.places import cache_directory
from frostline.plan import Rates

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from frostline.features import EngineRate, Engines
    from frostline.models import Backbone
    from frostline.models.facts import BackboneFacts
    from frostline.plan import Layout

__all__ = ["Asked", "Situation", "known_rates", "measure_rates"]

MACHINE = f"{platform.node()}-{platform.machine()}-{os.cpu_count()}"
"""Whose rates they are: a cache directory may be shared between machines."""

WAY = 2
"""How rates are measured, counted up when that changes: rates of another way are measured anew."""

TUNING_PAYS_SECONDS = 300.0
"""Passes from this length on: ways to batch images differ by some percent, and take a while to be tried."""


@dataclass(frozen=True)
class Asked:
    """What a study asks of a backbone's rates.

    ``cuts`` are where training starts; ``beside`` those of them from which several trajectories start, which may be
    trained side by side; ``n_images`` go through the prefix, on ``engine``.
    """

    cuts: frozenset[str]
    beside: frozenset[str] = frozenset()
    n_images: int = 0
    engine: str = "openvino"


@dataclass(frozen=True)
class Situation:
    """What measuring takes from the study that it is done for, so that what it compiles can be used again.

    ``images``, uint8 [B, 3, H, W], are the first of the training split; ``engines`` keeps what is compiled.
    """

    backbone: Backbone
    images: NDArray[np.uint8]
    engines: Engines


@dataclass(frozen=True)
class _Known:
    """What a file of rates covers: cuts, those measured beside others, and whether ways to batch were compared."""

    cuts: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    tuned: bool = False
    rates: Rates | None = None


def known_rates(facts: BackboneFacts, asked: Asked) -> Rates | None:
    """Return the remembered rates of a backbone if they cover what is asked, without loading torch."""
    known = _read(_path(facts, asked.engine))
    covered = set(_measured_cuts(facts, asked.cuts)) <= known.cuts and asked.beside <= known.beside
    if known.rates is None or not covered or (_tuning_pays(facts, asked, known.rates) and not known.tuned):
        return None
    return known.rates


def measure_rates(facts: BackboneFacts, asked: Asked, situation: Situation | None = None) -> Rates:
    """Measure a backbone's rates, remember and return them; the first call imports torch.

    Without a situation, on random weights and images, which are as fast; what was measured before is measured again.
    """
    path = _path(facts, asked.engine)
    known = _read(path)
    cuts = _measured_cuts(facts, asked.cuts | known.cuts)
    beside = asked.beside | known.beside
    tuned = known.tuned or (known.rates is not None and _tuning_pays(facts, asked, known.rates))
    rates = _measure(facts, replace(asked, cuts=asked.cuts | known.cuts, beside=beside), situation, tuned)
    with suppress(OSError):  # rates that can't be kept are measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        record = {"cuts": cuts, "beside": sorted(beside), "tuned": tuned, "rates": rates.to_json()}
        temporary.write_text(json.dumps(record))
        temporary.replace(path)
    return rates


def _read(path: Path) -> _Known:
    """Return what a file of rates covers; nothing where it is absent or damaged, as it can be made again."""
    try:
        stored = json.loads(path.read_text())
        rates = Rates.from_json(stored["rates"])
        return _Known(frozenset(stored["cuts"]), frozenset(stored["beside"]), bool(stored["tuned"]), rates)
    except (OSError, ValueError, KeyError, TypeError):
        return _Known()


def _tuning_pays(facts: BackboneFacts, asked: Asked, rates: Rates) -> bool:
    return facts.cuttable and asked.n_images * rates.prefix > TUNING_PAYS_SECONDS


def _measure(facts: BackboneFacts, asked: Asked, situation: Situation | None, tuned: bool) -> Rates:
    """Time the prefix on its inference engine and the tails in torch, in both memory layouts."""
    import torch

    from frostline.execution import _timing as timing
    from frostline.execution._lanes import lane_numbers
    from frostline.features import BATCH_SIZE
    from frostline.models import build_chain, load_backbone
    from frostline.study import Head
    from frostline.training import apply_layout

    if situation is None:
        situation = _any_situation(load_backbone(facts.backbone, "none", facts.image_size), facts)
    names = _measured_cuts(facts, asked.cuts)
    engine = _engine_rate(facts, asked, situation, tuned)
    chain = build_chain(situation.backbone, 10, Head(), 0)
    measured: dict[str, list[tuple[float, float]]] = {}
    for layout in ("contiguous", "channels_last"):
        apply_layout(chain.model, layout)
        measured[layout] = [
            timing.tail_seconds(chain, facts, name, layout, roughly=name == "input" and name not in asked.cuts)
            for name in names
        ]
    pairs = list(zip(measured["contiguous"], measured["channels_last"], strict=True))
    layouts: list[Layout] = ["channels_last" if last[1] < first[1] else "contiguous" for first, last in pairs]
    better = [min(pair, key=lambda seconds: seconds[1]) for pair in pairs]
    lanes = lane_numbers(torch.get_num_threads())
    slowdowns = tuple(
        tuple(
            timing.slowdown(chain, facts, name, layout, alone, n) if name in asked.beside else float(n)
            for name, layout, (_, alone) in zip(names, layouts, better, strict=True)
        )
        for n in lanes
    )
    stack_step, stack_parameter = timing.stack_seconds(facts)
    return Rates(
        flops=tuple(float(facts.resolve(name).flops_before) for name in names),
        layouts=tuple(layouts),
        forward=tuple(forward for forward, _ in better),
        train=tuple(train for _, train in better),
        plain_forward=tuple(forward for forward, _ in measured["contiguous"]),
        plain_train=tuple(train for _, train in measured["contiguous"]),
        prefix=better[0][0] if engine is None else engine.seconds,
        setup=0.0 if engine is None else engine.setup,
        batch_size=BATCH_SIZE if engine is None else engine.batch_size,
        one_stream=False if engine is None else engine.one_stream,
        store=timing.store_rate(),
        decode=timing.decode_seconds(facts),
        step=timing.step_seconds(chain),
        parameter_step=timing.parameter_step_seconds(),
        head_parameter=timing.head_parameter_seconds(),
        stack_step=stack_step,
        stack_parameter=stack_parameter,
        saved=tuple(timing.saved_image_bytes(chain, facts, name) for name in names),
        threads=torch.get_num_threads(),
        lanes=lanes,
        slowdowns=slowdowns,
        engine="torch" if engine is None else engine.identity,
    )


def _any_situation(backbone: Backbone, facts: BackboneFacts) -> Situation:
    import numpy as np

    from frostline.features import BATCH_SIZE, Engines

    generator = np.random.Generator(np.random.PCG64(0))
    images = generator.integers(0, 256, (BATCH_SIZE, 3, facts.image_size, facts.image_size), np.uint8)
    return Situation(backbone, images, Engines())


def _engine_rate(facts: BackboneFacts, asked: Asked, situation: Situation, tuned: bool) -> EngineRate | None:
    """Measure the engine on the prefix that the study most likely needs, as if it went on to the head."""
    from frostline.data import normalise
    from frostline.features import BATCH_SIZE, EngineKey, measure_engine, measure_engines
    from frostline.models import build_chain
    from frostline.study import Head

    if not facts.cuttable:
        return None
    backbone = situation.backbone
    cuts = [cut for cut in facts.cuts if cut.name in asked.cuts and cut.name != "input"] or [facts.cuts[-1]]
    key = EngineKey(
        facts.backbone,
        backbone.weights_digest,
        backbone.preprocessing,
        tuple(cut.name for cut in cuts),
        BATCH_SIZE,
        (asked.engine,),
        "cpu",
        one_stream=False,
    )
    rate = (measure_engines if tuned else measure_engine)(
        situation.engines,
        key,
        build_chain(backbone, 10, Head(), 0).prefix([cut.name for cut in cuts]),
        lambda images: normalise(images, backbone.preprocessing),
        [shape for cut in cuts for shape in cut.shapes],
        situation.images,
    )
    share = cuts[-1].flops_before / max(facts.cuts[-1].flops_before, 1)
    return replace(rate, seconds=rate.seconds / share) if share else rate


def _measured_cuts(facts: BackboneFacts, cuts: Iterable[str]) -> list[str]:
    """Return the cuts to measure in execution order: both ends, and those that are asked for."""
    wanted = {"input", "head", *cuts}
    return [cut.name for cut in facts.cuts if cut.name in wanted]


def _path(facts: BackboneFacts, engine: str) -> Path:
    """Return where the rates of a backbone at an image size are kept, for this machine and these packages."""
    versions = "-".join(metadata.version(name) for name in ("torch", "openvino"))
    name = f"{facts.backbone}-{facts.image_size}-{engine}-{MACHINE}-{versions}-{WAY}.json"
    return cache_directory() / "calibration" / name.replace("/", "_").replace(":", "_")
