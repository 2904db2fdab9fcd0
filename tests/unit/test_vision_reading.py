"""Codes of a picture become sightings of our bins; what is not ours is counted by reason."""

from __future__ import annotations

import pytest

from edge.vision.core import ArticleLabel, BinLabel, Code, Sighting
from edge.vision.reading import Reader
from tests.rack import GLN, gtin


def code(text: str, x: float = 100, y: float = 100) -> Code:
    corners = ((x - 50, y - 50), (x + 50, y - 50), (x + 50, y + 50), (x - 50, y + 50))
    return Code(text=text, symbology="any", corners=corners)


@pytest.fixture
def reader() -> Reader:
    return Reader(gln=GLN, bins={"A-01", "A-02"}, articles={gtin(1), gtin(2)})


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (f"]Q3414{GLN}254A-01", "A-01"),
        (f"]C1414{GLN}254A-02", "A-02"),
        (f"]E0{gtin(1)[1:]}", gtin(1)),
        (f"]d201{gtin(2)}3712", gtin(2)),
        (f"]C101{gtin(1)}", gtin(1)),
        (f"]C0414{GLN}254A-01", "not_gs1"),
        ("]Q1https://example.com", "not_gs1"),
        (f"]Q3414{GLN}254Z-99", "foreign_bin"),
        ("]Q34144006381333931254A-01", "foreign_site"),
        (f"]C101{gtin(9)}", "unknown_article"),
        (f"]E0{gtin(1)[1:13]}{(int(gtin(1)[13]) + 1) % 10}", "bad_check_digit"),
        ("]C1", "malformed"),
        ("]C191SH-PICK", "command"),
    ],
)
def test_a_code_names_a_bin_an_article_or_a_reason(reader: Reader, text: str, meaning: str) -> None:
    label = reader.label(code(text))
    if isinstance(label, BinLabel):
        assert label.bin_id == meaning
    elif isinstance(label, ArticleLabel):
        assert label.gtin == meaning
    else:
        assert label == meaning


def test_a_look_has_full_bins_empty_bins_and_reasons(reader: Reader) -> None:
    look = reader.look(
        [
            code(f"]Q3414{GLN}254A-01", 100, 600),
            code(f"]Q3414{GLN}254A-02", 400, 600),
            code(f"]E0{gtin(1)[1:]}", 105, 400),
            code(f"]E0{gtin(1)[1:]}", 95, 200),
            code(f"]d201{gtin(2)}3712", 100, 300),
            code("]C0POSTER", 400, 300),
            code(f"]E0{gtin(2)[1:]}", 900, 300),
        ]
    )
    assert look.sightings == (
        Sighting(bin_id="A-01", articles=((gtin(1), 2), (gtin(2), 1))),
        Sighting(bin_id="A-02", articles=()),
    )
    assert look.ignored == {"not_gs1": 1, "no_bin_below": 1}
