"""Features extracted once with eager torch, then scikit-learn's LogisticRegression: for head-only rows."""

from __future__ import annotations

import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.contestants.common import Report, build_network, load_arrays, read_job
from benchmarks.contestants.handwritten import normaliser, resize, split_at


def main() -> None:
    job = read_job()
    report = Report("scikit-learn")
    train_x, train_y, val_x, val_y = load_arrays(job)
    preparation, batch_size = job["preparation"], job["workload"]["batch_size"]
    normalise = normaliser(preparation)
    started = time.perf_counter()
    model, head = build_network(job, 0)
    prefix, _ = split_at(model.to(memory_format=torch.channels_last), head)
    prefix.eval()

    def features(images: np.ndarray) -> np.ndarray:
        ready = resize(torch.from_numpy(images).permute(0, 3, 1, 2), preparation)
        with torch.inference_mode():
            return torch.cat([prefix(normalise(part)) for part in torch.split(ready, batch_size)]).numpy()

    train, val = features(train_x), features(val_x)
    extraction = time.perf_counter() - started
    # One fit stands for each optimizer and learning rate: here as many regularisations.
    arms = {(arm["seed"], repr(arm["optimizer"])) for arm in job["arms"]}
    started = time.perf_counter()
    for index, strength in enumerate(np.geomspace(1e-3, 1e1, len(arms))):
        fitted = LogisticRegression(C=strength, max_iter=200).fit(train, train_y)
        report.epoch(index, (time.perf_counter() - started) / (index + 1), float(fitted.score(val, val_y)))
    report.write(extraction_seconds=extraction)


if __name__ == "__main__":
    main()
