"""The arguments and options that several commands share, and what their values mean."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from frostline.execution.events import Event

__all__ = [
    "CacheOption",
    "CachePolicy",
    "DeviceMemoryOption",
    "DeviceOption",
    "DiskOption",
    "JsonOption",
    "MemoryOption",
    "Precision",
    "PrecisionOption",
    "SetOption",
    "StudyArgument",
    "WorkspaceOption",
    "choose_workspace",
    "print_json",
    "remark",
]

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (.toml), or a built-in study: starter, cifar10-exercise.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override any key of the study, e.g. data.train=2000; may be repeated."
    ),
]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(metavar="DIRECTORY", help="Folder of results.  [default: $FROSTLINE_WORKSPACE, or runs]"),
]


class Precision(StrEnum):
    """How exactly products are computed."""

    ieee = "ieee"
    tf32 = "tf32"
    bf16 = "bf16"


DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="How exactly products are computed, by the whole run: float32; TF32, faster on NVIDIA GPUs; bfloat16.",
    ),
]


class CachePolicy(StrEnum):
    """Whether activations are stored."""

    auto = "auto"
    always = "always"
    never = "never"


CacheOption = Annotated[
    CachePolicy,
    typer.Option(
        "--cache",
        help="Store activations where that is predicted to save time, wherever the answer stays the same, or never.",
    ),
]
DiskOption = Annotated[
    str | None,
    typer.Option(
        "--disk",
        metavar="SIZE",
        help="The most disk space for this study's stored activations, e.g. 10GB; the rest is recomputed.  "
        "[default: no limit]",
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="The most memory that the run may use, e.g. 4GB; a study that needs more is refused.  [default: no limit]",
    ),
]
DeviceMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--device-memory",
        metavar="SIZE",
        help="The most of the GPU's own memory that the run may use, e.g. 8GB; a study that needs more is refused.  "
        "[default: what is free there]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def choose_workspace(given: Path | None) -> Path:
    """Return the workspace that was given, or the usual one."""
    from frostline.places import workspace_directory

    return workspace_directory() if given is None else given


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def remark(event: "Event") -> None:
    """Say on standard error what is to be said beside the answer, such as that this machine is being measured."""
    from frostline.cli._listener import describe_event

    text = describe_event(event)
    if text is not None:
        print(text, file=sys.stderr, flush=True)
