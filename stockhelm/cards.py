"""`stockhelm cards`: a sheet to print, with the barcode of every command that people scan."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from typing import Final

import zxingcpp

from edge.scanning.cards import USES, Use, card_text
from edge.scanning.gs1 import COMMAND_PREFIX, COMMANDS

MODULE_MM: Final = 0.3
"""Width of the narrowest bar. GS1 General Specifications, 5.5.2.7: 0.25 to 1.016 mm."""
CARD_MM: Final = 80.0
"""What is free inside of a card, two beside each other on A4."""
HEIGHT_MM: Final = 16
_SIZE: Final = re.compile(r'<svg width="(\d+)" height="(\d+)"')
_STYLE: Final = """
@page { size: A4; margin: 12mm }
body { font: 10pt sans-serif; margin: 0 }
h1 { font-size: 14pt }
.cards { display: grid; grid-template-columns: 1fr 1fr; gap: 6mm }
.card { border: 1px solid #999; padding: 4mm; break-inside: avoid; text-align: center }
.card h2 { font-size: 12pt; margin: 0 0 2mm }
.card p { margin: 1mm 0 0; text-align: left; font-size: 8pt }
"""


def cards_page(draw: Callable[[str], str] | None = None) -> str:
    """Return the sheet as one HTML page that needs nothing else; print it and cut it up."""
    drawn = draw or barcode_svg
    cards = "".join(
        _card(command, drawn(card_text(command)), (use for use in USES if use.command == command))
        for command in COMMANDS
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Command cards</title><style>{_STYLE}</style></head>\n<body>"
        "<h1>Command cards: scan one, then what it asks for</h1>\n"
        f'<div class="cards">\n{cards}</div></body></html>\n'
    )


def barcode_svg(text: str) -> str:
    """Return the GS1-128 barcode of an element string as an SVG element of its printed size."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128, gs1=True)
    svg: str = code.to_svg(scale=1, add_quiet_zones=True)
    found = _SIZE.search(svg)
    assert found is not None, "the encoder says how many modules it drew"
    wide_mm = int(found[1]) * MODULE_MM
    assert wide_mm <= CARD_MM, f"{text}: {wide_mm:.0f} mm do not fit on a card"
    size = f'<svg width="{wide_mm:.2f}mm" height="{HEIGHT_MM}mm"'
    box = f'{size} viewBox="0 0 {found[1]} {found[2]}" preserveAspectRatio="none"'
    return box + svg[found.end() :]


def _card(command: str, svg: str, uses: Iterable[Use]) -> str:
    lines = "".join(
        f"<p>{html.escape(': '.join(filter(None, (use.scans, use.books))).replace('`', ''))}</p>"
        for use in uses
    )
    return f'<div class="card"><h2>{COMMAND_PREFIX}{command}</h2>{svg}{lines}</div>\n'
