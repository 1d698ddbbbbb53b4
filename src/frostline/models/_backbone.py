"""A pretrained network, ready to be given new heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from frostline.models._classifier import isolate_classifier
from frostline.models._measured import describe_layout, facts_of_layout
from frostline.models._sources import NetworkSource, find_source
from frostline.models._weights import digest_tensors, load_network

if TYPE_CHECKING:
    from torch import nn

    from frostline.data import Preprocessing
    from frostline.models._layout import StageLayout
    from frostline.models.facts import BackboneFacts

__all__ = ["Backbone", "load_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A network with its weights and its own classifier, in eval mode; it is only ever copied, never trained.

    ``weights`` is what was asked for, ``weights_from`` where they came from, and ``notes`` what there is to say about
    them; ``head_path`` is its classifier's path.
    """

    name: str
    image_size: int
    module: nn.Module
    weights: str
    weights_from: str
    head_path: str
    _source: NetworkSource
    notes: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own network, which a function of theirs builds."""
        return self._source.own is not None

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What its weights expect of images."""
        from frostline.data import Preprocessing

        source = self._source
        return Preprocessing(
            image_size=self.image_size, interpolation=source.interpolation, mean=source.mean, std=source.std
        )

    @cached_property
    def weights_digest(self) -> str:
        """The SHA-256, in hex, of every parameter and buffer but the classifier's, and of an own network's code."""
        state = self.module.state_dict()
        digest = digest_tensors({n: t for n, t in state.items() if not n.startswith(self.head_path + ".")})
        own = self._source.own
        return digest if own is None else sha256(f"{own.code}:{digest}".encode()).hexdigest()

    @cached_property
    def layout(self) -> StageLayout:
        """Its stages and cuts, found on first use."""
        return describe_layout(self._source, self.module, self.head_path, self.image_size)

    @cached_property
    def facts(self) -> BackboneFacts:
        """Its facts, the same that ``backbone_facts`` gives."""
        return facts_of_layout(self._source, self.module, self.layout)

    @property
    def head_features(self) -> int:
        """D, the length of the feature vector [B,D] that its classifier takes."""
        return self.layout.head_features


def load_backbone(
    backbone: str, weights: str = "default", image_size: int = 224, weights_key: str | None = None
) -> Backbone:
    """Return a pretrained network.

    Args:
        backbone: a torchvision name such as ``resnet18``, ``timm:NAME``, ``py:MODULE:FUNCTION``, or a name that the
            study gives to a network of its own.
        weights: ``default`` for the library's own, from its cache or by download; ``none`` for random ones, the same
            every time; or the path of a file of tensors by name. An own network has what its function gives it.
        image_size: side of the square images, in pixels.
        weights_key: which tensors of the file, where it holds several sets.

    Raises:
        ModelError: the backbone is unknown, has no linear classifier, or doesn't take images of that size.
        WeightsError: the weights are missing, damaged or of another network; the message says what to put where.
    """
    source = find_source(backbone, image_size, any_size=weights == "none")
    loaded = load_network(source, weights, weights_key)
    head_path = isolate_classifier(loaded.module, backbone)
    return Backbone(backbone, image_size, loaded.module, weights, loaded.weights_from, head_path, source, loaded.notes)
