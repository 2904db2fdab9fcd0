"""Identifiers as value types: parsed once, at the border, into one canonical form."""

from __future__ import annotations

import re
from typing import Final, NewType

SiteId = NewType("SiteId", str)
ZoneId = NewType("ZoneId", str)
EdgeId = NewType("EdgeId", str)
DeviceId = NewType("DeviceId", str)
PersonId = NewType("PersonId", str)
BinId = NewType("BinId", str)
Gtin14 = NewType("Gtin14", str)
Location = NewType("Location", str)
"""Where units are: `bin:A-01-02-1`, `robot:agv-1`, `tote:O17`, `container:{SSCC}`, `loss:`..."""

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
BIN_PATTERN: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,19}")
LOCATION_KINDS: Final = (
    "bin",
    "robot",
    "tote",
    "person",
    "supplier",
    "customer",
    "container",
    "damaged",
    "quarantine",
    "opening",
    "loss",
    "found",
)
_GTIN_LENGTHS: Final = (8, 12, 13, 14)


class IdError(ValueError):
    """An identifier is not what it should be; the text says what was expected and what came."""


def gs1_check_digit(digits: str) -> int:
    """Return the mod-10 check digit for `digits`. Source: GS1 General Specifications, 7.9.1."""
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return (10 - total % 10) % 10


def parse_gtin(text: str) -> Gtin14:
    """Return the GTIN-14 form of a GTIN-8/12/13/14. Source: GS1 General Specification, 7.9.1."""
    if len(text) not in _GTIN_LENGTHS:
        raise IdError(f"GTIN {text!r}: expected 8, 12, 13 or 14 digits, got {len(text)}")
    if not (text.isascii() and text.isdigit()):
        raise IdError(f"GTIN {text!r}: expected digits only")
    expected = gs1_check_digit(text[:-1])
    if int(text[-1]) != expected:
        raise IdError(f"GTIN {text!r}: check digit is {text[-1]}, expected {expected}")
    return Gtin14(text.rjust(14, "0"))


def parse_bin(text: str) -> BinId:
    """Return `text` as a bin id: up to 20 capital letters, digits, hyphens (AI 254 holds 20)."""
    if not BIN_PATTERN.fullmatch(text):
        raise IdError(f"bin {text!r}: expected 1 to 20 capital letters, digits or hyphens")
    return BinId(text)


def parse_name(text: str, what: str) -> str:
    """Return `text` as a name that is safe in a topic, a file name and a URL."""
    if not NAME_PATTERN.fullmatch(text):
        raise IdError(
            f"{what} {text!r}: expected 1 to 40 letters, digits, dots, hyphens, underscores"
        )
    return text


def location(kind: str, name: str = "") -> Location:
    """Return the location `kind:name`; a movement takes from one location and gives to another."""
    if kind not in LOCATION_KINDS:
        raise IdError(f"location kind {kind!r}: expected one of {', '.join(LOCATION_KINDS)}")
    return Location(f"{kind}:{name}")


def bin_location(bin_id: str) -> Location:
    """Return the location of a bin."""
    return Location(f"bin:{bin_id}")


def bin_of(place: str) -> BinId | None:
    """Return the bin at `place`, or None where it is no bin."""
    kind, _, name = place.partition(":")
    return BinId(name) if kind == "bin" else None
