"""What every step of a run needs at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from frostline.data import Dataset
    from frostline.execution._files import RunFiles
    from frostline.execution._networks import Networks
    from frostline.execution._prepare import Prepared
    from frostline.execution._recorder import Recorder
    from frostline.execution.events import Listener
    from frostline.features import FeatureStore
    from frostline.models.facts import BackboneFacts
    from frostline.plan import CostModel, Plan, Precision, TrajectoryPlan
    from frostline.study import Recipe

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """One run under way."""

    prepared: Prepared
    plan: Plan
    recorder: Recorder
    run: str
    files: RunFiles
    store: FeatureStore
    networks: Networks
    device: torch.device
    engine: str
    plain: bool
    emit: Listener

    @property
    def dataset(self) -> Dataset:
        """The study's images."""
        return self.prepared.dataset

    @property
    def precision(self) -> Precision:
        """How exactly products are computed."""
        return self.prepared.precision

    def recipe(self, planned: TrajectoryPlan) -> Recipe:
        """The recipe of the arm that describes a trajectory."""
        return self.prepared.arms[planned.arm].recipe

    def costs(self, backbone: str, image_size: int) -> CostModel:
        """The facts, rates and layout of a backbone of the study."""
        return self.prepared.costs[backbone, image_size]

    def facts(self, backbone: str, image_size: int) -> BackboneFacts:
        """The stages and cuts of a backbone of the study."""
        return self.costs(backbone, image_size).facts
