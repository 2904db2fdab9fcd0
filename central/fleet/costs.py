"""What it costs to give a job to a robot, part by part, and that in words. Pure.

All parts are metres: so much farther away might a robot be that is better otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.jobs import Stop, TransportJob
from runtime.clock import NS_PER_S

Metres = NDArray[np.float64]
AGE_M_PER_S: Final = 0.1
"""A job that waits a second longer may be fetched from so much farther away."""
FAILED_BEFORE_M: Final = 50.0
"""A robot that gave the job back before is chosen again only where others are so much farther."""
CROWD_M: Final = 0.5
"""Each visit of another robot that is planned on the way counts as so much more way."""
LATE_M_PER_S: Final = 0.5
"""A second late counts as so much more way."""
SPEED_M_S: Final = 1.0
"""So fast a robot is taken to be, to see whether it comes too late."""
CHARGE_M: Final = 0.1
"""Each per cent that is not in the battery counts as so much more way."""
FULL_REACH_M: Final = 10_000.0
"""A full battery is taken to reach so far where the robot does not say how far."""
RESERVE_PERCENT: Final = 3.0
"""So much is never planned to be used."""
CHANGE_M: Final = 10.0
CHANGE_SHARE: Final = 0.2
"""A robot on its way keeps its job unless another one is nearer by so much, and this part of the
way: so jobs do not go to and fro."""
SHOWN_M_MIN: Final = 0.05
OTHERS_MAX: Final = 3
"""So many robots that did not get a job are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Robots that may be given jobs, in the order of their numbers."""

    numbers: Sequence[int]
    names: Sequence[str]
    ways_m: Callable[[Stop], Metres]
    """Returns each robot's way to a stop, inf where there is none."""
    crowds: Callable[[Stop, Metres], Metres] | None = None
    """Returns how many visits of others are planned on those ways."""
    rest_m: Callable[[TransportJob], float] | None = None
    """Returns the way from a job's first stop to its last one and on to a charger."""
    percent: Metres | None = None
    """Charge of each robot."""
    reach_m: Metres | None = None
    """How far each robot can drive with its charge, less a reserve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCosts:
    """What one job costs with each robot: the sum of its parts."""

    parts: Mapping[str, Metres]
    age_m: float
    charge_lacks: NDArray[np.bool_]
    """Who would come, but cannot finish and then reach a charger."""
    total: Metres
    """inf: impossible."""

    def narrowed(self, columns: Sequence[int]) -> JobCosts:
        """Return the same of a few robots alone: what is kept to be explained later."""
        return JobCosts(
            parts={name: part[columns] for name, part in self.parts.items()}, age_m=self.age_m,
            charge_lacks=self.charge_lacks[columns], total=self.total[columns],
        )  # fmt: skip

    def words(self, column: int) -> str:
        """Return the parts of one robot's cost that are worth a word."""
        found = [
            f"{name} {part[column]:.1f}"
            for name, part in self.parts.items()
            if abs(part[column]) >= SHOWN_M_MIN or name == "way"
        ]
        found += [f"age -{self.age_m:.1f}"] if self.age_m >= SHOWN_M_MIN else []
        return " + ".join(found).replace("+ age -", "- age ").replace("+ keeps -", "- keeps ")


def costs_of(
    job: TransportJob,
    candidates: Candidates,
    *,
    waited_ns: int,
    utc_ns: int,
    failed_by: Mapping[int, int],
    holder: int = -1,
    only: int = -1,
) -> JobCosts:
    """Return what the job costs with each candidate.

    `holder`: the robot that is on its way for it already; `only`: the one robot that may have it.
    """
    way_m = candidates.ways_m(job.stops[0])
    parts = {"way": way_m}
    numbers = np.asarray(candidates.numbers)
    if candidates.crowds is not None:
        parts["crowd"] = CROWD_M * candidates.crowds(job.stops[0], way_m)
    if job.due_at_ns:
        late_s = way_m / SPEED_M_S - (job.due_at_ns - utc_ns) / NS_PER_S
        parts["late"] = np.where(np.isfinite(way_m), LATE_M_PER_S * np.maximum(late_s, 0.0), 0.0)
    if candidates.percent is not None:
        parts["charge"] = CHARGE_M * (100.0 - np.minimum(candidates.percent, 100.0))
    if failed_by:
        parts["failed before"] = np.array([FAILED_BEFORE_M * failed_by.get(n, 0) for n in numbers])
    if holder >= 0:
        keeps_m = -CHANGE_M - CHANGE_SHARE * np.where(np.isfinite(way_m), way_m, 0.0)
        parts["keeps"] = np.where(numbers == holder, keeps_m, 0.0)
    age_m = AGE_M_PER_S * waited_ns / NS_PER_S
    total = sum(parts.values(), np.full(numbers.size, -age_m))
    lacks = np.zeros(numbers.size, np.bool_)
    if candidates.rest_m is not None and candidates.reach_m is not None:
        rest_m = candidates.rest_m(job)
        lacks = np.isfinite(way_m) & (way_m + rest_m > candidates.reach_m)
        total[lacks] = np.inf
    if only >= 0:
        total[numbers != only] = np.inf
    return JobCosts(parts=parts, age_m=age_m, charge_lacks=lacks, total=total)


def explainer(
    costs: JobCosts, column: int, candidates: Candidates, pinned_by: str
) -> Callable[[], str]:
    """Return what says why this robot got the job: its cost in parts, and why the others did not.

    Only the nearest others are kept for it: words are made for who asks.
    """
    order = np.argsort(costs.total, kind="stable")
    others = order[order != column]
    shown = [column, *others[:OTHERS_MAX].tolist()]
    names = [candidates.names[i] for i in shown]
    return partial(_explain, costs.narrowed(shown), names, others.size - OTHERS_MAX, pinned_by)


def lack_explainer(costs: JobCosts, candidates: Candidates) -> Callable[[], str]:
    """Return what says why no robot can have the job."""
    lacks = np.flatnonzero(costs.charge_lacks)
    names = [candidates.names[i] for i in lacks[:OTHERS_MAX].tolist()]
    return partial(_explain_lack, names, lacks.size - OTHERS_MAX)


def _explain(costs: JobCosts, names: Sequence[str], rest: int, pinned_by: str) -> str:
    words = f"{names[0]} costs {costs.total[0]:.1f} m ({costs.words(0)})"
    if pinned_by:
        return f"{words}; pinned to it by {pinned_by}"
    if not names[1:]:
        return words + "; no other robot is free"
    shown = [_why_not(costs, i, name) for i, name in enumerate(names) if i]
    text = ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
    is_least = costs.total[0] <= costs.total[1]
    return f"{words}, {'least' if is_least else 'least in sum over all jobs'}; others: {text}"


def _explain_lack(names: Sequence[str], rest: int) -> str:
    more = f" and {rest} more" if rest > 0 else ""
    return f"no robot is free that can do it: the charge of {', '.join(names)}{more} lacks"


def _why_not(costs: JobCosts, i: int, name: str) -> str:
    if np.isfinite(costs.total[i]):
        return f"{name} {costs.total[i]:.1f} m ({costs.words(i)})"
    return f"{name} cannot: its charge lacks" if costs.charge_lacks[i] else f"{name} cannot"
