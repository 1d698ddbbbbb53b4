"""What the rows in one folder are: their tensors, how numbers are stored, and whose engine made them.

A folder holds ``meta.json`` (the RowFormat) and segments. Each segment is one raw row-major file for each tensor
(``00012.0.bin``), the images whose rows these are (``00012.ids``, 16 bytes each), and a record with its size and
checksums (``00012.json``). A segment without its record doesn't exist.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frostline.features._spec import FORMAT_VERSION
from frostline.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["META", "RowFormat"]

META = "meta.json"


@dataclass(frozen=True)
class RowFormat:
    """The fixed facts of one folder of rows; ``shapes`` are those of one row's tensors, without the batch."""

    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    engine: str
    format: int = FORMAT_VERSION

    @classmethod
    def read(cls, folder: Path) -> RowFormat | None:
        """Return the format recorded in a folder; None when there is none or it can't be understood."""
        try:
            fields: dict[str, Any] = json.loads((folder / META).read_bytes())["rows"]
            shapes = tuple(tuple(int(size) for size in shape) for shape in fields["shapes"])
            found = cls(**{**fields, "shapes": shapes})
            np.dtype(found.dtype)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.format == FORMAT_VERSION else None

    def write(self, folder: Path, spec: dict[str, Any]) -> None:
        """Record the format, and the specification in words for whoever looks."""
        text = json.dumps({"spec": spec, "rows": asdict(self)}, indent=1)
        write_atomically(folder / META, text.encode())

    @property
    def row_bytes(self) -> tuple[int, ...]:
        """Bytes of one row of each tensor."""
        return tuple(math.prod(shape) * np.dtype(self.dtype).itemsize for shape in self.shapes)
