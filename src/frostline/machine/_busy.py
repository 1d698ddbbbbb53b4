"""Notices that others use the machine while something is timed: what is measured then is too slow when they have gone.

What a person waits for isn't what tells: kernels of several threads leave cores idle, too, and who waits for the disk
uses none. So it is asked how long this process's threads were ready to compute and had no core, while others had one.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Meter", "Watch", "kernel_meter", "probe_meter", "usual_meter"]

Value = TypeVar("Value")

Meter: TypeAlias = Callable[[], Callable[[], float]]
"""Begins to look; what it returns tells which share, in [0, 1], of the computing time wanted since then others had."""

MOST_SHARE = 0.05
"""Others may have so much of it: an idle machine's own housekeeping has less."""

TRIES, SPARE_TRIES = 3, 6
"""How often a piece is timed where others disturb it, and how many tries on top of one all pieces together have."""

AGREEMENT, MOST_RATES = 0.75, 4
"""Two of a few rates of the disk must agree so well."""

PROBE_SECONDS, PROBE_BYTES = 0.02, 1 << 16


class Watch:
    """Times pieces of work, again where others disturb it; ``disturbed`` tells whether some stayed so.

    Args:
        meter: tells what others had; the usual one, when left out.
        most_share: what they may have.
    """

    def __init__(self, meter: Meter | None = None, most_share: float | None = None) -> None:
        self._meter = meter or usual_meter()
        self._most = MOST_SHARE if most_share is None else most_share
        self._spare = SPARE_TRIES
        self.disturbed = False

    def measure(self, piece: Callable[[], Value]) -> Value:
        """Return what the least disturbed try of a piece gave."""
        tries: list[tuple[float, Value]] = []
        while True:
            lost = self._meter()
            value = piece()
            tries.append((lost(), value))
            share, best = min(tries, key=lambda each: each[0])
            if share <= self._most:
                return best
            if len(tries) == TRIES or self._spare == 0:
                self.disturbed, self._spare = True, 0  # whatever it is, it stays
                return best
            self._spare -= 1

    def steady(self, piece: Callable[[], float]) -> float:
        """Return the highest of several rates of what waits more than it computes, once another one comes near it."""
        rates = [piece()]
        while len(rates) < MOST_RATES:
            rates = sorted([*rates, piece()], reverse=True)
            if rates[1] >= AGREEMENT * rates[0]:
                return rates[0]
        self.disturbed = True
        return rates[0]


def usual_meter() -> Meter:
    """Return the kernel's own account where there is one, and otherwise a try every time."""
    return kernel_meter() or probe_meter()


def kernel_meter(proc: Path = Path("/proc")) -> Meter | None:
    """Return a meter that reads Linux's accounts of threads and cores; None where it keeps none.

    Threads that wait for each other are this process's own affair: others can't have had more than they computed.
    """
    if not any(ran for ran, _ in _threads(proc).values()) or _cores(proc) is None:
        return None

    def begin() -> Callable[[], float]:
        began, threads, cores = time.perf_counter(), _threads(proc), _cores(proc)

        def lost_share() -> float:
            now, now_cores = _threads(proc), _cores(proc)
            if cores is None or now_cores is None:
                return 0.0
            ran, waited = (
                sum(account[i] - threads.get(thread, (0.0, 0.0))[i] for thread, account in now.items()) for i in (0, 1)
            )
            used, stolen, idle = (after - before for before, after in zip(cores, now_cores, strict=True))
            lost = min(max(waited, 0.0), max(used - ran, 0.0))
            # Of what waits more than it computes, a core's worth.
            wanted = max(ran + lost, time.perf_counter() - began, 1e-9)
            return max(lost / wanted, stolen / max(used + stolen + idle, 1e-9))

        return lost_share

    return begin


def _threads(proc: Path) -> dict[str, tuple[float, float]]:
    """Return the seconds that each thread of this process has computed, and been ready and had no core."""
    return dict(_each_thread(proc))


def _each_thread(proc: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    try:
        tasks = list((proc / "self" / "task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            ran, waited, *_ = (task / "schedstat").read_text().split()
            yield task.name, (int(ran) / 1e9, int(waited) / 1e9)
        except (OSError, ValueError):  # a thread that has just ended, or a kernel that doesn't count
            continue


def _cores(proc: Path) -> tuple[float, float, float] | None:
    """Return the seconds that all cores together were used, were taken by another guest of the host, and were idle."""
    try:
        first = (proc / "stat").read_text().split("\n", 1)[0].split()
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in first[1:9]]
        user, nice, system, idle, waiting, irq, soft_irq, stolen = ticks
    except (OSError, ValueError, AttributeError):
        return None
    return user + nice + system + irq + soft_irq, stolen, idle + waiting


def probe_meter(n_threads: int | None = None) -> Meter:
    """Return a meter that computes for an instant on every core, before and after, and compares its time with a clock.

    Only what goes on at both ends is noticed.
    """
    n = n_threads or os.cpu_count() or 1

    def begin() -> Callable[[], float]:
        before = _probe(n)
        return lambda: min(before, _probe(n))

    return begin


def _probe(n_threads: int) -> float:
    """Return the share of the time of as many threads that they had no core."""
    # Ten times what the clock can tell apart.
    seconds = max(PROBE_SECONDS, 10 * time.get_clock_info("thread_time").resolution)
    content, shares = bytes(PROBE_BYTES), list[float]()

    def work() -> None:
        begun, ran = time.perf_counter(), time.thread_time()
        while time.perf_counter() - begun < seconds:
            hashlib.sha256(content)  # lets other threads of Python compute meanwhile
        shares.append(1 - (time.thread_time() - ran) / (time.perf_counter() - begun))

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(sum(shares) / len(shares), 0.0)
