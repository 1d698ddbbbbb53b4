"""Frostline: the study from its definition to its tables, with nothing measured, compiled or stored before."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from benchmarks.contestants.common import Report, read_job


def main() -> None:
    job = read_job()
    report = Report("torchvision", "timm", "openvino")  # importing Frostline counts
    workload = job["workload"]
    with tempfile.TemporaryDirectory(dir=job["scratch"]) as place:
        os.environ["FROSTLINE_CACHE"], os.environ["FROSTLINE_WORKSPACE"] = f"{place}/cache", f"{place}/runs"
        import frostline
        from frostline.cli import app  # noqa: F401 (what the command line loads counts too)

        arms: list[dict[str, Any]] = [
            {key: arm[key] for key in ("train_from", "optimizer", "epochs", "seed")} for arm in job["arms"]
        ]
        study = frostline.Study(
            name=workload["name"],
            data={
                "source": "parquet",
                "path": job["parquet"],
                "train": job["n_train"],
                "val": job["n_val"],
                "test": job["n_val"],
            },
            defaults={key: workload[key] for key in ("backbone", "weights", "image_size", "batch_size")},
            arms=arms,
        )
        record = frostline.run(study)
        for index, arm in enumerate(record.arms):
            for row in arm.epochs:
                report.epoch(index, row.seconds, row.val_accuracy or 0.0)
        stored = frostline.FeatureStore().entries()
        bytes_ = {"stored_bytes": sum(entry.n_bytes for entry in stored)}
    report.write(cost={key: value for key, value in record.cost.items() if key != "arms"} | bytes_)


if __name__ == "__main__":
    main()
