"""What an arm leaves behind, complete in itself: written when it ends, loaded again as a network that predicts."""

from frostline.artifacts._description import FORMAT_VERSION, ArmDescription, Numerics, WeightsIdentity
from frostline.artifacts._evaluating import evaluate_rows
from frostline.artifacts._loading import load_arm_folder, read_description
from frostline.artifacts._network import TrainedArm
from frostline.artifacts._predictions import Predictions, load_predictions
from frostline.artifacts._writing import ArmFiles, EndedArm, save_arms, save_split

__all__ = [
    "FORMAT_VERSION",
    "ArmDescription",
    "ArmFiles",
    "EndedArm",
    "Numerics",
    "Predictions",
    "TrainedArm",
    "WeightsIdentity",
    "evaluate_rows",
    "load_arm_folder",
    "load_predictions",
    "read_description",
    "save_arms",
    "save_split",
]
