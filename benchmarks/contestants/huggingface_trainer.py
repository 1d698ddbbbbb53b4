"""Hugging Face's Trainer around the same network."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.contestants.common import Report, build_network, build_optimizer, load_arrays, read_job, thaw
from benchmarks.contestants.notebook import Images


class Batches(torch.utils.data.Dataset[Any]):
    """Images under the names that Trainer passes to the network."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        image, label = self.images[index]
        return {"pixel_values": image, "labels": label}


class Classifier(torch.nn.Module):
    """The network with its loss, as Trainer wants it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.network(pixel_values)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


class Times(TrainerCallback):  # type: ignore[misc]
    """Reports each epoch when it has been evaluated."""

    def __init__(self, report: Report, arm: int) -> None:
        self.report, self.arm = report, arm

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        self.started = time.perf_counter()

    def on_evaluate(self, *args: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        self.report.epoch(self.arm, time.perf_counter() - self.started, metrics["eval_accuracy"])


def main() -> None:
    job = read_job()
    report = Report("transformers", "accelerate", "torchvision")
    train_x, train_y, val_x, val_y = load_arrays(job)
    preparation, batch_size = job["preparation"], job["workload"]["batch_size"]
    train, val = Batches(Images(train_x, train_y, preparation)), Batches(Images(val_x, val_y, preparation))
    for index, arm in enumerate(job["arms"]):
        network, head = build_network(job, arm["seed"])
        optimizer = build_optimizer(thaw(network, head, arm["train_from"]), arm["optimizer"])
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        trainer = Trainer(
            Classifier(network),
            TrainingArguments(
                output_dir=f"{job['scratch']}/huggingface",
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                num_train_epochs=arm["epochs"],
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                max_grad_norm=0.0,
            ),
            train_dataset=train,
            eval_dataset=val,
            optimizers=(optimizer, constant),
            compute_metrics=lambda p: {"accuracy": float(np.mean(np.argmax(p.predictions, 1) == p.label_ids))},
            callbacks=[Times(report, index)],
        )
        trainer.train()
    report.write()


if __name__ == "__main__":
    main()
