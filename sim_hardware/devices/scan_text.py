"""What a scanner reads, as it says it: AIM symbology identifier, then the data."""

from __future__ import annotations

from typing import Final

from sim_hardware.world.lots import NO_MARK, Mark

COMMAND_AI: Final = "91"
GTIN13_PAD: Final = "0"
GS: Final = "\x1d"


def command(mode: str) -> str:
    """Return the scan of a command card: `SH-` and the mode in AI 91."""
    return f"]C1{COMMAND_AI}SH-{mode}"


def bin_label(gln: str, bin_id: str) -> str:
    """Return the scan of a bin's label: the site's GLN (AI 414), the bin (AI 254)."""
    return f"]C1414{gln}254{bin_id}"


def article(gtin: str, units: int, mark: Mark = NO_MARK) -> str:
    """Return the scan of an article: one piece by its EAN-13, more with their count (AI 30).

    With its last day (AI 17), lot (AI 10) and serial number (AI 21) where these are on the label.
    """
    if mark != NO_MARK:
        day = f"17{mark.expires_on[2:].replace('-', '')}" if mark.expires_on else ""
        count = f"30{units}" if units > 1 else ""
        said = (f"10{mark.lot}" if mark.lot else "", f"21{mark.serial}" if mark.serial else "")
        return f"]C101{gtin}{day}" + GS.join(filter(None, (count, *said)))
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
