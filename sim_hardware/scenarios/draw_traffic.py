"""What visitors scan, customers order and planners decide, drawn by chance."""

from __future__ import annotations

from typing import Final

from runtime.seeds import Random
from sim_hardware.scenarios import words as w
from wire.site import Site

SCANS: Final = (0, 0, 3, 8, 20)
DEEDS: Final = (0, 1, 3, 6)
CARDS: Final = ("RECEIVE", "PUTAWAY", "PICK", "COUNT", "UNDO", "CANCEL")
"""What a stranger scans without moving anything: for them nothing is asked for."""
RAW: Final = (
    "]Q1https://example.com/poster", "]C191SH-DANCE", "]E04006381333932", "]C1",
    "]C10104006381333931", "]C14149521321000025254B-01-01-1", "]C14149521321000018254B-99-99-9",
    "]e00104006381333931<GS>30", "]d2(01)04006381333931", "hello", "   ", "]C1254", "{}",
    "]C1011234567890123430999999999",
)  # fmt: skip
"""Texts that no label of ours has, or hardly."""
PRINTABLE: Final = (33, 126)
QUOTE: Final = '"'


def draw_traffic(
    chance: Random, site: Site, visitors: list[str], *, run_s: int
) -> list[tuple[float, str]]:
    """Return (when, line) of scans by visitors, orders and decisions."""
    found: list[tuple[float, str]] = []
    for _ in range(chance.choice(SCANS)):
        at_s = round(chance.uniform(1.0, run_s), 1)
        scan = f"SCAN {chance.choice(visitors)} {_barcode(chance, site)}"
        found.append((at_s, f"AT {at_s:g} s {scan}"))
    for _ in range(chance.choice(DEEDS)):
        at_s = round(chance.uniform(15.0, run_s), 1)
        found.append((at_s, f"AT {at_s:g} s DO {_deed(chance, site)}"))
    return found


def _barcode(chance: Random, site: Site) -> str:
    what = chance.choice(tuple(w.SCANS))
    if what == "BIN":
        return f"BIN {chance.choice(sorted(site.bins))}"
    if what == "ARTICLE":
        row = site.articles[chance.choice(sorted(site.articles))]
        return f"ARTICLE {row.sku} x{chance.choice((1, 1, 2, 12, 500))}"
    if what == "CARD":
        return f"CARD {chance.choice(CARDS)}"
    return f'RAW "{chance.choice((*RAW, _any_text(chance)))}"'


def _any_text(chance: Random) -> str:
    text = "".join(chr(chance.randint(*PRINTABLE)) for _ in range(chance.randint(1, 60)))
    return text.replace(QUOTE, "'")


def _deed(chance: Random, site: Site) -> str:
    kind = chance.choice(("order", "order", "decide by chance", "approve all", "reject all"))
    if kind != "order":
        return kind
    row = site.articles[chance.choice(sorted(site.articles))]
    return f"order {row.sku} x{chance.choice((1, 2, 5, 20, 200))}"
