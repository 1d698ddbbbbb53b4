"""Recipes to shared work: passes, trajectories and what they cost; pure data, no torch."""

from frostline.plan._budgets import NO_BUDGETS, Budgets, read_budgets
from frostline.plan._build import build_plan
from frostline.plan._costs import CostModel, EpochWork, Layout, Rates
from frostline.plan._groups import stack_key
from frostline.plan._plan import (
    Activations,
    ArmPlan,
    CachePolicy,
    Decided,
    GroupPlan,
    PassPlan,
    Plan,
    Totals,
    TrajectoryPlan,
)
from frostline.plan._trajectories import grow_tree

__all__ = [
    "NO_BUDGETS",
    "Activations",
    "ArmPlan",
    "Budgets",
    "CachePolicy",
    "CostModel",
    "Decided",
    "EpochWork",
    "GroupPlan",
    "Layout",
    "PassPlan",
    "Plan",
    "Rates",
    "Totals",
    "TrajectoryPlan",
    "build_plan",
    "grow_tree",
    "read_budgets",
    "stack_key",
]
