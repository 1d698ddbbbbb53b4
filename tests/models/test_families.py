"""One small network of each of timm's families, and all of torchvision's classifiers, as in ``docs/backbones.md``."""

from __future__ import annotations

import warnings

import pytest
import timm
from benchmarks.backbones import backbones, try_backbone
from benchmarks.families import FAMILIES

UNCUT = {
    "timm:gemma4_vit_167m": "what it runs depends on the size or the content of its images",
}
"""Those that are trained uncut, with the beginning of the reason."""

LARGE = ("timm:deepseek_vit_412m", "regnet_y_128gf", "vit_h_14")
"""Gigabytes of numbers: for the script alone."""


@pytest.mark.skipif(timm.__version__ < "1.0.31", reason="docs/backbones.md is about a later timm")
def test_every_family_of_timm_is_tried() -> None:
    # Another test may have registered networks of its own.
    assert set(FAMILIES) == {name for name in timm.list_modules() if hasattr(timm.models, name)}
    for family, member in FAMILIES.items():
        assert member in timm.list_models(module=family)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in backbones() if name not in LARGE])
def test_a_cut_network_is_the_same_network(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, of their networks
        outcome = try_backbone(name)
    assert outcome.failure is None
    assert (outcome.problem or "").startswith(UNCUT.get(name, "")), outcome.problem
    assert (outcome.problem is None) == (name not in UNCUT)
    assert (outcome.n_cuts > 1) == (name not in UNCUT)
