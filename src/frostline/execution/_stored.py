"""Which activations a study's images have: the names of stored rows, and how many of them the cache lacks."""

from __future__ import annotations

from functools import cache, partial
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from frostline.data import View
from frostline.features import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.execution._networks import Networks
    from frostline.execution._prepare import Prepared
    from frostline.features import FeatureStore
    from frostline.plan import CostModel, Missing, Precision, RowSource

__all__ = ["feature_spec", "rows_missing", "views_of"]


def views_of(source: RowSource) -> Sequence[View | None]:
    """Return the stored views of each image; one, the image as it is, without augmentation."""
    if source.augmentation == "none" or source.view_seed is None:
        return [None]
    return [View(source.augmentation, source.view_seed, index) for index in range(source.views)]


def feature_spec(
    networks: Networks,
    engine: str,
    precision: Precision,
    costs: CostModel,
    source: RowSource,
    view: View | None,
    cut: str,
) -> FeatureSpec:
    """Return what decides the rows of a source's view at a cut."""
    identity = networks.identity(source)
    return FeatureSpec(
        preprocessing=identity.preprocessing,
        view=view,
        backbone=source.backbone,
        weights_digest=identity.weights_digest,
        cut=cut,
        dtype=source.activations,
        engine=engine,
        layout=costs.layout,
        precision=precision,
        maker=_describe_maker(engine, costs.device),
    )


@cache
def _describe_maker(engine: str, device: str) -> str:
    """Return what must be the same for an engine to make the same rows: versions, device and its instructions."""
    kind = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in dict.fromkeys((engine, "torch")))
    return f"{versions}, {device} {kind}"


def rows_missing(prepared: Prepared, networks: Networks, engine: str, store: FeatureStore) -> Missing:
    """Return a function that counts the rows of a source at a cut that aren't in the cache; it looks once for each."""

    @cache
    def missing(source: RowSource, cut: str) -> int:
        costs = prepared.costs[source.backbone, source.image_size]
        of_view = partial(feature_spec, networks, engine, prepared.precision, costs, source, cut=cut)
        images = prepared.dataset.split(source.split).digests
        return sum(store.count_missing(of_view(view), images) for view in views_of(source))

    return missing
