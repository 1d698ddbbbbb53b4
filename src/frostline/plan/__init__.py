"""Recipes to shared work: passes, trajectories and what they cost; pure data, no torch."""

from frostline.plan._budgets import NO_BUDGETS, Budgets, read_budgets
from frostline.plan._build import build_plan
from frostline.plan._costs import CostModel, EpochWork, Rates
from frostline.plan._groups import likeness, stack_key
from frostline.plan._memory_budget import ROWS_KEPT_BYTES, ROWS_KEPT_LEAST_BYTES
from frostline.plan._numerics import (
    Layout,
    Precision,
    choose_layout,
    choose_threads,
    pass_batch_size,
    precision_on,
)
from frostline.plan._passes import Missing, source_of
from frostline.plan._plan import (
    Activations,
    ArmPlan,
    CachePolicy,
    Decided,
    GroupPlan,
    PassPlan,
    Plan,
    RowSource,
    Totals,
    TrajectoryPlan,
)
from frostline.plan._stacking import ROWS_AT_ONCE, SeedHeads, divide_heads, stack_lanes, way_to_step
from frostline.plan._trajectories import grow_tree

__all__ = [
    "NO_BUDGETS",
    "ROWS_AT_ONCE",
    "ROWS_KEPT_BYTES",
    "ROWS_KEPT_LEAST_BYTES",
    "Activations",
    "ArmPlan",
    "Budgets",
    "CachePolicy",
    "CostModel",
    "Decided",
    "EpochWork",
    "GroupPlan",
    "Layout",
    "Missing",
    "PassPlan",
    "Plan",
    "Precision",
    "Rates",
    "RowSource",
    "SeedHeads",
    "Totals",
    "TrajectoryPlan",
    "build_plan",
    "choose_layout",
    "choose_threads",
    "divide_heads",
    "grow_tree",
    "likeness",
    "pass_batch_size",
    "precision_on",
    "read_budgets",
    "source_of",
    "stack_key",
    "stack_lanes",
    "way_to_step",
]
