"""``frostline doctor``: what this machine and installation have."""

__all__ = ["doctor"]


def doctor() -> None:
    """Print versions, devices, cores, places, engines, and which weights and data sets are at hand."""
