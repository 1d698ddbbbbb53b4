"""Small image files and datasets for every test of the data room."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from frostline.study import Data

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Return the encoded bytes of a small colour image that the number decides; the format is Pillow's name."""

    def encode_image(number: int, kind: str = "PNG", size: tuple[int, int] = (10, 8), **options: Any) -> bytes:
        stream = io.BytesIO()
        height, width = size
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, kind, **options)
        return stream.getvalue()

    return encode_image


@pytest.fixture
def make_files(tmp_path: Path, encode: Encode) -> Callable[..., Path]:
    """Return a folder below tmp_path with the given files; a number stands for the PNG image of that number."""

    def make(files: dict[str, int | bytes | str | None]) -> Path:
        root = tmp_path / "images"
        for name, content in files.items():
            path = root / name
            if content is None:
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                path.write_bytes(encode(content) if isinstance(content, int) else content)
        return root

    return make


@pytest.fixture
def make_parquet(tmp_path: Path, encode: Encode) -> Callable[..., Path]:
    """Return a folder of Parquet files in the Hugging Face layout, from labels (or cells) by file name."""

    def make(
        files: dict[str, Sequence[Any]],
        names: Sequence[str] | None = ("cat", "dog"),
        cells: dict[str, Sequence[Any]] | None = None,
        row_group_size: int = 3,
    ) -> Path:
        root = tmp_path / "parquet"
        number = 0
        for name, labels in files.items():
            images = []
            for _ in labels:
                images.append({"bytes": encode(number), "path": f"{number}.png"})
                number += 1
            column = pa.array((cells or {}).get(name, images))
            table = pa.table({"image": column, "label": pa.array(labels)})
            if names is not None:
                features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
                table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, row_group_size=row_group_size)
        return root

    return make


@pytest.fixture
def ask() -> Callable[..., Data]:
    """Return a study's data section for a source; a path may be a Path."""

    def ask_for(source: str, path: Path | str | None = None, **others: Any) -> Data:
        return Data.model_validate({"source": source, "path": None if path is None else str(path), **others})

    return ask_for


@pytest.fixture(scope="session")
def gradient() -> NDArray[np.uint8]:
    """A smooth image without any symmetry, uint8 [12, 20, 3]: JPEG keeps it nearly as it is."""
    rows, columns = np.mgrid[0:12, 0:20]
    return np.stack([rows * 20, columns * 12, (rows + columns) * 7], axis=2).astype(np.uint8)
