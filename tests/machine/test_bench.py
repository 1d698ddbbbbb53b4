"""Measuring in a process of its own: what crashes there is estimated, and the run goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.execution.rates import made_up
from tests.execution.studies import RESNET, numbers_of, small_study

import frostline
from frostline.execution.events import Event, Notice
from frostline.machine import _bench, _calibration
from frostline.machine._bench import Answer, Bench, PieceLostError, Request, how_it_ended
from frostline.machine._calibration import Asked
from frostline.machine._gathering import MOST_LOST, TRAINING, Gathering
from frostline.plan import choose_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from frostline.models.facts import BackboneFacts

# A process that answers every piece with a number, but ends at some of them, as native code may.
FAKE = """
import os, signal, sys
from frostline.machine._bench import Answer, Refused
from frostline.machine._pipes import read_messages, take_output, write_message
answers, asked = take_output(), read_messages()
while True:
    request = asked.get()
    if request.piece == "training" and "layer4" in request.arguments:
        FATE
    pair = request.piece == "stacked heads"
    write_message(answers, Answer((1.0, 1.0) if pair else 2 if request.piece == "threads" else 0.5, DISTURBED))
"""
FATES = {
    "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
    "exit": "print('no memory left', flush=True); os._exit(1)",
    "error": "write_message(answers, Refused('RuntimeError: no kernel')); continue",
    "not built": "write_message(answers, Refused('ModelError: unknown', False)); continue",
    "nothing": "pass",
}


@pytest.fixture
def facts() -> BackboneFacts:
    return frostline.backbone_facts("resnet18", 32, "none")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[int]]:
    """Return a function that puts a made-up process in the bench's place; it returns their ids as they start."""

    def put(fate: str, disturbed: bool = False) -> list[int]:
        code = FAKE.replace("FATE", FATES[fate]).replace("DISTURBED", str(disturbed))
        (tmp_path / "fake_bench.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(_bench, "MODULE", "fake_bench")
        started: list[int] = []

        def popen(*arguments: Any, **settings: Any) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(*arguments, **settings)
            started.append(process.pid)
            return process

        monkeypatch.setattr(_bench, "Popen", popen)
        return started

    return put


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def ask(bench: Bench, facts: BackboneFacts, piece: str, *arguments: Any) -> Answer:
    return bench.ask(Request(facts, 1, 1.0, piece, arguments))


@pytest.mark.measured
@pytest.mark.parametrize(
    ("fate", "said"),
    [
        ("crash", r"^ended its process, which was killed by SIGSEGV$"),
        ("exit", r"^ended its process, which ended with status 1: no memory left$"),
        ("error", r"^failed \(RuntimeError: no kernel\)$"),
    ],
)
def test_a_piece_that_is_lost_is_told_of_and_the_next_one_is_timed(
    fake: Callable[..., list[int]], bench: Bench, facts: BackboneFacts, fate: str, said: str
) -> None:
    started = fake(fate)
    assert ask(bench, facts, "forward", "layer4") == Answer(0.5, disturbed=False)
    with pytest.raises(PieceLostError, match=said):
        ask(bench, facts, "training", "layer4")
    assert ask(bench, facts, "forward", "layer4") == Answer(0.5, disturbed=False)
    assert len(started) == (1 if fate == "error" else 2)


@pytest.mark.measured
def test_a_process_that_cannot_start(monkeypatch: pytest.MonkeyPatch, bench: Bench, facts: BackboneFacts) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    bench.start()
    bench.prepare(facts, 1)
    bench.settle()
    with pytest.raises(PieceLostError, match="could not begin, as no process can be started"):
        ask(bench, facts, "forward", "layer4")


@pytest.mark.measured
def test_none_outlives_the_bench(fake: Callable[..., list[int]], facts: BackboneFacts) -> None:
    fake("nothing")
    with Bench() as bench:
        ask(bench, facts, "forward", "layer4")
        process = bench._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.measured
@pytest.mark.usefixtures("alone")
def test_a_run_goes_on_with_estimates_and_measures_anew_next_time(
    fake: Callable[..., list[int]],
    fresh_places: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fresh_places("estimated")
    monkeypatch.setattr(_calibration, "MACHINE", "crashes")  # whose rates no other test has left
    study = small_study({"train_from": ["head", "layer4"]}, **{**RESNET, "image_size": 36})
    fake("crash")
    told: list[Event] = []
    record = frostline.run(study, workspace=tmp_path, engine="torch", listener=told.append)
    assert record.status == "complete"
    notices = [event.text for event in told if isinstance(event, Notice)]
    (notice,) = [text for text in notices if "estimate" in text]
    assert notice.startswith("resnet18 at 36 pixels: timing training from layer4 ")
    assert "If training ends the run in the same way, choose another train_from" in notice
    assert notice.endswith("; it is measured anew next time")
    assert record.plan["doubts"] == [notice.removesuffix("; it is measured anew next time")]
    fake("nothing")
    told.clear()
    again = frostline.run(study, workspace=tmp_path, engine="torch", listener=told.append, resume=False)
    assert "measuring resnet18 at 36 pixels on this machine, once" in [e.text for e in told if isinstance(e, Notice)]
    assert again.plan["doubts"] == []
    assert numbers_of(again) == numbers_of(record)


@pytest.mark.measured
def test_when_nothing_can_be_timed_all_is_estimated(
    monkeypatch: pytest.MonkeyPatch, facts: BackboneFacts, bench: Bench
) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    rates = _calibration._measure(facts, Asked(frozenset({"layer4"})), None, bench)
    assert all(a > b > 0 for a, b in zip(rates.forward, rates.forward[1:], strict=False))
    assert rates.train == tuple(TRAINING * seconds for seconds in rates.forward)
    assert rates.prefix > 0
    assert all(a >= b > 0 for a, b in zip(rates.saved, rates.saved[1:], strict=False))
    assert rates.doubt.count("could not begin") == MOST_LOST


@pytest.mark.measured
@pytest.mark.usefixtures("alone")
def test_a_head_only_arm_never_times_training_from_the_images(
    monkeypatch: pytest.MonkeyPatch, facts: BackboneFacts, bench: Bench
) -> None:
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def take(self: Gathering, piece: str, *arguments: Any, otherwise: Any) -> Any:
        asked.append((piece, arguments))
        return otherwise

    monkeypatch.setattr(Gathering, "take", take)
    rates = _calibration._measure(facts, Asked(frozenset({"head"})), None, bench)
    assert rates.train[0] == TRAINING * rates.forward[0]
    assert ("forward", ("input", choose_layout(facts, "cpu"), True)) in asked
    assert not [each for each in asked if each[0] != "forward" and "input" in each[1]]
    assert ("training", ("head", choose_layout(facts, "cpu"))) in asked


BUSY = "resnet18 at 44 pixels was measured while the machine was busy: predictions may be too high"


@pytest.mark.measured
def test_what_was_measured_on_a_busy_machine_is_used_once_and_said(
    fake: Callable[..., list[int]], fresh_places: Callable[[str], None]
) -> None:
    fresh_places("busy")
    study = small_study({"train_from": "head"}, **{**RESNET, "image_size": 44})
    facts, told = frostline.backbone_facts("resnet18", 44, "none"), list[Event]()
    fake("nothing", disturbed=True)

    def measure(*arguments: Any) -> Any:
        return replace(made_up(*arguments), doubt=BUSY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_calibration, "_measure", measure)
        plan = frostline.plan_study(study, listener=told.append)
    assert plan.doubts == (BUSY,)
    assert plan.to_json()["doubts"] == [BUSY]
    assert [event for event in told if isinstance(event, Notice)] == [
        Notice("measuring resnet18 at 44 pixels on this machine, once"),
        Notice(f"{BUSY}; it is measured anew next time"),
    ]
    path = _calibration.rates_path("resnet18", 44, "openvino")
    assert BUSY in path.read_text()
    assert _calibration.known_rates(facts, Asked(frozenset({"head"}))) is None


@pytest.mark.measured
def test_load_that_the_process_notices_is_told(
    fake: Callable[..., list[int]], facts: BackboneFacts, bench: Bench
) -> None:
    fake("nothing", disturbed=True)
    gathering = Gathering(bench, facts, 1)
    assert gathering.take("forward", "layer4", "contiguous", False, otherwise=None) == 0.5
    assert gathering.doubt == BUSY.replace("44", "32")


@pytest.mark.measured
@pytest.mark.usefixtures("alone")
def test_a_network_that_only_this_process_knows_is_timed_here(
    fake: Callable[..., list[int]], facts: BackboneFacts, bench: Bench
) -> None:
    fake("not built")
    gathering = Gathering(bench, facts, 1)
    seconds = gathering.take("training", "layer4", "contiguous", otherwise=None)
    assert 0 < seconds != 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bench, "ask", None)  # not asked again
        assert gathering.take("memory of training", "layer4", otherwise=None) > 0
        assert gathering.doubt == ""
        assert gathering.take("training", "layer9", "contiguous", otherwise=7.0) == 7.0
    assert "timing training from layer9 failed (ModelError: " in gathering.doubt


@pytest.mark.parametrize(
    ("status", "said"),
    [(3, "ended with status 3"), (-signal.SIGKILL, "was killed by SIGKILL"), (-200, "was killed by signal 200")],
)
def test_how_a_process_ended(status: int, said: str) -> None:
    assert how_it_ended(status) == said
