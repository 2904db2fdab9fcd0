"""Which robots may be given jobs, what that costs, and who takes over from whom.

A job may go to another robot until its robot is sent the first action. Nodes that were released are
never taken back: whoever loses a job drives to the end of what it has, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from math import inf, isfinite
from typing import Final

import numpy as np

from central.fleet.book import NOBODY, Entry, JobBook
from central.fleet.charging import LOW_PERCENT, Charging
from central.fleet.costs import FULL_REACH_M, RESERVE_PERCENT, Candidates, Metres
from central.fleet.graph import FloorGraph
from central.fleet.jobs import Stop, TransportJob
from central.fleet.kernels import crowds_on_ways
from central.fleet.parking import Parking
from central.fleet.traffic import Traffic
from central.fleet.vehicle import Vehicle
from runtime.clock import NS_PER_S, Clock

RECONSIDER_S: Final = 2.0
"""So often jobs whose robots are on their way are compared with free robots."""
HELD_MAX: Final = 500
"""So many of those are compared at once, the ones that came first."""
CROWD_NODES_MAX: Final = 64
"""So far along a way the visits of others are counted: farther on they will be over."""
CROWD_ROBOTS_MAX: Final = 32
"""Only on the ways of so many robots, the nearest ones: the others are too far away to count."""
COMES_WITHIN_S: Final = 30.0
"""A robot that gets no nodes for longer gives up the charger that it was on the way to."""
PERCENT: Final = 100.0


class Giving:
    """Gives jobs to robots. Lives on the fleet's lane."""

    def __init__(
        self,
        graph: FloorGraph,
        traffic: Traffic,
        vehicles: Sequence[Vehicle],
        *,
        book: JobBook,
        charging: Charging,
        parking: Parking,
        clock: Clock,
    ) -> None:
        self._graph = graph
        self._traffic = traffic
        self._vehicles = vehicles
        self._book = book
        self._charging = charging
        self._parking = parking
        self._clock = clock
        self._free: dict[int, str] = {}
        """Robots that may be given a job, with their ids."""
        self._on_power: set[int] = set()
        """Robots without a job that charge, or should."""
        self._rests_m: dict[str, tuple[int, float]] = {}
        """Of jobs in hand: (version of the ways, from the first stop to the end and a charger)."""
        self._reconsider_at_ns = 0

    def update(self, looked: AbstractSet[int], away: AbstractSet[int]) -> set[int]:
        """Note who is free now; return the robots that go to another charger, or to none."""
        changed: set[int] = set()
        for number in sorted(looked | self._on_power):
            vehicle, before = self._vehicles[number], self.place(number)
            if self._is_free(vehicle, away):
                self._free[number] = vehicle.robot_id
            else:
                self._free.pop(number, None)
            if self.place(number) != before:
                changed.add(number)
        return changed

    def place(self, robot: int) -> tuple[int | None, bool]:
        """Return (where a robot without a job is to be, whether nobody may push it away there)."""
        charger = self._charging.goal(robot)
        return (charger, True) if charger is not None else (self._parking.goal(robot), False)

    def words(self, robot: int) -> str:
        """Return what a robot does that has no job; empty: it waits where it is."""
        words = self._charging.words(robot)
        place = self._parking.goal(robot)
        return words or (f"waits at {self._graph.ids[place]}" if place is not None else "")

    def give(self, away: AbstractSet[int]) -> set[int]:
        """Give jobs to robots; return the robots that have another one now, or none any more.

        `book.moved` says which were taken from robots on their way for them.
        """
        utc_ns, now_ns = self._clock.now_ns(), self._clock.monotonic_ns()
        book = self._book
        book.moved, book.waiting_for = [], []
        given = book.given
        held = self._held(away, now_ns)
        if not (given or held or (self._free and book.anybody_waits(utc_ns))):
            return set()
        changed: set[int] = set()
        for entry in given:
            vehicle = self._vehicles[entry.robot]
            if vehicle.job_id == entry.job.job_id:
                vehicle.job_id = ""
                changed.add(entry.robot)
        candidates = self._candidates({*self._free, *(e.robot for e in held)})
        book.assign(candidates, held, now_ns=now_ns, utc_ns=utc_ns)
        for _, before in book.moved:
            self._vehicles[before].job_id = ""
            changed.add(before)
        for entry in book.given:
            self._vehicles[entry.robot].job_id = entry.job.job_id
            changed.add(entry.robot)
        if book.moved:  # whoever lost a job does not go on where it would have gone for it
            self._traffic.replan()
        return changed

    def may_change(self, entry: Entry) -> bool:
        """Return whether another robot may have this job still."""
        if entry.robot == NOBODY or entry.stop_index > 0 or entry.action_sent:
            return False
        vehicle = self._vehicles[entry.robot]
        return vehicle.job_id == entry.job.job_id and vehicle.acknowledged

    def reconsider(self) -> None:
        """Compare jobs whose robots are on their way with free robots at the next tick."""
        self._reconsider_at_ns = 0

    def forget(self, job_id: str) -> None:
        """Forget what is known of a job that is over."""
        self._rests_m.pop(job_id, None)

    # --- who may have what ------------------------------------------------------------------------

    def _held(self, away: AbstractSet[int], now_ns: int) -> list[Entry]:
        """Return jobs that robots are on their way for, where it is time to compare them."""
        if now_ns < self._reconsider_at_ns:
            return []
        found = [
            e
            for e in self._book.entries.values()
            if e.started and e.robot not in away and self.may_change(e)
        ]
        pinned = any(e.pinned_to not in {NOBODY, e.robot} for e in self._book.entries.values())
        self._reconsider_at_ns = now_ns + round(RECONSIDER_S * NS_PER_S)
        if not found or not (self._free or pinned):
            return []
        return found[:HELD_MAX]

    def _is_free(self, vehicle: Vehicle, away: AbstractSet[int]) -> bool:
        """Return whether a robot may be given a job; sends it to a charger where it needs one."""
        number = vehicle.number
        self._on_power.discard(number)
        entry = self._book.entries.get(vehicle.job_id)
        if number in away:
            self._charging.stop_waiting(number)
            since_ns = vehicle.unavailable_since_ns
            if 0 <= since_ns < self._clock.monotonic_ns() - COMES_WITHIN_S * NS_PER_S:
                self._charging.give_up(number, self._traffic.owned(number))
            return False
        if entry is not None and entry.started:
            self._charging.leave(number)
            self._parking.leave(number)
            return False
        self._look_at_charge(vehicle)
        assert vehicle.state is not None, "who has not said anything is not available"
        percent = vehicle.state.battery_state.battery_charge
        if self._charging.goal(number) is not None or percent < LOW_PERCENT:
            self._on_power.add(number)
        return not self._charging.is_kept(number)

    def _look_at_charge(self, vehicle: Vehicle) -> None:
        """See whether a robot without a job is to charge now, or to wait out of the way."""
        number, state, now_ns = vehicle.number, vehicle.state, self._clock.monotonic_ns()
        assert state is not None, "who has not said anything is not available"
        node = self._traffic.node(number)

        def way_m(there: int) -> float:
            return self._traffic.way_m(number, there)

        self._charging.review(
            number, node=node, percent=state.battery_state.battery_charge,
            charging=state.battery_state.charging, way_m=way_m, now_ns=now_ns,
            idle_ns=self._parking.idle_ns(number, now_ns),
        )  # fmt: skip
        if self._charging.goal(number) is None:
            self._parking.review(number, node=node, way_m=way_m, now_ns=now_ns)

    # --- what it costs ----------------------------------------------------------------------------

    def _candidates(self, robots: AbstractSet[int]) -> Candidates:
        numbers = sorted(robots)
        ways_m = self._traffic.ways_m(numbers)
        states = [self._vehicles[n].state for n in numbers]
        percent = np.array([s.battery_state.battery_charge if s else 0.0 for s in states])
        reach_m = (percent - RESERVE_PERCENT) / PERCENT * FULL_REACH_M
        for i, state in enumerate(states):
            told_m = state.battery_state.reach if state else None
            if isinstance(told_m, int | float) and told_m > 0.0:  # 0 is what some say always
                reach_m[i] = told_m * (1.0 - RESERVE_PERCENT / PERCENT)
        has_chargers = bool(self._charging.chargers)
        return Candidates(
            numbers=numbers,
            names=[self._vehicles[n].robot_id for n in numbers],
            ways_m=lambda stop: ways_m(self._graph.number[stop.node_id]),
            crowds=self._crowds(numbers),
            rest_m=self._rest_m if has_chargers else None,
            percent=percent,
            reach_m=reach_m,
        )

    def _crowds(self, numbers: Sequence[int]) -> Callable[[Stop, Metres], Metres]:
        """Return what counts the visits of others on the ways of these robots to a stop."""
        traffic, graph = self._traffic, self._graph
        ends = np.array([traffic.end(n) for n in numbers], np.int32)
        visits = traffic.visits()

        def count(stop: Stop, ways_m: Metres) -> Metres:
            near = np.argsort(ways_m, kind="stable")[:CROWD_ROBOTS_MAX]
            near = near[np.isfinite(ways_m[near])]
            row = traffic.fields.row(graph.number[stop.node_id])
            found = np.zeros(ways_m.size)
            found[near] = crowds_on_ways(
                graph.indptr, graph.indices, traffic.fields.matrix[row], visits,
                ends[near], CROWD_NODES_MAX,
            )  # fmt: skip
            return found

        return count

    def _rest_m(self, job: TransportJob) -> float:
        """Return the way from a job's first stop to its last and on to the nearest charger."""
        version = self._traffic.fields.version
        known = self._rests_m.get(job.job_id)
        if known is not None and known[0] == version:
            return known[1]
        way_m, number = self._traffic.fields.way_m, self._graph.number
        nodes = [number[stop.node_id] for stop in job.stops]
        legs_m = [way_m(a, b) for a, b in pairwise(nodes)]
        on_m = min((way_m(nodes[-1], c) for c in self._charging.near(nodes[-1])), default=inf)
        # Where no way leads on, that shows when it is driven; the charge is not what lacks.
        total_m = sum(m for m in (*legs_m, on_m) if isfinite(m))
        self._rests_m[job.job_id] = (version, total_m)
        return total_m
