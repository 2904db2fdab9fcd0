"""Assignment: exact and within a gap, after changes, beside scipy in the same run; cold start."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from bench.machine import seconds_since
from central.fleet.assignment import Matcher
from runtime.clock import Clock
from stockhelm.bench import Bench, BenchError, Row, at_least, at_most, figure

Costs = NDArray[np.float64]
RUNS: Final = 3
SEED: Final = 1
WIDE: Final = (2_000, 10_000)
SQUARE: Final = (5_000, 5_000)
WIDE_S_MAX: Final = 0.1
CHANGES: Final = 50
CHANGES_MS_MAX: Final = 5.0
GAP: Final = 0.005
TIMES_MIN: Final = 4.0
SIDE: Final = 150
TOWNS: Final = 12
COLD_S_MAX: Final = 1.0
IMPORT_S_MAX: Final = 300
LOADED: Final = """
import time, numpy as np
begun = time.perf_counter()
from central.fleet import assignment, kernels
assignment.match(np.random.default_rng(1).random((50, 60)))
print(time.perf_counter() - begun)
"""


def run(bench: Bench, progress: Progress) -> list[Row]:
    """Return the figures, medians of three, ours and the peer's in turns."""
    bar = progress.add_task("assignment", total=2 * len(KINDS) + 1)
    rows = []
    for name in KINDS:
        progress.update(bar, description=f"assignment, exact: {name}")
        rows += _wide(bench.clock, name)
        progress.advance(bar)
    for name in KINDS:
        progress.update(bar, description=f"assignment beside scipy: {name}")
        rows += _square(bench.clock, name, full=bench.full)
        progress.advance(bar)
    progress.update(bar, description="assignment: cold start")
    rows.append(_cold(bench))
    progress.advance(bar)
    return rows


def spread(rng: np.random.Generator, rows: int, columns: int) -> Costs:
    """Return costs that are independent and evenly spread."""
    return rng.random((rows, columns))


def grid(rng: np.random.Generator, rows: int, columns: int) -> Costs:
    """Return ways over a floor of square cells, and up to 3 more where the goal is in a crowd."""
    a = rng.integers(0, SIDE, (rows, 2)).astype(np.float64)
    b = rng.integers(0, SIDE, (columns, 2)).astype(np.float64)
    crowd = rng.integers(0, 4, columns).astype(np.float64)
    return _ways(a, b) + crowd[None, :]


def towns(rng: np.random.Generator, rows: int, columns: int) -> Costs:
    """Return ways between crowds: almost all that are in one have the same choices."""
    a = rng.random((TOWNS, 2))[rng.integers(0, TOWNS, rows)] * 1_000
    b = rng.random((TOWNS, 2))[rng.integers(0, TOWNS, columns)] * 1_000
    return _ways(a + rng.normal(0, 20, (rows, 2)), b + rng.normal(0, 20, (columns, 2)))


def _ways(a: Costs, b: Costs) -> Costs:
    ways: Costs = np.abs(a[:, None, 0] - b[None, :, 0]) + np.abs(a[:, None, 1] - b[None, :, 1])
    return ways


KINDS: Final[dict[str, Callable[[np.random.Generator, int, int], Costs]]] = {
    "spread costs": spread,
    "ways on a grid": grid,
    "ways between crowds": towns,
}


def _wide(clock: Clock, name: str) -> list[Row]:
    """Return the rows of an exact matching of fewer rows than columns, and of changes to it."""
    rng = np.random.default_rng(SEED)
    rows, columns = WIDE
    cost, other = KINDS[name](rng, *WIDE), KINDS[name](rng, *WIDE)
    peer = _scipy()
    ours_s, peer_s, total = [], [], 0.0
    for _ in range(RUNS):
        begun_ns = clock.monotonic_ns()
        matcher = Matcher(cost.copy())
        copied_s = seconds_since(clock, begun_ns)
        total = matcher.solve().total
        ours_s.append(seconds_since(clock, begun_ns))
        begun_ns = clock.monotonic_ns()
        cost.copy()
        ours_s[-1] -= min(copied_s, seconds_since(clock, begun_ns))
        if peer is not None:
            begun_ns = clock.monotonic_ns()
            found = peer(cost)
            peer_s.append(seconds_since(clock, begun_ns))
            _check(total, float(cost[found].sum()), 1.0 + 1e-9)
    _check(matcher.prove(), total, 1.0 + 1e-9)
    what = f"assignment {rows} x {columns}, exact, {name}"
    spent = median(peer_s) if peer_s else None
    made = at_most(what, "s", median(ours_s), goal=WIDE_S_MAX, peer=spent, peer_name="scipy")
    if name == "ways between crowds":  # the goal is not for these
        made = figure(what, "s", median(ours_s), peer=spent, peer_name="scipy")
    return [made, *(_changed(clock, name, kind, matcher, other) for kind in ("rows", "columns"))]


def _changed(clock: Clock, name: str, kind: str, matcher: Matcher, other: Costs) -> Row:
    rng = np.random.default_rng(SEED)
    size = other.shape[0 if kind == "rows" else 1]
    ms = []
    for _ in range(RUNS):
        chosen = rng.choice(size, CHANGES, replace=False)
        costs = np.ascontiguousarray(other[chosen] if kind == "rows" else other[:, chosen])
        begun_ns = clock.monotonic_ns()
        change = matcher.change_rows if kind == "rows" else matcher.change_columns
        total = change(chosen, costs).total
        ms.append(seconds_since(clock, begun_ns) * 1e3)
    _check(matcher.prove(), total, 1.0 + 1e-9)
    what = f"the same after {CHANGES} {kind} changed, exact, {name}"
    if name == "ways between crowds":
        return figure(what, "ms", median(ms))
    return at_most(what, "ms", median(ms), goal=CHANGES_MS_MAX)


def _square(clock: Clock, name: str, *, full: bool) -> list[Row]:
    """Return the rows of a matching within a gap, beside scipy's."""
    rows, columns = SQUARE
    cost = KINDS[name](np.random.default_rng(SEED), *SQUARE)
    # The peer needs minutes for crowds.
    peer = _scipy() if full or name != "ways between crowds" else None
    ours_s, peer_s, least = [], [], 0.0
    for _ in range(RUNS):
        begun_ns = clock.monotonic_ns()
        matcher = Matcher(cost)
        found = matcher.solve(GAP)
        ours_s.append(seconds_since(clock, begun_ns))
        if peer is not None:
            begun_ns = clock.monotonic_ns()
            pairs = peer(cost)
            peer_s.append(seconds_since(clock, begun_ns))
            least = float(cost[pairs].sum())
    proven = max(0.0, found.total / matcher.prove() - 1.0)
    what = f"assignment {rows} x {columns}, {name}"
    spent = median(peer_s) if peer_s else None
    made = [
        figure(what, "s", median(ours_s), peer=spent, peer_name="scipy" if spent else None),
        at_most(f"{what}: gap proven by prices", "%", 100 * proven, goal=100 * GAP),
    ]
    if spent is not None:
        over = 100 * max(0.0, found.total / least - 1.0)
        made += [
            at_least(
                f"{what}: times faster than scipy", "", spent / median(ours_s), goal=TIMES_MIN
            ),
            figure(f"{what}: above scipy's sum", "%", over),
        ]
    return made


def _scipy() -> Any:
    """Return scipy's assignment, None where scipy is not installed."""
    try:
        return importlib.import_module("scipy.optimize").linear_sum_assignment
    except ImportError:
        return None


def _check(bound: float, total: float, share: float) -> None:
    if total > bound * share + 1e-6:
        raise BenchError(f"an exact matching costs {total}, and {bound} was to be had")


def _cold(bench: Bench) -> Row:
    """Return how long a fresh process needs for the fleet's kernels from the cache, used once."""
    begun = {**os.environ, "NUMBA_CACHE_DIR": str(bench.directory / "numba")}
    seconds = []
    for _ in range(1 + RUNS):  # the first one compiles
        done = subprocess.run(
            [sys.executable, "-c", LOADED], env=begun, capture_output=True, check=True,
            timeout=IMPORT_S_MAX, text=True,
        )  # fmt: skip
        seconds.append(float(done.stdout))
    return at_most(
        "the fleet's kernels from the cache, a process anew", "s", median(seconds[1:]),
        goal=COLD_S_MAX,
    )  # fmt: skip
