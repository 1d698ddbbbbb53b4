"""Frostline: the study from its definition to its tables, with nothing measured, compiled or stored before."""

from __future__ import annotations

import os
import tempfile

from benchmarks.contestants.common import Report, read_job
from benchmarks.workloads import study_of


def main() -> None:
    job = read_job()
    report = Report("torchvision", "timm", "openvino")  # importing Frostline counts
    workload = job["workload"]
    with tempfile.TemporaryDirectory(dir=job["scratch"]) as place:
        os.environ["FROSTLINE_CACHE"], os.environ["FROSTLINE_WORKSPACE"] = f"{place}/cache", f"{place}/runs"
        import frostline
        from frostline.cli import app  # noqa: F401 (what the command line loads counts too)

        study = frostline.Study(**study_of(workload, job["parquet"], job["n_train"], job["n_val"]))
        record = frostline.run(study)
        for index, arm in enumerate(record.arms):
            for row in arm.epochs:
                report.epoch(index, row.seconds, row.val_accuracy or 0.0)
        stored = frostline.FeatureStore().entries()
        bytes_ = {"stored_bytes": sum(entry.n_bytes for entry in stored)}
    cost = {key: value for key, value in record.cost.items() if key != "arms"}
    report.write(cost=cost | {"seconds": record.took.seconds} | bytes_)


if __name__ == "__main__":
    main()
