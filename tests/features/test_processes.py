"""Passes that are killed at any moment, and passes that several processes want at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from frostline.features import FeatureStore

from .passes import N, contents, digests, make_specs, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.skipif(os.name == "nt", reason="forks")

REPOSITORY = Path(__file__).resolve().parents[2]
CUTS = ["input", "layer3.0.conv2", "head"]
N_SEGMENTS = 8


class Workers:
    """Child processes that run passes on one store."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-W", "error", "-m", "tests.features.worker", str(root)]
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1
        )
        self.waiting: list[dict[str, Any]] = []

    def start(self, cuts: Sequence[str], seconds_a_batch: float = 0.0, engine: str = "torch") -> int:
        """Start a pass and return its process id."""
        request = {"cuts": cuts, "seconds_a_batch": seconds_a_batch, "engine": engine}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        known = {answer["pid"] for answer in self.waiting}
        while True:
            answer = self._next()
            if set(answer) == {"pid"} and answer["pid"] not in known:
                return int(answer["pid"])
            self.waiting.append(answer)

    def until(self, pid: int, *kinds: str) -> dict[str, Any]:
        """Wait for an answer of one of some kinds from a process."""
        for answer in self.waiting:
            if answer["pid"] == pid and answer.keys() & set(kinds):
                self.waiting.remove(answer)
                return answer
        while True:
            answer = self._next()
            if answer["pid"] == pid and answer.keys() & {*kinds, "error"}:
                assert "error" not in answer, answer
                return answer
            self.waiting.append(answer)

    def _next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the workers ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture
def workers(store: FeatureStore) -> Iterator[Workers]:
    workers = Workers(store.path)
    yield workers
    assert workers.process.stdin is not None
    assert workers.process.stdout is not None
    workers.process.stdin.close()
    workers.process.stdout.close()
    workers.process.wait(timeout=60)


def n_records(store: FeatureStore) -> int:
    return len(list(store.path.glob("*/0*.json")))


@pytest.mark.parametrize(("engine", "n_kills"), [("torch", 12), pytest.param("openvino", 4, marks=pytest.mark.slow)])
def test_a_pass_killed_again_and_again_ends_bit_identical(
    store: FeatureStore, tmp_path: Path, workers: Workers, engine: str, n_kills: int
) -> None:
    whole = FeatureStore(tmp_path / "whole")
    run(whole, CUTS, engine=engine)
    generator = np.random.Generator(np.random.PCG64(7))
    resumed_from = []
    for kill in range(n_kills):
        pid = workers.start(CUTS, seconds_a_batch=0.01, engine=engine)
        if kill % 3:
            workers.until(pid, "progress", "report")
        time.sleep(generator.uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
        resumed_from.append(n_records(store))
        assert resumed_from == sorted(resumed_from)  # what was stored stays
    assert resumed_from[-1] > 0

    notices: list[str] = []
    report = run(store, CUTS, engine=engine, notice=notices.append)

    assert not report.reused or resumed_from[-1] == len(CUTS) * N_SEGMENTS
    assert report.repaired == ()
    assert not [text for text in notices if "made again" in text]
    assert contents(store) == contents(whole)


@pytest.mark.parametrize("n_present", range(N_SEGMENTS))
def test_a_pass_resumes_bit_identical_from_any_segment(store: FeatureStore, tmp_path: Path, n_present: int) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if n_records(store) >= n_present:
            raise StopError("stopped")

    with pytest.raises(StopError, match="stopped"):
        run(store, ["head"], seconds_a_batch=0.001, progress=stop)
    assert not list(store.path.rglob("*.partial"))
    run(store, ["head"])
    whole = FeatureStore(tmp_path / "whole")
    run(whole, ["head"])
    assert contents(store) == contents(whole)


def test_two_processes_make_a_pass_once(store: FeatureStore, workers: Workers) -> None:
    first = workers.start(CUTS, seconds_a_batch=0.02)
    workers.until(first, "progress")
    second = workers.start(list(reversed(CUTS)))
    reports = [workers.until(pid, "report") for pid in (first, second)]
    assert [answer["report"]["reused"] for answer in reports] == [False, True]
    assert [answer["report"]["repaired"] for answer in reports] == [[], []]
    assert any("another process is making activations" in text for text in reports[1]["notices"])
    assert reports[0]["notices"] == []
    assert all(entry.n_images == N for entry in store.entries())
    assert len(store.entries()) == len(CUTS)


def test_passes_that_overlap_do_not_wait_for_each_other_forever(store: FeatureStore, workers: Workers) -> None:
    started = [
        workers.start(["layer3.0.conv2", "head"], seconds_a_batch=0.005),
        workers.start(["input", "layer3.0.conv2"], seconds_a_batch=0.005),
        workers.start(["input", "head"], seconds_a_batch=0.005),
    ]
    reports = [workers.until(pid, "report") for pid in started]
    assert len(reports) == 3
    assert [entry.n_images for entry in store.entries()] == [N, N, N]
    assert store.verify() == {}


def test_the_lock_of_a_killed_process_does_not_block(store: FeatureStore, workers: Workers) -> None:
    killed = workers.start(["head"], seconds_a_batch=0.2)
    workers.until(killed, "progress")
    waiting = workers.start(["head"])
    time.sleep(0.2)
    os.kill(killed, signal.SIGKILL)
    report = workers.until(waiting, "report")
    assert not report["report"]["reused"]
    features = store.open(make_specs(["head"])[0], digests())
    assert features is not None
    assert features.n == N


def test_what_another_process_makes_is_not_pruned(store: FeatureStore, workers: Workers) -> None:
    pid = workers.start(["head"], seconds_a_batch=0.05)
    workers.until(pid, "progress")
    assert store.prune(0) == ()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not (removed := store.prune(0)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [entry.n_images < N for entry in removed] == [True]
