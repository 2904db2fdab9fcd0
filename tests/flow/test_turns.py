"""Whose turn it is: no phase of tasking looks at a table that it is not woken by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, Table, event
from sqlalchemy.sql import visitors

import central.keeper
from central.tables import counter
from central.tasking.people import PeopleBoard
from central.tasking.phases import Phase, Turns, make_phases
from central.tasking.purchasing import PurchaseSender
from central.tasking.round import Round
from stockhelm.sim_library import find_scenario, read_scenario
from stockhelm.sim_run import RunOptions, run_virtual

Reads = dict[str, set[str]]


def tables_looked_at(clause: Any) -> set[str]:
    """Return the tables that a statement's SELECTs name, also those inside of other statements."""
    parts = [part for part in visitors.iterate(clause) if isinstance(part, Select)]
    return {
        str(found.name)
        for part in parts
        for found in visitors.iterate(part)
        if isinstance(found, Table)
    } - {str(counter.name)}  # new ids come from it: it wakes nobody


class Watch:
    """Notes which tables each phase looks at while it runs."""

    def __init__(self) -> None:
        self.reads: Reads = defaultdict(set)
        self.phases: Sequence[Phase] = ()
        self._running = ""

    def make_turns(self, people: PeopleBoard, purchases: PurchaseSender) -> Turns:
        self.phases = make_phases(people, purchases)
        return Turns([replace(phase, do=self._watched(phase.do)) for phase in self.phases])

    def _watched(self, do: Callable[[Round], None]) -> Callable[[Round], None]:
        def run(work: Round) -> None:
            self._running = do.__name__
            do(work)
            self._running = ""

        return run

    def note(self, _conn: Connection, clause: Any, *_: object) -> None:
        if self._running:
            self.reads[self._running] |= tables_looked_at(clause)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    monkeypatch.setattr(central.keeper, "make_turns", watch.make_turns)
    event.listen(Engine, "before_execute", watch.note)
    yield watch
    event.remove(Engine, "before_execute", watch.note)


def test_every_table_that_a_phase_looks_at_gives_it_a_turn(watch: Watch) -> None:
    path = find_scenario("wrong-pallet")
    run_virtual(read_scenario(path), path.parent, RunOptions())
    unwoken = {
        phase.do.__name__: sorted(watch.reads[phase.do.__name__] - phase.reads)
        for phase in watch.phases
        if not phase.always
    }
    assert {name: tables for name, tables in unwoken.items() if tables} == {}
    seldom = {"fly_missions"}
    never_ran = {phase.do.__name__ for phase in watch.phases} - watch.reads.keys() - seldom
    assert never_ran == {"raise_doubts"}


class EveryTurn(Turns):
    """Gives every phase a turn in every round, and at every tick."""

    @property
    def is_due(self) -> bool:
        return True

    def run(self, work: Round) -> None:
        self.all()
        super().run(work)


@pytest.mark.parametrize("scenario", ["central-killed", "planner-asleep"])
def test_phases_that_got_no_turn_would_have_done_nothing(
    monkeypatch: pytest.MonkeyPatch, scenario: str
) -> None:
    path = find_scenario(scenario)
    traces = set()
    for kind in (EveryTurn, Turns):
        monkeypatch.setattr(
            central.keeper, "make_turns", lambda *boards, kind=kind: kind(make_phases(*boards))
        )
        traces.add(run_virtual(read_scenario(path), path.parent, RunOptions()).trace_digest)
    assert len(traces) == 1
