"""Measures this machine once for each backbone and image size, and remembers the rates."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING

from frostline.models import find_own
from frostline.places import cache_directory
from frostline.plan import Rates, choose_layout, pass_batch_size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from frostline.features import EngineRate, Engines
    from frostline.models import Backbone
    from frostline.models.facts import BackboneFacts

__all__ = ["Asked", "Situation", "known_rates", "measure_rates"]

MACHINE = f"{platform.node()}-{platform.machine()}-{os.cpu_count()}"
"""Whose rates they are: a cache directory may be shared between machines."""

WAY = 3
"""How rates are measured, counted up when that changes: rates of another way are measured anew."""


@dataclass(frozen=True)
class Asked:
    """What a study asks of a backbone's rates.

    ``cuts`` are where training starts; ``beside`` those of them from which training doesn't take every thread;
    ``engine`` runs the prefix.
    """

    cuts: frozenset[str]
    beside: frozenset[str] = frozenset()
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
    """What a file of rates covers: cuts, and those measured beside others."""

    cuts: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    rates: Rates | None = None


def known_rates(facts: BackboneFacts, asked: Asked) -> Rates | None:
    """Return the remembered rates of a backbone if they cover what is asked, without loading torch."""
    known = _read(_path(facts, asked.engine))
    covered = set(_measured_cuts(facts, asked.cuts)) <= known.cuts and asked.beside <= known.beside
    return known.rates if covered else None


def measure_rates(facts: BackboneFacts, asked: Asked, situation: Situation | None = None) -> Rates:
    """Measure a backbone's rates, remember and return them; the first call imports torch.

    Without a situation, on random weights and images, which are as fast; what was measured before is measured again.
    """
    path = _path(facts, asked.engine)
    known = _read(path)
    cuts = _measured_cuts(facts, asked.cuts | known.cuts)
    beside = asked.beside | known.beside
    rates = _measure(facts, replace(asked, cuts=asked.cuts | known.cuts, beside=beside), situation)
    with suppress(OSError):  # rates that can't be kept are measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        record = {"cuts": cuts, "beside": sorted(beside), "rates": rates.to_json()}
        temporary.write_text(json.dumps(record))
        temporary.replace(path)
    return rates


def _read(path: Path) -> _Known:
    """Return what a file of rates covers; nothing where it is absent or damaged, as it can be made again."""
    try:
        stored = json.loads(path.read_text())
        rates = Rates.from_json(stored["rates"])
        return _Known(frozenset(stored["cuts"]), frozenset(stored["beside"]), rates)
    except (OSError, ValueError, KeyError, TypeError):
        return _Known()


def _measure(facts: BackboneFacts, asked: Asked, situation: Situation | None) -> Rates:
    """Time the prefix on its inference engine and the tails in torch."""
    import torch

    from frostline.execution import _timing as timing
    from frostline.execution._lanes import lane_numbers
    from frostline.models import build_chain, load_backbone
    from frostline.study import Head
    from frostline.training import apply_layout

    if situation is None:
        situation = _any_situation(load_backbone(facts.backbone, "none", facts.image_size), facts)
    names = _measured_cuts(facts, asked.cuts)
    engine = _engine_rate(facts, asked, situation)
    chain = build_chain(situation.backbone, 10, Head(), 0)
    layout = choose_layout(facts, "cpu")
    apply_layout(chain.model, layout)
    tails = [
        timing.tail_seconds(chain, facts, name, layout, roughly=name == "input" and name not in asked.cuts)
        for name in names
    ]
    lanes = lane_numbers(torch.get_num_threads())
    slowdowns = tuple(
        tuple(
            timing.slowdown(chain, facts, name, layout, alone, n) if name in asked.beside else float(n)
            for name, (_, alone) in zip(names, tails, strict=True)
        )
        for n in lanes
    )
    stack_step, stack_parameter = timing.stack_seconds(facts)
    return Rates(
        flops=tuple(float(facts.resolve(name).flops_before) for name in names),
        forward=tuple(forward for forward, _ in tails),
        train=tuple(train for _, train in tails),
        prefix=tails[0][0] if engine is None else engine.seconds,
        setup=0.0 if engine is None else engine.setup,
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


def _engine_rate(facts: BackboneFacts, asked: Asked, situation: Situation) -> EngineRate | None:
    """Measure the engine on the prefix that the study most likely needs, as if it went on to the head."""
    from frostline.data import normalise
    from frostline.features import EngineKey, EngineRequest, measure_engine
    from frostline.models import build_chain
    from frostline.study import Head

    if not facts.cuttable:
        return None
    backbone = situation.backbone
    cuts = [cut for cut in facts.cuts if cut.name in asked.cuts and cut.name != "input"] or [facts.cuts[-1]]
    names = tuple(cut.name for cut in cuts)
    key = EngineKey(
        facts.backbone,
        backbone.weights_digest,
        backbone.preprocessing,
        names,
        pass_batch_size("cpu"),
        (asked.engine,),
        "cpu",
        choose_layout(facts, "cpu"),
    )
    request = EngineRequest(
        key,
        lambda: build_chain(backbone, 10, Head(), 0).prefix(names),
        lambda images: normalise(images, backbone.preprocessing),
        [shape for cut in cuts for shape in cut.shapes],
    )
    rate = measure_engine(situation.engines, request, situation.images)
    share = cuts[-1].flops_before / max(facts.cuts[-1].flops_before, 1)
    return replace(rate, seconds=rate.seconds / share) if share else rate


def _measured_cuts(facts: BackboneFacts, cuts: Iterable[str]) -> list[str]:
    """Return the cuts to measure in execution order: both ends, and those that are asked for."""
    wanted = {"input", "head", *cuts}
    return [cut.name for cut in facts.cuts if cut.name in wanted]


def _path(facts: BackboneFacts, engine: str) -> Path:
    """Return where the rates of a backbone at an image size are kept, for this machine and these packages."""
    versions = "-".join(metadata.version(name) for name in ("torch", "openvino"))
    own = find_own(facts.backbone)
    backbone = facts.backbone if own is None else f"{facts.backbone}-{own.code[:12]}"
    name = f"{backbone}-{facts.image_size}-{engine}-{MACHINE}-{versions}-{WAY}.json"
    return cache_directory() / "calibration" / name.replace("/", "_").replace(":", "_")
