"""Recipes to shared work: passes, trajectories and what they cost; pure data, no torch."""

from frostline.plan._build import build_plan
from frostline.plan._costs import CostModel, EpochWork, Layout, Rates
from frostline.plan._groups import stack_key
from frostline.plan._plan import ArmPlan, CachePolicy, GroupPlan, PassPlan, Plan, Totals, TrajectoryPlan

__all__ = [
    "ArmPlan",
    "CachePolicy",
    "CostModel",
    "EpochWork",
    "GroupPlan",
    "Layout",
    "PassPlan",
    "Plan",
    "Rates",
    "Totals",
    "TrajectoryPlan",
    "build_plan",
    "stack_key",
]
