"""fastai: ``vision_learner`` as its tutorial has it, with a linear head so that everyone trains the same thing."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pandas
import torch
from fastai.vision.all import (
    Callback,
    CategoryBlock,  # noqa: F401 (fails early where fastai is broken)
    ImageDataLoaders,
    L,
    Normalize,
    OptimWrapper,
    Resize,
    accuracy,
    create_body,
    params,
    vision_learner,
)
from PIL import Image

from benchmarks.contestants.common import Report, build_network, load_arrays, read_job


class Times(Callback):  # type: ignore[misc]
    """Reports each epoch, after the recorder has noted it."""

    order = 60

    def __init__(self, report: Report, arm: int) -> None:
        self.report, self.arm = report, arm

    def before_epoch(self) -> None:
        self.started = time.perf_counter()

    def after_epoch(self) -> None:
        values = self.learn.recorder.values
        self.report.epoch(self.arm, time.perf_counter() - self.started, float(values[-1][-1]))


def write_files(job: dict[str, object], place: Path) -> pandas.DataFrame:
    """Write the images as files, which is what fastai reads."""
    train_x, train_y, val_x, val_y = load_arrays(job)
    place.mkdir(parents=True, exist_ok=True)
    rows = []
    for part, images, labels in (("train", train_x, train_y), ("val", val_x, val_y)):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = f"{part}{i}.png"
            Image.fromarray(image).save(place / name)
            rows.append((name, str(label), part == "val"))
    return pandas.DataFrame(rows, columns=["name", "label", "is_valid"])


def main() -> None:
    job = read_job()
    place = Path(str(job["scratch"])) / "png"
    frame = write_files(job, place)
    report = Report("fastai", "torchvision")
    workload, preparation = job["workload"], job["preparation"]
    resample = Image.Resampling[preparation.interpolation.upper()]
    dls = ImageDataLoaders.from_df(
        frame,
        place,
        valid_col="is_valid",
        item_tfms=Resize(preparation.image_size, resamples=(resample, resample)),
        batch_tfms=Normalize.from_stats(preparation.mean, preparation.std),
        bs=workload["batch_size"],
        num_workers=0,  # starting them takes seconds of each epoch, which few images would make too much of
    )
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    for index, arm in enumerate(job["arms"]):
        network, head_name = build_network(job, arm["seed"])
        children = dict(network.named_children())
        head = children.pop(head_name)
        free = arm["train_from"].split(".")[0]
        names = list(children)
        at = names.index(free) if free in names else len(names)
        body = torch.nn.Sequential(*children.values())
        # fastai cuts a network before its last pooling and leaves this to the head.
        n_body = len(create_body(torch.nn.Sequential(*children.values()), pretrained=False))
        custom_head = torch.nn.Sequential(*list(children.values())[n_body:], torch.nn.Flatten(), head)
        learner = vision_learner(
            dls,
            lambda pretrained=False, body=body: body,
            pretrained=False,
            custom_head=custom_head,
            init=None,
            normalize=False,
            splitter=lambda model, at=at: L(model[0][:at], model[0][at:], model[1]).map(params),
            opt_func=partial(OptimWrapper, opt=kinds[arm["optimizer"]["name"]]),
            metrics=accuracy,
            cbs=Times(report, index),
        )
        learner.freeze_to(-1 if arm["train_from"] == "head" else -2)
        with learner.no_bar(), learner.no_logging():
            learner.fit(arm["epochs"], arm["optimizer"]["lr"], wd=0.0)
    report.write()


if __name__ == "__main__":
    main()
