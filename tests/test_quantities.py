from __future__ import annotations

import pytest

from frostline.quantities import format_bytes, format_number_of, parse_bytes


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
    with pytest.raises(ValueError, match=rf'^"{text}" is no size: give bytes, .* kB, MB, GB or TB .*GiB.* 5GB$'):
        parse_bytes(text)


def test_a_number_of_hundreds_of_digits_is_no_size_and_is_shown_short() -> None:
    with pytest.raises(ValueError, match=r'^"9{38}\.\." is no size: .* up to 18 digits'):
        parse_bytes("9" * 400)


@pytest.mark.parametrize("n_bytes", [0, 7, 1000, 1_500_000, 2_000_000_000, 3 * 10**12])
def test_a_size_written_is_read_again(n_bytes: int) -> None:
    assert parse_bytes(format_bytes(n_bytes)) == n_bytes


def test_one_thing_and_more() -> None:
    assert [format_number_of(n, "arm") for n in (0, 1, 2, 1000)] == ["0 arms", "1 arm", "2 arms", "1,000 arms"]
    assert [format_number_of(n, "entry") for n in (1, 2)] == ["1 entry", "2 entries"]
