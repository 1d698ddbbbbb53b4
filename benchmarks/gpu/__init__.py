"""Checks and times Frostline on a GPU in one go, on a machine without a network: ``make gpu``."""
