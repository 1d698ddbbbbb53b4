"""Batch order is a function of seed and epoch, and every image is seen once."""

from __future__ import annotations

import numpy as np
import pytest

from frostline.training import batch_order, batches_in_order


@pytest.mark.parametrize(("n", "batch_size"), [(1, 4), (7, 4), (8, 4), (9, 4), (65, 64), (64, 64), (5, 1), (3, 100)])
def test_every_image_once(n: int, batch_size: int) -> None:
    order = batch_order(0, 0, n, batch_size)
    assert sorted(np.concatenate(order)) == list(range(n))
    assert all(len(batch) <= batch_size + 1 for batch in order)


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    assert [len(batch) for batch in batch_order(0, 0, 9, 4)] == [4, 5]
    assert [len(batch) for batch in batches_in_order(9, 4)] == [4, 5]


def test_batches_of_one_stay() -> None:
    assert [len(batch) for batch in batch_order(0, 0, 3, 1)] == [1, 1, 1]


def test_depends_on_seed_and_epoch_only() -> None:
    first = np.concatenate(batch_order(3, 5, 50, 8))
    assert np.array_equal(first, np.concatenate(batch_order(3, 5, 50, 8)))
    assert np.array_equal(first, np.concatenate(batch_order(3, 5, 50, 16)))
    assert not np.array_equal(first, np.concatenate(batch_order(3, 6, 50, 8)))
    assert not np.array_equal(first, np.concatenate(batch_order(4, 5, 50, 8)))


def test_evaluation_goes_in_order() -> None:
    assert np.array_equal(np.concatenate(batches_in_order(10, 3)), np.arange(10))
