"""Losses against torch and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from frostline.study import Recipe
from frostline.training import build_loss, has_diverged, score

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2], np.int64)
CLASSES = ["ant", "bee", "cat"]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    loss = build_loss(Recipe(class_weights="balanced"), LABELS, CLASSES)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert loss.weight is not None
    np.testing.assert_allclose(loss.weight.numpy(), expected, rtol=1e-6)


def test_named_weights_leave_the_others_at_one() -> None:
    loss = build_loss(Recipe(class_weights={"bee": 4.0}), LABELS, CLASSES)
    assert loss.weight is not None
    assert loss.weight.tolist() == [1.0, 4.0, 1.0]


def test_label_smoothing_is_torch_s() -> None:
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    expected = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    assert torch.equal(build_loss(Recipe(label_smoothing=0.1), LABELS, CLASSES)(logits, target), expected)


def test_score_is_plain_cross_entropy_and_accuracy() -> None:
    loss, accuracy = score(torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), np.array([0, 1, 1], np.int64))
    expected = np.mean([math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(3))])
    assert loss == pytest.approx(expected, rel=1e-6)
    assert accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("loss", "diverged"), [(2.3, False), (100.0, False), (1e4, True), (math.inf, True), (math.nan, True)]
)
def test_divergence(loss: float, diverged: bool) -> None:
    assert has_diverged(loss, 10) is diverged
