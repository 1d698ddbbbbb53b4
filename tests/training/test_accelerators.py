"""What an accelerator lacks isn't asked of it: a stand-in has no float64, as MPS has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from frostline.training import train_epoch
from frostline.training._dropout import DropoutStream

if TYPE_CHECKING:
    from collections.abc import Callable


class NoFloat64(TorchFunctionMode):
    """Refuses to convert to float64 together with a move to the CPU, where MPS would convert first."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.Tensor.to and torch.float64 in args:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("diverges", [False, True])
def test_an_epoch_asks_for_no_float64_on_the_device(diverges: bool) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    inputs = torch.full((8, 4), float("nan")) if diverges else torch.rand(8, 4)
    batches = [((inputs,), torch.arange(8) % 3)]
    stream = DropoutStream(0, torch.device("cpu"))
    with NoFloat64():
        loss = train_epoch(model, batches, nn.CrossEntropyLoss(), optimizer, None, stream, lambda step: None)
    assert (loss != loss) == diverges
