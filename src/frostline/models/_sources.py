"""Networks as torchvision, timm or the user's own functions build them, with their own classifier and weights."""

from __future__ import annotations

import inspect
import typing
import warnings
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from frostline.errors import ModelError
from frostline.models._names import TIMM, check_backbone
from frostline.models._own import find_own
from frostline.models._own_building import IMAGENET_MEAN, IMAGENET_STD, build_own, expected_images
from frostline.streams import stream_seed, torch_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from frostline.models._layout import Layout
    from frostline.models._own import OwnNetwork

__all__ = ["Source", "find_source"]

Interpolation = Literal["bilinear", "bicubic", "nearest"]


@dataclass(frozen=True)
class Source:
    """How a library builds a backbone.

    ``build(pretrained)`` makes the network for the image size asked; ``url``, or ``hub`` on the Hugging Face hub, is
    where its own weights come from, None where there are none; mean, std and interpolation are what those expect.
    ``build_from_tensors`` reads the tensors of a file the library's own way, and gives None where that fails.
    ``own_size`` is the size that they were trained on; ``own`` is set for a network of the user's own, whose function
    decides its weights. ``layouts`` keeps what was found of its networks, by the path of the classifier and the image
    size.
    """

    backbone: str
    build: Callable[[bool], nn.Module]
    build_from_tensors: Callable[[dict[str, torch.Tensor]], nn.Module | None]
    url: str | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation
    hub: str | None = None
    own: OwnNetwork | None = None
    own_size: int | None = None
    layouts: dict[tuple[str, int], Layout] = field(default_factory=dict, init=False, repr=False, compare=False)

    def build_random(self) -> nn.Module:
        """Return the network with random weights, or its function's, the same in every call; no generator is moved.

        Raises:
            ModelError: the library can't build it for images of the size asked.
        """
        with torch_stream(stream_seed("weights")):
            try:
                return self.build(False)
            except ModelError:
                raise
            except Exception as error:  # an assertion of the library's, such as that patches must divide the image
                known = f"; it was trained on images of {self.own_size} pixels" if self.own_size else ""
                raise ModelError(
                    f"backbone {self.backbone} can't be built for this image size: {error}{known}"
                ) from error


def find_source(backbone: str, image_size: int, *, any_size: bool) -> Source:
    """Return how to build a backbone for images of a size.

    Args:
        backbone: its name.
        image_size: in pixels.
        any_size: whether a network whose weights fix the image size may be built for another, without its weights.

    Raises:
        ModelError: the name is unknown, or the network is for images of another size only.
    """
    return _find_source(backbone, image_size, any_size, find_own(backbone))


@lru_cache(maxsize=2)
def _find_source(backbone: str, image_size: int, any_size: bool, own: OwnNetwork | None) -> Source:
    check_backbone(backbone)
    if own is not None and not own.registered:
        return _own_source(own, image_size)
    if backbone.startswith(TIMM):
        return _timm_source(backbone, image_size, own)
    return _torchvision_source(backbone, image_size, any_size)


def _torchvision_source(backbone: str, image_size: int, any_size: bool) -> Source:
    import torchvision

    weights = torchvision.models.get_model_weights(backbone).DEFAULT
    builder = torchvision.models.get_model_builder(backbone)
    accepted = _accepted(builder)
    kwargs: dict[str, Any] = {}
    if "aux_logits" in accepted:
        kwargs["aux_logits"] = False  # a second classifier, used only to train the network from nothing
    preset = weights.transforms()
    random_kwargs = dict(kwargs)
    if "image_size" in accepted:
        own = int(weights.meta["min_size"][0])
        if image_size != own and not any_size:
            raise ModelError(
                f"backbone {backbone} takes images of {own} pixels only, not {image_size}: set image_size = {own}, "
                f"or use one of timm's, which adapt to the size (timm:vit_...)"
            )
        random_kwargs["image_size"] = image_size
    if "transform_input" in accepted:
        random_kwargs["transform_input"] = True  # as its own weights want it
    if "init_weights" in accepted:
        # Their initialisation is the slowest of all and warns that it will change; torch's own default serves as well.
        random_kwargs["init_weights"] = False

    @torch_stream()
    def build(pretrained: bool) -> nn.Module:
        if pretrained:
            return typing.cast("nn.Module", builder(weights=weights, progress=False, **kwargs))
        return typing.cast("nn.Module", builder(weights=None, **random_kwargs))

    mean, std = tuple(preset.mean), tuple(preset.std)
    own_size = int(preset.crop_size[0])
    return Source(
        backbone, build, lambda _tensors: None, weights.url, mean, std, preset.interpolation.value, own_size=own_size
    )


def _accepted(builder: Callable[..., nn.Module]) -> set[str]:
    """Return the keywords that a builder passes on to the network's class, which its return annotation names."""
    network = typing.get_type_hints(builder)["return"]
    return set(inspect.signature(network).parameters)


def _own_source(own: OwnNetwork, image_size: int) -> Source:
    def build(_pretrained: bool) -> nn.Module:
        return build_own(own, image_size)

    unnamed = Source(
        own.name, build, lambda _tensors: None, None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", own=own
    )
    mean, std, interpolation = expected_images(unnamed.build_random())
    return replace(unnamed, mean=mean, std=std, interpolation=interpolation)


def _timm_source(backbone: str, image_size: int, own: OwnNetwork | None) -> Source:
    import timm

    name = backbone.removeprefix(TIMM)
    cfg = timm.get_pretrained_cfg(name)
    kwargs: dict[str, Any] = {}
    interpolation: Interpolation = "bicubic"
    if cfg is None:
        mean, std, url, hub = IMAGENET_MEAN, IMAGENET_STD, None, None
    else:
        mean, std = tuple(cfg.mean), tuple(cfg.std)
        interpolation = cfg.interpolation if cfg.interpolation in ("bilinear", "nearest") else "bicubic"
        url, hub = cfg.url or None, cfg.hf_hub_id or None
        if cfg.fixed_input_size and image_size != cfg.input_size[-1]:
            kwargs["img_size"] = image_size

    @torch_stream()
    def build(pretrained: bool, **more: Any) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm's notes to its own developers
            try:
                return typing.cast("nn.Module", timm.create_model(name, pretrained=pretrained, **kwargs, **more))
            except (TypeError, AssertionError, ValueError) as error:
                if "img_size" not in kwargs:
                    raise
                fixed = cfg.input_size[-1]
                raise ModelError(
                    f"backbone {backbone} takes images of {fixed} pixels only, not {image_size}: "
                    f"set image_size = {fixed} ({error})"
                ) from error

    def build_registered(pretrained: bool, **more: Any) -> nn.Module:
        return build_own(own, image_size, lambda: build(pretrained, **more)) if own else build(pretrained, **more)

    def build_from_tensors(tensors: dict[str, torch.Tensor]) -> nn.Module | None:
        try:
            return build_registered(True, pretrained_cfg_overlay={"state_dict": tensors})
        except Exception:  # the tensors aren't of this network; by what it fails depends on timm's code for it
            return None

    own_size = None if cfg is None else int(cfg.input_size[-1])
    return Source(
        backbone, build_registered, build_from_tensors, url, mean, std, interpolation, hub, own, own_size=own_size
    )
