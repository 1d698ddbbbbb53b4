"""One phase of a recipe on a model: what is trained, by which optimizer, and the state between its epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from frostline.errors import TrainingError
from frostline.models import freeze, frozen_digest
from frostline.streams import stream_seed
from frostline.training._checkpoint import Checkpoint
from frostline.training._dropout import DropoutStream
from frostline.training._epoch import evaluate, train_epoch
from frostline.training._layout import apply_layout, in_layout
from frostline.training._loss import build_loss
from frostline.training._optimizers import build_optimizer, build_scheduler
from frostline.training._order import batch_order, batches_in_order
from frostline.training._pooling import make_pooling_deterministic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from frostline.models import Chain
    from frostline.plan import Layout, Precision
    from frostline.study import Recipe
    from frostline.training._epoch import Batch
    from frostline.training._rows import Rows

__all__ = ["PhaseTraining", "frozen_changed", "load_model_state"]


class PhaseTraining:
    """Trains one phase, an epoch at a time.

    Args:
        chain: the network with its new head, carrying what earlier phases trained.
        recipe: the arm's recipe.
        phase: the index of the phase in it.
        cut: where rows enter; None trains the uncut network on images.
        first_epoch: the epochs of earlier phases, which the streams of batch order, views and dropout count.
        labels: the training labels, int64 [N].
        classes: the K class names.
        device: where to train.
        layout: how maps lie in memory; it decides speed and last bits.
        carried: names that earlier phases changed, so that checkpoints keep them too.
        precision: of products.
    """

    def __init__(
        self,
        chain: Chain,
        recipe: Recipe,
        phase: int,
        cut: str | None,
        first_epoch: int,
        labels: NDArray[np.int64],
        classes: Sequence[str],
        device: torch.device,
        layout: Layout = "contiguous",
        carried: Iterable[str] = (),
        precision: Precision = "ieee",
    ) -> None:
        self._chain, self._recipe, self._phase = chain, recipe, recipe.phases[phase]
        self._first_epoch, self._labels, self._device = first_epoch, labels, device
        self._layout, self._precision = layout, precision
        chain.model.to(device)
        apply_layout(chain.model, layout)
        if device.type == "cuda":
            make_pooling_deterministic(chain.model)
        part = chain.model if cut is None else chain.tail(cut)
        self.module = freeze(part, chain, self._phase.train_from, recipe.frozen_norm, recipe.tail_norm)
        self._loss = build_loss(recipe, labels, classes).to(device)
        named = [(name, p) for name, p in chain.model.named_parameters() if p.requires_grad]
        self._optimizer = build_optimizer(named, self._phase.optimizer, chain.stages_before_head)
        steps = len(batch_order(recipe.seed, first_epoch, len(labels), recipe.batch_size))
        self._scheduler = build_scheduler(self._optimizer, self._phase.schedule, steps, self._phase.epochs)
        self._changed = tuple(dict.fromkeys([*carried, *self._changing_names()]))
        self._frozen = self._frozen_digest()

    def run_epoch(self, epoch: int, rows: Rows, on_step: Callable[[int, int], None]) -> float:
        """Train epoch ``epoch`` of this phase (0-based) and return the mean loss over images, NaN when it diverges."""
        number = self._first_epoch + epoch
        order = batch_order(self._recipe.seed, number, len(self._labels), self._recipe.batch_size)
        return train_epoch(
            self.module,
            self._batches(rows, order, number),
            self._loss,
            self._optimizer,
            self._scheduler,
            DropoutStream(stream_seed("dropout", self._recipe.seed, number), self._device),
            lambda step: on_step(step, len(order)),
            self._precision,
        )

    def evaluate(self, rows: Rows) -> torch.Tensor:
        """Return the logits [N, K] of rows, in their order."""
        order = batches_in_order(rows.n, self._recipe.batch_size)
        return evaluate(self.module, self._batches(rows, order, 0), self._precision)

    def assert_frozen(self) -> None:
        """Raise TrainingError when a parameter or buffer before the frost line has changed."""
        if self._frozen_digest() != self._frozen:
            raise frozen_changed(self._recipe.backbone, self._phase.train_from)

    def model_state(self) -> dict[str, torch.Tensor]:
        """Return what training changed so far, by the model's own names; the tensors are live."""
        state = self._chain.model.state_dict()
        return {name: state[name] for name in self._changed}

    def checkpoint(self) -> Checkpoint:
        """Return the state after the last epoch."""
        scheduler = None if self._scheduler is None else self._scheduler.state_dict()
        return Checkpoint(self.model_state(), self._optimizer.state_dict(), scheduler)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this phase."""
        load_model_state(self._chain.model, checkpoint.model)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        if self._scheduler is not None and checkpoint.scheduler is not None:
            self._scheduler.load_state_dict(checkpoint.scheduler)

    def _batches(self, rows: Rows, order: Sequence[NDArray[np.int64]], epoch: int) -> Iterator[Batch]:
        for inputs, labels in rows.batches(order, epoch, self._device):
            yield in_layout(inputs, self._layout), labels

    def _changing_names(self) -> Iterable[str]:
        """Trained parameters, and the buffers of modules that run in train mode."""
        self.module.train()
        running = {id(module) for module in self.module.modules() if module.training}
        yield from (name for name, p in self._chain.model.named_parameters() if p.requires_grad)
        persistent = self._chain.model.state_dict().keys()
        for path, module in self._chain.model.named_modules():
            if id(module) in running:
                names = (f"{path}.{name}" if path else name for name, _ in module.named_buffers(recurse=False))
                yield from (name for name in names if name in persistent)

    def _frozen_digest(self) -> str:
        return frozen_digest(self.module, self._chain, self._phase.train_from, self._recipe.frozen_norm)


def frozen_changed(backbone: str, train_from: str) -> TrainingError:
    """Return the error of a training run that broke the promise: frozen means frozen."""
    return TrainingError(
        f"{backbone}: a parameter or buffer before {train_from} changed in training; the result was discarded. "
        "Please report this with the study file."
    )


def load_model_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Copy named tensors into a model's parameters and buffers in place."""
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            own[name].copy_(tensor)
