"""Which columns of a Parquet table hold images and labels, and what the labels mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from frostline.data._split_column import MOST_VALUES, names_a_split
from frostline.data._split_names import canonical_split
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frostline.data._parquet_files import ParquetFile
    from frostline.study import Splits

__all__ = ["column_features", "find_image_column", "find_label_column", "require_columns", "split_columns"]

PROBED = 1000
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
    if pa.types.is_dictionary(kind):
        return _holds_images(kind.value_type)
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(is_binary or pa.types.is_fixed_size_binary(kind))


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
    if not _holds_labels(kind):
        raise DataError(
            f'data.path = "{path}": the labels in column "{label}" are {kind}: whole numbers or text are needed'
        )
    return label


def _holds_labels(kind: Any) -> bool:
    """Tell whether a column's type can hold labels; whether floats are whole numbers, its values tell."""
    if pa.types.is_dictionary(kind):
        return _holds_labels(kind.value_type)
    is_number = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind)
    return bool(is_number or pa.types.is_null(kind) or _is_text(kind))


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _only(candidates: list[str], where: str, what: str, columns: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise DataError(f"{where}: has no {what} column; {columns}; name it in data.{what}_column")
    raise DataError(f"{where}: {', '.join(candidates)} could each be the {what} column; name one in data.{what}_column")


def _require_column(path: str, schema: Any, key: str, given: str) -> None:
    if given not in schema.names:
        hint = closest(given, schema.names)
        raise DataError(
            f'data.{key} = "{given}": "{path}" has no such column; its columns are {", ".join(schema.names)}{hint}'
        )


def require_columns(path: str, files: Sequence[ParquetFile], image: str, label: str) -> None:
    """Raise DataError where a file has no such columns, or of other types; their order is of no matter."""
    first = files[0]
    for file in files[1:]:
        schema = file.file.schema_arrow
        if image not in schema.names or label not in schema.names:
            raise DataError(
                f'data.path = "{path}": the columns of {file.name} ({", ".join(schema.names)}) differ from those of '
                f"{first.name} ({', '.join(first.file.schema_arrow.names)}): {image} and {label} are needed"
            )
        kinds = ((image, "images", _holds_images), (label, "labels", _holds_labels))
        for column, what, holds in kinds:
            if not holds(schema.field(column).type):
                raise DataError(
                    f'data.path = "{path}": column {column} of {file.name} is {schema.field(column).type}, '
                    f"which can't be {what}; in {first.name} it is {first.file.schema_arrow.field(column).type}"
                )


def split_columns(
    path: str, files: Sequence[ParquetFile], used: Sequence[str], given: str | None, splits: Splits | None
) -> dict[str, list[str]]:
    """Return the values, as text, of the columns that may state a split: by what they are called or begin with.

    Raises:
        DataError: only some of the files have such a column.
    """
    found = {}
    schema = files[0].file.schema_arrow
    for field in schema:
        column = field.name
        if column in used or not _holds_labels(field.type):
            continue
        if column != given and not names_a_split(column) and splits is None and not _begins_with_splits(files, column):
            continue
        lacking = [file.name for file in files if column not in file.file.schema_arrow.names]
        if lacking and (column == given or given is None):
            raise DataError(
                f'data.path = "{path}": {lacking[0]} has no column {column}, which may state the split in '
                f"{files[0].name}; "
                'if it doesn\'t, write in [data]:\n  split_column = "none"'
            )
        found[column] = [_as_text(value) for file in files for value in file.read_column(column)]
        if (
            splits is not None
            and len(set(found[column])) > MOST_VALUES
            and column != given
            and not names_a_split(column)
        ):
            del found[column]
    return found


def _begins_with_splits(files: Sequence[ParquetFile], column: str) -> bool:
    """Tell whether the first values of a column of text are splits; captions aren't all read to find out."""
    if not _is_text(files[0].file.schema_arrow.field(column).type) or not files[0].file.num_row_groups:
        return False
    try:
        values = files[0].file.read_row_group(0, columns=[column]).column(column).slice(0, PROBED).to_pylist()
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return False
    return any(value is not None and canonical_split(value) for value in values)


def _as_text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
