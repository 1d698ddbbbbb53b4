from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.quantities import (
    format_bytes,
    format_count,
    format_difference,
    format_estimate,
    format_fraction,
    format_fractions,
    format_loss,
    format_number_of,
    format_predicted,
    format_ratio,
    format_seconds,
    format_setting,
    parse_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("0", 0),
        ("123", 123),
        ("123 B", 123),
        ("500MB", 500_000_000),
        ("1.5 gb", 1_500_000_000),
        ("2k", 2000),
        ("1TB", 10**12),
        ("5GiB", 5 * 2**30),
        ("1.5 KiB", 1536),
        ("2Ti", 2 * 2**40),
        ("9" * 15, 999_999_999_999_999),
    ],
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "-1", "5 apples", "1e9", "GB", "5i", "5iB", "5GG", "1,5GB", "٣GB", "inf"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=rf'^"{text}" is not a size: give bytes, .* kB, MB, GB or TB .*GiB.* 5GB$'):
        parse_bytes(text)


def test_a_number_of_hundreds_of_digits_is_no_size_and_is_shown_short() -> None:
    with pytest.raises(ValueError, match=r'^"9{38}\.\." is not a size: .* up to 18 digits'):
        parse_bytes("9" * 400)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (format_loss, 0.8285023129885764, "0.8285"),
        (format_loss, 0.0, "0.0000"),
        (format_loss, -0.0, "0.0000"),
        (format_loss, 0.0012, "0.0012"),
        (format_loss, 0.0005, "0.00050"),
        (format_loss, 0.0001234, "0.00012"),
        (format_loss, 0.0000034, "0.0000034"),
        (format_loss, 3.4e-9, "<0.000001"),
        (format_loss, 9999.94, "9999.9400"),
        (format_loss, 123456.0, "123,456"),
        (format_loss, 1e30, ">1,000,000,000"),
        (format_loss, -0.25, "-0.2500"),
        (format_loss, math.nan, "nan"),
        (format_loss, math.inf, "inf"),
        (format_loss, None, ""),
        (format_fraction, 0.9734, "97.3%"),
        (format_fraction, 1.0, "100.0%"),
        (format_fraction, 1e-9, "0.0%"),
        (format_fraction, math.nan, "nan"),
        (format_fraction, None, ""),
        (format_seconds, 0.0, "0 s"),
        (format_seconds, 0.0001, "<0.01 s"),
        (format_seconds, 0.42, "0.42 s"),
        (format_seconds, 9.994, "9.99 s"),
        (format_seconds, 9.999, "10.0 s"),
        (format_seconds, 59.94, "59.9 s"),
        (format_seconds, 59.96, "1 min 00 s"),
        (format_seconds, 245.0, "4 min 05 s"),
        (format_seconds, 1080.0, "18 min 00 s"),
        (format_seconds, 3599.4, "59 min 59 s"),
        (format_seconds, 3599.9, "1 h 00 min"),
        (format_seconds, 7620.0, "2 h 07 min"),
        (format_seconds, 86_400.0, "1 day 0 h"),
        (format_seconds, 363_000.0, "4 days 5 h"),
        (format_seconds, math.inf, "unknown"),
        (format_estimate, 0.2, "about 0 s"),
        (format_estimate, 59.4, "about 59 s"),
        (format_estimate, 59.6, "about 1 min 00 s"),
        (format_estimate, 245.0, "about 4 min 05 s"),
        (format_seconds, None, ""),
        (format_bytes, 0, "0 B"),
        (format_bytes, 999, "999 B"),
        (format_bytes, 1000, "1.0 kB"),
        (format_bytes, 999_960, "1.0 MB"),
        (format_bytes, 2.5e9, "2.5 GB"),
        (format_bytes, 5e18, "5,000.0 PB"),
        (format_count, 512, "512"),
        (format_count, 11_176_512, "11.2 M"),
        (format_difference, 0.002, "0.2%"),
        (format_difference, 0.00000034, "0.000034%"),
        (format_difference, 0.4849, "48%"),
        (format_difference, 12.0, "1,200%"),
        (format_difference, 0.0, "0%"),
        (format_ratio, 0.974, "0.97"),
        (format_ratio, 12.34, "12.3"),
        (format_ratio, 1234.0, "1,234"),
        (format_setting, 0.001, "0.001"),
        (format_setting, 1e-05, "0.00001"),
        (format_setting, 3.25e-05, "0.0000325"),
        (format_setting, 1.0, "1"),
        (format_setting, 0.1 + 0.2, "0.30000000000000004"),
        (format_setting, 1e-12, "1e-12"),
    ],
)
def test_how_numbers_read(write: Callable[[Any], str], value: float | None, text: str) -> None:
    assert write(value) == text


def test_a_range_has_one_percent_sign() -> None:
    assert format_fractions(0.9691, 0.9809) == "96.9 to 98.1%"


def magnitudes(lowest: float, highest: float) -> st.SearchStrategy[float]:
    """Return numbers spread over the orders of magnitude, with those beside each change of unit or of digits."""
    edges = [0.005, 9.995, 59.95, 60.0, 3570.0, 3600.0, 86_400.0, 1e-6, 1e-3, 99.95, 999.5, 999_950.0, 9999.95, 1e9]
    beside = [math.nextafter(edge, to) for edge in edges for to in (0.0, edge, math.inf)]
    spread = st.floats(math.log10(lowest), math.log10(highest)).map(lambda power: 10**power)
    return st.one_of(spread, st.sampled_from(beside)).filter(lambda value: lowest <= value <= highest)


WRITTEN: dict[Callable[[Any], str], tuple[float, float, str]] = {
    format_seconds: (1e-9, 1e10, r"<0\.01 s|\d\.\d\d s|\d\d\.\d s|\d+ min \d\d s|\d+ h \d\d min|[\d,]+ days? \d+ h"),
    format_bytes: (1.0, 1e18, r"\d{1,3} B|\d{1,3}\.\d [kMGTP]B|[\d,]+\.\d PB"),
    format_count: (1.0, 1e18, r"\d{1,3}|\d{1,3}\.\d [kMGTP]|[\d,]+\.\d P"),
    format_loss: (1e-12, 1e12, r"<0\.000001|0\.0\d+|\d{1,4}\.\d{4}|[\d,]+|>1,000,000,000"),
    format_fraction: (1e-9, 1.0, r"\d{1,3}\.\d%"),
    format_difference: (1e-9, 1e4, r"0\.\d+%|\d(\.\d)?%|[\d,]+%"),
    format_ratio: (1e-4, 1e6, r"\d\.\d\d|\d\d\.\d|[\d,]+"),
    format_setting: (1e-9, 1e9, r"\d+(\.\d+)?"),
}


@pytest.mark.parametrize("write", WRITTEN, ids=lambda write: write.__name__)
@given(data=st.data())
def test_numbers_of_a_kind_read_alike_without_an_exponent(write: Callable[[Any], str], data: st.DataObject) -> None:
    lowest, highest, form = WRITTEN[write]
    text = write(data.draw(magnitudes(lowest, highest)))
    assert re.fullmatch(form, text)


UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86_400, "days": 86_400}
UNITS |= {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def read_back(text: str) -> float:
    words = text.replace("<", "").replace(",", "").split()
    return sum(float(number) * UNITS[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("write", [format_seconds, format_bytes], ids=lambda write: write.__name__)
@given(data=st.data())
def test_a_larger_number_never_reads_as_a_smaller_one(write: Callable[[Any], str], data: st.DataObject) -> None:
    value, factor = data.draw(magnitudes(0.01, 1e9)), data.draw(st.floats(1, 2))
    found = read_back(write(value))
    assert found <= read_back(write(value * factor))
    # Two digits at least: of 1.0 kB 50 bytes, of 1 h 00 min half a minute, of 1 day 0 h half an hour.
    assert found == pytest.approx(value, rel=0.05, abs=0.5)


@given(value=magnitudes(1e-30, 1e30))
def test_no_digit_of_a_setting_is_lost(value: float) -> None:
    assert float(format_setting(value)) == value


@pytest.mark.parametrize("n_bytes", [0, 7, 1000, 1_500_000, 2_000_000_000, 3 * 10**12])
def test_a_size_written_is_read_again(n_bytes: int) -> None:
    assert parse_bytes(format_bytes(n_bytes)) == n_bytes


def test_one_thing_and_more() -> None:
    assert [format_number_of(n, "arm") for n in (0, 1, 2, 1000)] == ["0 arms", "1 arm", "2 arms", "1,000 arms"]
    assert [format_number_of(n, "entry") for n in (1, 2)] == ["1 entry", "2 entries"]
    assert [format_number_of(n, "day") for n in (1, 2)] == ["1 day", "2 days"]


@pytest.mark.parametrize(("doubts", "text"), [((), "12.3 s"), (("the machine was busy",), "~12.3 s")])
def test_what_is_predicted_from_doubtful_rates_is_marked(doubts: tuple[str, ...], text: str) -> None:
    assert format_predicted(12.34, doubts) == text
