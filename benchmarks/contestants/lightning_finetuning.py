"""Lightning: a module, a DataLoader, and its BaseFinetuning callback, which freezes BatchNorm too."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import BaseFinetuning
from torch.utils.data import DataLoader

from benchmarks.contestants.common import Report, build_network, build_optimizer, load_arrays, read_job
from benchmarks.contestants.notebook import Images


class Freezing(BaseFinetuning):  # type: ignore[misc]
    """Freezes everything before a module, for good."""

    def __init__(self, head: str, train_from: str) -> None:
        super().__init__()
        self.names = (head, train_from)

    def freeze_before_training(self, module: pl.LightningModule) -> None:
        open_from = False
        for name, part in module.network.named_modules():
            open_from = open_from or name in self.names
            if not open_from and not list(part.children()):
                self.freeze(part, train_bn=False)

    def finetune_function(self, module: Any, epoch: int, optimizer: Any) -> None:
        pass


class Classifier(pl.LightningModule):  # type: ignore[misc]
    """The network with its loss."""

    def __init__(self, network: torch.nn.Module, settings: dict[str, Any], report: Report, arm: int) -> None:
        super().__init__()
        self.network, self.settings, self.report, self.arm = network, settings, report, arm

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.network(images), labels)

    def on_train_epoch_start(self) -> None:
        self.started, self.correct, self.seen = time.perf_counter(), 0, 0

    def validation_step(self, batch: Any, index: int) -> None:
        images, labels = batch
        self.correct += int((self.network(images).argmax(1) == labels).sum())
        self.seen += len(labels)

    def on_validation_epoch_end(self) -> None:
        self.report.epoch(self.arm, time.perf_counter() - self.started, self.correct / self.seen)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer((p for p in self.parameters() if p.requires_grad), self.settings)


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    job = read_job()
    report = Report("lightning", "torchvision")
    train_x, train_y, val_x, val_y = load_arrays(job)
    preparation, batch_size = job["preparation"], job["workload"]["batch_size"]
    train = DataLoader(Images(train_x, train_y, preparation), batch_size, shuffle=True)
    val = DataLoader(Images(val_x, val_y, preparation), batch_size)
    for index, arm in enumerate(job["arms"]):
        network, head = build_network(job, arm["seed"])
        module = Classifier(network, arm["optimizer"], report, index)
        trainer = pl.Trainer(
            max_epochs=arm["epochs"],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            callbacks=[Freezing(head, arm["train_from"])],
        )
        trainer.fit(module, train, val)
    report.write()


if __name__ == "__main__":
    main()
