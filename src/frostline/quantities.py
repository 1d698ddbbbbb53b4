"""How sizes and counts are written and read; importing this imports nothing else."""

from __future__ import annotations

import re

__all__ = ["format_bytes", "format_count", "format_number_of", "parse_bytes"]

# At most 18 digits: more than any disk has, and a number that every system can hold.
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(?:([kmgt])(i?))?b?\s*", re.IGNORECASE | re.ASCII)
_POWERS = ("", "k", "m", "g", "t")
_LONGEST_SHOWN = 40


def parse_bytes(text: str) -> int:
    """Return the bytes of a size for people: ``500MB`` and ``1.5 GB`` in powers of 1000, ``5GiB`` in powers of 1024.

    Raises:
        ValueError: it is no size; the message says what is.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        shown = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 2]}.."
        raise ValueError(
            f'"{shown}" is no size: give bytes, or a number of up to 18 digits with kB, MB, GB or TB (powers of 1000) '
            "or KiB, MiB, GiB or TiB (powers of 1024), such as 5GB"
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
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun}"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    for unit in units[:-1]:
        if value < 999.5 or (unit != units[0] and value < 999.95):
            return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} {units[-1]}"
