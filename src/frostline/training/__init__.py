"""Trajectories: batch order, optimizers, the loop, checkpoints; and the plain loop that they must agree with."""

from frostline.training._checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_tensors,
    pack_tensors,
    save_checkpoint,
    save_tensors,
)
from frostline.training._dropout import DropoutStream
from frostline.training._epoch import Batch, evaluate, train_epoch
from frostline.training._heads import HeadEpoch, HeadsTraining
from frostline.training._layout import apply_layout, in_layout
from frostline.training._loss import build_loss, describe_divergence, has_diverged, score
from frostline.training._observer import Observer
from frostline.training._optimizers import build_optimizer, build_scheduler
from frostline.training._order import batch_order, batches_in_order
from frostline.training._phase import PhaseTraining, frozen_changed, load_model_state
from frostline.training._plain import PlainEpoch, PlainPhase, train_plain
from frostline.training._rows import Rows
from frostline.training._saved import saved_bytes
from frostline.training._single import evaluate_head
from frostline.training._stack import StackMember, StackSpec
from frostline.training._threads import on_threads

__all__ = [
    "Batch",
    "Checkpoint",
    "DropoutStream",
    "HeadEpoch",
    "HeadsTraining",
    "Observer",
    "PhaseTraining",
    "PlainEpoch",
    "PlainPhase",
    "Rows",
    "StackMember",
    "StackSpec",
    "apply_layout",
    "batch_order",
    "batches_in_order",
    "build_loss",
    "build_optimizer",
    "build_scheduler",
    "describe_divergence",
    "evaluate",
    "evaluate_head",
    "frozen_changed",
    "has_diverged",
    "in_layout",
    "load_checkpoint",
    "load_model_state",
    "load_tensors",
    "on_threads",
    "pack_tensors",
    "save_checkpoint",
    "save_tensors",
    "saved_bytes",
    "score",
    "train_epoch",
    "train_plain",
]
