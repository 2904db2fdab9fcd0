"""Codes to labels: which of the codes in a picture name our bins and articles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import biip
from biip.gs1_messages import GS1Message

from edge.vision.core import ArticleLabel, BinLabel, Code, Look, assign
from wire.ids import IdError, parse_gtin

_GS1 = ("]C1", "]d2", "]Q3", "]e0")
_EAN = ("]E0", "]E4")


class Reader:
    """Knows the labels of one site: its GLN, its bins, its articles."""

    def __init__(self, *, gln: str, bins: Collection[str], articles: Collection[str]) -> None:
        self._gln = gln
        self._bins = bins
        self._articles = articles

    def look(self, codes: Sequence[Code]) -> Look:
        """Return the sightings in one picture's codes, and what was ignored, by reason."""
        ignored: Counter[str] = Counter()
        bins: list[BinLabel] = []
        articles: list[ArticleLabel] = []
        for code in codes:
            label = self.label(code)
            if isinstance(label, BinLabel):
                bins.append(label)
            elif isinstance(label, ArticleLabel):
                articles.append(label)
            else:
                ignored[label] += 1
        look = assign(bins, articles)
        return Look(sightings=look.sightings, ignored=ignored + Counter(look.ignored))

    def label(self, code: Code) -> BinLabel | ArticleLabel | str:
        """Return what a code names, or why it says nothing to us."""
        prefix, data = code.text[:3], code.text[3:]
        if prefix in _EAN:
            return self._article(data, code)
        if prefix not in _GS1:
            return "not_gs1"
        try:
            message = GS1Message.parse(data)
        except biip.ParseError:
            return "bad_gs1"
        values = {element.ai.ai: element.value for element in message.element_strings}
        if "254" in values:
            if values.get("414") != self._gln:
                return "foreign_site"
            bin_id = values["254"]
            return BinLabel(bin_id=bin_id, code=code) if bin_id in self._bins else "foreign_bin"
        return self._article(values["01"], code) if "01" in values else "no_article"

    def _article(self, digits: str, code: Code) -> ArticleLabel | str:
        try:
            gtin = parse_gtin(digits)
        except IdError:
            return "bad_gs1"
        if gtin not in self._articles:
            return "unknown_article"
        return ArticleLabel(gtin=gtin, code=code)
