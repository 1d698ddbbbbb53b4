"""A backbone with a new head: one network, whole or in two parts at any cut."""

from __future__ import annotations

import copy
from functools import cached_property
from types import MethodType
from typing import TYPE_CHECKING

from frostline.errors import ModelError
from frostline.models._copies import copy_sharing_tensors
from frostline.models._graphs import build_prefix, build_tail
from frostline.models._head import build_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from frostline.models._analysis import Analysis
    from frostline.models._backbone import Backbone
    from frostline.models._crossing import Crossing
    from frostline.models._layout import Cut
    from frostline.models.facts import BackboneFacts
    from frostline.study import Head

__all__ = ["Chain", "build_chain"]


class Chain:
    """The stages of a backbone and a new head for K classes.

    ``model`` is the whole network, images [B,3,H,W] to logits [B,K]; ``prefix`` and ``tail`` are its two sides at a
    cut. All of them hold the same parameters and buffers, a tail even the same modules: training one trains the model.
    """

    def __init__(self, backbone: Backbone, model: nn.Module, n_classes: int) -> None:
        self.backbone = backbone.name
        self.model = model
        self.n_classes = n_classes
        self._layout = backbone.layout
        self._facts = backbone

    @property
    def facts(self) -> BackboneFacts:
        """The backbone's facts, with its own classifier."""
        return self._facts.facts

    @property
    def head_path(self) -> str:
        """The path of the new head in the model."""
        return self._layout.head_path

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages in execution order, ``stem`` to ``head``."""
        return tuple(stage.name for stage in self._layout.stages)

    def prefix(self, cuts: Sequence[str]) -> nn.Module:
        """Return images [B,3,H,W] to the tensors that cross each cut, as one flat tuple in the order of the cuts.

        It stays in eval mode whatever happens to the model, and shares the model's parameters and buffers.

        Raises:
            ModelError: there is no such cut, or the network can't be cut there.
        """
        crossings = [self._crossing(name) for name in cuts]
        module = build_prefix(copy_sharing_tensors(self.model), self._analysis(), crossings)
        for part in module.modules():
            part.__dict__["train"] = MethodType(_stay_in_eval, part)
        return module.eval()

    def crossing(self, cut: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of one image's tensors that cross a cut, without the batch dimension."""
        return self._crossing(cut).shapes

    def tail(self, cut: str) -> nn.Module:
        """Return the tensors that cross a cut to logits [B,K]; at the cut ``input`` that is the model itself.

        Its parameters, buffers and layers are the model's own objects, under the model's own names.

        Raises:
            ModelError: there is no such cut, or the network can't be cut there.
        """
        if cut == "input":
            return self.model
        return build_tail(self.model, self._analysis(), self._crossing(cut))

    def trained(self, train_from: str) -> tuple[str, ...]:
        """Return the names of the parameters that training from a place on trains, in the model's order."""
        used = self._layout.trained(self._position(train_from))
        head = self.head_path + "."
        return tuple(n for n, _ in self.model.named_parameters() if n in used or n.startswith(head))

    def frozen_modules(self, train_from: str) -> tuple[str, ...]:
        """Return the paths of the modules that are only run before the place where training starts."""
        position = self._position(train_from)
        before = [step for step in self._layout.steps if step.first < position]
        after = [step for step in self._layout.steps if step.last >= position]
        run = {path for step in before for path in step.stack} - {path for step in after for path in step.stack}
        layers = {step.path for step in before if step.path} - {step.path for step in after}
        # A module whose own operations go by its mode before the place alone, though others of it are run after.
        run |= {s.mode_of for s in before if s.mode_of is not None} - {s.mode_of for s in after}
        paths = [path for path, _ in self.model.named_modules()]
        inside = [path for path in paths if any(path.startswith(f"{layer}.") for layer in layers)]
        return tuple(dict.fromkeys((*(path for path in paths if path in run), *inside, *layers)))

    def stage_of(self, parameter: str) -> int:
        """Return the index in ``stages`` of the stage where a parameter is first used."""
        if parameter.startswith(self.head_path + "."):
            return len(self.stages) - 1
        return self._stage_of[parameter]

    def stages_before_head(self, parameter: str) -> int:
        """Return how many stages before the head a parameter is first used: 0 for the head's own."""
        return len(self.stages) - 1 - self.stage_of(parameter)

    @cached_property
    def _stage_of(self) -> dict[str, int]:
        layout = self._layout
        stages = dict.fromkeys((name for name, _ in self.model.named_parameters()), 0)
        for position in reversed(range(len(layout.steps))):
            stages.update(dict.fromkeys(layout.steps[position].parameters, layout.stage_index(position)))
        return stages

    def _analysis(self) -> Analysis:
        if self._layout.analysis is None:
            raise ModelError(f"backbone {self.backbone} can't be cut: {self._layout.why_not}")
        return self._layout.analysis

    def _cut(self, train_from: str) -> Cut:
        name = self.facts.resolve(train_from).name
        return next(cut for cut in self._layout.cuts if cut.name == name)

    def _position(self, train_from: str) -> int:
        return self._cut(train_from).position

    def _crossing(self, cut: str) -> Crossing:
        self._analysis()
        crossing = self._cut(cut).crossing
        assert crossing is not None
        return crossing


def build_chain(backbone: Backbone, n_classes: int, head: Head, seed: int) -> Chain:
    """Return a copy of a backbone with a new head for K classes in place of its classifier.

    Args:
        backbone: stays as it is.
        n_classes: K.
        head: its hidden layers and dropout.
        seed: of the head's initial weights; the same seed gives the same head for every backbone of D features.

    Raises:
        ModelError: the network can't be laid out at its image size.
    """
    own = backbone.module.get_submodule(backbone.head_path)
    new = build_head(head, backbone.head_features, n_classes, seed)
    model = copy.deepcopy(backbone.module, {id(own): new})
    return Chain(backbone, model, n_classes)


def _stay_in_eval(self: nn.Module, mode: bool = True) -> nn.Module:
    self.training = False
    for child in self.children():
        child.train(False)
    return self
