"""The hint at a name that is nearly right."""

from __future__ import annotations

import pytest

from frostline.errors import closest


@pytest.mark.parametrize(
    ("given", "allowed", "expected"),
    [
        ("shpi", ("cat", "ship"), '; did you mean "ship"?'),
        ("SHIP", ("cat", "ship"), '; did you mean "ship"?'),
        ("dog", ("Dog", "doge"), '; did you mean "Dog"?'),
        ("shpi", ("Ship", "ship"), '; did you mean "ship"?'),
        ("SHPI", ("ship", "SHIP"), '; did you mean "SHIP"?'),
        ("CAT", ("ship", "cat"), '; did you mean "cat"?'),
        ("giraffe", ("cat", "ship"), ""),
        ("cat", (), ""),
        ("", ("cat",), ""),
    ],
)
def test_the_nearest_name_whatever_its_case(given: str, allowed: tuple[str, ...], expected: str) -> None:
    assert closest(given, allowed) == expected
