"""Which columns of a Parquet table hold images and labels, and what the labels mean."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from frostline.data._source import Ids, sorted_classes
from frostline.errors import DataError, closest

__all__ = ["class_labels", "column_features", "find_image_column", "find_label_column"]

LABEL_NAMES = ("label", "labels", "class", "category", "target")


def column_features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return the Hugging Face features of each column, empty where the metadata is missing or of another shape."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _holds_images(kind: Any) -> bool:
    """Tell whether a column's type can hold encoded images: binary, or a struct with binary ``bytes``."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        # bytes that are null throughout are fine: the images lie beside the table
        return index >= 0 and (pa.types.is_null(kind.field(index).type) or _holds_images(kind.field(index).type))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def find_image_column(path: str, schema: Any, features: dict[str, dict[str, Any]], given: str | None) -> str:
    """Return the column of images: the given one, else the only one that can hold any; raise DataError otherwise."""
    columns = ", ".join(f"{column.name} ({column.type})" for column in schema)
    if given is not None:
        _require_column(path, schema, "image_column", given)
        if not _holds_images(schema.field(given).type):
            raise DataError(
                f'data.image_column = "{given}": is {schema.field(given).type}, not encoded images '
                f"(binary, or a struct of bytes and path)"
            )
        return given
    candidates = [column.name for column in schema if _holds_images(column.type)]
    declared = [name for name in candidates if features.get(name, {}).get("_type") == "Image"]
    return _only(declared or candidates, f'data.path = "{path}"', "image", f"the columns are {columns}")


def find_label_column(
    path: str, schema: Any, features: dict[str, dict[str, Any]], given: str | None, image: str
) -> str:
    """Return the column of labels: the given one, else the one declared or named so; raise DataError otherwise."""
    if given is not None:
        _require_column(path, schema, "label_column", given)
        label = given
    else:
        names = [name for name in schema.names if name != image]
        declared = [name for name in names if features.get(name, {}).get("_type") == "ClassLabel"]
        called = [name for name in names if name.lower() in LABEL_NAMES]
        columns = f"the columns are {', '.join(schema.names)}"
        label = _only(declared or called, f'data.path = "{path}"', "label", columns)
    kind = schema.field(label).type
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind)):
        raise DataError(
            f'data.path = "{path}": the labels in column "{label}" are {kind}: whole numbers or text are needed'
        )
    return label


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _only(candidates: list[str], where: str, what: str, columns: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DataError(f"{where}: has no {what} column; {columns}; name it in data.{what}_column")
    raise DataError(f"{where}: {', '.join(candidates)} may all be the {what} column; name one in data.{what}_column")


def _require_column(path: str, schema: Any, key: str, given: str) -> None:
    if given not in schema.names:
        hint = closest(given, schema.names)
        raise DataError(f'data.{key} = "{given}": "{path}" has no such column, but {", ".join(schema.names)}{hint}')


def class_labels(path: str, column: str, values: list[Any], names: list[str] | None) -> tuple[tuple[str, ...], Ids]:
    """Return the class names and the label of each row, int64 [N], -1 for a missing one.

    Raises:
        DataError: a label beyond the names that the file gives.
    """
    if names and all(value is None or isinstance(value, int) for value in values):
        beyond = sorted({int(value) for value in values if value is not None and not -1 <= value < len(names)})
        if beyond:
            raise DataError(
                f'data.path = "{path}": column "{column}" holds {", ".join(map(str, beyond[:5]))}, '
                f"but the file names {len(names)} classes, 0 to {len(names) - 1}"
            )
        labels = np.array([-1 if value is None else value for value in values], dtype=np.int64)
        return tuple(str(name) for name in names), labels
    # without names, -1 is the usual way to say "not labelled"
    texts = [None if value is None or value == -1 or value == "" else str(value) for value in values]
    classes = sorted_classes({text for text in texts if text is not None})
    number = {name: label for label, name in enumerate(classes)}
    return classes, np.array([-1 if text is None else number[text] for text in texts], dtype=np.int64)
