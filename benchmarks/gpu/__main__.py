"""``python -m benchmarks.gpu``: installs what is missing, runs the tests marked ``gpu`` and a benchmark, in 8 minutes.

For a machine with a GPU, Python 3.12, torch, torchvision, timm and pytest, and no network. What doesn't fit in the time
is left out and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.gpu.wheels import install

__all__ = ["main"]

ROOT = Path(__file__).parent.parent.parent

TEST_SHARE = 0.4
"""Of the time, what the tests may take."""


def main(words: list[str] | None = None) -> None:
    """Check and time, and write ``gpu.json`` and ``gpu.md``."""
    arguments = _arguments(words)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        if any(arguments.wheels.glob("*.whl")):
            install(arguments.wheels, site)
        # In a process of its own, which finds what was installed.
        paths = os.pathsep.join([str(site), str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": paths, "FROSTLINE_CACHE": str(Path(scratch) / "cache")}
        results: dict[str, Any] = {"tests": {} if arguments.tiny else _test(arguments, environment, Path(scratch))}
        job = {
            "seconds": arguments.seconds - (time.perf_counter() - started),
            "data": str(arguments.data) if arguments.data else None,
            "device": arguments.device,
            "precision": arguments.precision,
            "tiny": arguments.tiny,
            "place": scratch,
        }
        command = [sys.executable, "-m", "benchmarks.gpu.timing", json.dumps(job)]
        timed = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        results |= json.loads(timed.stdout.splitlines()[-1])
    results["machine"] = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    results["seconds"] = time.perf_counter() - started
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "gpu.json").write_text(json.dumps(results, indent=2))
    (arguments.output / "gpu.md").write_text(format_results(results))
    print(format_results(results))


def format_results(results: dict[str, Any]) -> str:
    """Return the tests' outcome and the times as a page in Markdown, for docs/benchmarks.md."""
    lines = [f"{results['device']}, {results['precision']}, torch {results['torch']}; {results['images']}.", ""]
    for name, test in results["tests"].items():
        numbers = "".join(f", {key} {value}" for key, value in test["numbers"].items())
        lines.append(f"- {name}: {test['outcome']}{numbers}")
    lines += ["", "| workload | arms | epochs | Frostline, s | by hand, s | times |", "|---|---:|---:|---:|---:|---:|"]
    for row in results["rows"]:
        if "skipped" in row:
            lines.append(f"| {row['workload']} | | | {row['skipped']} | | |")
            continue
        times = row["by_hand_seconds"] / row["seconds"]
        numbers = f"{row['seconds']:,.1f} | ~{row['by_hand_seconds']:,.1f} | {times:,.1f}"
        lines.append(f"| {row['workload']} | {row['arms']:,} | {row['epochs']:,} | {numbers} |")
    lines += ["", "By hand (~): worked out from an epoch on a tenth of the images, or from an epoch of one head."]
    return "\n".join(lines) + "\n"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--wheels", type=Path, default=ROOT / ".gpu" / "wheels", help="filled by make gpu-wheels")
    parser.add_argument("--data", type=Path, help="CIFAR-10 as Parquet; made-up images when left out")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="ieee", choices=("ieee", "tf32", "bf16"))
    parser.add_argument("--seconds", type=float, default=480, help="for everything")
    parser.add_argument("--tiny", action="store_true", help="a few images, and no tests: to try this script out")
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT", ROOT / ".gpu" / "results")))
    return parser.parse_args(words)


def _test(arguments: argparse.Namespace, environment: dict[str, str], scratch: Path) -> dict[str, Any]:
    """Return the outcome of each test marked ``gpu``, with the numbers that it compared."""
    report = scratch / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-W", "default"]
    command += [f"--junitxml={report}", "tests/execution/test_gpu.py", "tests/features/test_engines.py"]
    try:
        subprocess.run(command, env=environment, cwd=ROOT, timeout=TEST_SHARE * arguments.seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"all": {"outcome": "took too long", "numbers": {}}}
    return read_report(report)


def read_report(report: Path) -> dict[str, Any]:
    """Return the outcome and numbers of each test of a JUnit report."""
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        faults = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        numbers = {each.get("name"): each.get("value") for each in case.iter("property")}
        outcomes[str(case.get("name"))] = {"outcome": faults[0] if faults else "passed", "numbers": numbers}
    return outcomes


if __name__ == "__main__":
    main()
