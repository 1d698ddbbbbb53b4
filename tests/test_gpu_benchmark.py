"""The parts of ``make gpu`` on the CPU, with a few images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks.gpu import __main__ as script
from benchmarks.gpu.images import N_CLASSES, make_images
from benchmarks.gpu.plain_loop import epoch_seconds, head_seconds
from benchmarks.gpu.wheels import PACKAGES, choose_versions

from frostline.data import load_dataset
from frostline.study import Data

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent

REPORT = """<testsuites><testsuite>
<testcase name="test_equal"><properties><property name="largest difference" value="1e-06"/></properties></testcase>
<testcase name="test_full"><failure message="no"/></testcase>
<testcase name="test_other"><skipped message="needs CUDA"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., dict[str, object]]:
    def run(*words: str) -> dict[str, object]:
        options = ["--tiny", "--device", "cpu", "--wheels", str(tmp_path / "none"), "--output", str(tmp_path / "out")]
        script.main([*options, *words])
        results: dict[str, object] = json.loads((tmp_path / "out" / "gpu.json").read_text())
        return results

    return run


@pytest.mark.slow
def test_all_of_it(made: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    results = made("--precision", "bf16")
    rows = results["rows"]
    assert isinstance(rows, list)
    assert [(row["workload"], row["arms"], row["epochs"]) for row in rows] == [
        ("sections", 8, 27),
        ("heads", 4, 8),
        ("many heads", 8, 16),
    ]
    assert all(row["seconds"] > 0 and row["by_hand_seconds"] > 0 for row in rows)
    page = (tmp_path / "out" / "gpu.md").read_text()
    assert page.startswith("cpu, bf16, torch ")
    assert "100 made-up images at 32 px" in page
    assert "| many heads | 8 | 16 | " in page


def test_made_up_images_are_read_as_cifar10_is(tmp_path: Path) -> None:
    """Of two images of a class, colours are alike, and pixels aren't."""
    data = load_dataset(Data(source="parquet", path=str(make_images(tmp_path, 60, 20)), val=20))
    assert (len(data.train), len(data.val), len(data.test), len(data.classes)) == (40, 20, 20, N_CLASSES)
    first, second = np.flatnonzero(data.train.labels == 3)[:2]
    pixels = [data.pixels("train", int(position)).astype(float) for position in (first, second)]
    assert pixels[0].shape == (32, 32, 3)
    assert np.abs(pixels[0].mean(axis=(0, 1)) - pixels[1].mean(axis=(0, 1))).max() < 40
    assert np.abs(pixels[0] - pixels[1]).mean() > 10


@pytest.mark.parametrize("train_from", ["head", "layer4"])
def test_the_loop_by_hand_is_timed(train_from: str) -> None:
    images = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8)
    assert epoch_seconds(images, train_from, 32, 4, torch.device("cpu")) > 0
    assert head_seconds(12, 8, 4, torch.device("cpu")) > 0


def test_what_there_is_no_time_for_is_left_out(made: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    made("--seconds", "0")
    assert (tmp_path / "out" / "gpu.md").read_text().count("| no time left |") == 3


def test_outcomes_and_numbers_of_tests(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert script.read_report(tmp_path / "report.xml") == {
        "test_equal": {"outcome": "passed", "numbers": {"largest difference": "1e-06"}},
        "test_full": {"outcome": "failure", "numbers": {}},
        "test_other": {"outcome": "skipped", "numbers": {}},
    }


def test_wheels_have_the_versions_that_are_tested() -> None:
    chosen = choose_versions((ROOT / "constraints.txt").read_text())
    assert [each.split("==")[0] for each in chosen] == list(PACKAGES)
    assert not any("openvino" in each or each.startswith("torch") for each in chosen)
