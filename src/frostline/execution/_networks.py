"""Loaded backbones, each read once, and the networks with new heads that are built from them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from frostline.errors import ModelError
from frostline.models import build_chain, load_backbone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frostline.data import Preprocessing
    from frostline.models import Backbone, Chain
    from frostline.study import Recipe

__all__ = ["Identity", "Networks", "Pretrained"]

KEPT = 2
"""Backbones held in memory at once; trajectories of one backbone follow one another, so more would seldom be used."""


class Pretrained(Protocol):
    """What says which pretrained network is meant: a recipe, or a pass or source of a plan."""

    @property
    def backbone(self) -> str: ...
    @property
    def weights(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def weights_key(self) -> str | None: ...


class Identity(NamedTuple):
    """What a backbone makes of images, with which weights, and what there is to say about these."""

    preprocessing: Preprocessing
    weights_digest: str
    notes: tuple[str, ...] = ()


_Key = tuple[str, str, int, str | None]


class Networks:
    """Builds the network of a recipe, with the weights of its backbone loaded at most once in a row."""

    def __init__(self, identities: Mapping[_Key, Identity] | None = None) -> None:
        self._backbones: OrderedDict[_Key, Backbone] = OrderedDict()
        self._identities: dict[_Key, Identity] = dict(identities or {})

    @property
    def identities(self) -> Mapping[_Key, Identity]:
        """What is known of the backbones that were loaded."""
        return self._identities

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say about the weights that were loaded."""
        return tuple(dict.fromkeys(note for each in self._identities.values() for note in each.notes))

    def of(self, asked: Pretrained) -> Backbone:
        """Return a backbone with its weights.

        Raises:
            WeightsError: they are missing, or another network's.
            ModelError: it is an own network that isn't the same as when it was loaded before.
        """
        key = _key(asked)
        if key not in self._backbones:
            self._backbones[key] = self._load(key)
            while len(self._backbones) > KEPT:
                self._backbones.popitem(last=False)
        self._backbones.move_to_end(key)
        return self._backbones[key]

    def _load(self, key: _Key) -> Backbone:
        """Return a backbone; an own one is built twice when it is new, so that it's known to be the same each time."""
        loaded = load_backbone(*key)
        if key not in self._identities:
            self._identities[key] = Identity(loaded.preprocessing, loaded.weights_digest, loaded.notes)
            again = load_backbone(*key) if loaded.is_own else loaded
        else:
            again = loaded
        if loaded.is_own and again.weights_digest != self._identities[key].weights_digest:
            raise ModelError(
                f"backbone {loaded.name}: its function builds another network each time it is called; draw its random "
                "numbers from torch's own generator, which is the same for every call, or read them from a file"
            )
        return loaded

    def identity(self, asked: Pretrained) -> Identity:
        """Return what decides a backbone's activations, remembered when the backbone itself is not."""
        if _key(asked) not in self._identities:
            self.of(asked)
        return self._identities[_key(asked)]

    def chain(self, recipe: Recipe, n_classes: int) -> Chain:
        """Return a new network with the recipe's head for K classes."""
        return build_chain(self.of(recipe), n_classes, recipe.head, recipe.seed)


def _key(asked: Pretrained) -> _Key:
    return asked.backbone, asked.weights, asked.image_size, asked.weights_key
