"""Files are whole or absent, also where the system syncs no folders or has no flock."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import frostline.files
from frostline.errors import LedgerError
from frostline.files import save_file
from frostline.ledger._claims import Claims

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, and how."""
    done: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync"))
    return done


def full_sync(done: list[str], error: OSError | None = None) -> SimpleNamespace:
    def fcntl(descriptor: int, command: int) -> int:
        if error is not None:
            raise error
        done.append("full")
        return 0

    return SimpleNamespace(fcntl=fcntl, F_FULLFSYNC=51)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda done: SimpleNamespace(), ["fsync", "fsync"]),
        (lambda done: None, ["fsync", "fsync"]),
        (full_sync, ["full", "full"]),
        (lambda done: full_sync(done, OSError(45, "not supported")), ["fsync", "fsync"]),
    ],
    ids=["Linux", "Windows", "macOS", "macOS on another file system"],
)
def test_a_result_and_its_folder_are_synced(
    make: Callable[[list[str]], Any],
    expected: list[str],
    synced: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frostline.files, "fcntl", make(synced))
    save_file(tmp_path / "new" / "result", b"content")
    assert synced == expected
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [b"content"]


@pytest.mark.parametrize("place", ["open", "fsync"])
def test_a_folder_that_can_not_be_synced_is_no_error(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows opens none, and some file systems sync none."""
    usual, folders = getattr(os, place), set[int]()

    def refuse(what: Any, *rest: Any) -> Any:
        if os.path.isdir(f"/dev/fd/{what}" if isinstance(what, int) else what):  # noqa: PTH112
            folders.add(0)
            raise PermissionError(13, "Permission denied")
        return usual(what, *rest)

    monkeypatch.setattr(os, place, refuse)
    save_file(tmp_path / "result", b"content")
    assert (tmp_path / "result").read_bytes() == b"content"
    assert folders


@pytest.mark.skipif(sys.platform == "win32", reason="takes flock away")
@pytest.mark.filterwarnings("ignore:flock not supported on this filesystem")
def test_without_flock_a_run_is_claimed_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as on network file systems; filelock then keeps a file with the number of the process."""
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    one, other = Claims(), Claims()
    one.claim("run", tmp_path)
    assert other.is_claimed("run", tmp_path)
    with pytest.raises(LedgerError, match='another process works on run "run"'):
        other.claim("run", tmp_path)
    one.release("run")
    assert not other.is_claimed("run", tmp_path)
    other.claim("run", tmp_path)
    other.release_all()
