"""The jobs in hand: who waits, who has which, and who gets what and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from central.fleet.jobs import Stop, TransportJob
from central.fleet.kernels import assign

Metres = NDArray[np.float64]
NOBODY: Final = -1
JOBS_MAX: Final = 10_000
ATTEMPTS_MAX: Final = 4
AGE_M_PER_S: Final = 0.1
"""A job that waits a second longer may be fetched from so much farther away."""
FAILED_BEFORE_M: Final = 50.0
"""A robot that gave the job back before is chosen again only where others are so much farther."""
NO_WAY_M: Final = 1e9
SCANNED_PER_ROBOT_MAX: Final = 4
"""So many jobs per free robot are looked at for one that some free robot can reach."""
NAMED_OTHERS_MAX: Final = 3
NO_ROBOT: Final = "no robot is free that can go there"
NO_DUE_NS: Final = 2**63


def _no_robot() -> str:
    return NO_ROBOT


class BookFullError(Exception):
    """There are too many jobs; the text says how many are taken."""


@dataclass(slots=True)
class Entry:
    """A job in hand."""

    job: TransportJob
    since_ns: int
    robot: int = NOBODY
    started: bool = False
    """Its robot got an order for it: no other robot gets it unless this one gives it back."""
    stop_index: int = 0
    attempts: int = 0
    failed_by: dict[int, int] = field(default_factory=dict)
    """How often each robot gave it back."""
    explain: Callable[[], str] = _no_robot
    """Returns why it has this robot, or none: in words, which few ask for."""

    @property
    def reason(self) -> str:
        """Return why it has this robot, or none."""
        return self.explain()

    @reason.setter
    def reason(self, words: str) -> None:
        self.explain = partial(str, words)

    @property
    def stop(self) -> Stop:
        """Return the stop that is next."""
        return self.job.stops[self.stop_index]


class JobBook:
    """All jobs that are neither done nor given back."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._given: list[Entry] = []
        self._waiting: list[Entry] | None = None
        """The most urgent first; None: not known since a job came, was begun or went."""
        self._sorted_at_ns = 0
        self._sorted_until_ns = 0

    def submit(self, job: TransportJob, now_ns: int) -> bool:
        """Take a job; False where it is in hand already. Raises BookFullError."""
        if job.job_id in self.entries:
            return False
        if len(self.entries) >= JOBS_MAX:
            raise BookFullError(f"job {job.job_id}: {JOBS_MAX} jobs are in hand, no more are taken")
        self.entries[job.job_id] = Entry(job, now_ns)
        self._waiting = None
        return True

    def begin(self, entry: Entry) -> None:
        """Note that its robot got an order for it: the job stays with that robot."""
        entry.started = True
        self._waiting = None

    def give_back(self, entry: Entry) -> None:
        """Let the job wait for another robot."""
        entry.robot, entry.started, entry.reason = NOBODY, False, NO_ROBOT
        self._waiting = None

    def end(self, entry: Entry) -> None:
        """Have the job in hand no longer."""
        del self.entries[entry.job.job_id]
        self._waiting = None

    @property
    def given(self) -> list[Entry]:
        """Return the jobs that were given to robots last, and are not begun or given back."""
        return [e for e in self._given if e.robot != NOBODY and not e.started]

    def anybody_waits(self, utc_ns: int) -> bool:
        """Return whether there are jobs that nobody has begun."""
        return bool(self._in_order(utc_ns))

    def assign(
        self,
        robots: Mapping[int, str],
        ways_m: Callable[[Stop], Metres],
        *,
        now_ns: int,
        utc_ns: int,
    ) -> None:
        """Give jobs that nobody has begun to these free robots: `given` says which.

        `ways_m` returns the way of each robot, in the order of their numbers, to a stop. The most
        urgent jobs, as many as there are robots, get robots so that the sum of costs is least:
        metres to drive less the job's age. What was given and not begun is given anew.
        """
        waiting = self._in_order(utc_ns)
        numbers = sorted(robots)
        chosen: list[Entry] = []
        costs: list[Metres] = []
        for entry in waiting[: SCANNED_PER_ROBOT_MAX * len(numbers)]:
            if len(chosen) == len(numbers):
                break
            row = _costs(entry, numbers, ways_m, now_ns=now_ns)
            if np.isfinite(row).any():
                chosen.append(entry)
                costs.append(row)
        for entry in self.given:
            entry.robot, entry.reason = NOBODY, NO_ROBOT
        names = [robots[n] for n in numbers]
        self._given = []
        for i, column in _match(costs).items():
            chosen[i].robot = numbers[column]
            chosen[i].explain = partial(_explain, costs[i], column, names)
            self._given.append(chosen[i])

    def _in_order(self, utc_ns: int) -> Sequence[Entry]:
        """Return the jobs that nobody has begun, the most urgent first."""
        if self._waiting is None or not self._sorted_at_ns <= utc_ns < self._sorted_until_ns:
            self._waiting = [e for e in self.entries.values() if not e.started]
            self._waiting.sort(key=lambda e: _urgency(e, utc_ns))
            self._sorted_at_ns = utc_ns
            due_ns = (e.job.due_at_ns or NO_DUE_NS for e in self._waiting)
            self._sorted_until_ns = min((at for at in due_ns if at > utc_ns), default=NO_DUE_NS)
        return self._waiting


def _costs(
    entry: Entry, robots: Sequence[int], ways_m: Callable[[Stop], Metres], *, now_ns: int
) -> Metres:
    """Return the cost of a job for each robot, inf where it cannot go there."""
    bonus_m = AGE_M_PER_S * (now_ns - entry.since_ns) / 1e9
    found = ways_m(entry.stop)
    if entry.failed_by:
        found = found + np.array([FAILED_BEFORE_M * entry.failed_by.get(r, 0) for r in robots])
    return found - bonus_m


def _urgency(entry: Entry, utc_ns: int) -> tuple[bool, int, int, int]:
    """Return the sorting key of a job: overdue first, then priority, then due time, then age."""
    due_ns = entry.job.due_at_ns or NO_DUE_NS
    return (due_ns > utc_ns, -entry.job.priority, due_ns, entry.since_ns)


def _match(costs: Sequence[Metres]) -> dict[int, int]:
    """Return row -> column of the cheapest matching; rows without a way are left out."""
    if not costs or not costs[0].size:
        return {}
    table = np.stack(costs)
    there = np.isfinite(table)
    columns = assign(np.where(there, table, NO_WAY_M)).tolist()
    return {row: column for row, column in enumerate(columns) if there[row, column]}


def _explain(row: Metres, column: int, names: Sequence[str]) -> str:
    """Return why this robot got the job: its cost, and those of the others."""
    costs = row.tolist()
    others = sorted((c, names[i]) for i, c in enumerate(costs) if i != column)
    words = f"{names[column]} costs {costs[column]:.1f} m (way less age)"
    if not others:
        return words + "; no other robot is free"
    shown = [f"{n} {c:.1f} m" if np.isfinite(c) else f"{n} cannot" for c, n in others]
    rest = len(others) - NAMED_OTHERS_MAX
    text = ", ".join(shown[:NAMED_OTHERS_MAX]) + (f" and {rest} more" if rest > 0 else "")
    least = "least" if costs[column] <= others[0][0] else "least in sum over all jobs"
    return f"{words}, {least}; others: {text}"
