"""The names of every backbone that torchvision and timm can build as a classifier; importing this imports neither."""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache

from frostline.errors import ModelError, closest
from frostline.models.facts import library_versions
from frostline.places import cache_directory

__all__ = ["TIMM", "check_backbone", "known_backbones"]

TIMM = "timm:"
"""What a name of timm's begins with; a name without it is torchvision's."""


def known_backbones() -> tuple[str, ...]:
    """Return every backbone's name, sorted: torchvision's classifiers, then ``timm:NAME`` for timm's.

    A pretrained tag of timm's (``timm:NAME.TAG``) is accepted as well, though not listed here.
    """
    return _names(str(cache_directory()))[0]


def check_backbone(name: str) -> None:
    """Check that a backbone exists.

    Raises:
        ModelError: it doesn't; the message has the closest name.
    """
    names, tagged = _names(str(cache_directory()))
    if name in names or name in tagged:
        return
    source = TIMM if name.startswith(TIMM) else ""
    bare = name.removeprefix(TIMM)
    other = "" if source else TIMM
    if other + bare in names:
        hint = f'; did you mean "{other}{bare}"?'
    else:
        # Compared without what all of timm's names begin with, which would make them alike.
        own = [known for known in (*names, *sorted(tagged)) if known.startswith(TIMM) == bool(source)]
        hint = closest(bare, [known.removeprefix(TIMM) for known in own]).replace('"', f'"{source}', 1)
    where = "timm" if name.startswith(TIMM) else "torchvision (timm's are written timm:NAME)"
    raise ModelError(f'backbone "{name}" is unknown{hint or f": {where} has no such classifier"}')


@lru_cache(maxsize=4)
def _names(cache: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names and timm's tagged names, from a file where these versions have been asked before."""
    versions = "-".join(library_versions()[library] for library in ("torchvision", "timm"))
    path = cache_directory() / "facts" / f"backbones-{versions}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(path.read_text())
        return tuple(record["names"]), frozenset(record["tagged"])
    import timm
    import torchvision

    # The module's own registry, so that detection, segmentation, quantized and video networks stay out.
    names = sorted(torchvision.models.list_models(module=torchvision.models))
    names += sorted(TIMM + name for name in timm.list_models())
    tagged = sorted(TIMM + name for name in timm.list_pretrained())
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"names": names, "tagged": tagged}))
        temporary.replace(path)
    return tuple(names), frozenset(tagged)
