"""How every number that a person reads is written, and how sizes are read; importing this imports nothing else.

Whatever prints a quantity for a person goes through here, so that the same number reads the same everywhere. Machines
get every digit: JSON, CSV and Parquet hold the numbers themselves.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "format_bytes",
    "format_count",
    "format_difference",
    "format_estimate",
    "format_fraction",
    "format_fractions",
    "format_loss",
    "format_number_of",
    "format_predicted",
    "format_ratio",
    "format_seconds",
    "format_setting",
    "parse_bytes",
]

# At most 18 digits: more than any disk has, and a number that every system can hold.
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(?:([kmgt])(i?))?b?\s*", re.IGNORECASE | re.ASCII)
_POWERS = ("", "k", "m", "g", "t")
_LONGEST_SHOWN = 40
_MOST_DECIMALS = 9


def parse_bytes(text: str) -> int:
    """Return the bytes of a size for people: ``500MB`` and ``1.5 GB`` in powers of 1000, ``5GiB`` in powers of 1024.

    Raises:
        ValueError: it is not a size; the message says what is.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 2]}.."
        raise ValueError(
            f'"{shown}" is not a size: give bytes, or a number of up to 18 digits with kB, MB, GB or TB '
            "(powers of 1000) or KiB, MiB, GiB or TiB (powers of 1024), such as 5GB"
        )
    number, power, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS.index((power or "").lower()))


def format_bytes(n_bytes: float) -> str:
    """Return a size in powers of 1000: ``512 B``, ``1.5 kB``, ``2.0 GB``."""
    return _scaled(n_bytes, ("B", "kB", "MB", "GB", "TB", "PB"))


def format_count(count: float) -> str:
    """Return a large count short: ``512``, ``11.2 M``, ``3.6 G``."""
    return _scaled(count, ("", "k", "M", "G", "T", "P")).rstrip()


def format_number_of(number: int, noun: str) -> str:
    """Return a number of things: ``1 arm``, ``2 arms``, ``3 trajectories``."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeou" else f"{noun}s"
    return f"{number:,} {noun}"


def format_seconds(seconds: float | None) -> str:
    """Return a duration: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 07 min``, ``3 days 4 h``; None gives ''.

    A duration is never negative. Something that may be lost as well as saved is said in words by whoever says it.
    """
    if seconds is None:
        return ""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 0.005:
        return "<0.01 s" if seconds > 0 else "0 s"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{format_number_of(days, 'day')} {hours} h"


def format_estimate(seconds: float) -> str:
    """Return a duration that is only estimated, without fractions of a second: ``about 12 s``, ``about 4 min 05 s``."""
    return f"about {round(max(seconds, 0))} s" if seconds < 59.5 else f"about {format_seconds(round(seconds))}"


def format_predicted(seconds: float, doubts: Collection[str]) -> str:
    """Return a predicted duration, marked where there are doubts about what it was predicted from: ``~12.3 s``."""
    return f"~{format_seconds(seconds)}" if doubts else format_seconds(seconds)


def format_loss(value: float | None) -> str:
    """Return a loss with four decimals, or two digits of a small one; None gives ''.

    Above a billion or below a millionth only that is told: there the digits mean nothing to a reader.
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    if value < 0:
        return f"-{format_loss(-value)}"
    if value >= 1e9:
        return f">{10**9:,}"
    if value >= 9999.95:
        return f"{value:,.0f}"
    if value >= 1e-3 or not value:
        return f"{abs(value):.4f}"  # no minus before a zero
    # Two significant digits: 0.00012, 0.0000034.
    return f"{value:.{1 - math.floor(math.log10(value))}f}" if value >= 1e-6 else "<0.000001"


def format_fraction(value: float | None) -> str:
    """Return a fraction in [0, 1] as a percentage with one decimal; None gives ''."""
    if value is None:
        return ""
    return f"{100 * value:.1f}%" if math.isfinite(value) else str(value)


def format_fractions(lowest: float, highest: float) -> str:
    """Return a range of fractions in [0, 1] as percentages: ``96.9 to 98.1%``."""
    return f"{format_fraction(lowest).removesuffix('%')} to {format_fraction(highest)}"


def format_difference(relative: float) -> str:
    """Return a relative difference as a percentage with two digits: ``0.12%``, ``0.000034%``, ``48%``."""
    percent = 100 * relative
    if not percent or not math.isfinite(percent):
        return f"{percent:.0f}%"
    decimals = max(1 - math.floor(math.log10(abs(percent))), 0)
    return f"{percent:,.{decimals}f}".rstrip("0").rstrip(".") + "%" if decimals else f"{percent:,.0f}%"


def format_ratio(value: float) -> str:
    """Return how many times as much something is: ``0.97``, ``12.3``, ``1,234``."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def format_setting(value: float) -> str:
    """Return a setting's number, such as a learning rate, with every digit it has: ``0.001``, ``0.00003``, ``64``.

    Different numbers give different texts, so that they can head rows and columns.
    """
    text = repr(value).removesuffix(".0")
    if "e" not in text:
        return text
    digits, exponent = text.split("e")
    if -_MOST_DECIMALS <= int(exponent) < 0:
        return f"{value:.{len(digits.replace('.', '').lstrip('-')) - 1 - int(exponent)}f}"
    return f"{digits}e{int(exponent)}"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if value < 999.5 or (unit != units[0] and value < 999.95):
            return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} {units[-1]}"
