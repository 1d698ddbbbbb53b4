"""Makes the plan's feature passes, and opens what they stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from frostline.data import View, load_images, normalise
from frostline.errors import FeatureError
from frostline.execution.events import Notice, PassFinished, PassProgress, PassStarted
from frostline.features import FeatureSpec, run_pass
from frostline.study import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from frostline.data import Split
    from frostline.execution._context import Context
    from frostline.features import Features
    from frostline.models import Backbone
    from frostline.plan import Activations, PassPlan
    from frostline.study import Recipe

__all__ = ["is_stored", "make_pass", "open_features"]


def make_pass(context: Context, planned: PassPlan) -> None:
    """Run a planned pass over each of its splits and views; what the cache has is not made again."""
    context.emit(PassStarted(planned.name, planned.n_images))
    backbone = context.networks.backbone(planned.backbone, planned.weights, planned.image_size)
    facts = context.facts(planned.backbone, planned.image_size)
    seconds, n_bytes, done, engines, reused = 0.0, 0, 0, [], True
    for split_name, n in planned.splits.items():
        split = context.dataset.split(split_name)
        for view in _views(planned.augmentation, planned.view_seed, planned.views):
            specs = _pass_specs(context, backbone, planned, split, view)

            def load(positions: NDArray[np.int64], split: Split = split, view: View | None = view) -> NDArray[np.uint8]:
                return load_images(context.dataset, split, positions, backbone.preprocessing, view)

            def progress(stored: int, total: int, before: int = done) -> None:
                context.emit(PassProgress(planned.name, before + stored, planned.n_images))

            report = run_pass(
                context.store,
                specs,
                make_prefix=lambda: _prefix(context, planned),
                shapes=[facts.resolve(cut).shapes for cut in planned.cuts],
                load=load,
                normalise=lambda images: normalise(images, backbone.preprocessing),
                n=n,
                engine=context.engine,
                batch_size=planned.batch_size,
                one_stream=planned.one_stream,
                device=context.device,
                progress=progress,
                notice=lambda text: context.emit(Notice(text)),
            )
            seconds, n_bytes, done = seconds + report.seconds, n_bytes + report.n_bytes, done + n
            engines.append(report.engine)
            reused = reused and report.reused
    context.ledger.record_pass(
        context.run, planned.name, planned.n_images, n_bytes, seconds, "+".join(dict.fromkeys(engines)), reused
    )
    context.emit(PassFinished(planned.name, planned.n_images, n_bytes, seconds, reused))


def is_stored(context: Context, planned: PassPlan) -> bool:
    """Return whether the cache has everything that a planned pass would store."""
    backbone = context.networks.backbone(planned.backbone, planned.weights, planned.image_size)
    return all(
        context.store.has(spec)
        for split_name in planned.splits
        for view in _views(planned.augmentation, planned.view_seed, planned.views)
        for spec in _pass_specs(context, backbone, planned, context.dataset.split(split_name), view)
    )


def open_features(
    context: Context, recipe: Recipe, cut: str, activations: Activations, split_name: str
) -> list[Features]:
    """Return the stored features of a split, one for each view in order.

    Raises:
        FeatureError: they are not in the cache any more.
    """
    backbone = context.networks.of(recipe)
    split = context.dataset.split(split_name)
    n_views = recipe.views if split_name == "train" and isinstance(recipe.views, int) else 1
    views = _views(recipe.augmentation if split_name == "train" else "none", recipe.seed, n_views)
    opened = []
    for view in views:
        spec = _spec(context, backbone, split, view, recipe.backbone, cut, activations)
        features = context.store.open(spec)
        if features is None:
            raise FeatureError(
                f"activations of {recipe.backbone} at {cut} ({split_name}) left the cache {context.store.path} "
                "while the run needed them; run the same command again to make them anew"
            )
        opened.append(features)
    return opened


def _pass_specs(
    context: Context, backbone: Backbone, planned: PassPlan, split: Split, view: View | None
) -> list[FeatureSpec]:
    """Return what a pass stores of a split's view, cut by cut."""
    return [_spec(context, backbone, split, view, planned.backbone, cut, planned.activations) for cut in planned.cuts]


def _spec(
    context: Context,
    backbone: Backbone,
    split: Split,
    view: View | None,
    name: str,
    cut: str,
    activations: Activations,
) -> FeatureSpec:
    return FeatureSpec(
        images=split.fingerprint,
        preprocessing=backbone.preprocessing,
        view=view,
        backbone=name,
        weights_digest=backbone.weights_digest,
        cut=cut,
        dtype=activations,
        engine=context.engine,
    )


def _views(augmentation: Literal["none", "flip", "crop-flip"], seed: int | None, n_views: int) -> Sequence[View | None]:
    """Return the stored views of each image; one, the image as it is, without augmentation."""
    if augmentation == "none" or seed is None:
        return [None]
    return [View(augmentation, seed, index) for index in range(n_views)]


def _prefix(context: Context, planned: PassPlan) -> torch.nn.Module:
    from frostline.models import build_chain

    backbone = context.networks.backbone(planned.backbone, planned.weights, planned.image_size)
    chain = build_chain(backbone, len(context.dataset.classes), Head(), 0)
    return chain.prefix(planned.cuts).to(context.device)
