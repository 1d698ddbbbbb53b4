"""Everything that decides one training run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from frostline.study._settings import Settings
from frostline.study._values import (
    BackboneName,
    ClassWeights,
    Count,
    Flag,
    Fraction,
    NonNegative,
    Positive,
    Seed,
    Text,
    Unit,
    Views,
    Width,
    Word,
    between,
    combination,
    rejection,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PHASE_KEYS", "Head", "Optimizer", "Phase", "Recipe", "Schedule"]

PHASE_KEYS = ("train_from", "epochs", "optimizer", "schedule")
"""The keys of a phase; in a recipe they are short for a single phase, or what its phases inherit."""

# torch's own defaults: torch.optim.SGD, Adam and AdamW.
_WEIGHT_DECAY = {"sgd": 0.0, "adam": 0.0, "adamw": 0.01}


class Optimizer(Settings):
    """An optimizer of torch and its settings; a plain name is short for it.

    ``weight_decay`` left out is torch's default for that optimizer. ``stage_decay`` gives a stage the
    learning rate ``lr * stage_decay ** n``, n stages before the head (Howard & Ruder 2018, arXiv:1801.06146,
    section 3.2).
    """

    name: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Positive = 1e-3
    momentum: Fraction = 0.0
    nesterov: Flag = False
    weight_decay: NonNegative = 0.0
    stage_decay: Unit = 1.0

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        if isinstance(given, str):
            given = {"name": given}
        if isinstance(given, dict) and "weight_decay" not in given:
            name = given.get("name", "adam")
            return {**given, "weight_decay": _WEIGHT_DECAY.get(name, 0.0) if isinstance(name, str) else 0.0}
        return given

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.momentum and self.name != "sgd":
            raise combination(f'applies only to the optimizer "sgd"; this one is "{self.name}"', "momentum", "name")
        if self.nesterov and self.name != "sgd":
            raise combination(f'applies only to the optimizer "sgd"; this one is "{self.name}"', "nesterov", "name")
        if self.nesterov and not self.momentum:
            raise combination("needs a momentum above 0", "nesterov", "name", "momentum")
        return self


class Schedule(Settings):
    """How the learning rate changes within a phase; a plain name is short for it."""

    name: Literal["constant", "cosine", "one-cycle", "step"] = "constant"
    step_epochs: Count = 2
    gamma: Unit = 0.1

    @property
    def ignores_horizon(self) -> bool:
        """Whether an epoch's learning rate is the same however many follow, so that runs share their beginning."""
        return self.name in ("constant", "step")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.name != "step":
            for key, default in (("step_epochs", 2), ("gamma", 0.1)):
                if getattr(self, key) != default:
                    raise combination(f'applies only to the schedule "step"; this one is "{self.name}"', key, "name")
        return self


class Head(Settings):
    """The new classifier: linear, or hidden layers of the given widths, each followed by ReLU and dropout."""

    hidden: Annotated[tuple[Width, ...], AfterValidator(between(0, 16))] = ()
    dropout: Fraction = 0.0

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        if isinstance(given, str):
            if given != "linear":
                raise rejection('must be "linear" or a table, such as {hidden = [512], dropout = 0.5}')
            return {}
        return given

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.dropout and not self.hidden:
            raise combination("needs hidden layers, such as hidden = [512]", "dropout", "hidden")
        return self


class Phase(Settings):
    """A stretch of training with one frost line and one optimizer."""

    train_from: Word = "head"
    epochs: Count = 3
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()


class Recipe(Settings):
    """Everything that decides one training run.

    ``train_from``, ``epochs``, ``optimizer`` and ``schedule`` may be given in place of ``phases`` and mean a single
    phase; beside ``phases``, the last three are what a phase without its own inherits. ``views`` is 1 where there is
    no augmentation.
    """

    backbone: BackboneName = "resnet18"
    weights: Text = "default"
    weights_key: Text | None = None
    image_size: Annotated[int, Field(strict=True, ge=8, le=2048)] = 224
    batch_size: Annotated[int, Field(strict=True, ge=1, le=65_536)] = 64
    seed: Seed = 0
    head: Head = Head()
    phases: Annotated[tuple[Phase, ...], AfterValidator(between(1, 32))] = (Phase(),)
    augmentation: Literal["none", "flip", "crop-flip"] = "none"
    views: Views = 4
    label_smoothing: Fraction = 0.0
    class_weights: ClassWeights = "none"
    frozen_norm: Literal["stored", "batch"] = "stored"
    tail_norm: Literal["batch", "stored"] = "batch"
    activations: Literal["float32", "float16", "auto"] = "float32"

    # Written out so that type checkers allow the short keys, which are no fields.
    def __init__(self, /, **settings: Any) -> None:
        super().__init__(**settings)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.weights_key is not None and self.weights in ("default", "none"):
            raise combination(f'applies only to a weights file; weights is "{self.weights}"', "weights_key", "weights")
        return self

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, given: object) -> object:
        """Turn the short keys into phases, and views without augmentation into the one view there is."""
        if not isinstance(given, dict):
            return given
        folded = {key: value for key, value in given.items() if key not in PHASE_KEYS}
        short = {key: given[key] for key in PHASE_KEYS if key in given}
        phases = folded.get("phases")
        if "phases" not in folded:
            folded["phases"] = [short]
        elif "train_from" in short:
            raise combination("cannot be combined with phases, each of which has its own", "train_from", "phases")
        elif isinstance(phases, list | tuple):
            folded["phases"] = [{**short, **phase} if isinstance(phase, dict) else phase for phase in phases]
        if folded.get("augmentation", "none") == "none":
            # A value that isn't allowed is left for its own message.
            folded["views"] = 1 if _is_views(folded.get("views", 4)) else folded["views"]
        return folded

    def __hash__(self) -> int:
        return hash(self.key())

    @property
    def total_epochs(self) -> int:
        """The epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def train_from(self) -> str:
        """Where training starts in the last phase."""
        return self.phases[-1].train_from

    def key(self) -> str:
        """Return the hex digest of everything in the recipe: equal for equal recipes, on every machine."""
        # Without keys that are absent, so that a new one leaves the runs that there are as they were.
        fields = self.model_dump(mode="json", exclude_none=True)
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return the recipe that ``to_json`` shows; its phases say what stands on top of them, too.

        Raises:
            pydantic.ValidationError: these are no recipe's fields.
        """
        return cls.model_validate({key: value for key, value in fields.items() if key not in PHASE_KEYS})

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as results show it: the last phase's settings and all epochs on top, then the phases."""
        fields = self.model_dump(mode="json", exclude_none=True)
        phases = fields.pop("phases")
        last = phases[-1]
        first = {"backbone": fields.pop("backbone"), "train_from": self.train_from, "optimizer": last["optimizer"]}
        return {**first, "epochs": self.total_epochs, "schedule": last["schedule"], **fields, "phases": phases}


def _is_views(value: object) -> bool:
    return value == "fresh" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000)
