"""docs/studies.md has every column and every name of a split that is found without being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostline.data import _csv_header, _parquet_columns
from frostline.data._split_names import SYNONYMS

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
SECTIONS = {
    "### Folders": tuple(SYNONYMS),
    "### CSV tables": (*_csv_header.IMAGE_NAMES, *_csv_header.LABEL_NAMES),
    "### Parquet files": _parquet_columns.LABEL_NAMES,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_name_is_documented(heading: str) -> None:
    section = PAGE.split(heading + "\n", 1)[1].split("\n### ")[0]
    assert [name for name in SECTIONS[heading] if f"`{name}`" not in section] == []
