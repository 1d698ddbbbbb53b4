"""How losses, fractions and seconds read."""

from __future__ import annotations

import math

__all__ = ["format_fraction", "format_loss", "format_seconds"]


def format_loss(value: float | None) -> str:
    """Return a loss with four decimals, as the exercise has it; very large or small ones with an exponent."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    if value != 0 and not 5e-4 <= abs(value) < 1e4:
        return f"{value:.2e}"
    return f"{value:.4f}"


def format_fraction(value: float | None) -> str:
    """Return a fraction in [0, 1] as a percentage with one decimal."""
    return "" if value is None else f"{100 * value:.1f}%"


def format_seconds(seconds: float | None) -> str:
    """Return a duration: ``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds is None:
        return ""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
