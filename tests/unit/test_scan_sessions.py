"""A scan session leads a person through their work and stops what is wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edge.counting.core import deltas, task_units
from edge.scanning.core import Arrival, Floor, Outcome, Session, Work, step
from edge.scanning.gs1 import read_label
from tests.build import scan
from tests.edge_world import GLN, MUG, PEN, article_label, bin_label, command_label, task
from wire.messages import BinCounted, CountStop, Movement, PersonTask

FLOOR = Floor(
    gln=GLN,
    edge_id="A",
    bin_owner={"DOCK-1": "A", "A-01": "A", "A-02": "A", "A-03": "A", "B-01": "B"},
    article_name={MUG: "mug", PEN: "pen"},
)
RECEIVE = task("receive", from_place="supplier:S1", to_place="bin:DOCK-1")
PUTAWAY = task("putaway", from_place="bin:DOCK-1", to_place="bin:A-02")
PICK = task("pick")


class Shift:
    """One person's scans, one after the other, over books that follow them."""

    def __init__(self, *tasks: PersonTask, **books: int) -> None:
        self.tasks = list(tasks)
        self.handed_on: list[PersonTask] = []
        self.books: Counter[tuple[str, str]] = Counter()
        self.books["bin:A-01", MUG] = 20
        self.books["bin:DOCK-1", MUG] = books.get("dock", 20)
        self.done: Counter[str] = Counter()
        self.session = Session()
        self.events: list[Any] = []
        self.seq = 0

    def scan(self, *texts: str) -> Outcome:
        for text in texts:
            self.seq += 1
            work = Work(
                person_id="P1", tasks=self.tasks, handed_on=self.handed_on,
                done_units=lambda t: self.done[t],
                book_units=lambda place, gtin: self.books[place, gtin],
            )  # fmt: skip
            arrival = Arrival(scan=scan(text, seq=self.seq), received_at_ns=self.seq)
            before = self.session
            self.session, outcome = step(before, read_label(text), arrival, FLOOR, work)
            if not outcome.ok and outcome.code != "recount":
                assert self.session == before, "a refusal leaves the session as it was"
            for event in outcome.events:
                self.events.append(event)
                for place, gtin, units in deltas(event):
                    self.books[place, gtin] += units
                done = task_units(event)
                if done:
                    self.done[done[0]] += done[1]
        return outcome

    def moves(self) -> list[tuple[str, str, int]]:
        return [(e.from_place, e.to_place, e.units) for e in self.events if isinstance(e, Movement)]


def test_receive_moves_each_scan_from_the_supplier_to_the_dock() -> None:
    shift = Shift(RECEIVE)
    shift.scan(command_label("RECEIVE"), bin_label("DOCK-1"), article_label(units=2))
    last = shift.scan(article_label(units=3))
    assert shift.moves() == [("supplier:S1", "bin:DOCK-1", 2), ("supplier:S1", "bin:DOCK-1", 3)]
    assert (last.code, last.sound) == ("booked", "done")
    assert shift.events[0].event_id == "scanner-1/1/3"
    assert shift.events[0].task_id == "T1"
    assert shift.events[0].person_id == "P1"


def test_putaway_moves_once_the_goods_are_in_their_bin() -> None:
    shift = Shift(PUTAWAY)
    shift.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(units=3))
    assert shift.moves() == []
    shift.scan(bin_label("A-02"))
    shift.scan(article_label(units=2), bin_label("A-02"))
    assert shift.moves() == [("bin:DOCK-1", "bin:A-02", 3), ("bin:DOCK-1", "bin:A-02", 2)]


def test_putaway_into_another_bin_is_refused_and_says_where_to_go() -> None:
    shift = Shift(PUTAWAY)
    shift.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(units=3))
    wrong = shift.scan(bin_label("A-03"))
    assert wrong.code == "wrong_bin"
    assert "bin:A-02" in wrong.text
    assert shift.scan(bin_label("A-02")).code == "booked"


def test_pick_moves_into_the_tote_until_the_task_is_done() -> None:
    shift = Shift(PICK)
    shift.scan(command_label("PICK"), bin_label("A-01"), article_label(units=3))
    assert shift.scan(article_label(units=2)).sound == "done"
    assert shift.moves() == [("bin:A-01", "tote:O1", 3), ("bin:A-01", "tote:O1", 2)]
    assert shift.scan(article_label()).code == "too_many"


def test_count_says_what_is_there_and_moves_nothing() -> None:
    shift = Shift(task("count", to_place="bin:A-01", gtin="", task_id="C1"))
    shift.scan(command_label("COUNT"), bin_label("A-01"))
    again = shift.scan(article_label(units=17))
    assert (again.code, again.ok, again.sound) == ("recount", False, "again")
    assert "20" not in again.text, "a count is blind"
    assert shift.scan(article_label(units=17)).code == "counted"
    assert shift.scan(article_label(PEN, units=0)).code == "counted"
    mugs, pens = shift.events
    assert isinstance(mugs, BinCounted)
    assert (mugs.counted_units, mugs.book_units, mugs.task_id) == (17, 20, "C1")
    assert (pens.counted_units, pens.book_units) == (0, 0)
    assert shift.books["bin:A-01", MUG] == 20


def test_a_count_of_any_bin_of_a_round_belongs_to_its_task() -> None:
    stops = (CountStop(bin_id="A-01"), CountStop(bin_id="A-02", gtins=(MUG,)))
    shift = Shift(task("count", to_place="bin:A-01", gtin="", task_id="C1", stops=stops))
    for bin_id in ("A-02", "A-03"):
        for text in (command_label("COUNT"), bin_label(bin_id), article_label(PEN, units=0)):
            shift.scan(text)
    assert [event.task_id for event in shift.events if isinstance(event, BinCounted)] == ["C1", ""]


def test_thirty_scans_need_no_command_between() -> None:
    shift = Shift(task(units=30))
    shift.scan(command_label("PICK"), bin_label("A-01"))
    shift.books["bin:A-01", MUG] = 30
    assert all(shift.scan(f"]E0{MUG[1:]}").ok for _ in range(30))
    assert shift.books["bin:A-01", MUG] == 0


@pytest.mark.parametrize(
    ("tasks", "texts", "code"),
    [
        ([PICK], [bin_label("A-01")], "wrong_mode"),
        ([PICK], [article_label()], "wrong_mode"),
        ([PICK], [command_label("PICK"), article_label()], "no_bin"),
        ([], [command_label("PICK"), bin_label("A-01")], "no_task"),
        ([RECEIVE], [command_label("PICK"), bin_label("A-01")], "no_task"),
        ([PICK], [command_label("PICK"), bin_label("A-02")], "wrong_bin"),
        ([PICK], [command_label("PICK"), bin_label("A-01"), article_label(PEN)], "wrong_item"),
        ([PICK], [command_label("PICK"), bin_label("A-01"), article_label(units=6)], "too_many"),
        ([PICK], [command_label("PICK"), bin_label("A-01"), article_label(units=0)], "malformed"),
        ([PICK], [command_label("PICK"), bin_label("Z-99")], "unknown_bin"),
        ([PICK], [command_label("PICK"), bin_label("B-01")], "foreign_zone"),
        ([PICK], [command_label("PICK"), bin_label("A-01", "9501101530003")], "foreign_site"),
        ([PICK], [command_label("PICK"), bin_label("A-01"), "]E09780201379624"],
         "unknown_article"),
        ([task(units=50)], [command_label("PICK"), bin_label("A-01"), article_label(units=21)],
         "not_enough"),
        ([PICK], [command_label("UNDO")], "nothing_to_undo"),
        ([PICK], [command_label("CANCEL")], "wrong_mode"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_before_the_person_walks_on(
    tasks: list[PersonTask], texts: list[str], code: str
) -> None:
    shift = Shift(*tasks)
    outcome = shift.scan(*texts)
    assert (outcome.ok, outcome.code, outcome.sound) == (False, code, "bad")
    assert outcome.text
    assert shift.events == []


def test_undo_takes_back_the_last_movement_and_reopens_its_task() -> None:
    shift = Shift(PICK)
    shift.scan(command_label("PICK"), bin_label("A-01"), article_label(units=5))
    assert shift.scan(command_label("UNDO")).code == "undone"
    assert shift.moves()[-1] == ("tote:O1", "bin:A-01", 5)
    assert shift.events[-1].reason == "undo"
    assert shift.scan(command_label("UNDO")).code == "nothing_to_undo"
    assert shift.scan(article_label(units=5)).sound == "done"


def test_undo_takes_back_a_half_step_first() -> None:
    shift = Shift(PUTAWAY)
    shift.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(units=3))
    assert shift.scan(command_label("UNDO")).ok
    assert shift.scan(bin_label("A-02")).code == "wrong_bin"
    assert shift.events == []


def test_undo_of_goods_that_went_on_is_refused() -> None:
    shift = Shift(RECEIVE)
    shift.scan(command_label("RECEIVE"), bin_label("DOCK-1"), article_label(units=5))
    shift.books["bin:DOCK-1", MUG] = 2
    assert shift.scan(command_label("UNDO")).code == "not_enough"


def test_cancel_forgets_bin_and_half_step_and_keeps_the_mode() -> None:
    shift = Shift(PUTAWAY)
    shift.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(units=3))
    assert shift.scan(command_label("CANCEL")).ok
    assert shift.scan(article_label()).code == "no_bin"
    assert shift.scan(bin_label("DOCK-1")).ok


def test_a_list_that_knows_less_than_the_journal_does_not_ask_twice() -> None:
    shift = Shift(PICK)
    shift.scan(command_label("PICK"), bin_label("A-01"), article_label(units=3))
    shift.tasks = [task(units=2, done_units=3)]  # central has seen the three
    assert shift.scan(article_label(units=4)).code == "too_many"
    assert shift.scan(article_label(units=3)).code == "already"
    assert shift.scan(article_label(units=2)).sound == "done"


def test_goods_in_hand_are_counted_though_the_task_is_somebody_elses_now() -> None:
    shift = Shift(PICK)
    shift.scan(command_label("PICK"), bin_label("A-01"))
    shift.tasks, shift.handed_on = [], [PICK]
    assert shift.scan(article_label(units=5)).code == "booked"
    assert shift.moves() == [(PICK.from_place, PICK.to_place, 5)]
    assert shift.events[-1].task_id == "T1"
    shift.session = Session()
    again = shift.scan(command_label("PICK"), bin_label("A-01"))
    assert (again.code, again.ok) == ("no_task", False), "once: whoever has it now is refused"


def test_nobody_is_sent_to_a_task_that_was_handed_on() -> None:
    shift = Shift()
    shift.handed_on = [PICK]
    assert shift.scan(command_label("PICK")).text == "pick: nothing is asked for"


@pytest.mark.parametrize("left", ["listed", "handed on", "gone"])
def test_the_same_scan_again_is_told_from_one_too_many(left: str) -> None:
    shift = Shift(PICK)
    shift.scan(command_label("PICK"), bin_label("A-01"), article_label(units=5))
    shift.tasks = [PICK] if left == "listed" else []
    shift.handed_on = [PICK] if left == "handed on" else []
    again = shift.scan(article_label(units=5))
    assert (again.code, again.ok) == ("already", False)
    assert shift.scan(article_label(units=4)).code in ("too_many", "no_task")
    assert len(shift.events) == 1


def test_the_same_units_of_another_task_are_no_repetition() -> None:
    shift = Shift(PICK, task("pick", task_id="T2", order_id="O2", to_place="tote:O2"))
    shift.scan(command_label("PICK"), bin_label("A-01"), article_label(units=5))
    shift.scan(bin_label("A-01"))
    shift.tasks = []
    assert shift.scan(article_label(units=5)).code == "no_task"


def test_the_last_scan_of_a_putaway_again_is_booked_already() -> None:
    shift = Shift(PUTAWAY)
    shift.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(units=5))
    goal = bin_label(PUTAWAY.to_place.removeprefix("bin:"))
    assert shift.scan(goal).code == "booked"
    assert shift.scan(goal).code == "already"
    assert len(shift.events) == 1
