"""What there is to choose from: every backbone, with what is known of it without building it."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Literal, NamedTuple

from frostline.errors import ModelError, closest
from frostline.models._names import TIMM, listed_backbones
from frostline.models._own import PY, find_own
from frostline.models._weights_at_hand import LITE0, WeightsHere
from frostline.models.facts import backbone_facts, known_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    from frostline.models._names import Listed
    from frostline.models.facts import BackboneFacts

__all__ = ["BackboneLine", "list_backbones"]

FEW = 12
"""How many networks are measured without being asked to: some seconds' worth."""

USUAL_PIXELS = 224


class BackboneLine(NamedTuple):
    """A backbone at the image size of its weights, in pixels; what isn't known of it is None.

    ``flops`` counts a multiplication and an addition of one image as two operations; ``why_not`` is why it can't be cut
    or, where ``cuttable`` is None, not be used. Its weights are ``here``, can be had by ``download``, come from ``own
    code``, or there are ``none``.
    """

    name: str
    image_size: int
    weights: Literal["here", "download", "own code", "none"]
    parameters: int | None = None
    flops: int | None = None
    cuttable: bool | None = None
    why_not: str | None = None


def list_backbones(
    pattern: str | None = None,
    *,
    measure: bool | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[BackboneLine, ...]:
    """Return the backbones of torchvision and timm whose names match, and the study's own where there are any.

    What was measured before is known at once, without importing torch. A network that is measured takes about a second;
    it is built without weights, so that nothing is downloaded.

    Args:
        pattern: a part of the name, or all of it with ``*`` and ``?``; ``py:MODULE:FUNCTION`` is one of the user's own.
        measure: whether what isn't known yet is measured; left out, where a pattern leaves few of them.
        progress: told the name of each network that is measured, its number, counted from 1, and how many there are.

    Raises:
        ModelError: no name matches; the message has the closest one.
    """
    found = _find(pattern)
    known = {name: known_facts(name, listed.image_size) for name, listed in found.items()}
    unknown = [name for name, facts in known.items() if facts is None]
    wanted = unknown if measure or (measure is None and pattern is not None and len(unknown) <= FEW) else []
    refused: dict[str, str] = {}
    for number, name in enumerate(wanted, start=1):
        if progress is not None:
            progress(name, number, len(wanted))
        try:
            known[name] = backbone_facts(name, found[name].image_size)
        except ModelError as error:
            refused[name] = str(error)
    here = WeightsHere()
    return tuple(_line(name, listed, known[name], refused.get(name), here) for name, listed in found.items())


def _find(pattern: str | None) -> dict[str, Listed]:
    from frostline.models._names import Listed

    if pattern is not None and pattern.startswith(PY):
        find_own(pattern)
        return {pattern: Listed(USUAL_PIXELS, "")}
    names = listed_backbones()
    found = names if pattern is None else {name: names[name] for name in names if _matches(name, pattern)}
    if not found:
        bare = [name.removeprefix(TIMM) for name in names]
        raise ModelError(f'no backbone is named "{pattern}"{closest(str(pattern).removeprefix(TIMM), bare)}')
    return found


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.lower()
    if any(character in pattern for character in "*?["):
        return any(fnmatch.fnmatchcase(each.lower(), pattern) for each in (name, name.removeprefix(TIMM)))
    return pattern in name.lower()


def _line(
    name: str, listed: Listed, facts: BackboneFacts | None, refused: str | None, here: WeightsHere
) -> BackboneLine:
    weights: Literal["here", "download", "own code", "none"] = "download" if listed.weights else "none"
    if find_own(name) is not None:
        weights = "own code"
    elif here.has(listed.weights) or (name == LITE0 and here.lite0):
        weights = "here"
    if facts is None:
        return BackboneLine(name, listed.image_size, weights, why_not=refused)
    return BackboneLine(name, listed.image_size, weights, facts.parameters, facts.flops, facts.cuttable, facts.why_not)
