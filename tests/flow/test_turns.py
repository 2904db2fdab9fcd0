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
from central.statement import Statement, Values
from central.tables import counter
from central.tasking.news import News
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

    def note(self, clause: Any) -> None:
        if self._running:
            self.reads[self._running] |= tables_looked_at(clause)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    monkeypatch.setattr(central.keeper, "make_turns", watch.make_turns)
    execute = Statement._execute

    def at_the_driver(statement: Statement, conn: Connection, values: Values) -> tuple[Any, str]:
        watch.note(statement._clause)
        return execute(statement, conn, values)

    def by_sqlalchemy(_conn: Connection, clause: Any, *_: object) -> None:
        watch.note(clause)

    monkeypatch.setattr(Statement, "_execute", at_the_driver)
    event.listen(Engine, "before_execute", by_sqlalchemy)
    yield watch
    event.remove(Engine, "before_execute", by_sqlalchemy)


def test_every_table_that_a_phase_looks_at_gives_it_a_turn(watch: Watch) -> None:
    path = find_scenario("wrong-pallet")
    run_virtual(read_scenario(path), path.parent, RunOptions())
    unwoken = {
        phase.do.__name__: sorted(watch.reads[phase.do.__name__] - phase.reads)
        for phase in watch.phases
        if not phase.always and (phase.reads or phase.next_at_ns is None)  # else by time alone
    }
    assert {name: tables for name, tables in unwoken.items() if tables} == {}
    seldom = {"fly_missions"}
    never_ran = {phase.do.__name__ for phase in watch.phases} - watch.reads.keys() - seldom
    assert never_ran == {"raise_doubts"}


class EveryTurn(Turns):
    """Gives every phase a turn in every round, and at every tick, and news of everything."""

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


class Doubter:
    """Has each phase that looks only at what it has news of look at all there is right after."""

    def __init__(self) -> None:
        self.missed: set[str] = set()
        self.asked: set[str] = set()
        self.is_asking = ""

    def make_turns(self, people: PeopleBoard, purchases: PurchaseSender) -> Turns:
        phases = make_phases(people, purchases)
        return Turns([replace(p, do=self._doubted(p.do)) if p.by_id else p for p in phases])

    def _doubted(self, do: Callable[[Round], None]) -> Callable[[Round], None]:
        def run(work: Round) -> None:
            do(work)
            if do.__name__ != "publish":  # what it sent just now is noted after the commit only
                self.is_asking = do.__name__
                self.asked.add(do.__name__)
                do(replace(work, news=News()))
                self.is_asking = ""

        return run

    def note_write(self) -> None:
        if self.is_asking:
            self.missed.add(self.is_asking)


@pytest.mark.parametrize("scenario", ["drone-recount", "both-killed"])
def test_phases_find_in_their_news_all_that_is_to_do(
    monkeypatch: pytest.MonkeyPatch, scenario: str
) -> None:
    doubter = Doubter()
    tell = Statement._tell

    def watched(statement: Statement, conn: Connection, rows: Sequence[Values]) -> None:
        doubter.note_write()
        tell(statement, conn, rows)

    monkeypatch.setattr(central.keeper, "make_turns", doubter.make_turns)
    monkeypatch.setattr(Statement, "_tell", watched)
    path = find_scenario(scenario)
    run_virtual(read_scenario(path), path.parent, RunOptions())
    assert doubter.asked >= {"settle_moves", "update_lines", "settle_proposals", "assign", "watch"}
    assert doubter.missed == set()
