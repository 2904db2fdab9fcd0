"""Errors found by counting what is least likely right, and how true the probabilities are."""

from __future__ import annotations

import statistics
from typing import Final

import numpy as np

from bench.belief_model import BINS, CHOOSERS, Outcome, play
from central.belief.core import Floats
from stockhelm.bench import Bench, Row, at_least, at_most, figure

SEEDS: Final = (1, 2, 3)
DAYS: Final = 120
WARM_DAYS: Final = 40
COUNTS_PER_DAY: Final = 25
GROUPS: Final = 10
ECE_MAX: Final = 0.05
OURS: Final = "belief"


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
    rows += [
        figure(
            f"bins that are wrong at the end of a day, beside {way}", "share",
            _median([o.wrong_share for o in ours]),
            peer=_median([o.wrong_share for o in outcomes]), peer_name=way,
        )
        for way, outcomes in found.items() if way != OURS
    ]  # fmt: skip
    rows += _calibration(bench, ours)
    return rows


def _calibration(bench: Bench, outcomes: list[Outcome]) -> list[Row]:
    stated = np.concatenate([o.stated for o in outcomes])
    right = np.concatenate([o.right for o in outcomes])
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
