"""Identifiers are parsed once, into one form; what is wrong is said in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.ids import (
    IdError,
    bin_location,
    bin_of,
    gs1_check_digit,
    location,
    parse_bin,
    parse_gtin,
    parse_name,
)


@pytest.mark.parametrize(
    ("text", "gtin"),
    [
        ("4006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("10012345678902", "10012345678902"),
    ],
)
def test_every_length_of_gtin_becomes_fourteen_digits(text: str, gtin: str) -> None:
    assert parse_gtin(text) == gtin


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("4006381333932", "check digit is 2, expected 1"),
        ("400638133393", "check digit"),
        ("12345", "expected 8, 12, 13 or 14 digits, got 5"),
        ("400638133393x", "digits only"),
        ("\uff14" * 13, "digits only"),
    ],
)
def test_a_wrong_gtin_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(IdError, match=says):
        parse_gtin(text)


@given(st.text("0123456789", min_size=13, max_size=13), st.integers(1, 9), st.integers(0, 13))
def test_one_wrong_digit_never_passes(digits: str, more: int, place: int) -> None:
    right = digits + str(gs1_check_digit(digits))
    wrong = right[:place] + str((int(right[place]) + more) % 10) + right[place + 1 :]
    assert parse_gtin(right) == right
    with pytest.raises(IdError):
        parse_gtin(wrong)


def test_a_place_says_its_kind_and_name() -> None:
    assert location("supplier", "S1") == "supplier:S1"
    assert location("opening") == "opening:"
    assert bin_of(bin_location("A-01")) == "A-01"
    assert bin_of("robot:agv-1") is None
    with pytest.raises(IdError, match="expected one of bin"):
        location("shelf", "1")


@pytest.mark.parametrize("text", ["", "a-01", "A 01", "A" * 21, "-A"])
def test_a_bin_id_that_no_label_holds_is_refused(text: str) -> None:
    with pytest.raises(IdError, match="capital letters"):
        parse_bin(text)


@pytest.mark.parametrize("text", ["", "a/b", "a+", "#", "x" * 41, ".a"])
def test_a_name_that_breaks_topics_is_refused(text: str) -> None:
    with pytest.raises(IdError, match="device"):
        parse_name(text, "device")
