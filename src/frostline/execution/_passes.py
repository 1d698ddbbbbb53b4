"""Makes the plan's feature passes, and opens what they stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frostline.data import load_images, normalise
from frostline.errors import FeatureError
from frostline.execution._stored import feature_spec, views_of
from frostline.execution.events import Notice, PassFinished, PassProgress, PassStarted
from frostline.features import EngineKey, EngineRequest, explaining, run_pass
from frostline.ledger import PassRow
from frostline.plan import pass_batch_size, source_of
from frostline.study import Head

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from frostline.data import Split, View
    from frostline.execution._context import Context
    from frostline.execution._networks import Pretrained
    from frostline.features import Features, FeatureSpec
    from frostline.plan import Activations, PassPlan, RowSource
    from frostline.study import Recipe

__all__ = ["engine_request", "make_pass", "open_features"]


@explaining(lambda context, planned, *_: f"feature pass {planned.name}")
def make_pass(context: Context, planned: PassPlan, part: int = 0, parts: int = 1) -> None:
    """Run a planned pass over each of its splits and views; what the cache has is not made again.

    Args:
        context: the run.
        planned: the pass.
        part, parts: which of so many equal parts of each split to pass; all images when left out.
    """
    context.emit(PassStarted(planned.name, planned.n_images))
    backbone = context.networks.of(planned)
    facts = context.facts(planned.backbone, planned.image_size)
    request = engine_request(context, planned, planned.cuts)
    seconds, n_bytes, done, n_passed, engines = 0.0, 0, 0, 0, []
    for source in planned.sources:
        split = context.dataset.split(source.split)
        chosen = np.array_split(np.arange(len(split)), parts)[part]
        images = [split.digests[position] for position in chosen.tolist()]
        for view in views_of(source):
            specs = [_spec(context, source, view, cut) for cut in planned.cuts]

            def load(
                positions: NDArray[np.int64],
                split: Split = split,
                chosen: NDArray[np.int64] = chosen,
                view: View | None = view,
            ) -> NDArray[np.uint8]:
                return load_images(context.dataset, split, chosen[positions], backbone.preprocessing, view)

            def progress(stored: int, total: int, before: int = done) -> None:
                context.emit(PassProgress(planned.name, before + stored, planned.n_images))

            report = run_pass(
                context.store,
                specs,
                make_prefix=request.make_prefix,
                shapes=[facts.resolve(cut).shapes for cut in planned.cuts],
                load=load,
                normalise=request.normalise,
                images=images,
                examples=request.examples,
                engine=context.engine,
                batch_size=planned.batch_size,
                layout=context.costs(planned.backbone, planned.image_size).layout,
                apart=[cut for cut in planned.cuts if facts.resolve(cut).folds and context.engine == "openvino"],
                device=context.device,
                progress=progress,
                notice=lambda text: context.emit(Notice(text)),
            )
            seconds, n_bytes, done = seconds + report.seconds, n_bytes + report.n_bytes, done + len(images)
            engines.append(report.engine)
            n_passed += report.n_passed
    engine = "+".join(dict.fromkeys(engines))
    context.recorder.record_pass(PassRow(planned.name, planned.n_images, n_passed, n_bytes, seconds, engine))
    context.emit(PassFinished(planned.name, planned.n_images, n_passed, n_bytes, seconds))


def open_features(
    context: Context, recipe: Recipe, cut: str, activations: Activations, split_name: str
) -> list[Features]:
    """Return the stored features of a split, one for each view in order.

    Raises:
        FeatureError: they are not in the cache any more.
    """
    source = source_of(recipe, split_name, activations)
    images = context.dataset.split(split_name).digests
    opened = []
    for view in views_of(source):
        features = context.store.open(_spec(context, source, view, cut), images)
        if features is None:
            raise FeatureError(
                f"activations of {recipe.backbone} at {cut} ({split_name}) left the cache {context.store.path} "
                "while the run needed them; run the same command again to make them anew"
            )
        opened.append(features)
    return opened


def engine_request(context: Context, network: Pretrained, cuts: tuple[str, ...]) -> EngineRequest:
    """Return what an engine is asked for that takes images to some cuts of a backbone."""
    loaded = context.networks.of(network)
    costs = context.costs(network.backbone, network.image_size)

    def make_prefix() -> torch.nn.Module:
        from frostline.models import build_chain

        chain = build_chain(loaded, len(context.dataset.classes), Head(), 0)
        return chain.prefix(cuts).to(context.device)

    key = EngineKey(
        loaded.name,
        loaded.weights_digest,
        loaded.preprocessing,
        cuts,
        pass_batch_size(context.device.type),
        (context.engine,),
        str(context.device),
        costs.layout,
        context.precision,
    )
    shapes = [shape for cut in cuts for shape in costs.facts.resolve(cut).shapes]

    def examples() -> NDArray[np.uint8]:
        # The same whichever images a pass begins with, so that an engine is refused for all of a study or for none.
        split = context.dataset.train
        return load_images(context.dataset, split, np.arange(min(key.batch_size, len(split))), loaded.preprocessing)

    return EngineRequest(key, make_prefix, lambda images: normalise(images, loaded.preprocessing), shapes, examples)


def _spec(context: Context, source: RowSource, view: View | None, cut: str) -> FeatureSpec:
    costs = context.costs(source.backbone, source.image_size)
    return feature_spec(context.networks, context.engine, context.precision, costs, source, view, cut)
