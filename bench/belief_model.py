"""A warehouse as a stochastic model of events: what is booked, what goes wrong, what is counted.

No robots, scanners or messages: each day draws how often every bin is picked from, filled and
moved, and which of these, and of the bins that nobody touches, goes wrong. The same events go into
the product's own filter (central/belief/core.py), which never sees the truth.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bench.belief_walk import by_minute, minutes_of
from central.belief.core import (
    AT_D,
    COUNTED,
    DAY,
    MOVE,
    P0,
    PICK,
    PUTAWAY,
    SIGHTED,
    Beliefs,
    Floats,
    Ints,
    shifted,
)
from central.belief.settle import ADJUST_SURE, count_is_right

BINS: Final = 1_500
ZONES: Final = 5
MISCOUNT: Final = 0.02
WRONG_PICK: Final = 0.002
MISPLACED: Final = 0.005
WRONG_MOVE: Final = 0.002
THEFT_PER_DAY: Final = 0.0008
ZONE_FACTORS: Final = (0.3, 0.6, 1.0, 1.8, 4.0)
"""How carefully people work in each zone."""
BIN_SPREAD: Final = 0.7
"""Sigma of the lognormal factor of each bin: lookalike articles, bad labels, small parts."""
THIEF_ZONE: Final = 1
THIEF_FACTOR: Final = 10.0
CASE_UNITS: Final = 6
HALF: Final = 0.5


@dataclass(slots=True)
class World:
    """The truth: how many units each bin has more or less than its book."""

    rng: np.random.Generator
    picks_per_day: Floats
    puts_per_day: Floats
    moves_per_day: Floats
    factor: Floats
    theft_per_day: Floats
    zone: Ints
    off: Ints
    found: int = 0
    counts: int = 0


def make_world(seed: int) -> World:
    """Return a world: picks by a Zipf law over the bins, errors by zone and bin."""
    rng = np.random.default_rng(seed)
    zone = rng.integers(0, ZONES, BINS)
    ranks = rng.permutation(BINS) + 1.0
    picks: Floats = np.asarray(30.0 * ranks**-0.8, dtype=np.float64)
    factor = np.array(ZONE_FACTORS)[zone] * rng.lognormal(0.0, BIN_SPREAD, BINS)
    theft = THEFT_PER_DAY * rng.lognormal(0.0, BIN_SPREAD, BINS)
    theft[zone == THIEF_ZONE] *= THIEF_FACTOR
    return World(
        rng=rng, picks_per_day=picks, puts_per_day=np.asarray(picks / 8.0, dtype=np.float64),
        moves_per_day=np.full(BINS, 0.02), factor=factor, theft_per_day=theft, zone=zone,
        off=np.zeros(BINS, dtype=np.int64),
    )  # fmt: skip


def live_a_day(world: World, beliefs: Beliefs) -> None:
    """Let one day happen: in truth, and in what the filter is told."""
    rng = world.rng
    done = {
        PICK: (rng.poisson(world.picks_per_day), WRONG_PICK),
        PUTAWAY: (rng.poisson(world.puts_per_day), MISPLACED),
        MOVE: (rng.poisson(world.moves_per_day), WRONG_MOVE),
    }
    for cause, (times, share) in done.items():
        for pair in np.flatnonzero(times):
            for _ in range(times[pair]):
                beliefs.moved(int(pair), cause)
        errors = rng.binomial(times, np.minimum(share * world.factor, 0.5))
        for pair in np.flatnonzero(errors):
            for _ in range(errors[pair]):
                _go_wrong(world, int(pair), cause)
    for pair in np.flatnonzero(rng.random(BINS) < world.theft_per_day):
        world.off[pair] -= rng.integers(1, 4)


def _go_wrong(world: World, pair: int, cause: int) -> None:
    """Let one move differ from its book; what is missing here lies next door as often as not."""
    units = int(world.rng.geometric(0.4))
    if cause == PUTAWAY:
        units = CASE_UNITS * int(world.rng.integers(1, 3))
    sign = -1 if world.rng.random() < HALF else 1
    world.off[pair] += sign * units
    if world.rng.random() < HALF:
        world.off[(pair + 1) % BINS] -= sign * units


def count_bin(world: World, beliefs: Beliefs, pair: int, day: float) -> int:
    """Count a bin until it is clear what is there; return how many counts that took.

    Everybody settles a difference by the same rule: the book is adjusted once the count is more
    likely right than `ADJUST_SURE`, else it is counted again.
    """
    was_wrong = world.off[pair] != 0
    spent = 0
    before = 0
    while True:
        spent += 1
        said = int(world.off[pair])
        if world.rng.random() < MISCOUNT:
            said += (-1 if world.rng.random() < HALF else 1) * int(world.rng.geometric(0.85))
        learned = beliefs.learn(day) if said else None
        sure = 1.0
        if learned is not None:
            p = float(beliefs.probabilities(day, learned)[pair])
            sure = count_is_right(p, said, beliefs.prior.miscount, before)
        beliefs.counted(pair, said, day)
        if said and sure >= ADJUST_SURE:
            beliefs.adjusted(pair, day)
            world.off[pair] -= said
        if not said or sure >= ADJUST_SURE:
            break
        before = said
    world.counts += spent
    world.found += bool(was_wrong and world.off[pair] == 0)
    return spent


Chooser = Callable[[float], Iterable[int]]
"""Gives bins in the order in which they are counted on a day, as long as there is time."""


def by_belief(world: World, beliefs: Beliefs) -> Chooser:
    """Count what is least likely right."""
    del world

    def choose(day: float) -> list[int]:
        p = beliefs.probabilities(day, beliefs.learn(day))
        return [int(i) for i in np.argsort(p, kind="stable")]

    return choose


ROUND_MAX: Final = 60
"""More bins than anybody counts in a day."""


def by_worth(world: World, beliefs: Beliefs) -> Chooser:
    """Count what gives most errors for its walking and counting."""
    del world

    def choose(day: float) -> list[int]:
        return by_minute(1.0 - beliefs.probabilities(day, beliefs.learn(day)), ROUND_MAX)

    return choose


@dataclass(slots=True)
class Rounds:
    """Bins of one class, counted in turn."""

    queue: deque[int]
    share: float
    credit: float = field(default=0.0)


ABC_SHARES: Final = ((0.2, 6.0), (0.3, 2.0), (0.5, 1.0))
"""Share of bins by picks, and how often one is counted while a C bin is counted once."""


def by_abc(world: World, beliefs: Beliefs) -> Chooser:
    """Count A bins (the most picked) often, B less, C seldom, each class in turn."""
    del beliefs
    order = [int(i) for i in np.argsort(-world.picks_per_day, kind="stable")]
    classes, begin = [], 0
    total = sum(share * often for share, often in ABC_SHARES)
    for share, often in ABC_SHARES:
        size = round(share * BINS)
        queue = deque(order[begin : begin + size])
        classes.append(Rounds(queue, share * often / total))
        begin += size

    def choose(_day: float) -> Iterator[int]:
        while True:
            for rounds in classes:
                rounds.credit += rounds.share
            best = max(classes, key=lambda rounds: rounds.credit)
            best.credit -= 1.0
            best.queue.rotate(-1)
            yield best.queue[0]

    return choose


def by_age(world: World, beliefs: Beliefs) -> Chooser:
    """Count what was not counted for longest."""
    queue = deque(int(i) for i in world.rng.permutation(BINS))
    del beliefs

    def choose(_day: float) -> Iterator[int]:
        while True:
            queue.rotate(-1)
            yield queue[0]

    return choose


def by_aisle(world: World, beliefs: Beliefs) -> Chooser:
    """Count all bins in the order in which they stand: the least walking there is."""
    queue = deque(range(BINS))
    del world, beliefs

    def choose(_day: float) -> Iterator[int]:
        while True:
            yield queue[0]
            queue.rotate(-1)

    return choose


def by_chance(world: World, beliefs: Beliefs) -> Chooser:
    """Count any bins."""
    del beliefs
    return lambda _day: [int(i) for i in world.rng.permutation(BINS)]


CHOOSERS: Final = {
    "belief": by_belief, "belief by minute": by_worth, "ABC": by_abc, "oldest first": by_age,
    "aisle by aisle": by_aisle, "random": by_chance,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one way of counting gave in one world."""

    errors_per_count: float
    errors_per_minute: float
    """Of walking and counting."""
    wrong_share: float
    """Of bins at the ends of days."""
    stated: Floats
    right: Floats
    """Stated probabilities and truth (0 or 1) of samples of bins at the ends of days."""
    knowing: Floats
    """What who knew the true rates of every bin would state of the same samples."""


def knowing_rates(world: World, beliefs: Beliefs, day: float) -> Floats:
    """Return how sure somebody would be of each bin who knew its true rates, not what went wrong.

    As well as one can do by what was booked and counted, but for what goes wrong next door: of that
    only the mean is counted in.
    """
    state = beliefs.state[:BINS]
    days = np.maximum(0.0, day - state[:, AT_D])
    shares = np.array([WRONG_PICK, MISPLACED, WRONG_MOVE])
    own = world.factor * (state[:, :DAY] @ shares) + world.theft_per_day * days
    per_day = np.column_stack([world.picks_per_day, world.puts_per_day, world.moves_per_day])
    next_door = np.roll(HALF * world.factor * (per_day @ shares), 1) * days
    expected = state[:, P0] * np.exp(-own - next_door)
    looked = state[:, COUNTED] + state[:, SIGHTED]
    known = [shifted(float(p), float(log)) for p, log in zip(expected, looked, strict=True)]
    return np.array(known)


def play(
    seed: int, way: str, *, days: int, warm_days: int, counts_per_day: int, samples: int = 300
) -> Outcome:
    """Return what counting in one `way` gives; the first days only warm up."""
    world = make_world(seed)
    beliefs = Beliefs()
    for pair in range(BINS):
        beliefs.pair((f"{pair}", ""), f"zone-{world.zone[pair]}", 0.0)
    choose = CHOOSERS[way](world, beliefs)
    sampler = np.random.default_rng(seed + 1)
    stated, right, wrong, knowing = [], [], [], []
    budget, minutes = 0, 0.0
    for number in range(days):
        day = float(number + 1)
        live_a_day(world, beliefs)
        if number == warm_days:
            world.found = world.counts = 0
            minutes = 0.0
        if number >= warm_days:
            wrong.append(float((world.off != 0).mean()))
            some = sampler.choice(BINS, samples, replace=False)
            stated.append(beliefs.probabilities(day, beliefs.learn(day))[some])
            knowing.append(knowing_rates(world, beliefs, day)[some])
            right.append((world.off[some] == 0).astype(np.float64))
        budget += counts_per_day
        chosen = iter(choose(day))
        visited, spent = [], 0
        while budget > spent:
            visited.append(next(chosen))
            spent += count_bin(world, beliefs, visited[-1], day)
        budget -= spent
        minutes += minutes_of(visited, spent)
    return Outcome(
        errors_per_count=world.found / max(1, world.counts),
        errors_per_minute=world.found / max(1.0, minutes), wrong_share=float(np.mean(wrong)),
        stated=np.concatenate(stated), right=np.concatenate(right),
        knowing=np.concatenate(knowing),
    )  # fmt: skip
