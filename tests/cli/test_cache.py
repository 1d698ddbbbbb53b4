from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import frostline

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Invoke

SPEC = {"backbone": "resnet18", "cut": "layer4", "preprocessing": {"image_size": 224}}
ENTRIES = (
    SimpleNamespace(
        key="a" * 64,
        spec={**SPEC, "view": {"augmentation": "flip", "seed": 0, "index": 3}},
        n_bytes=2_000_000,
        n_images=5050,
        last_used=1_795_000_000.0,
    ),
    SimpleNamespace(key="b" * 64, spec={}, n_bytes=500, n_images=0, last_used=1_700_000_000.0),
)


class FakeStore:
    """A store with two entries, which keeps what it was asked for."""

    limits: ClassVar[list[int]] = []
    faults: ClassVar[dict[str, dict[int, str]]] = {}

    def __init__(self) -> None:
        self.path = "/cache/features"

    def entries(self) -> tuple[Any, ...]:
        return ENTRIES

    def prune(self, limit_bytes: int) -> tuple[Any, ...]:
        self.limits.append(limit_bytes)
        return ENTRIES[1:]

    def verify(self) -> dict[str, dict[int, str]]:
        return self.faults


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> type[FakeStore]:
    FakeStore.limits, FakeStore.faults = [], {}
    monkeypatch.setattr(frostline, "FeatureStore", FakeStore, raising=False)
    return FakeStore


def test_list(store: type[FakeStore], invoke: Invoke) -> None:
    lines = invoke("cache", "list").stdout.splitlines()
    assert lines[0] == "/cache/features: 2 entries, 2.0 MB"
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[3:5]]
    assert cells[0] == ["a" * 12, "resnet18", "layer4", "224", "flip 3", "5,050", "2.0 MB", "2026-11-18 11:06"]
    assert cells[1] == ["b" * 12, "?", "?", "?", "0", "500 B", "2023-11-14 22:13"]
    first = json.loads(invoke("cache", "list", "--json").stdout)[0]
    assert (first["key"], first["n_bytes"], first["n_images"]) == ("a" * 64, 2_000_000, 5050)
    assert first["last_used"] == "2026-11-18T11:06:40+00:00"


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ([], 0),
        (["--keep", "0"], 0),
        (["--keep", "123"], 123),
        (["--keep", "500MB"], 500_000_000),
        (["--keep", "1.5 gb"], 1_500_000_000),
        (["--keep", "2k"], 2000),
        (["--keep", "1TB"], 10**12),
        (["--keep", "5GiB"], 5 * 2**30),
    ],
)
def test_prune(store: type[FakeStore], invoke: Invoke, words: list[str], limit: int) -> None:
    result = invoke("cache", "prune", *words)
    assert (result.exit_code, result.stdout) == (0, "removed 1 entry, 500 B\n")
    assert store.limits == [limit]
    (removed,) = json.loads(invoke("cache", "prune", "--json").stdout)
    assert removed["key"] == "b" * 64


@pytest.mark.parametrize("size", ["-1", "5 apples", "", "1e9", "GB", "9" * 400])
def test_sizes_that_are_none(store: type[FakeStore], invoke: Invoke, size: str) -> None:
    result = invoke("cache", "prune", "--keep", size)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f'"{size[:30]}' in result.stderr
    assert "is not a size" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 1000
    assert store.limits == []


def test_verify(store: type[FakeStore], invoke: Invoke) -> None:
    result = invoke("cache", "verify")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 entries, none damaged\n", "")
    assert json.loads(invoke("cache", "verify", "--json").stdout) == {}

    store.faults = {"a" * 64: {3: "checksum differs"}, "b" * 64: {-1: "meta.json is missing"}}
    result = invoke("cache", "verify")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{'a' * 64}: segment 3: checksum differs",
        f"{'b' * 64}: meta.json is missing",
    ]
    assert result.stderr == "2 of 2 entries damaged; a run makes them again\n"
    result = invoke("cache", "verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["a" * 64] == {"3": "checksum differs"}


def test_an_empty_cache(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FROSTLINE_CACHE", str(tmp_path / "cache"))
    assert invoke("cache", "path").stdout == f"{tmp_path / 'cache' / 'features'}\n"
    assert invoke("cache", "list").stdout == f"{tmp_path / 'cache' / 'features'}: 0 entries, 0 B\n\n"
    assert json.loads(invoke("cache", "list", "--json").stdout) == []
    assert invoke("cache", "verify").stdout == "0 entries, none damaged\n"
    assert invoke("cache", "prune").stdout == "removed 0 entries, 0 B\n"
    assert not (tmp_path / "cache").exists()
