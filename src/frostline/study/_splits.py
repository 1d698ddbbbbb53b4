"""What the data call each split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, model_validator

from frostline.study._settings import Settings
from frostline.study._values import combination, rejection

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LabelTexts", "Splits"]


def _as_text(value: object) -> str:
    """Return a name as text; a column's numbers and truth values may be written as such."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int):
        return str(value)
    raise rejection("must be text in quotes, a whole number, true or false, or a list of these")


def _names(value: object) -> tuple[str, ...]:
    names = tuple(_as_text(each).strip() for each in (value if isinstance(value, list | tuple) else [value]))
    if "" in names:
        raise rejection("must not be empty")
    return names


def _labels(value: object) -> tuple[str, ...]:
    return tuple(_as_text(each) for each in (value if isinstance(value, list | tuple) else [value]))


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
LabelTexts = Annotated[tuple[str, ...], BeforeValidator(_labels)]
"""Labels as the data have them; one or several."""


class Splits(Settings):
    """The folders, files or values of a column that are train, val and test; what none of them names isn't used.

    All empty, or ``"none"`` in a study file, says that there are none.
    """

    train: Names = ()
    val: Names = ()
    test: Names = ()

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: object) -> object:
        if isinstance(given, str):
            if given != "none":
                raise rejection('must be "none" or a table, such as {train = "seg_train", test = "seg_test"}')
            return {}
        return given

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if not self.train and self.stated:
            raise combination("is missing: say what the training images are called", "train", "val", "test")
        for name, others in (("val", ("train",)), ("test", ("train", "val"))):
            for other in others:
                both = sorted(set(getattr(self, name)) & set(getattr(self, other)))
                if both:
                    raise combination(f'names "{both[0]}", which is in {other} already', name, other)
        return self

    @property
    def stated(self) -> bool:
        """Whether there are any splits."""
        return bool(self.train or self.val or self.test)

    def by_split(self) -> Mapping[str, tuple[str, ...]]:
        """Return what each split is called."""
        return {"train": self.train, "val": self.val, "test": self.test}
