"""Measures this machine once for each backbone and image size, and remembers the rates."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from frostline.files import keep_json
from frostline.machine._bench import Bench
from frostline.machine._busy import Watch
from frostline.machine._engine_timing import engine_rate
from frostline.machine._gathering import TRAINING, Gathering
from frostline.machine._place import CPU, Place
from frostline.models import find_own
from frostline.places import cache_directory
from frostline.plan import Rates, choose_layout
from frostline.versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from frostline.features import EngineRate
    from frostline.machine._engine_timing import Situation
    from frostline.models.facts import BackboneFacts

__all__ = ["Asked", "Known", "known_rates", "measure_rates", "measured_cuts", "rates_path", "read_known"]

MACHINE = f"{platform.node()}-{platform.machine()}-{os.environ.get('OMP_NUM_THREADS') or os.cpu_count()}"
"""Whose rates they are: a cache directory may be shared between machines, and a process may have fewer threads."""

WAY = 3
"""How rates are measured, counted up when that changes: rates of another way are measured anew."""


@dataclass(frozen=True)
class Asked:
    """What a study asks of a backbone's rates.

    ``cuts`` are where training starts; ``beside`` those of them from which training doesn't take every thread;
    ``engine`` runs the prefix, on the device and in the precision of ``place``.
    """

    cuts: frozenset[str]
    beside: frozenset[str] = frozenset()
    engine: str = "openvino"
    place: Place = CPU


@dataclass(frozen=True)
class Known:
    """What a file of rates covers: cuts to train from, and those measured beside others."""

    cuts: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    rates: Rates | None = None


def known_rates(facts: BackboneFacts, asked: Asked) -> Rates | None:
    """Return the remembered rates of a backbone if they cover what is asked, without loading torch.

    Rates in doubt, such as those measured while the machine was busy, are remembered for what they cover alone.
    """
    known = read_known(rates_path(facts.backbone, facts.image_size, asked.engine, asked.place))
    if known.rates is None or known.rates.doubt or not (asked.cuts <= known.cuts and asked.beside <= known.beside):
        return None
    return known.rates


def measure_rates(
    facts: BackboneFacts, asked: Asked, situation: Situation | None = None, bench: Bench | None = None
) -> Rates:
    """Measure a backbone's rates, remember and return them; what was measured before is measured again.

    Args:
        facts: the backbone's.
        asked: what a study asks of its rates.
        situation: the run that they are measured for; without one, everything is measured in a process of its own.
        bench: that process, which may have started already.
    """
    if bench is None:
        with Bench() as own:
            return measure_rates(facts, asked, situation, own)
    path = rates_path(facts.backbone, facts.image_size, asked.engine, asked.place)
    known = read_known(path)
    cuts, beside = asked.cuts | known.cuts, asked.beside | known.beside
    rates = _measure(facts, replace(asked, cuts=cuts, beside=beside), situation, bench)
    identity = {"backbone": facts.backbone, "image_size": facts.image_size, "engine": asked.engine}
    identity |= asdict(asked.place)
    keep_json(path, {**identity, "cuts": sorted(cuts), "beside": sorted(beside), "rates": rates.to_json()})
    return rates


def read_known(path: Path) -> Known:
    """Return what a file of rates covers; nothing where it is absent or damaged, as it can be made again."""
    try:
        stored = json.loads(path.read_text())
        rates = Rates.from_json(stored["rates"])
        return Known(frozenset(stored["cuts"]), frozenset(stored["beside"]), rates)
    except (OSError, ValueError, KeyError, TypeError):
        return Known()


def _measure(facts: BackboneFacts, asked: Asked, situation: Situation | None, bench: Bench) -> Rates:
    """Time the prefix on its inference engine and the tails in torch, in the layout that the rule gives them.

    A run's prefix is compiled here, where the run uses it; all else in a process of its own.
    """
    from frostline.machine import _timing as timing
    from frostline.machine._lanes import lane_numbers

    names = measured_cuts(facts, asked.cuts)
    watch = Watch()
    engine: EngineRate | None
    if situation is None:
        gathering = Gathering(bench, facts, None, asked.place)
        engine = gathering.take("engine", asked, otherwise=None)
        threads = gathering.take("threads", otherwise=os.cpu_count() or 1)
    else:
        import torch

        threads = torch.get_num_threads()
        gathering = Gathering(bench, facts, threads, asked.place)
        bench.prepare(facts, threads, asked.place)
        engine = engine_rate(facts, asked, situation, watch, bench.settle)
    last = max(facts.cuts[-1].flops_before, 1)
    per_operation = None if engine is None else 2 * engine.seconds / last  # torch itself is slower than engines
    layout = choose_layout(facts, asked.place.kind)
    tails = []
    for name in names:
        is_asked = name == "head" or name in asked.cuts
        guess = gathering.forward_seconds(name, per_operation)
        forward = gathering.take("forward", name, layout, not is_asked, otherwise=guess)
        train = TRAINING * forward
        # Nothing is trained from where nobody asks to: what comes before a frost line is only evaluated.
        if is_asked:
            train = gathering.take("training", name, layout, otherwise=train)
        tails.append((forward, train))
    lanes = lane_numbers(threads)
    slowdowns = tuple(
        tuple(
            gathering.take("training side by side", name, layout, alone, n, otherwise=float(n))
            if name in asked.beside and asked.place.kind == "cpu"
            else float(n)
            for name, (_, alone) in zip(names, tails, strict=True)
        )
        for n in lanes
    )
    stack_step, stack_parameter = gathering.take("stacked heads", otherwise=(2e-4, 1e-11))
    store = watch.steady(timing.store_rate)
    gathering.disturbed = gathering.disturbed or watch.disturbed
    return Rates(
        flops=tuple(float(facts.resolve(name).flops_before) for name in names),
        forward=tuple(forward for forward, _ in tails),
        train=tuple(train for _, train in tails),
        prefix=tails[0][0] if engine is None else engine.seconds,
        setup=0.0 if engine is None else engine.setup,
        store=store,
        decode=gathering.take("decoding", otherwise=1e-4),
        step=gathering.take("a step", otherwise=1e-4),
        parameter_step=gathering.take("a parameter's step", otherwise=1e-9),
        head_parameter=gathering.take("a head's parameter", otherwise=1e-10),
        stack_step=stack_step,
        stack_parameter=stack_parameter,
        saved=tuple(
            gathering.take("memory of training", name, otherwise=gathering.saved_bytes(name))
            if name == "head" or name in asked.cuts
            else gathering.saved_bytes(name)
            for name in names
        ),
        threads=threads,
        lanes=lanes,
        slowdowns=slowdowns,
        engine="torch" if engine is None else engine.identity,
        doubt=gathering.doubt,
    )


def measured_cuts(facts: BackboneFacts, cuts: Iterable[str]) -> list[str]:
    """Return the cuts to measure in execution order: both ends, and those that are asked for."""
    wanted = {"input", "head", *cuts}
    return [cut.name for cut in facts.cuts if cut.name in wanted]


def rates_path(backbone: str, image_size: int, engine: str, place: Place = CPU) -> Path:
    """Return where the rates of a backbone at an image size are kept, for this machine, device and these packages."""
    versions = "-".join(installed_version(name) for name in ("torch", "openvino"))
    own = find_own(backbone)
    named = backbone if own is None else f"{backbone}-{own.code[:12]}"
    name = f"{named}-{image_size}-{engine}{place.key}-{MACHINE}-{versions}-{WAY}.json"
    return cache_directory() / "calibration" / name.replace("/", "_").replace(":", "_")
