"""Which activations a study's images have: the names of stored rows, and whether the cache has them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from frostline.data import View
from frostline.features import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data import Dataset
    from frostline.execution._networks import Networks
    from frostline.execution._prepare import Prepared
    from frostline.features import FeatureStore
    from frostline.plan import Layout, Source, Stored

__all__ = ["feature_spec", "rows_stored", "views_of"]


def views_of(source: Source) -> Sequence[View | None]:
    """Return the stored views of each image; one, the image as it is, without augmentation."""
    if source.augmentation == "none" or source.view_seed is None:
        return [None]
    return [View(source.augmentation, source.view_seed, index) for index in range(source.views)]


def feature_spec(
    dataset: Dataset, networks: Networks, engine: str, layout: Layout, source: Source, view: View | None, cut: str
) -> FeatureSpec:
    """Return what decides the rows of a source's view at a cut."""
    identity = networks.identity(source.backbone, source.weights, source.image_size)
    return FeatureSpec(
        images=dataset.split(source.split).fingerprint,
        preprocessing=identity.preprocessing,
        view=view,
        backbone=source.backbone,
        weights_digest=identity.weights_digest,
        cut=cut,
        dtype=source.activations,
        engine=engine,
        layout=layout,
    )


def rows_stored(prepared: Prepared, networks: Networks, engine: str, store: FeatureStore) -> Stored:
    """Return a function that tells whether the cache has all rows of a source at a cut; it looks once for each."""

    @cache
    def stored(source: Source, cut: str) -> bool:
        layout = prepared.costs[source.backbone, source.image_size].layout
        specs = (
            feature_spec(prepared.dataset, networks, engine, layout, source, view, cut) for view in views_of(source)
        )
        return all(map(store.has, specs))

    return stored
