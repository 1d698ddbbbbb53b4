"""What a person reads when a value isn't allowed, in place of pydantic's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from frostline.errors import StudyError, closest
from frostline.study._hints import level_of, unknown_key
from frostline.study._problem import KeyPath, Problem, format_key, format_problems, format_value

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Complaint", "complaints", "study_error"]


class Complaint(NamedTuple):
    """One error of a model: where in its input, what to say, and the keys beside it that the error depends on."""

    location: KeyPath
    message: str
    others: tuple[str, ...] = ()
    at_key: bool = False


def complaints(error: ValidationError, model: type[BaseModel]) -> list[Complaint]:
    """Return pydantic's errors for a model in our words."""
    return [_complaint(details, model) for details in error.errors(include_url=False)]


def study_error(error: ValidationError, model: type[BaseModel], settings: dict[str, Any]) -> StudyError:
    """Return the StudyError of a model made in Python, all its problems in it."""
    problems = []
    for complaint in complaints(error, model):
        location = complaint.location
        if location[:2] == ("phases", 0) and "phases" not in settings:
            location = location[2:]
        given = _look_up(settings, location)
        shown = "" if given is _ABSENT else format_value(given)
        problems.append(Problem(None, None, None, format_key(location), complaint.message, shown))
    return StudyError(f"{model.__name__}: " + format_problems(problems), problems)


_ABSENT = object()


def _look_up(value: Any, location: KeyPath) -> object:
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value


def _complaint(details: ErrorDetails, model: type[BaseModel]) -> Complaint:
    location: KeyPath = tuple(details["loc"])
    context = details.get("ctx", {})
    kind = details["type"]
    if kind == "combination":
        return Complaint((*location, context["key"]), context["message"], tuple(context["others"]))
    if kind == "value":
        return Complaint(location, context["message"])
    if kind == "extra_forbidden":
        message = unknown_key(level_of(model, location[:-1]), str(location[-1]), details["input"])
        return Complaint(location, message, at_key=True)
    if kind == "literal_error":
        choices = _choices(context["expected"])
        given = details["input"]
        near = closest(given, choices) if isinstance(given, str) else ""
        return Complaint(location, "must be " + _either([f'"{choice}"' for choice in choices]) + near)
    if kind == "model_type":
        names = [part for part in location if isinstance(part, str)]
        return Complaint(location, f"must be {_TABLES.get(names[-1] if names else '', 'a table')}")
    return Complaint(location, _MESSAGES.get(kind, "{msg}").format(**context, msg=details["msg"]))


_MESSAGES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le}",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "missing": "is missing",
}


_TABLES = {
    "optimizer": 'a name, such as "adam", or a table, such as {name = "adam", lr = 0.001}',
    "schedule": 'a name, such as "cosine", or a table, such as {name = "step", step_epochs = 2, gamma = 0.1}',
    "head": '"linear" or a table, such as {hidden = [512], dropout = 0.5}',
    "phases": 'a table, such as {train_from = "head", epochs = 1}',
}


def _choices(expected: str) -> list[str]:
    """Return the values in pydantic's list of them: ``'a', 'b' or 'c'``."""
    return [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]


def _either(choices: list[str]) -> str:
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
