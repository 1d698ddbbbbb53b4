"""An epoch's own stream has the numbers of one seed, whatever is drawn between its steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frostline.training import DropoutStream

CPU = torch.device("cpu")


@pytest.fixture
def expected() -> list[torch.Tensor]:
    """Three steps of dropout, drawn in one go."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        return [nn.functional.dropout(torch.ones(9, width), 0.3) for width in (5, 2, 33)]


def test_steps_go_on_where_the_last_one_ended(expected: list[torch.Tensor]) -> None:
    stream, state = DropoutStream(6, CPU), torch.get_rng_state()
    for masks in expected:
        with stream.drawing():
            assert torch.equal(nn.functional.dropout(torch.ones_like(masks), 0.3), masks)
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(1)
        state = torch.get_rng_state()


def test_noise_is_what_dropout_multiplies_by(expected: list[torch.Tensor]) -> None:
    stream, state = DropoutStream(6, CPU), torch.get_rng_state()
    assert all(torch.equal(stream.noise(masks.shape, 0.3), masks) for masks in expected)
    assert torch.equal(torch.get_rng_state(), state)
