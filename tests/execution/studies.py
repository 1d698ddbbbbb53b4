"""Small studies of real images (scikit-learn's digits), run and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors.numpy import load_file

import frostline
import frostline.places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from frostline import RunRecord, Study
    from frostline.ledger import ArmRecord

LITE0: dict[str, Any] = {"backbone": "timm:tf_efficientnet_lite0", "image_size": 32}
RESNET: dict[str, Any] = {"backbone": "resnet18", "weights": "none", "image_size": 32}


def small_study(*arms: dict[str, Any], train: int = 96, val: int = 48, **defaults: Any) -> Study:
    """Return a study of digits with these arms."""
    return frostline.Study(
        name="small",
        data={"source": "digits", "train": train, "val": val, "test": 48},
        defaults={"batch_size": 16, "epochs": 2, **defaults},
        arms=list(arms),
    )


def logits_of(record: RunRecord, arm: ArmRecord) -> NDArray[np.float32]:
    """Return an arm's stored validation logits [N, K]."""
    (file,) = [file for file in arm.files if file.kind == "predictions"]
    logits: NDArray[np.float32] = load_file(record.directory / file.path)["logits"]
    return logits


def numbers_of(record: RunRecord) -> dict[str, list[tuple[float, float | None, float | None]]]:
    """Return every arm's losses and accuracies by epoch."""
    return {arm.name: [(row.train_loss, row.val_loss, row.val_accuracy) for row in arm.epochs] for arm in record.arms}
