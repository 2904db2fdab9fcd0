"""From codes in a picture to what stands in which bin, and which of it is news. Pure.

A rack's picture shows each bin's label on the shelf edge, and above it the labels of the cartons
that stand in the bin. So an article label belongs to the nearest bin label below it in its own
column; a bin label with no article label above it was seen empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEAST_REACH_HEIGHTS: Final = 1.5
"""How far a column reaches to each side of its bin label, in label heights (square labels)."""
LEAST_REACH_WIDTHS: Final = 0.5
"""The same in label widths (long labels): no column is narrower than the label it carries."""
ROW_HEIGHTS: Final = 1.0
"""Bin labels whose heights in the picture differ by less than this many heights are in one row."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One barcode in a picture: AIM identifier and data (GS as 0x1D), and its corners in pixels.

    Corners begin at the code's own top left and go round clockwise, x to the right, y down.
    """

    text: str
    symbology: str
    corners: tuple[Point, Point, Point, Point]

    @property
    def centre(self) -> Point:
        """Return the middle of the corners."""
        xs, ys = zip(*self.corners, strict=True)
        return sum(xs) / 4, sum(ys) / 4

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom of the smallest upright box around the code."""
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinLabel:
    """A code that names one of our bins."""

    bin_id: str
    code: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleLabel:
    """A code that names one of our articles."""

    gtin: str
    code: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One bin as one picture shows it: how many labels of which article, () where none."""

    bin_id: str
    articles: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one picture says, and how many codes said nothing, by reason."""

    sightings: tuple[Sighting, ...]
    ignored: Mapping[str, int]


def assign(bins: Sequence[BinLabel], articles: Sequence[ArticleLabel]) -> Look:
    """Return the sightings in one picture: each article label goes to at most one bin.

    An article label with no bin label below it in its column (hidden or not decoded) is counted
    as `no_bin_below`, so that it is never given to a neighbour.
    """
    ignored: Counter[str] = Counter()
    unique = {label.bin_id: label for label in bins}
    ignored["bin_label_repeated"] += len(bins) - len(unique)
    reach = {bin_id: _reach(label, unique.values()) for bin_id, label in unique.items()}
    seen: dict[str, Counter[str]] = {bin_id: Counter() for bin_id in unique}
    for article in articles:
        x, y = article.code.centre
        below = [
            (label.code.centre[1] - y, abs(label.code.centre[0] - x), bin_id)
            for bin_id, label in unique.items()
            if label.code.centre[1] > y and abs(label.code.centre[0] - x) <= reach[bin_id]
        ]
        if below:
            seen[min(below)[2]][article.gtin] += 1
        else:
            ignored["no_bin_below"] += 1
    return Look(
        sightings=tuple(
            Sighting(bin_id=bin_id, articles=tuple(sorted(found.items())))
            for bin_id, found in sorted(seen.items())
        ),
        ignored={reason: count for reason, count in ignored.items() if count},
    )


def _reach(label: BinLabel, others: Iterable[BinLabel]) -> float:
    """Return how far to each side of a bin label its column goes, in pixels.

    The label's own size is the measure, because a neighbour's label may be hidden; a neighbour
    that is seen in the same row takes the half that is nearer to it.
    """
    left, top, right, bottom = label.code.box
    x, y = label.code.centre
    height = bottom - top
    gaps = [
        abs(other.code.centre[0] - x)
        for other in others
        if other is not label and abs(other.code.centre[1] - y) < ROW_HEIGHTS * height
    ]
    own = max(LEAST_REACH_WIDTHS * (right - left), LEAST_REACH_HEIGHTS * height)
    return min([own, *(0.5 * gap for gap in gaps)])


@dataclass(slots=True)
class _Watched:
    told: Sighting | None = None
    told_at_ns: int = 0
    last: Sighting | None = None
    same_looks: int = 0


class News:
    """Which sightings of one camera are worth telling: what changed, and everything now and then.

    A change is told once `settle_looks` pictures in a row agree, so that a label that one picture
    misses makes no event. What does not change, or does not settle, is told every `repeat_ns`.
    """

    def __init__(self, *, repeat_ns: int, settle_looks: int) -> None:
        self._repeat_ns = repeat_ns
        self._settle_looks = settle_looks
        self._watched: dict[str, _Watched] = {}

    def of(self, sightings: Iterable[Sighting], now_ns: int) -> list[Sighting]:
        """Return those of one picture's sightings that are to be told now."""
        return [seen for seen in sightings if self._is_news(seen, now_ns)]

    def _is_news(self, seen: Sighting, now_ns: int) -> bool:
        watched = self._watched.setdefault(seen.bin_id, _Watched(told_at_ns=now_ns))
        watched.same_looks = watched.same_looks + 1 if watched.last == seen else 1
        watched.last = seen
        settled = watched.same_looks >= self._settle_looks
        due = now_ns - watched.told_at_ns >= self._repeat_ns
        if (settled and seen != watched.told) or due:
            watched.told, watched.told_at_ns = seen, now_ns
            return True
        return False


def merge(sure: Sequence[Code], more: Sequence[Code]) -> list[Code]:
    """Return `sure` and what `more` adds to it.

    Of `more` (zbar's), a text that is in `sure` already is left out, because zbar says one place
    for all equal linear codes of a picture; so is a code that lies where `sure` has another one,
    because zbar joins halves of two EAN-13 side by side into a third that is not there.
    """
    texts = {code.text for code in sure}
    return [
        *sure,
        *(
            code
            for code in more
            if code.text not in texts and not any(_overlap(code, other) for other in sure)
        ),
    ]


def _overlap(one: Code, other: Code) -> bool:
    """Return whether the boxes of two codes meet. A label's quiet zone keeps two labels apart."""
    left, top, right, bottom = one.box
    left2, top2, right2, bottom2 = other.box
    return left <= right2 and left2 <= right and top <= bottom2 and top2 <= bottom


SEGMENT_GAP_PX: Final = 8.0


def place_of(points: Sequence[Point]) -> tuple[Point, Point, Point, Point]:
    """Return the place of a linear code from where scan lines left it.

    A label leaves two runs of points, one along each of its ends, so two runs that face each other
    are its two ends. Where equal labels left more runs it is not known which belong together, and
    the longest run alone, which is one end of one of them, stands for the place.
    """
    runs = _runs(points)
    if len(runs) == 2 and _face(*runs):  # noqa: PLR2004 - the two ends
        return _corners([*runs[0], *runs[1]])
    return _corners(max(runs, key=len))


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points in groups by nearness, leftmost and topmost group first."""
    runs: list[list[Point]] = []
    for x, y in sorted(set(points), key=lambda point: (point[1], point[0])):
        near = [
            run
            for run in runs
            if any(abs(x - a) <= SEGMENT_GAP_PX and abs(y - b) <= SEGMENT_GAP_PX for a, b in run)
        ]
        joined = [point for run in near for point in run]
        runs = [run for run in runs if run not in near]
        runs.append([*joined, (x, y)])
    return sorted(runs, key=lambda run: (min(p[0] for p in run), min(p[1] for p in run)))


def _face(run: Sequence[Point], other: Sequence[Point]) -> bool:
    """Return whether two runs can be the two ends of one label: side by side along their length."""
    across = 0 if _length(run, 1) >= _length(run, 0) else 1
    along = 1 - across
    low = max(min(p[along] for p in run), min(p[along] for p in other))
    high = min(max(p[along] for p in run), max(p[along] for p in other))
    return high - low >= 0.5 * min(_length(run, along), _length(other, along))


def _length(run: Sequence[Point], axis: int) -> float:
    return max(p[axis] for p in run) - min(p[axis] for p in run)


def _corners(points: Sequence[Point]) -> tuple[Point, Point, Point, Point]:
    xs, ys = zip(*points, strict=True)
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return (left, top), (right, top), (right, bottom), (left, bottom)
