"""Counting rounds: which bins, by whose eyes, so that a minute of work finds the most errors.

An eye finds a wrong book with share f, and a look at bin i takes c_i seconds. With w_i the
probability that its book is wrong, W the walk (or flight) and the start of a round over bins R:

    rate(R) = sum f_i w_i / (W(R) + sum c_i)            expected errors found per second

For each bin the cheapest eye is taken: the least cost per expected error, where a drone's and a
camera's minute cost a share of a person's. Then each eye's round grows from its best bin: the bin
with the best rate for the detour to it is added, so that neighbours in an aisle go together; a
person's round ends where that would lower the rate of the whole round (the marginal value theorem).

Sources: marginal value: Charnov, "Optimal foraging, the marginal value theorem", Theoretical
Population Biology 9(2), 1976; ratio of gain to time: Dinkelbach, "On nonlinear fractional
programming", Management Science 13(7), 1967. Growing by detour is ours, and no optimum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from central.replenish.numbers import Numbers
from wire.messages import COUNT_STOPS_MAX
from wire.site import BinRow

Floats = NDArray[np.float64]
EyeKind = Literal["camera", "drone", "person"]
FIRSTS_MAX: Final = 8
"""So many bins are tried as the one that a round grows from."""
KIND_ROUNDS_MAX: Final = 4
"""Rounds of cameras, of drones and of people that one plan begins; the next plan goes on."""
WRONG_MIN: Final = 1e-3
"""No book is surer than that: what was never looked at comes up in the end."""
AGAIN_D: Final = 7.0
"""A second look from afar at what nobody touched finds what went wrong since: this is its scale."""
AGAIN_MIN: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What looking costs one kind of eye, and what it finds."""

    start_s: float
    """To begin a round: get ready, take off and land."""
    bin_s: float
    """At each bin, beside the way."""
    unit_s: float
    """At each bin, for each unit that the book has there."""
    bin_s_max: float
    speed_mps: float
    minute: float
    """What its minute costs, in minutes of a person."""
    finds: float
    """Share of the wrong books that a look shows."""
    is_far: bool
    """Whether it sees labels from afar, not units: the same look again says nothing new."""


COSTS: Final[Mapping[EyeKind, Cost]] = {
    "camera": Cost(
        start_s=0.0, bin_s=1.0, unit_s=0.0, bin_s_max=1.0, speed_mps=1e6,
        minute=0.01, finds=0.30, is_far=True,
    ),
    "drone": Cost(
        start_s=30.0, bin_s=5.0, unit_s=0.0, bin_s_max=5.0, speed_mps=1.5,
        minute=0.2, finds=0.30, is_far=True,
    ),
    "person": Cost(
        start_s=30.0, bin_s=10.0, unit_s=0.3, bin_s_max=120.0, speed_mps=1.2,
        minute=1.0, finds=0.98, is_far=False,
    ),
}  # fmt: skip
"""A wrong book shows itself to a camera or drone in 0.3 of the looks: 1 - P(as booked | wrong) of
`central.belief.core.SEEN_AS_BOOKED`; a person miscounts `Prior.miscount`. Times are our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Somebody or something that can look at bins."""

    kind: EyeKind
    name: str
    """Drone or camera; empty: whoever of the edge's people counts."""
    edge_id: str
    bins: frozenset[str]
    busy: bool = False
    """A round of it is open: it begins no other one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One bin that may be looked at."""

    row: BinRow
    wrong: float
    """How likely its book is wrong."""
    units: int
    """What the book has there."""
    seen_d: float
    """Days since the last look; negative: never."""
    changed: bool
    """Whether anything was booked there since."""
    holds: bool
    """Whether the book knows of an article there: a person can say how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRound:
    """One round: these bins, in this order."""

    eye: Eye
    chosen: tuple[Candidate, ...]
    eligible: int
    finds: tuple[float, ...]
    count_s: tuple[float, ...]
    walk_s: float
    refused: tuple[str, ...]
    """The alternatives, in words, with what they would cost."""


def finds_share(kind: EyeKind, item: Candidate) -> float:
    """Return the share of wrong books that this look shows."""
    cost = COSTS[kind]
    if not cost.is_far or item.changed or item.seen_d < 0:
        return cost.finds
    again = 1.0 - float(np.exp(-item.seen_d / AGAIN_D))
    return cost.finds * max(AGAIN_MIN, again)


def count_seconds(kind: EyeKind, item: Candidate) -> float:
    """Return how long the look itself takes, without the way."""
    cost = COSTS[kind]
    return min(cost.bin_s + cost.unit_s * max(0, item.units), cost.bin_s_max)


def price(kind: EyeKind, item: Candidate) -> float:
    """Return what an expected error costs in minutes of a person, in a round of some bins."""
    cost = COSTS[kind]
    share_of_start_s = cost.start_s / 5.0
    minutes = (share_of_start_s + count_seconds(kind, item)) / 60.0
    return cost.minute * minutes / max(finds_share(kind, item) * item.wrong, 1e-9)


def can_look(eye: Eye, item: Candidate) -> bool:
    """Return whether this eye can say anything new of a bin.

    A person is told which article to count; a camera looks all the time, and tells what changes.
    """
    if item.row.bin_id not in eye.bins:
        return False
    if eye.kind == "camera":
        return finds_share("camera", item) > AGAIN_MIN * COSTS["camera"].finds
    return eye.kind != "person" or item.holds


def cheapest(eyes: Sequence[Eye], items: Sequence[Candidate]) -> dict[int, list[int]]:
    """Return by eye (its place in `eyes`) the bins that it looks at for the least."""
    eyes_of: dict[str, list[int]] = {}
    for number, eye in enumerate(eyes):
        for bin_id in eye.bins:
            eyes_of.setdefault(bin_id, []).append(number)
    found: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        able = [
            (price(eyes[number].kind, item), number)
            for number in eyes_of.get(item.row.bin_id, ())
            if can_look(eyes[number], item)
        ]
        if able:
            found.setdefault(min(able)[1], []).append(index)
    return found


def rounds_of(
    eyes: Sequence[Eye], items: Sequence[Candidate], *, bins_max: int, per_h_min: float
) -> list[CountRound]:
    """Return at most one round per eye that is not busy, best rate for its cost first.

    A person is not sent where the round would find fewer than `per_h_min` errors an hour. A drone
    for which no bin is left looks at what it can see: it would stand on the ground else. Of each
    kind of eye KIND_ROUNDS_MAX rounds begin at a time, those that find most.
    """
    found = []
    given = cheapest(eyes, items)
    for number, eye in enumerate(eyes):
        own = [items[index] for index in given.get(number, ())]
        if not own and eye.kind == "drone":
            own = [item for item in items if can_look(eye, item)]
        if eye.busy or not own:
            continue
        one = _round(eye, eyes, own, bins_max)
        if eye.kind != "person" or rate_per_h(one) >= per_h_min:
            found.append(one)
    found.sort(key=lambda one: (-_worth(one), one.eye.edge_id, one.eye.kind, one.eye.name))
    begun: Counter[str] = Counter()
    first = []
    for one in found:
        begun[one.eye.kind] += 1
        if begun[one.eye.kind] <= KIND_ROUNDS_MAX:
            first.append(one)
    return first


def rate_per_h(one: CountRound) -> float:
    """Return how many errors an hour of this round finds."""
    errors = sum(f * item.wrong for f, item in zip(one.finds, one.chosen, strict=True))
    return 3_600.0 * errors / (one.walk_s + sum(one.count_s))


def _worth(one: CountRound) -> float:
    return rate_per_h(one) / COSTS[one.eye.kind].minute


def _round(eye: Eye, eyes: Sequence[Eye], own: list[Candidate], bins_max: int) -> CountRound:
    cost = COSTS[eye.kind]
    finds = np.array([finds_share(eye.kind, item) for item in own])
    spent_s = np.array([count_seconds(eye.kind, item) for item in own])
    gain = finds * np.array([item.wrong for item in own])
    age_d = np.array([np.inf if item.seen_d < 0 else item.seen_d for item in own])
    at = np.array([(i.row.x_m, i.row.y_m, i.row.z_m if cost.is_far else 0.0) for i in own])
    most = min(bins_max, COUNT_STOPS_MAX) if eye.kind == "person" else bins_max
    firsts = _best_few(gain / spent_s, age_d)
    grown = [
        _grow(first, gain, spent_s, at, age_d, cost, most, ends=eye.kind == "person")
        for first in firsts
    ]
    chosen, passed, _ = max(grown, key=lambda one: one[2])
    chosen = _in_order(chosen, at, own)
    walk_s = cost.start_s + way_m(at[chosen]) / cost.speed_mps
    picked = tuple(own[i] for i in chosen)
    refused = [*_other_eyes(eyes, eye, picked)]
    if passed is not None:
        bin_id, rate = own[passed[0]].row.bin_id, passed[1] * 3_600.0
        refused.append(f"{bin_id} beside them: {rate:.3g} errors an hour for the detour")
    return CountRound(
        eye=eye, chosen=picked, eligible=len(own),
        finds=tuple(float(finds[i]) for i in chosen),
        count_s=tuple(float(spent_s[i]) for i in chosen),
        walk_s=float(walk_s), refused=tuple(refused),
    )  # fmt: skip


def _best_few(rates: Floats, age_d: Floats) -> list[int]:
    """Return the bins that rounds grow from, the best rate first, of equal ones the oldest."""
    few = min(FIRSTS_MAX, len(rates))
    cut = np.partition(rates, len(rates) - few)[len(rates) - few]
    able = np.flatnonzero(rates >= cut)
    return [int(i) for i in sorted(able, key=lambda i: (-rates[i], -age_d[i], i))[:few]]


def _grow(
    first: int, gain: Floats, spent_s: Floats, at: Floats, age_d: Floats, cost: Cost, most: int,
    *, ends: bool,
) -> tuple[list[int], tuple[int, float] | None, float]:  # fmt: skip
    """Return the bins taken; the best one that was not, with its rate per second; and the rate.

    Of equal ones the longest unseen goes first. Cost O(bins * most), in numpy.
    """
    away_m = np.zeros(len(gain))
    free = np.ones(len(gain), dtype=bool)
    chosen: list[int] = []
    errors, seconds = 0.0, cost.start_s
    passed = None
    while free.any():
        rates = np.where(free, gain / (spent_s + away_m / cost.speed_mps), -1.0)
        best = float(rates.max())
        equal = np.flatnonzero(rates >= best * (1.0 - 1e-9))
        index = int(equal[np.argmax(age_d[equal])]) if chosen else first
        if len(chosen) == most or (ends and chosen and best < errors / seconds):
            passed = (index, best)
            break
        chosen.append(index)
        errors += float(gain[index])
        seconds += float(spent_s[index] + away_m[index] / cost.speed_mps)
        free[index] = False
        reach_m = np.abs(at - at[index]).sum(axis=1)
        away_m = reach_m if len(chosen) == 1 else np.minimum(away_m, reach_m)
    return chosen, passed, errors / seconds


def _in_order(chosen: list[int], at: Floats, own: list[Candidate]) -> list[int]:
    """Return the bins in the order of the way: always on to the nearest, from the first in x."""
    left = sorted(chosen, key=lambda i: (*at[i], own[i].row.bin_id))
    ordered = [left.pop(0)]
    while left:
        here = at[ordered[-1]]
        away = [float(np.abs(at[i] - here).sum()) for i in left]
        ordered.append(left.pop(int(np.argmin(away))))
    return ordered


def way_m(at: Floats) -> float:
    """Return the length of the way along the aisles: east and north apart, and up."""
    return float(np.abs(np.diff(at, axis=0)).sum())


def _other_eyes(eyes: Sequence[Eye], eye: Eye, picked: Sequence[Candidate]) -> list[str]:
    """Return what the other eyes would cost for the same bins, in words."""
    texts = []
    seen = {eye.kind}
    for other in eyes:
        if other.kind in seen or not all(can_look(other, item) for item in picked):
            continue
        seen.add(other.kind)
        per_error = sum(price(other.kind, item) for item in picked) / len(picked)
        texts.append(f"{other.kind}: {per_error:.3g} minutes of a person per error")
    return texts


def round_numbers(one: CountRound) -> Numbers:
    """Return what recomputes the rate of a round (`recompute_rate`)."""
    own = sum(price(one.eye.kind, item) for item in one.chosen) / len(one.chosen)
    numbers: Numbers = {
        "bins": " ".join(item.row.bin_id for item in one.chosen),
        "eye": one.eye.kind,
        "eye_name": one.eye.name,
        "eye_edge": one.eye.edge_id,
        "wrong_shares": " ".join(f"{item.wrong:.6g}" for item in one.chosen),
        "finds_shares": " ".join(f"{share:.6g}" for share in one.finds),
        "count_seconds": " ".join(f"{seconds:.6g}" for seconds in one.count_s),
        "walk_s": round(one.walk_s, 3),
        "minutes_per_error": round(own, 6),
        "refused": "; ".join(one.refused),
        "eligible_bins": one.eligible,
    }
    return numbers | {"errors_per_h": recompute_rate(numbers)}


def recompute_rate(numbers: Numbers) -> float:
    """Return the errors per hour of a round again, from nothing but the numbers it carries."""
    wrong, finds, seconds = (
        [float(value) for value in str(numbers[key]).split()]
        for key in ("wrong_shares", "finds_shares", "count_seconds")
    )
    errors = sum(w * f for w, f in zip(wrong, finds, strict=True))
    return round(3_600.0 * errors / (float(numbers["walk_s"]) + sum(seconds)), 6)
