"""The base of the study's models: frozen, no unknown keys, and errors of our own kind."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Settings"]


class Settings(BaseModel):
    """A frozen group of settings, made from keyword arguments or from a table of a study file.

    Raises StudyError, with all its problems, when made from values that aren't allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, /, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            from frostline.study._messages import study_error

            raise study_error(error, type(self), settings) from None

    # pydantic would call our __init__ for nested tables too, and lose where in them an error is; this tells it not to.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
