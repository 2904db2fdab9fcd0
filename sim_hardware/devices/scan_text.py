"""What a scanner reads, as it says it: AIM symbology identifier, then the data."""

from __future__ import annotations

from typing import Final

COMMAND_AI: Final = "91"
GTIN13_PAD: Final = "0"


def command(mode: str) -> str:
    """Return the scan of a command card: `SH-` and the mode in AI 91."""
    return f"]C1{COMMAND_AI}SH-{mode}"


def bin_label(gln: str, bin_id: str) -> str:
    """Return the scan of a bin's label: the site's GLN (AI 414), the bin (AI 254)."""
    return f"]C1414{gln}254{bin_id}"


def article(gtin: str, units: int) -> str:
    """Return the scan of an article: one piece by its EAN-13, more with their count (AI 30)."""
    if units == 1 and gtin.startswith(GTIN13_PAD):
        return f"]E0{gtin[1:]}"
    return f"]C101{gtin}30{units}"


STRAY: Final = (
    "]C0PARCEL-00417",
    "]Q1https://example.com/poster",
    "]A0JOB 12",
    "]E09521321000012",  # one digit off: the check digit does not match
    "]C19999",
)
"""What a hurried person hits by mistake; nothing of it is a GS1 code that means anything here."""
