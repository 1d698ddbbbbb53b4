"""A made-up network and machine, for plans without torch."""

from __future__ import annotations

from typing import Any

from frostline.models.facts import BackboneFacts, CutFacts, StageFacts
from frostline.plan import Rates

COUNTS = {"train": 1000, "val": 200, "test": 200}


def facts(*, cuttable: bool = True) -> BackboneFacts:
    """Return a network of three stages; the last is half of the work."""
    names = [("input", 0, 0, 3072), ("early", 100, 10, 40_000), ("late", 500, 100, 8_000), ("head", 1000, 1000, 400)]
    cuts = tuple(CutFacts(n, (n,), ((b // 4,),), b, f * 10**6, p, n) for n, f, p, b in names)
    stages = tuple(StageFacts(n, n, 2, 10, 10) for n, *_ in names[1:])
    return BackboneFacts(
        "net", 32, stages, cuts, (), "fc", 100, 1010, 1000, 10**9, (0.5,) * 3, (0.5,) * 3, "bilinear", cuttable,
        None if cuttable else "its layers depend on its input",
    )  # fmt: skip


def rates(**changes: Any) -> Rates:
    """Return rates at which a whole image takes 10 ms forward and 30 ms to train."""
    given: dict[str, Any] = {
        "flops": (0.0, 1e8, 5e8, 1e9),
        "forward": (10e-3, 9e-3, 5e-3, 1e-6),
        "train": (30e-3, 27e-3, 15e-3, 1e-5),
        "prefix": 5e-3,
        "setup": 0.0,
        "store": 1e12,
        "decode": 1e-4,
        "step": 1e-4,
        "parameter_step": 0.0,
        "head_parameter": 0.0,
        "stack_step": 2e-4,
        "stack_parameter": 1e-9,
        "saved": (4e6, 3e6, 1e6, 1e3),
        "threads": 2,
        "lanes": (2,),
        "slowdowns": ((2.0, 2.0, 2.0, 2.0),),
        "engine": "openvino",
    }
    return Rates(**{**given, **changes})
