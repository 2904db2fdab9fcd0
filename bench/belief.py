"""Errors found by counting what is least likely right, and how true the probabilities are."""

from __future__ import annotations

import statistics
from typing import Final

import numpy as np

from bench.belief_model import BINS, CHOOSERS, Outcome, play
from central.belief.core import DAY, INTERVALS_MAX, Beliefs, Floats
from stockhelm.bench import Bench, Row, at_least, at_most, figure

SEEDS: Final = (1, 2, 3)
DAYS: Final = 120
WARM_DAYS: Final = 40
COUNTS_PER_DAY: Final = 25
GROUPS: Final = 10
ECE_MAX: Final = 0.05
OURS: Final = "belief"
BY_MINUTE: Final = "belief by minute"
BINS_LARGE: Final = 100_000
NS_PER_MS: Final = 1e6


def run(bench: Bench) -> list[Row]:
    """Return errors found per count beside ABC, oldest first and random, and the calibration."""
    say = bench.console.print
    say(
        f"a stochastic model of events, {BINS} bins, {COUNTS_PER_DAY} counts a day for everybody,"
        f" days {WARM_DAYS + 1} to {DAYS} of each run, seeds {', '.join(map(str, SEEDS))}; medians"
    )
    found = {
        way: [
            play(seed, way, days=DAYS, warm_days=WARM_DAYS, counts_per_day=COUNTS_PER_DAY)
            for seed in SEEDS
        ]
        for way in CHOOSERS
    }
    ours = found[OURS]
    rate = _median([o.errors_per_count for o in ours])
    rows = [
        figure(
            f"errors found per count, beside {way}", "errors/count", rate,
            peer=_median([o.errors_per_count for o in outcomes]), peer_name=way,
        )
        for way, outcomes in found.items() if way != OURS
    ]  # fmt: skip
    better = _median(
        [a.errors_per_count / b.errors_per_count for a, b in zip(ours, found["ABC"], strict=True)]
    )
    rows.append(at_least("errors found per count, of ABC's, same seed", "x", better, goal=1.0))
    rows += _by_minute(found)
    rows += [
        figure(
            f"bins that are wrong at the end of a day, beside {way}", "share",
            _median([o.wrong_share for o in ours]),
            peer=_median([o.wrong_share for o in outcomes]), peer_name=way,
        )
        for way, outcomes in found.items() if way != OURS
    ]  # fmt: skip
    rows += _calibration(bench, ours)
    rows += _speed(bench)
    return rows


def _by_minute(found: dict[str, list[Outcome]]) -> list[Row]:
    """Return errors found per minute of walking and counting, of both of our ways."""
    rates = {way: _median([o.errors_per_minute for o in outs]) for way, outs in found.items()}
    rows = [
        figure(
            f"errors found per minute, {way}, beside {peer}", "errors/min", rates[way],
            peer=rates[peer], peer_name=peer,
        )
        for way in (OURS, BY_MINUTE) for peer in found if peer not in (OURS, BY_MINUTE)
    ]  # fmt: skip
    better = _median(
        [
            a.errors_per_minute / b.errors_per_minute
            for a, b in zip(found[BY_MINUTE], found["ABC"], strict=True)
        ]
    )
    what = f"errors found per minute, {BY_MINUTE}, of ABC's, same seed"
    return [*rows, at_least(what, "x", better, goal=1.0)]


def _speed(bench: Bench) -> list[Row]:
    """Return the time of the filter with so many bins, medians of three."""
    rng = np.random.default_rng(1)
    beliefs = Beliefs()
    for number in range(BINS_LARGE):
        beliefs.pair((f"{number}", ""), f"zone-{number % 20}", 0.0)
    beliefs.state[:BINS_LARGE, :DAY] = rng.poisson(3.0, (BINS_LARGE, DAY))
    for number in rng.integers(0, BINS_LARGE, INTERVALS_MAX):
        beliefs.counted(int(number), 0, 30.0)
    learning, stating = [], []
    for _ in range(3):
        begun_ns = bench.clock.monotonic_ns()
        learned = beliefs.learn(60.0)
        learned_ns = bench.clock.monotonic_ns()
        beliefs.probabilities(60.0, learned)
        stating.append((bench.clock.monotonic_ns() - learned_ns) / NS_PER_MS)
        learning.append((learned_ns - begun_ns) / NS_PER_MS)
    size = f"{BINS_LARGE} bins"
    return [
        figure(f"learning from {len(beliefs.intervals)} counts, {size}", "ms", _median(learning)),
        figure(f"probabilities of {size}", "ms", _median(stating)),
    ]


def _calibration(bench: Bench, outcomes: list[Outcome]) -> list[Row]:
    stated = np.concatenate([o.stated for o in outcomes])
    right = np.concatenate([o.right for o in outcomes])
    knowing = np.concatenate([o.knowing for o in outcomes])
    bench.console.print(f"reliability, {len(stated)} stated probabilities in {GROUPS} groups:")
    for said, was, size in reliability(stated, right):
        bar = "#" * round(was * 50)
        bench.console.print(f"  stated {said:.3f}  right {was:.3f}  ({size})  {bar}")
    errors = [calibration_error(o.stated, o.right) for o in outcomes]
    base = float(right.mean())
    brier = float(((stated - right) ** 2).mean())
    return [
        at_most(
            "expected calibration error, ten groups", "share", _median(errors), goal=ECE_MAX
        ),
        figure(
            "Brier score", "", brier, peer=base * (1.0 - base),
            peer_name="the same share stated for every bin",
        ),
        figure(
            "Brier score", "", brier, peer=float(((knowing - right) ** 2).mean()),
            peer_name="who knows the true rates of every bin",
        ),
    ]  # fmt: skip


def reliability(stated: Floats, right: Floats) -> list[tuple[float, float, int]]:
    """Return (mean stated, share right, how many) of ten groups of equal size, least sure first."""
    order = np.argsort(stated, kind="stable")
    return [
        (float(stated[part].mean()), float(right[part].mean()), len(part))
        for part in np.array_split(order, GROUPS)
    ]


def calibration_error(stated: Floats, right: Floats) -> float:
    """Return the mean distance of what is stated from what is so, over the groups."""
    return sum(abs(a - b) * n for a, b, n in reliability(stated, right)) / len(stated)


def _median(values: list[float]) -> float:
    return statistics.median(values)
