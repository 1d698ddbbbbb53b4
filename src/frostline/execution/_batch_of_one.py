"""Batches of one image, of which BatchNorm may have no statistics to take: told before anything is paid for.

A last batch of one image never comes up: it joins the batch before it (`frostline.training.batch_order`), by the plain
loop too. What is left is ``batch_size = 1``, which depends on the network, the image size and where training starts.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import torch

from frostline.models import build_chain, freeze, load_backbone
from frostline.streams import torch_stream
from frostline.study import Head

if TYPE_CHECKING:
    from frostline.study import Recipe

__all__ = ["batch_of_one_problem"]

# How torch.nn.functional's batch_norm and instance_norm begin to refuse a batch.
_REFUSALS = ("Expected more than 1 value per channel", "Expected more than 1 spatial element")


def batch_of_one_problem(recipe: Recipe) -> str | None:
    """Return why a recipe can't be trained on one image at a time, or None where it can."""
    starts = tuple(phase.train_from for phase in recipe.phases)
    found = _refusing_layer(recipe.backbone, recipe.image_size, starts, recipe.frozen_norm, recipe.tail_norm)
    if found is None:
        return None
    layer, is_frozen = found
    key = "frozen_norm" if is_frozen else "tail_norm"
    return (
        f"a batch of 1 image of {recipe.image_size} pixels gives normalisation layer {layer} one value per channel, "
        f'too few for statistics: use batch_size = 2 or more, or {key} = "stored"'
    )


@lru_cache(maxsize=256)
def _refusing_layer(
    backbone: str, image_size: int, starts: tuple[str, ...], frozen_norm: Any, tail_norm: Any
) -> tuple[str, bool] | None:
    """Return the layer that refuses one image in training, and whether it is frozen then; found by running it."""
    chain = build_chain(load_backbone(backbone, "none", image_size), 2, Head(), seed=0)
    entered: list[str] = []
    for path, layer in chain.model.named_modules():
        layer.register_forward_pre_hook(partial(_note, entered, path))
    for start in starts:
        model = freeze(chain.model, chain, start, frozen_norm, tail_norm)
        try:
            with torch.no_grad(), torch_stream():
                model.train()(torch.zeros(1, 3, image_size, image_size))
        except ValueError as error:
            if str(error).startswith(_REFUSALS):
                return entered[-1], entered[-1] in chain.frozen_modules(start)
    return None


def _note(entered: list[str], path: str, layer: torch.nn.Module, inputs: object) -> None:
    entered.append(path)
