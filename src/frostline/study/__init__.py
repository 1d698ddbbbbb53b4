"""What is asked: studies, their arms and recipes, read from TOML with every problem reported at once."""

from frostline.study._arm import Arm
from frostline.study._builtin import builtin_studies
from frostline.study._data import Data
from frostline.study._load import check_study, load_study, study_name
from frostline.study._problem import Problem
from frostline.study._recipe import Head, Optimizer, Phase, Recipe, Schedule
from frostline.study._study import Study

__all__ = [
    "Arm",
    "Data",
    "Head",
    "Optimizer",
    "Phase",
    "Problem",
    "Recipe",
    "Schedule",
    "Study",
    "builtin_studies",
    "check_study",
    "load_study",
    "study_name",
]
