"""The jobs in hand: who waits, who has which, and who gets what and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from central.fleet.assignment import match
from central.fleet.costs import Candidates, JobCosts, costs_of, explainer, lack_explainer
from central.fleet.jobs import Stop, TransportJob

NOBODY: Final = -1
JOBS_MAX: Final = 10_000
ATTEMPTS_MAX: Final = 4
SCANNED_PER_ROBOT_MAX: Final = 4
"""So many jobs per free robot are looked at for one that some free robot can reach."""
PINNED_M: Final = 1e7
HELD_M: Final = 1e5
"""A pinned job, and one that has its robot, lose it to no other for less than this."""
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
    action_sent: bool = False
    """Its robot was sent an action of it: it may have been done, or still be."""
    stop_index: int = 0
    attempts: int = 0
    failed_by: dict[int, int] = field(default_factory=dict)
    """How often each robot gave it back."""
    waits_for: str = ""
    """What it waits for, in a word, where that is not just a free robot."""
    pinned_to: int = NOBODY
    """The one robot that may have it, because a planner says so."""
    pinned_by: str = ""
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
        self.waiting_for: list[Entry] = []
        """Jobs that began to wait for something that only somebody can change, last time."""
        self.moved: list[tuple[Entry, int]] = []
        """Jobs that were taken from the robots on their way for them, and from which, last time."""
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

    def pin(self, entry: Entry, robot: int, by: str) -> None:
        """Let only `robot` have this job; NOBODY: any."""
        entry.pinned_to, entry.pinned_by = robot, by
        self._waiting = None

    def give_back(self, entry: Entry) -> None:
        """Let the job wait for another robot."""
        entry.robot, entry.started, entry.reason = NOBODY, False, NO_ROBOT
        entry.action_sent = False
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
        self, candidates: Candidates, held: Sequence[Entry] = (), *, now_ns: int, utc_ns: int
    ) -> None:
        """Give jobs that nobody has begun to these robots: `given` says which, `moved` from whom.

        Pinned jobs, then those that are `held` (begun, and may be another's: their robots are among
        the candidates), then the most urgent ones, as many as there are robots, get robots so that
        the sum of costs is least. What was given and not begun is given anew.
        """
        robots = len(candidates.numbers)
        waiting = self._in_order(utc_ns)
        urgent = [e for e in waiting if e.pinned_to != NOBODY]
        rest = [e for e in waiting if e.pinned_to == NOBODY][: SCANNED_PER_ROBOT_MAX * robots]
        chosen: list[Entry] = []
        costs: list[JobCosts] = []
        self.waiting_for = []
        for entry in self.given:
            entry.robot, entry.reason = NOBODY, NO_ROBOT
        for entry in (*urgent, *held, *rest):
            if len(chosen) >= max(robots, len(urgent) + len(held)):
                break
            found = costs_of(
                entry.job, candidates, waited_ns=now_ns - entry.since_ns, utc_ns=utc_ns,
                failed_by=entry.failed_by, holder=entry.robot, only=entry.pinned_to,
            )  # fmt: skip
            if np.isfinite(found.total).any():
                chosen.append(entry)
                costs.append(found)
            elif found.charge_lacks.any():
                entry.explain = lack_explainer(found, candidates)
                self._wait(entry, "charge")
            elif entry.pinned_to != NOBODY and not entry.started:
                entry.reason = f"waits for the robot that {entry.pinned_by} pinned it to"
                self._wait(entry, "pin")
        self._given, self.moved = [], []
        stays = {e.robot for e in held} - {e.robot for e in chosen}
        columns = _match(chosen, costs, [n in stays for n in candidates.numbers])
        for i, entry in enumerate(chosen):
            self._settle(entry, costs[i], columns.get(i, NOBODY), candidates)

    def _wait(self, entry: Entry, why: str) -> None:
        """Note what a job waits for, where that is something else than before."""
        if entry.waits_for != why:
            entry.waits_for = why
            self.waiting_for.append(entry)

    def _settle(self, entry: Entry, costs: JobCosts, column: int, candidates: Candidates) -> None:
        """Note which robot a job has now; -1: none of the candidates."""
        robot = NOBODY if column == NOBODY else candidates.numbers[column]
        if robot == entry.robot:
            return
        if entry.started:
            self.moved.append((entry, entry.robot))
            self.give_back(entry)
        if robot != NOBODY:
            entry.waits_for = ""
            entry.robot = robot
            entry.explain = explainer(costs, column, candidates, entry.pinned_by)
            self._given.append(entry)

    def _in_order(self, utc_ns: int) -> Sequence[Entry]:
        """Return the jobs that nobody has begun, the most urgent first."""
        if self._waiting is None or not self._sorted_at_ns <= utc_ns < self._sorted_until_ns:
            self._waiting = [e for e in self.entries.values() if not e.started]
            self._waiting.sort(key=lambda e: _urgency(e, utc_ns))
            self._sorted_at_ns = utc_ns
            due_ns = (e.job.due_at_ns or NO_DUE_NS for e in self._waiting)
            self._sorted_until_ns = min((at for at in due_ns if at > utc_ns), default=NO_DUE_NS)
        return self._waiting


def _urgency(entry: Entry, utc_ns: int) -> tuple[bool, int, int, int]:
    """Return the sorting key of a job: overdue first, then priority, then due time, then age."""
    due_ns = entry.job.due_at_ns or NO_DUE_NS
    return (due_ns > utc_ns, -entry.job.priority, due_ns, entry.since_ns)


def _match(
    entries: Sequence[Entry], costs: Sequence[JobCosts], taken: Sequence[bool]
) -> Mapping[int, int]:
    """Return row -> column of the cheapest matching; rows that get none are left out."""
    if not costs or not costs[0].total.size:
        return {}
    table = np.stack([found.total for found in costs])
    table[:, np.asarray(taken)] = np.inf
    for row, entry in enumerate(entries):
        if entry.pinned_to != NOBODY:
            table[row] -= PINNED_M
        elif entry.started:
            table[row] -= HELD_M
    columns = match(table).columns.tolist()
    return {row: column for row, column in enumerate(columns) if column >= 0}
