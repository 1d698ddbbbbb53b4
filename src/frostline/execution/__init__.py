"""Carries out a plan: feature passes, trajectories, the choice and its test, stored as it goes."""

from frostline.execution._prepare import plan_study
from frostline.execution._run import run

__all__ = ["plan_study", "run"]
