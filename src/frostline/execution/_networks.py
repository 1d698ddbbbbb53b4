"""Loaded backbones, each read once, and the networks with new heads that are built from them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from frostline.models import build_chain, load_backbone

if TYPE_CHECKING:
    from frostline.data import Preprocessing
    from frostline.models import Backbone, Chain
    from frostline.study import Recipe

__all__ = ["Networks"]

KEPT = 2
"""Backbones held in memory at once; trajectories of one backbone follow one another, so more would seldom be used."""


class Identity(NamedTuple):
    """What a backbone makes of images, and with which weights."""

    preprocessing: Preprocessing
    weights_digest: str


class Networks:
    """Builds the network of a recipe, with the weights of its backbone loaded at most once in a row."""

    def __init__(self) -> None:
        self._backbones: OrderedDict[tuple[str, str, int], Backbone] = OrderedDict()
        self._identities: dict[tuple[str, str, int], Identity] = {}

    def backbone(self, backbone: str, weights: str, image_size: int) -> Backbone:
        """Return a backbone with its weights; WeightsError when they are missing or another network's."""
        key = (backbone, weights, image_size)
        if key not in self._backbones:
            self._backbones[key] = load_backbone(backbone, weights, image_size)
            while len(self._backbones) > KEPT:
                self._backbones.popitem(last=False)
        self._backbones.move_to_end(key)
        return self._backbones[key]

    def identity(self, backbone: str, weights: str, image_size: int) -> Identity:
        """Return what decides a backbone's activations, remembered when the backbone itself is not."""
        key = (backbone, weights, image_size)
        if key not in self._identities:
            loaded = self.backbone(*key)
            self._identities[key] = Identity(loaded.preprocessing, loaded.weights_digest)
        return self._identities[key]

    def of(self, recipe: Recipe) -> Backbone:
        """Return the backbone of a recipe."""
        return self.backbone(recipe.backbone, recipe.weights, recipe.image_size)

    def chain(self, recipe: Recipe, n_classes: int) -> Chain:
        """Return a new network with the recipe's head for K classes."""
        return build_chain(self.of(recipe), n_classes, recipe.head, recipe.seed)
