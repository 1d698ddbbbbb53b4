"""What is known of a backbone before anything is trained: its stages, the places where it can be cut, and their cost.

Nothing here imports torch until a backbone is met for the first time at an image size; from then on its facts are read
from a small JSON file in the cache directory.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from frostline.errors import ModelError, closest
from frostline.files import keep_json
from frostline.models._own import find_own
from frostline.places import cache_directory

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BackboneFacts", "CutFacts", "StageFacts", "backbone_facts", "known_facts", "library_versions"]

FORMAT = 4
"""Raised whenever the same libraries would give other facts, so that older files are not read."""


@dataclass(frozen=True)
class CutFacts:
    """A place where a network can be cut in two.

    ``paths`` are the module paths that begin here; ``shapes`` are one image's tensors that cross, without the batch
    dimension, and ``row_bytes`` their size in float32 (in uint8 for the cut ``input``, whose rows are images). Both are
    empty where the network can't be cut. ``flops_before`` and ``parameters_before`` are what the prefix has of each.
    ``folds`` tells that the layer before it and the one after it, BatchNorm, are one layer to an engine that sees both.
    """

    name: str
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    row_bytes: int
    flops_before: int
    parameters_before: int
    stage: str
    folds: bool = False


@dataclass(frozen=True)
class StageFacts:
    """A named run of layers: those that hold weights, their parameters, and the operations of one image's forward."""

    name: str
    cut: str
    layers: int
    parameters: int
    flops: int


@dataclass(frozen=True)
class BackboneFacts:
    """A backbone at one image size, with its own classifier.

    ``cuts`` are in execution order, the first is ``input`` and the last ``head``; ``refused`` are module paths where it
    can't be cut, each with the reason. ``flops`` counts a multiplication and an addition as two operations.
    ``narrow_strides`` tells of strided 1x1 convolutions with few input channels: torch 2.14 computes their weight
    gradient wrong in the layout channels_last, beyond the tensors' ends, and often crashes.
    """

    backbone: str
    image_size: int
    stages: tuple[StageFacts, ...]
    cuts: tuple[CutFacts, ...]
    refused: tuple[tuple[str, str], ...]
    head_path: str
    head_features: int
    parameters: int
    parameters_without_head: int
    flops: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    cuttable: bool
    why_not: str | None = None
    narrow_strides: bool = False

    def resolve(self, train_from: str) -> CutFacts:
        """Return the cut just before the place where training starts.

        Args:
            train_from: ``all``, ``head``, the name of a stage, or any module path in execution order.

        Raises:
            ModelError: there is no such place, or the network can't be cut there; the message lists the stages.
        """
        for stage in self.stages:
            if train_from == stage.name:
                return self._cut(stage.cut)
        if train_from in ("all", "input"):
            return self.cuts[0]
        for cut in self.cuts:
            if train_from in cut.paths:
                return cut
        names = ", ".join(["all", *(stage.name for stage in self.stages)])
        for i, (path, reason) in enumerate(self.refused):
            if path == train_from:
                earlier = self._earlier(i)
                raise ModelError(
                    f"{self.backbone} can't be cut at {train_from!r}: {reason}; "
                    f"the nearest place before it is {earlier!r}; stages: {names}"
                )
        known = [path for cut in self.cuts for path in cut.paths] + [stage.name for stage in self.stages]
        raise ModelError(
            f'train_from "{train_from}" is not a stage of {self.backbone}{closest(train_from, [*known, "all"])} '
            f"(stages: {names}; or any module path that is run on its own)"
        )

    def _cut(self, name: str) -> CutFacts:
        return next(cut for cut in self.cuts if cut.name == name)

    def _earlier(self, refused: int) -> str:
        """Return the last cut that shares the longest dotted beginning with a refused path, or ``input``."""
        parts = self.refused[refused][0].split(".")
        for n in range(len(parts) - 1, 0, -1):
            parent = ".".join(parts[:n])
            for cut in self.cuts:
                if parent in cut.paths:
                    return cut.name
        return "input"


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what a network is, without importing them."""
    return {name: version(name) for name in ("torch", "torchvision", "timm")}


def backbone_facts(backbone: str, image_size: int, weights: str = "default") -> BackboneFacts:
    """Return the facts of a backbone at an image size, from the cache where they are known.

    The first call for a backbone takes seconds and imports torch; its networks are built without weights, so that
    nothing is downloaded.

    Args:
        backbone: a torchvision name such as ``resnet18``, ``timm:NAME``, or ``py:MODULE:FUNCTION``.
        image_size: side of the square images, in pixels.
        weights: where the weights come from; it only matters to networks whose weights fix the image size.

    Raises:
        ModelError: the backbone is unknown, has no linear classifier, or doesn't take images of that size.
    """
    own = find_own(backbone)
    return _facts(backbone, image_size, weights == "none", "" if own is None else own.code, str(cache_directory()))


def known_facts(backbone: str, image_size: int, weights: str = "default") -> BackboneFacts | None:
    """Return the facts of a backbone at an image size if the cache has them; imports no torch."""
    own = find_own(backbone)
    return _read(*_place(backbone, image_size, weights == "none", "" if own is None else own.code))


def _place(backbone: str, image_size: int, any_size: bool, code: str) -> tuple[Path, dict[str, Any]]:
    """Return the file of a backbone's facts, and what they are of; ``code`` is the digest of an own network's."""
    key = {"format": FORMAT, "backbone": backbone, "image_size": image_size, "any_size": any_size, **library_versions()}
    if code:
        key["code"] = code
    name = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    return cache_directory() / "facts" / f"{name}.json", key


@lru_cache(maxsize=256)
def _facts(backbone: str, image_size: int, any_size: bool, code: str, place: str) -> BackboneFacts:
    path, key = _place(backbone, image_size, any_size, code)
    known = _read(path, key)
    if known is not None:
        return known
    from frostline.models._measured import measure_backbone

    facts = measure_backbone(backbone, image_size, any_size)
    keep_json(path, {"key": key, "facts": asdict(facts)})
    return facts


def _read(path: Path, key: dict[str, Any]) -> BackboneFacts | None:
    """Read facts; a file that is absent, damaged or of another key counts as absent, as it can be made again."""
    try:
        record = json.loads(path.read_text())
        if record["key"] != key:
            return None
        facts = {name: _frozen(value) for name, value in record["facts"].items()}
        facts["stages"] = tuple(StageFacts(**stage) for stage in facts["stages"])
        facts["cuts"] = tuple(CutFacts(**{n: _frozen(v) for n, v in cut.items()}) for cut in facts["cuts"])
        return BackboneFacts(**facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _frozen(value: Any) -> Any:
    """Turn the lists that JSON gives back into tuples, all the way down."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
