"""Parquet files in the Hugging Face layout: a struct of ``bytes`` and ``path``, class names in the schema metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from frostline.data._blobs import Blobs
from frostline.data._dataset import Skipped
from frostline.data._decoding import BadImageError, Pixels, decode_image
from frostline.data._source import SPLIT_NAMES, SYNONYMS, Ids, Reader, Source, canonical_split, sorted_classes
from frostline.errors import DataError, closest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["open_parquet"]

LABEL_NAMES = ("label", "labels", "class", "category", "target")


@dataclass(frozen=True, eq=False)
class _File:
    """One Parquet file: where its rows begin in the source, and in which split they are."""

    path: Path
    name: str
    split: str
    file: Any
    first: int

    @property
    def n_rows(self) -> int:
        return int(self.file.metadata.num_rows)


def open_parquet(path: str, image_column: str | None = None, label_column: str | None = None) -> Source:
    """Return the images of one file, or of a folder of ``train-*.parquet``, ``validation-*`` and ``test-*``.

    Only labels are read here; opening a reader reads the encoded bytes of the chosen rows, one row group at a time.

    Args:
        path: a file (all of it train) or a folder, searched below too; a file's split is the beginning of its name,
            or the name of the folder it is in. Files that name no split at all are all train.
        image_column: the column of the images; found by its type where left out.
        label_column: the column of the labels; found by the schema's metadata or its name where left out.

    Raises:
        DataError: no such path, no Parquet file, unknown split names, no column of images or labels, or more than one.
    """
    files = _open_files(path)
    schema = files[0].file.schema_arrow
    for file in files[1:]:
        if file.file.schema_arrow.names != schema.names:
            raise DataError(
                f'data.path = "{path}": the columns of {file.name} ({", ".join(file.file.schema_arrow.names)}) '
                f"differ from those of {files[0].name} ({', '.join(schema.names)})"
            )
    features = _features(schema)
    image = _image_column(path, schema, features, image_column)
    label = _label_column(path, schema, features, label_column, image)
    values = [value for file in files for value in file.file.read(columns=[label]).column(0).to_pylist()]
    classes, labels = _classes(path, label, values, features.get(label, {}).get("names"))

    def file_of(row: int) -> _File:
        return next(file for file in reversed(files) if row >= file.first)

    def name(row: int) -> str:
        file = file_of(row)
        return f"{file.name} row {row - file.first}"

    parts: dict[str, Ids] = {"train": np.empty(0, dtype=np.int64)}
    for split in SPLIT_NAMES:
        rows = [np.arange(file.first, file.first + file.n_rows) for file in files if file.split == split]
        if rows:
            ids = np.concatenate(rows).astype(np.int64)
            parts[split] = ids[labels[ids] >= 0]
    unlabelled = np.flatnonzero(labels < 0).tolist()
    return Source(
        classes=classes,
        labels=labels,
        parts=parts,
        name=name,
        open=lambda ids: _reader(files, image, ids),
        faults=tuple(Skipped(name(row), f"has no valid label ({label} = {values[row]!r})") for row in unlabelled),
    )


def _open_files(path: str) -> list[_File]:
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f'data.path = "{path}": does not exist (looked for {root.absolute()})')
    if root.is_file():
        found = [(root, root.name, "train")]
    else:
        paths = sorted(found for found in root.rglob("*.parquet") if found.is_file())
        if not paths:
            raise DataError(f'data.path = "{path}": holds no .parquet file')
        found = _with_splits(path, [(file, file.relative_to(root)) for file in paths])
    # in the order of the splits, so that ids don't depend on how a split's files are called
    found.sort(key=lambda entry: (SPLIT_NAMES.index(entry[2]), entry[1]))
    files = []
    first = 0
    for file_path, name, split in found:
        try:
            opened = pq.ParquetFile(file_path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{file_path}: is not a readable Parquet file ({_first_line(error)})") from error
        files.append(_File(file_path, name, split, opened, first))
        first += files[-1].n_rows
    return files


def _with_splits(path: str, files: Sequence[tuple[Path, Path]]) -> list[tuple[Path, str, str]]:
    named = [(file, relative, _split_of(relative)) for file, relative in files]
    if all(split is None for _, _, split in named):
        return [(file, relative.as_posix(), "train") for file, relative, _ in named]
    result = []
    for file, relative, split in named:
        if split is None:
            hint = closest(relative.stem.split("-")[0].lower(), SYNONYMS)
            raise DataError(
                f'data.path = "{path}": {relative.as_posix()} is of no known split: a name begins with train, '
                f"validation or test{hint}"
            )
        result.append((file, relative.as_posix(), split))
    return result


def _split_of(relative: Path) -> str | None:
    """Return the split that a file's name begins with (``train-00000-of-00001``), or that of its nearest folder."""
    beginning = relative.stem.replace("_", "-").replace(".", "-").split("-")[0]
    for piece in (relative.stem, beginning, *(parent.name for parent in relative.parents)):
        split = canonical_split(piece)
        if split is not None:
            return split
    return None


def _features(schema: Any) -> dict[str, dict[str, Any]]:
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


def _image_column(path: str, schema: Any, features: dict[str, dict[str, Any]], given: str | None) -> str:
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


def _label_column(path: str, schema: Any, features: dict[str, dict[str, Any]], given: str | None, image: str) -> str:
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


def _classes(path: str, column: str, values: list[Any], names: list[str] | None) -> tuple[tuple[str, ...], Ids]:
    """Return the class names and the label of each row, -1 for a missing one."""
    if names and all(value is None or isinstance(value, int) for value in values):
        labels = np.array([-1 if value is None else value for value in values], dtype=np.int64)
        beyond = sorted({int(value) for value in labels[(labels < -1) | (labels >= len(names))]})
        if beyond:
            raise DataError(
                f'data.path = "{path}": column "{column}" holds {", ".join(map(str, beyond[:5]))}, '
                f"but the file names {len(names)} classes, 0 to {len(names) - 1}"
            )
        return tuple(str(name) for name in names), labels
    # without names, -1 is the usual way to say "not labelled"
    texts = [None if value is None or value == -1 or value == "" else str(value) for value in values]
    classes = sorted_classes({text for text in texts if text is not None})
    number = {name: label for label, name in enumerate(classes)}
    return classes, np.array([-1 if text is None else number[text] for text in texts], dtype=np.int64)


def _reader(files: list[_File], column: str, ids: Ids) -> Reader:
    """Return the reader of the chosen rows, whose encoded bytes are read now: each row group once, in order."""
    blobs = Blobs()
    places: dict[int, int] = {}
    for file in files:
        rows = np.unique(ids[(ids >= file.first) & (ids < file.first + file.n_rows)]) - file.first
        start = 0
        for group in range(file.file.num_row_groups):
            stop = start + file.file.metadata.row_group(group).num_rows
            wanted = rows[(rows >= start) & (rows < stop)]
            if len(wanted):
                try:
                    table = file.file.read_row_group(group, columns=[column])
                except (pa.ArrowException, OSError) as error:
                    raise DataError(f"{file.path}: row group {group} is damaged ({_first_line(error)})") from error
                cells = table.column(0).take(pa.array(wanted - start)).to_pylist()
                for row, cell in zip(wanted.tolist(), cells, strict=True):
                    places[file.first + row] = blobs.append(_encoded(cell, file.path.parent))
            start = stop

    def read(row: int) -> Pixels:
        return decode_image(blobs[places[row]])

    return read


def _encoded(cell: dict[str, Any] | bytes | None, folder: Path) -> bytes | Exception:
    """Return a cell's encoded image, or the exception that reading it should raise."""
    if isinstance(cell, dict):
        if cell.get("bytes") is None and cell.get("path"):
            # the layout allows an image beside the table instead of in it
            try:
                return (folder / str(cell["path"])).read_bytes()
            except OSError:
                return BadImageError(f'holds no bytes, and its path "{cell["path"]}" can\'t be read')
        encoded: bytes | None = cell.get("bytes")
    else:
        encoded = cell
    return encoded if encoded is not None else BadImageError("holds no image (null)")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
