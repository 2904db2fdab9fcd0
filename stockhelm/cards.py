"""`stockhelm cards`: a sheet to print, with the barcode of every command that people scan."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import Final

import zxingcpp

from edge.scanning.cards import USES, Use, card_text
from edge.scanning.gs1 import COMMAND_PREFIX, COMMANDS

SCALE: Final = 2
_STYLE: Final = """
@page { size: A4; margin: 12mm }
body { font: 10pt sans-serif; margin: 0 }
h1 { font-size: 14pt }
.cards { display: grid; grid-template-columns: 1fr 1fr; gap: 6mm }
.card { border: 1px solid #999; padding: 4mm; break-inside: avoid; text-align: center }
.card svg { height: 16mm; max-width: 100% }
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
    """Return the GS1-128 barcode of an element string as an SVG element."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.Code128, gs1=True)
    svg: str = code.to_svg(scale=SCALE, add_quiet_zones=True)
    return svg[svg.index("<svg") :]


def _card(command: str, svg: str, uses: Iterable[Use]) -> str:
    lines = "".join(
        f"<p>{html.escape(': '.join(filter(None, (use.scans, use.books))))}</p>" for use in uses
    )
    return f'<div class="card"><h2>{COMMAND_PREFIX}{command}</h2>{svg}{lines}</div>\n'
