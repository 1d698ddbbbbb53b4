"""Whether others used the machine while something was timed; by made-up accounts and clocks, whatever runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frostline.machine import _busy
from frostline.machine._busy import Meter, Watch, kernel_meter, probe_meter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def meter_of(shares: Sequence[float]) -> Meter:
    """Return a meter that tells these shares in turn."""
    rest = iter(shares)
    return lambda: lambda: next(rest)


@pytest.mark.parametrize(
    ("shares", "value", "disturbed"),
    [
        ([0.0], 1, False),
        ([0.05], 1, False),
        ([0.06, 0.01], 2, False),  # taken again
        ([0.5, 0.2, 0.3], 2, True),  # bounded, and the least disturbed counts
        ([0.5, 0.4, 0.05], 3, False),
    ],
)
def test_what_was_disturbed_is_timed_again(shares: list[float], value: int, disturbed: bool) -> None:
    watch = Watch(meter_of(shares))
    values = iter(range(1, 10))
    assert watch.measure(lambda: next(values)) == value
    assert watch.disturbed == disturbed


def test_all_pieces_together_have_few_more_tries() -> None:
    watch = Watch(meter_of([1.0, 0.0] * 6 + [1.0] * 14))
    tries = []
    for piece in range(20):
        watch.measure(lambda piece=piece: tries.append(piece))  # type: ignore[misc]
    assert len(tries) == 20 + _busy.SPARE_TRIES
    assert watch.disturbed


def test_on_a_machine_that_stays_busy_little_is_timed_again() -> None:
    watch = Watch(lambda: lambda: 1.0)
    tries = []
    for piece in range(20):
        watch.measure(lambda piece=piece: tries.append(piece))  # type: ignore[misc]
    assert len(tries) == 20 + _busy.TRIES - 1
    assert watch.disturbed


def test_once_disturbed_a_watch_stays_so() -> None:
    watch = Watch(meter_of([0.9, 0.9, 0.9, 0.0]))
    watch.measure(lambda: None)
    watch.measure(lambda: None)
    assert watch.disturbed


@pytest.mark.parametrize(
    ("rates", "highest", "disturbed"),
    [
        ([100.0, 80.0], 100.0, False),
        ([20.0, 100.0, 90.0], 100.0, False),  # others wrote during the first
        ([20.0, 40.0, 80.0, 160.0], 160.0, True),
        ([float("inf")] * 2, float("inf"), False),  # nothing can be written
    ],
)
def test_the_disk_is_believed_when_two_rates_agree(rates: list[float], highest: float, disturbed: bool) -> None:
    watch, rest = Watch(meter_of([])), iter(rates)
    assert watch.steady(lambda: next(rest)) == highest
    assert watch.disturbed == disturbed
    assert next(rest, None) is None


class Accounts:
    """A kernel's accounts: seconds of threads (computing, ready), and of all cores together."""

    def __init__(self, proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._proc, self.now = proc, 100.0
        self._threads: dict[str, list[float]] = {"1": [1.0, 0.0]}
        self._cores = [50.0, 0.0, 100.0]
        monkeypatch.setattr("os.sysconf", lambda name: 100)
        monkeypatch.setattr("time.perf_counter", lambda: self.now)
        self.write()

    def write(self) -> None:
        for name, (ran, waited) in self._threads.items():
            folder = self._proc / "self" / "task" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "schedstat").write_text(f"{ran * 1e9:.0f} {waited * 1e9:.0f} 7\n")
        used, stolen, idle = (round(100 * seconds) for seconds in self._cores)
        (self._proc / "stat").write_text(f"cpu  {used} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\nintr 4\n")

    def go_on(self, wall: float, threads: dict[str, tuple[float, float]], used: float, stolen: float = 0.0) -> None:
        """Let time pass on two cores: each thread has computed and waited so long, all processes have used so much."""
        self.now += wall
        for name, seconds in threads.items():
            before = self._threads.get(name, [0.0, 0.0])
            self._threads[name] = [a + b for a, b in zip(before, seconds, strict=True)]
        for i, spent in enumerate((used, stolen, 2 * wall - used - stolen)):
            self._cores[i] += spent
        self.write()


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    return Accounts(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("threads", "used", "stolen", "share"),
    [
        ({"1": (1.0, 0.0), "2": (1.0, 0.0)}, 2.0, 0.0, 0.0),  # two threads, two cores
        ({"1": (1.0, 0.0), "2": (0.3, 0.0)}, 1.3, 0.0, 0.0),  # a kernel that leaves cores idle
        ({"1": (1.0, 0.0)}, 2.0, 0.0, 0.0),  # another program on the core that isn't wanted
        ({"1": (0.6, 0.4), "2": (0.6, 0.4)}, 2.0, 0.0, 0.8 / 2.0),  # another program on both
        ({"1": (0.7, 0.3), "2": (0.7, 0.3), "3": (0.6, 0.4)}, 2.0, 0.0, 0.0),  # its own threads wait for each other
        ({"1": (0.01, 0.001)}, 0.5, 0.0, 0.001),  # it waits for the disk
        ({"1": (0.1, 0.1)}, 1.9, 0.0, 0.1),  # it waits for the disk, and others compute
        ({"1": (1.0, 0.0), "2": (1.0, 0.0)}, 1.7, 0.3, 0.15),  # another guest of the host
    ],
)
def test_the_kernels_account(
    accounts: Accounts,
    tmp_path: Path,
    threads: dict[str, tuple[float, float]],
    used: float,
    stolen: float,
    share: float,
) -> None:
    meter = kernel_meter(tmp_path)
    assert meter is not None
    lost = meter()
    accounts.go_on(1.0, threads, used, stolen)
    assert lost() == pytest.approx(share)


def without(name: str) -> Callable[[Path], None]:
    return lambda proc: (proc / name).unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        without("stat"),
        without("self/task/1/schedstat"),
        lambda proc: (proc / "stat").write_text("cpu 1 2\n"),
        lambda proc: (proc / "self/task/1/schedstat").write_text("0 0 0\n"),
        lambda proc: (proc / "self/task/1/schedstat").write_text("\n"),
    ],
    ids=["no cores", "no threads", "an old kernel", "a kernel that does not count", "nothing"],
)
def test_a_kernel_without_accounts_has_no_meter(
    accounts: Accounts, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path)
    assert kernel_meter(tmp_path) is None


def test_elsewhere_an_instant_on_every_core_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.5, 0.0, 0.4, 0.6])
    probed: list[int] = []

    def probe(n_threads: int) -> float:
        probed.append(n_threads)
        return next(shares)

    monkeypatch.setattr(_busy, "_probe", probe)
    meter = probe_meter(3)
    assert meter()() == 0.0, "what was there only at one end has passed"
    assert meter()() == 0.4
    assert probed == [3] * 4


def test_the_probe_compares_the_threads_time_with_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = 0.0

    def compute(content: bytes) -> None:
        nonlocal wall
        wall += 0.01

    monkeypatch.setattr("hashlib.sha256", compute)
    monkeypatch.setattr("time.perf_counter", lambda: wall)
    monkeypatch.setattr("time.thread_time", lambda: wall * 0.7)
    assert _busy._probe(1) == pytest.approx(0.3)
