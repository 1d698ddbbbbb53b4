"""Rates that spare a test each network's measurement, seconds long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.machine._calibration import measured_cuts
from frostline.plan import Rates

if TYPE_CHECKING:
    from frostline.machine._calibration import Asked
    from frostline.models.facts import BackboneFacts


def made_up(
    facts: BackboneFacts,
    asked: Asked,
    situation: object = None,
    bench: object = None,
    *,
    setup: float = 1.0,
    store: float = 1e9,
) -> Rates:
    """Return rates of a machine that does 10 ** 11 operations a second on two threads."""
    names = measured_cuts(facts, asked.cuts)
    flops = tuple(float(facts.resolve(name).flops_before) for name in names)
    left = tuple((facts.flops - f) * 1e-11 + 1e-6 for f in flops)
    train = tuple(3 * seconds for seconds in left)
    return Rates(
        flops=flops,
        forward=left,
        train=train,
        prefix=left[0] / 2,
        setup=setup,
        store=store,
        decode=1e-4,
        step=1e-4,
        parameter_step=1e-9,
        head_parameter=1e-10,
        stack_step=1e-4,
        stack_parameter=1e-11,
        saved=tuple(f / 100 for f in reversed(flops)),
        threads=2,
        lanes=(2,),
        slowdowns=((1.5,) * len(names),),
        engine="made up",
    )
