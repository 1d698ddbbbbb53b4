"""A pretrained network, ready to be given new heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from frostline.models._classifier import isolate_classifier
from frostline.models._measured import describe_layout, facts_of_layout
from frostline.models._sources import Source, find_source
from frostline.models._weights import digest_tensors, load_network

if TYPE_CHECKING:
    from torch import nn

    from frostline.data import Preprocessing
    from frostline.models._layout import Layout
    from frostline.models.facts import BackboneFacts

__all__ = ["Backbone", "load_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A network with its weights and its own classifier, in eval mode; it is only ever copied, never trained.

    ``weights`` is what was asked for and ``weights_from`` where they came from; ``head_path`` is its classifier's path.
    """

    name: str
    image_size: int
    module: nn.Module
    weights: str
    weights_from: str
    head_path: str
    _source: Source

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
        """The SHA-256, in hex, of every parameter and buffer but the classifier's."""
        state = self.module.state_dict()
        return digest_tensors({n: t for n, t in state.items() if not n.startswith(self.head_path + ".")})

    @cached_property
    def layout(self) -> Layout:
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


def load_backbone(backbone: str, weights: str = "default", image_size: int = 224) -> Backbone:
    """Return a pretrained network.

    Args:
        backbone: a torchvision name such as ``resnet18``, or ``timm:NAME``.
        weights: ``default`` for the library's own, from its cache or by download; ``none`` for random ones, the same
            every time; or the path of a ``.safetensors`` or ``.pth`` file.
        image_size: side of the square images, in pixels.

    Raises:
        ModelError: the backbone is unknown, has no linear classifier, or doesn't take images of that size.
        WeightsError: the weights are missing, damaged or of another network; the message says what to put where.
    """
    source = find_source(backbone, image_size, any_size=weights == "none")
    module, weights_from = load_network(source, weights)
    head_path = isolate_classifier(module, backbone)
    return Backbone(backbone, image_size, module, weights, weights_from, head_path, source)
