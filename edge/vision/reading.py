"""Codes to labels: which of the codes in a picture name our bins and articles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from edge.scanning import gs1
from edge.vision.core import ArticleLabel, BinLabel, Code, Look, assign


class Reader:
    """Knows the labels of one edge: its site's GLN, its bins, the articles."""

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
        said = gs1.read_label(code.text)
        if isinstance(said, gs1.Refused):
            return said.code
        if isinstance(said, gs1.BinLabel):
            if said.gln != self._gln:
                return "foreign_site"
            return BinLabel(bin_id=said.bin_id, code=code) if self._owns(said) else "foreign_bin"
        if isinstance(said, gs1.ArticleLabel):
            known = said.gtin in self._articles
            return ArticleLabel(gtin=said.gtin, code=code) if known else "unknown_article"
        return "command"

    def _owns(self, label: gs1.BinLabel) -> bool:
        return label.bin_id in self._bins
