"""Which bin owns which article label, whatever the picture shows; and what of it is news."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edge.vision.core import ArticleLabel, BinLabel, Code, News, Sighting, assign

NS = 1_000_000_000


def label_at(text: str, x: float, y: float, width: float, height: float) -> Code:
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Code(text=text, symbology="any", corners=corners)


@dataclass(frozen=True)
class Shown:
    """A drawn rack: its labels, and which bin each article label truly stands in."""

    bins: tuple[BinLabel, ...]
    articles: tuple[ArticleLabel, ...]
    truth: dict[str, Counter[str]]


@st.composite
def racks(draw: st.DrawFn, *, all_bin_labels: bool) -> Shown:
    """Draw a rack of shelves and columns; a label is off its column's middle by up to a tenth."""
    columns = draw(st.integers(1, 5))
    shelves = draw(st.integers(1, 3))
    pitch, height = draw(st.floats(180, 400)), draw(st.floats(200, 400))
    wide = draw(st.booleans())
    name_width, name_height = (0.85 * pitch, 0.2 * pitch) if wide else (0.3 * pitch, 0.3 * pitch)
    off = st.floats(-0.1 * pitch, 0.1 * pitch)
    bins, articles, truth = [], [], {}
    for shelf in range(shelves):
        for column in range(columns):
            bin_id = f"B-{shelf}-{column}"
            x, edge = (column + 0.5) * pitch, (shelf + 1) * height
            code = label_at(bin_id, x + draw(off) / 4, edge, name_width, name_height)
            shown = all_bin_labels or draw(st.booleans())
            if shown:
                bins.append(BinLabel(bin_id=bin_id, code=code))
                truth[bin_id] = Counter[str]()
            for level in range(draw(st.integers(0, 3))):
                gtin = f"{draw(st.integers(1, 3)):014}"
                y = edge - 0.25 * height - level * 0.2 * height
                code = label_at(gtin, x + draw(off), y, 0.6 * pitch, 0.15 * height)
                articles.append(ArticleLabel(gtin=gtin, code=code))
                if shown:
                    truth[bin_id][gtin] += 1
    order = draw(st.permutations(articles))
    return Shown(tuple(bins), tuple(order), truth)


def seen(shown: Shown) -> dict[str, Counter[str]]:
    look = assign(shown.bins, shown.articles)
    return {sighting.bin_id: Counter(dict(sighting.articles)) for sighting in look.sightings}


@given(racks(all_bin_labels=True))
def test_every_article_belongs_to_the_bin_that_it_stands_in(shown: Shown) -> None:
    assert seen(shown) == shown.truth


@given(racks(all_bin_labels=False))
def test_a_bin_whose_label_is_hidden_gives_its_articles_to_no_neighbour_beside_it(
    shown: Shown,
) -> None:
    columns = {bin_id: bin_id.rsplit("-", 1)[1] for bin_id in shown.truth}
    truth_by_column: dict[str, Counter[str]] = {}
    for article in shown.articles:
        column = min(
            range(5), key=lambda c: abs((c + 0.5) * _pitch(shown) - article.code.centre[0])
        )
        truth_by_column.setdefault(str(column), Counter())[article.gtin] += 1
    for bin_id, articles in seen(shown).items():
        assert articles <= truth_by_column.get(columns[bin_id], Counter())


def _pitch(shown: Shown) -> float:
    widths = [a.code.box[2] - a.code.box[0] for a in shown.articles]
    return widths[0] / 0.6 if widths else 1.0


@given(racks(all_bin_labels=False))
def test_every_bin_label_is_one_sighting_and_every_article_is_counted_once(shown: Shown) -> None:
    look = assign(shown.bins, shown.articles)
    assert [s.bin_id for s in look.sightings] == sorted(shown.truth)
    counted = sum(count for s in look.sightings for _, count in s.articles)
    assert counted + look.ignored.get("no_bin_below", 0) == len(shown.articles)


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.sampled_from([(), (("1", 1),), (("1", 2),)])), max_size=60
    )
)
def test_news_are_settled_changes_and_a_repeat_at_least_every_interval(
    looks: list[tuple[int, tuple[tuple[str, int], ...]]],
) -> None:
    news = News(repeat_ns=30 * NS, settle_looks=2)
    now_ns, told_at_ns, told, before = 0, None, None, None
    for step_s, articles in looks:
        now_ns += step_s * NS
        told_at_ns = now_ns if told_at_ns is None else told_at_ns
        sighting = Sighting(bin_id="B", articles=articles)
        is_told = news.of([sighting], now_ns) == [sighting]
        settled = sighting == before
        assert is_told == ((settled and sighting != told) or now_ns - told_at_ns >= 30 * NS)
        if is_told:
            told, told_at_ns = sighting, now_ns
        before = sighting
