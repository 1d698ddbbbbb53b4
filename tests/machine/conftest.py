"""The places and the made-up rates of the tests of execution."""

from tests.execution.conftest import alone, fresh_places, made_up_rates, one_thread, two_threads

__all__ = ["alone", "fresh_places", "made_up_rates", "one_thread", "two_threads"]
