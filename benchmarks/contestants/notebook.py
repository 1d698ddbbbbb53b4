"""The notebook's loop as anyone writes it: torchvision, a DataLoader, a resize for each image, ``model.train()``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

if TYPE_CHECKING:
    import numpy as np

from benchmarks.contestants.common import (
    Preparation,
    Report,
    build_network,
    build_optimizer,
    load_arrays,
    read_job,
    thaw,
)


class Images(Dataset[Any]):
    """CIFAR-10 as torchvision has it: PIL images, transformed one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, preparation: Preparation) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.Resize(preparation.image_size, transforms.InterpolationMode(preparation.interpolation)),
                transforms.ToTensor(),
                transforms.Normalize(preparation.mean, preparation.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def main() -> None:
    job = read_job()
    report = Report("torchvision")
    train_x, train_y, val_x, val_y = load_arrays(job)
    preparation, batch_size = job["preparation"], job["workload"]["batch_size"]
    train = DataLoader(Images(train_x, train_y, preparation), batch_size, shuffle=True)
    val = DataLoader(Images(val_x, val_y, preparation), batch_size)
    criterion = torch.nn.CrossEntropyLoss()
    for index, arm in enumerate(job["arms"]):
        model, head = build_network(job, arm["seed"])
        optimizer = build_optimizer(thaw(model, head, arm["train_from"]), arm["optimizer"])
        for _ in range(arm["epochs"]):
            started = time.perf_counter()
            model.train()
            for images, labels in train:
                optimizer.zero_grad()
                loss = criterion(model(images), labels)
                loss.backward()
                optimizer.step()
            model.eval()
            correct = 0
            with torch.no_grad():
                for images, labels in val:
                    correct += int((model(images).argmax(1) == labels).sum())
            report.epoch(index, time.perf_counter() - started, correct / len(val_y))
    report.write()


if __name__ == "__main__":
    main()
