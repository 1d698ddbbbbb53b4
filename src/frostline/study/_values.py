"""The kinds of value a study's keys take, with messages a person can act on."""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationInfo
from pydantic_core import PydanticCustomError

from frostline.class_names import tidy_class_name
from frostline.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Amount",
    "ArmName",
    "BackboneName",
    "ClassWeights",
    "Count",
    "Flag",
    "Fraction",
    "NetworkName",
    "NonNegative",
    "Positive",
    "Seed",
    "StudyName",
    "Text",
    "Unit",
    "Views",
    "Width",
    "Word",
    "between",
    "combination",
    "network",
    "rejection",
]

Item = TypeVar("Item")

# Why a study can't do without the images of a split, and what leaving out its key means.
_NEEDED = {
    "train": "leave it out to train on all of them",
    "val": "arms are compared on validation images, so a study needs some: leave it out for the source's own, or a "
    "tenth of its training images",
    "test": "the arm chosen on validation is judged on test images, so a study needs some: leave it out for the "
    "source's own, or a fifth of its training images",
}

LARGEST_INTEGER = 2**63 - 1  # what TOML, SQLite and NumPy hold
MOST_VIEWS = 1000
LONGEST_NAME = 100

PY = "py:"
FUNCTION = re.compile(r"py:[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""Where a function is: ``py:MODULE:FUNCTION``, with dots in either."""
FUNCTION_EXAMPLE = 'such as "py:my_networks:build"'


def rejection(message: str) -> PydanticCustomError:
    """Return the error of a single value."""
    return PydanticCustomError("value", "{message}", {"message": message})


def combination(message: str, key: str, *others: str) -> PydanticCustomError:
    """Return the error of values that don't go together, told at ``key`` and depending on the ``others`` beside it."""
    return PydanticCustomError("combination", "{message}", {"message": message, "key": key, "others": list(others)})


def _amount(value: object, info: ValidationInfo) -> object:
    allowed = "must be a count of images, such as 1000, or a fraction above 0 and up to 1.0"
    none_wanted = value is False or (isinstance(value, str) and value.lower() in ("none", "no", "off", "0"))
    if none_wanted or (isinstance(value, int | float) and value <= 0 and not isinstance(value, bool)):
        raise rejection(f"{allowed}; {_NEEDED[str(info.field_name)]}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise rejection(f"{allowed}; leave it out to use all of them")
    if isinstance(value, int) and value > LARGEST_INTEGER:
        raise rejection(f"must be a count of images from 1 to {LARGEST_INTEGER}")
    if isinstance(value, float) and not 0 < value <= 1:
        raise rejection("must be a fraction above 0 and up to 1.0, or a count of images without a decimal point")
    return value


def _views(value: object) -> object:
    allowed = f'must be a count of stored views from 1 to {MOST_VIEWS}, or "fresh"'
    if isinstance(value, str) and value != "fresh":
        raise rejection(allowed + closest(value, ["fresh"]))
    if value != "fresh" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_VIEWS):
        raise rejection(allowed)
    return value


def _class_weights(value: object) -> object:
    choices = ["none", "balanced"]
    allowed = 'must be "none", "balanced", or a table of class names and weights'
    if isinstance(value, str) and value not in choices:
        raise rejection(allowed + closest(value, choices))
    if isinstance(value, dict) and value:
        # Here, and not in the union of types below, whose errors would speak of every type in it.
        return _by_tidy_name(_WEIGHTS.validate_python(value))
    if not isinstance(value, str):
        raise rejection(allowed)
    return value


def _by_tidy_name(weights: dict[str, float]) -> dict[str, float]:
    """Return class weights by the classes' names as data have them once they are read."""
    tidy: dict[str, float] = {}
    for name, weight in weights.items():
        if tidy_class_name(name) in tidy:
            raise rejection(f'names the class "{tidy_class_name(name)}" twice, in spellings that look the same')
        tidy[tidy_class_name(name)] = weight
    return tidy


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise rejection("must be a number")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise rejection(f"must be a number of at most {LARGEST_INTEGER}")
    if not math.isfinite(value):
        raise rejection("must be a finite number")
    return float(value)


def _text(value: object) -> object:
    if not isinstance(value, str | os.PathLike):
        raise rejection("must be text in quotes")
    return os.fspath(value)


def _printable(value: str) -> str:
    if not value.strip():
        raise rejection("must not be empty")
    if not value.isprintable():
        raise rejection("must not contain line breaks or control characters")
    return value


def _short(value: str) -> str:
    if len(value) > LONGEST_NAME:
        raise rejection(f"must have at most {LONGEST_NAME} characters")
    return value


def _file_name(value: str) -> str:
    if value.startswith(".") or any(character in '/\\:*?"<>|' for character in value):
        raise rejection('must not start with a dot or contain any of / \\ : * ? " < > |, as files are named after it')
    return value


def _word(value: str) -> str:
    if any(character.isspace() for character in value):
        raise rejection("must not contain spaces")
    return value


def _backbone(value: str) -> str:
    if value.startswith(PY) and not FUNCTION.fullmatch(value):
        raise rejection(f"must be {PY}MODULE:FUNCTION, {FUNCTION_EXAMPLE}")
    return value


def _network_name(value: str) -> str:
    if ":" in value:
        raise rejection('must not contain a ":", as it is a name of your own')
    return value


def network(value: object) -> object:
    """Return one of a study's own networks: where its function is, or in Python the function."""
    if isinstance(value, str):
        if not FUNCTION.fullmatch(value):
            raise rejection(f"must be {PY}MODULE:FUNCTION, {FUNCTION_EXAMPLE}")
    elif not callable(value):
        raise rejection(f"must be {PY}MODULE:FUNCTION, {FUNCTION_EXAMPLE}, or in Python the function itself")
    return value


def between(fewest: int, most: int) -> Callable[[tuple[Item, ...]], tuple[Item, ...]]:
    """Return a check of how many entries a list has."""

    # Not pydantic's min_length: it would also complain about a list whose entries have errors of their own.
    def check(items: tuple[Item, ...]) -> tuple[Item, ...]:
        if not fewest <= len(items) <= most:
            raise rejection(f"must have {f'from {fewest} to' if fewest else 'at most'} {most} entries")
        return items

    return check


Count = Annotated[int, Field(strict=True, ge=1, le=10_000)]
"""A small whole number: epochs."""

Seed = Annotated[int, Field(strict=True, ge=0, le=LARGEST_INTEGER)]
Width = Annotated[int, Field(strict=True, ge=1, le=65_536)]
"""The width of a hidden layer, in units."""

Flag = Annotated[bool, Field(strict=True)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0)]
NonNegative = Annotated[float, BeforeValidator(_number), Field(ge=0)]

_WEIGHTS = TypeAdapter(dict[str, Positive])

Fraction = Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]
"""A number in [0, 1)."""

Unit = Annotated[float, BeforeValidator(_number), Field(gt=0, le=1)]
"""A number in (0, 1]."""

Text = Annotated[str, BeforeValidator(_text), AfterValidator(_printable)]

ArmName = Annotated[Text, AfterValidator(_short)]

StudyName = Annotated[ArmName, AfterValidator(_file_name)]

Word = Annotated[Text, AfterValidator(_word)]
"""Text without spaces: the name of a backbone or of a place in it."""

BackboneName = Annotated[Word, AfterValidator(_backbone)]

NetworkName = Annotated[ArmName, AfterValidator(_word), AfterValidator(_network_name)]

Amount = Annotated[int | float, BeforeValidator(_amount)]
Views = Annotated[int | Literal["fresh"], BeforeValidator(_views)]
ClassWeights = Annotated[Literal["none", "balanced"] | dict[str, float], BeforeValidator(_class_weights)]
