"""The names of every backbone that torchvision and timm can build as a classifier; importing this imports neither."""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlparse

from frostline.errors import ModelError, closest
from frostline.files import keep_json
from frostline.models._own import PY, find_own, own_names
from frostline.models.facts import library_versions
from frostline.places import cache_directory

__all__ = ["TIMM", "Listed", "check_backbone", "known_backbones", "listed_backbones"]

TIMM = "timm:"
"""What a name of timm's begins with; a name without it is torchvision's."""


class Listed(NamedTuple):
    """What a library says of one of its networks before it is built.

    ``image_size`` is the side of the images that its weights are for, in pixels; ``weights`` is the name of the file
    that torch's cache has of them, ``hub:REPOSITORY`` on the Hugging Face hub, or empty where it has no weights.
    """

    image_size: int
    weights: str


def known_backbones() -> tuple[str, ...]:
    """Return every backbone's name, sorted: torchvision's classifiers, then ``timm:NAME`` for timm's.

    A pretrained tag of timm's (``timm:NAME.TAG``) is accepted as well, though not listed here.
    """
    return tuple(listed_backbones())


def listed_backbones() -> dict[str, Listed]:
    """Return what the libraries say of every backbone, in the order of ``known_backbones``."""
    return _names(str(cache_directory()))[0]


def check_backbone(name: str) -> None:
    """Check that a backbone exists: of a library, or of the user's own.

    Raises:
        ModelError: it doesn't; the message has the closest name.
    """
    if find_own(name) is not None:
        return
    names, tagged = _names(str(cache_directory()))
    if name in names or name in tagged:
        return
    source = TIMM if name.startswith(TIMM) else ""
    bare = name.removeprefix(TIMM)
    near = closest(name, own_names())
    other = "" if source else TIMM
    if near:
        hint = near
    elif other + bare in names:
        hint = f'; did you mean "{other}{bare}"?'
    else:
        # Compared without what all of timm's names begin with, which would make them alike.
        own = [known for known in (*names, *sorted(tagged)) if known.startswith(TIMM) == bool(source)]
        hint = closest(bare, [known.removeprefix(TIMM) for known in own]).replace('"', f'"{source}', 1)
    where = "timm" if name.startswith(TIMM) else f"torchvision (timm's are timm:NAME, yours {PY}MODULE:FUNCTION)"
    raise ModelError(f'backbone "{name}" is unknown{hint or f": {where} has no such classifier"}')


@lru_cache(maxsize=4)
def _names(cache: str) -> tuple[dict[str, Listed], frozenset[str]]:
    """Return the names and timm's tagged names, from a file where these versions have been asked before."""
    versions = "-".join(library_versions()[library] for library in ("torchvision", "timm"))
    path = cache_directory() / "facts" / f"listed-{versions}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(path.read_text())
        return {name: Listed(*entry) for name, entry in record["names"].items()}, frozenset(record["tagged"])
    names = {**_list_torchvision(), **_list_timm()}
    import timm

    tagged = sorted(TIMM + name for name in timm.list_pretrained() if TIMM + name.partition(".")[0] in names)
    keep_json(path, {"names": names, "tagged": tagged})
    return names, frozenset(tagged)


def _list_torchvision() -> dict[str, Listed]:
    import torchvision

    listed = {}
    # The module's own registry, so that detection, segmentation, quantized and video networks stay out.
    for name in sorted(torchvision.models.list_models(module=torchvision.models)):
        weights = torchvision.models.get_model_weights(name).DEFAULT
        listed[name] = Listed(int(weights.transforms().crop_size[0]), _file_name(weights.url))
    return listed


def _list_timm() -> dict[str, Listed]:
    import timm

    listed = {}
    for name in sorted(timm.list_models()):
        # What somebody registered with timm in this process is known in this process alone.
        if timm.model_entrypoint(name).__module__.split(".")[0] != "timm":
            continue
        cfg = timm.get_pretrained_cfg(name)
        if cfg is None:
            listed[TIMM + name] = Listed(224, "")
            continue
        weights = f"hub:{cfg.hf_hub_id}" if cfg.hf_hub_id else _file_name(cfg.url) if cfg.url else ""
        listed[TIMM + name] = Listed(int(cfg.input_size[-1]), weights)
    return listed


def _file_name(url: str) -> str:
    return urlparse(url).path.rpartition("/")[2]
