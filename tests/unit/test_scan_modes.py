"""Every mode of a scan session, with lots, last days, serial numbers and containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.counting.core import Fold
from edge.counting.verify import verify_counts
from edge.scanning.gs1 import MODES
from tests.edge_world import MUG, PEN, EdgeWorld, article_label, bin_label, command_label, task
from tests.scan_book import ScanBook, container_label, lot_label, order_label, sscc
from wire.messages import BinCounted, ContainerMoved, Movement, TaskClosed

RECEIVE = task("receive", 10, task_id="R1", from_place="supplier:S1", to_place="bin:DOCK-1")
PUTAWAY = task("putaway", task_id="U1", from_place="bin:DOCK-1", to_place="bin:A-02")
REFILL = task("refill", task_id="F1", to_place="bin:A-03")
PICK = task("pick")
UNDO = command_label("UNDO")


def receiving() -> ScanBook:
    book = ScanBook(RECEIVE)
    book.scan(command_label("RECEIVE"), bin_label("DOCK-1"))
    return book


def picking(**fields: Any) -> ScanBook:
    book = ScanBook(task("pick", **fields))
    book.scan(command_label("PICK"))
    return book


# --- lots and last days ---------------------------------------------------------------------------


def test_a_lot_goes_with_its_goods_from_the_dock_to_the_tote() -> None:
    book = ScanBook(RECEIVE, PUTAWAY, task("pick", from_place="bin:A-02"))
    book.scan(command_label("RECEIVE"), bin_label("DOCK-1"), lot_label("L1", 5, day="270200"))
    book.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), lot_label("L1", 5), bin_label("A-02"))
    last = book.scan(command_label("PICK"), bin_label("A-02"), article_label(units=5))
    assert (last.code, last.sound) == ("booked", "done")
    assert book.lots("tote:O1") == {"L1": 5}, "the only lot there is the one that was taken"
    assert {e.expires_on for e in book.events if isinstance(e, Movement)} == {"2027-02-28"}
    book.scan(UNDO)
    assert (book.lots("tote:O1"), book.lots("bin:A-02")) == ({}, {"L1": 5})
    book.check()


def test_another_lot_than_the_one_asked_for_is_refused() -> None:
    book = picking(lot="L1")
    book.put("bin:A-01", 5, lot="L1")
    book.put("bin:A-01", 5, lot="L2")
    assert "of lot L1" in book.scan(command_label("PICK")).text
    book.scan(bin_label("A-01"))
    assert book.scan(lot_label("L2", 2)).code == "wrong_lot"
    assert book.scan(article_label(units=2)).code == "lot_needed"
    assert book.scan(lot_label("L1", 2)).code == "booked"
    assert book.lots("bin:A-01") == {"L1": 3, "L2": 5}
    book.check()


def test_a_lot_that_is_used_up_or_over_stops_nobody() -> None:
    book = picking(lot="L1")
    book.put("bin:A-01", 1, lot="L1")
    book.put("bin:A-01", 5, lot="L2")
    book.scan(bin_label("A-01"))
    assert book.scan(lot_label("L2")).code == "wrong_lot"
    assert book.scan(lot_label("L1"), lot_label("L2")).code == "booked"
    book.put("bin:A-01", 5, lot="L1", expires_on="2026-11-01")
    assert book.scan(lot_label("L1")).code == "expired"
    assert book.scan(lot_label("L2")).code == "booked"
    book.check()


def test_a_label_without_a_lot_takes_what_is_of_no_known_lot() -> None:
    book = picking()
    book.put("bin:A-01", 2)
    book.put("bin:A-01", 5, lot="L1")
    book.scan(bin_label("A-01"))
    assert book.scan(article_label(units=3)).code == "lot_needed"
    assert book.scan(article_label(units=2)).code == "booked"
    assert book.lots("bin:A-01") == {"L1": 5}
    assert book.scan(article_label(units=1)).code == "booked"
    assert book.lots("bin:A-01") == {"L1": 4}
    book.check()


def test_a_lot_that_the_book_does_not_have_comes_out_of_the_unknown_rest() -> None:
    book = picking()
    book.put("bin:A-01", 2)
    book.put("bin:A-01", 2, lot="L1")
    book.scan(bin_label("A-01"))
    assert book.scan(lot_label("L9", 3)).code == "wrong_lot"
    assert book.scan(lot_label("L9", 2)).code == "booked"
    assert book.lots("tote:O1") == {"L9": 2}
    assert book.scan(lot_label("L9")).code == "wrong_lot"
    assert book.scan(UNDO).ok
    assert (book.units("bin:A-01"), book.lots("bin:A-01")) == (4, {"L1": 2})
    book.check()


@pytest.mark.parametrize("mode", ["RECEIVE", "PICK", "REFILL", "PACK"])
def test_goods_whose_last_day_is_over_are_refused(mode: str) -> None:
    book = ScanBook(RECEIVE, PICK, REFILL)
    place = "tote:O1" if mode == "PACK" else "bin:A-01"
    book.put(place, 5, lot="L1")
    where = bin_label("DOCK-1" if mode == "RECEIVE" else "A-01")
    book.scan(command_label(mode), order_label("O1") if mode == "PACK" else where)
    assert book.scan(lot_label("L1", day="261122")).code == "expired"
    assert book.scan(lot_label("L1", day="961231")).code == "expired", "of the last century"
    assert book.scan(lot_label("L1", day="261123")).ok, "its last day is today"
    book.check()


def test_a_lot_is_known_to_be_over_though_the_label_does_not_say_so() -> None:
    book = picking()
    book.put("bin:A-01", 5, lot="L1", expires_on="2026-11-01")
    book.scan(bin_label("A-01"))
    assert book.scan(lot_label("L1")).code == "expired"
    assert book.scan(article_label()).code == "expired", "it can be of no other lot"
    assert book.scan(command_label("QUARANTINE"), bin_label("A-01"), lot_label("L1", 5)).ok
    assert book.lots("quarantine:") == {"L1": 5}


# --- serial numbers -------------------------------------------------------------------------------


def test_a_serial_number_comes_in_once_and_is_taken_from_where_it_is() -> None:
    book = receiving()
    assert book.scan(lot_label(serial="S1")).ok
    assert book.scan(lot_label(serial="S1")).code == "serial_twice"
    assert book.scan(lot_label(serial="S2")).ok
    assert book.units("bin:DOCK-1") == 2
    book.tasks = [task("pick", from_place="bin:DOCK-1"), PICK]
    book.put("bin:A-01", 1)
    book.scan(command_label("PICK"), bin_label("A-01"))
    assert book.scan(lot_label(serial="S1")).code == "serial_elsewhere"
    book.scan(bin_label("DOCK-1"))
    assert book.scan(article_label()).code == "serial_needed"
    assert book.scan(lot_label(serial="S9")).code == "serial_elsewhere"
    assert book.scan(lot_label(serial="S1")).ok
    assert book.serial("S1") == "tote:O1"
    assert book.scan(lot_label(serial="S1")).code == "serial_elsewhere"
    assert book.scan(UNDO).code == "undone"
    assert book.serial("S1") == "bin:DOCK-1"
    book.check()


def test_a_unit_keeps_the_lot_that_it_came_with() -> None:
    book = receiving()
    book.scan(lot_label("L1", serial="S1"), lot_label("L2", serial="S2"))
    book.scan(command_label("MOVE"), bin_label("DOCK-1"))
    assert book.scan(lot_label("L2", serial="S1")).code == "wrong_lot"
    assert book.scan(lot_label(serial="S1"), bin_label("A-01")).ok
    assert book.lots("bin:A-01") == {"L1": 1}
    book.check()


# --- receipts -------------------------------------------------------------------------------------


def test_more_than_expected_is_taken_once_it_is_said_to_be_more() -> None:
    book = receiving()
    assert book.scan(article_label(units=10)).sound == "done"
    more = article_label(units=3)
    refused = book.scan(more)
    assert refused.code == "too_many"
    assert "SH-OVER" in refused.text
    assert book.scan(command_label("OVER"), more).code == "booked"
    assert book.units("bin:DOCK-1") == 13
    assert book.scan(more).code != "booked", "said once, taken once"
    assert book.scan(command_label("OVER"), UNDO).code == "next"
    assert book.scan(UNDO).code == "undone"
    assert book.units("bin:DOCK-1") == 10


@pytest.mark.parametrize("ending", [[article_label(units=10)], [command_label("SHORT")]])
@pytest.mark.parametrize("between", [[], [command_label("RECEIVE"), bin_label("DOCK-1")]])
def test_more_than_expected_is_taken_when_the_list_has_the_receipt_no_more(
    ending: list[str], between: list[str]
) -> None:
    book = receiving()
    book.scan(*ending)
    before = book.units("bin:DOCK-1")
    book.tasks = []  # central has seen its end
    more = article_label(units=3)
    assert book.scan(*between, command_label("SHORT")).text.startswith("no receipt is open")
    refused = book.scan(more)
    assert refused.code == "too_many"
    assert "SH-OVER" in refused.text
    assert book.scan(command_label("OVER"), more).sound == "done"
    assert book.units("bin:DOCK-1") == before + 3
    assert book.scan(UNDO).code == "undone"
    assert book.units("bin:DOCK-1") == before
    book.check()


def test_cancel_says_what_the_mode_begins_with() -> None:
    book = receiving()
    first = book.scan(command_label("RETURN"))
    assert book.scan(command_label("CANCEL")).text == first.text


def test_broken_goods_go_to_their_own_place_and_are_part_of_the_receipt() -> None:
    book = receiving()
    book.scan(article_label(units=8), command_label("DAMAGED"))
    broken = book.scan(lot_label("L1", 2, day="200101"))
    assert (broken.code, broken.sound) == ("booked", "done")
    assert (book.units("bin:DOCK-1"), book.units("damaged:")) == (8, 2)
    assert book.scan(UNDO).ok
    assert book.units("damaged:") == 0
    assert book.scan(article_label(units=2)).sound == "done"
    book.check()


def test_what_does_not_come_is_said_and_ends_the_receipt() -> None:
    book = receiving()
    assert book.scan(article_label(units=7)).ok
    closed = book.scan(command_label("SHORT"))
    assert (closed.code, closed.sound) == ("closed", "done")
    last = book.events[-1]
    assert isinstance(last, TaskClosed)
    assert (last.task_id, last.short_units) == ("R1", 3)
    assert book.scan(article_label()).code == "too_many"
    assert book.scan(command_label("SHORT")).code == "no_task"
    book.check()


def test_what_does_not_come_can_be_taken_back() -> None:
    book = receiving()
    assert book.scan(article_label(units=7), command_label("SHORT")).code == "closed"
    undone = book.scan(UNDO)
    assert (undone.code, undone.text) == ("undone", "3 units may still come: scan the article")
    last = book.events[-1]
    assert isinstance(last, TaskClosed)
    assert (last.task_id, last.short_units, last.undone) == ("R1", 3, True)
    assert book.scan(UNDO).code == "nothing_to_undo"
    assert book.scan(article_label(units=2)).sound == "good"
    assert book.scan(command_label("SHORT")).text.startswith("1 x ")
    assert book.scan(UNDO, article_label()).sound == "done"
    book.check()


def test_of_several_receipts_the_one_scanned_last_is_short() -> None:
    book = receiving()
    book.tasks.append(
        task("receive", 4, task_id="R2", gtin=PEN, from_place="supplier:S1", to_place="bin:DOCK-1")
    )
    assert book.scan(command_label("SHORT")).code == "no_task"
    assert book.scan(article_label(PEN, 1), command_label("SHORT")).code == "closed"
    assert book.events[-1].event_id.endswith(f"/{book.seq}")
    assert isinstance(book.events[-1], TaskClosed)
    assert book.events[-1].task_id == "R2"


# --- refill, move, pack, return, quarantine -------------------------------------------------------


def test_a_refill_is_put_where_its_task_says() -> None:
    book = ScanBook(REFILL)
    book.put("bin:A-01", 20)
    book.scan(command_label("REFILL"), bin_label("A-01"), article_label(units=5))
    assert book.scan(bin_label("A-02")).code == "wrong_bin"
    assert book.scan(bin_label("A-03")).sound == "done"
    assert book.moves() == [("bin:A-01", "bin:A-03", 5)]


def test_a_move_needs_no_task_but_goods() -> None:
    book = ScanBook()
    book.put("bin:A-01", 5)
    assert book.scan(command_label("MOVE"), article_label()).code == "no_bin"
    book.scan(bin_label("A-01"))
    assert book.scan(article_label(units=6)).code == "not_enough"
    assert book.scan(article_label(units=2)).code == "next"
    assert book.scan(bin_label("A-01")).code == "wrong_bin"
    assert book.scan(bin_label("B-01")).code == "foreign_zone"
    assert book.scan(bin_label("A-02")).code == "booked"
    assert book.scan(UNDO).code == "undone"
    assert book.moves() == [("bin:A-01", "bin:A-02", 2), ("bin:A-02", "bin:A-01", 2)]


def test_an_order_is_packed_from_its_tote_into_a_parcel_or_for_the_customer() -> None:
    book = ScanBook()
    book.put("tote:O7", 3)
    assert book.scan(command_label("PACK"), article_label()).code == "no_order"
    assert book.scan(bin_label("A-01")).code == "wrong_mode"
    book.scan(order_label("O7"), article_label(), container_label(1), article_label(units=2))
    assert book.moves() == [
        ("tote:O7", "customer:O7", 1), ("tote:O7", f"container:{sscc(1)}", 2),
    ]  # fmt: skip
    assert book.scan(article_label()).code == "not_enough"
    assert book.scan(UNDO).ok
    assert book.units("tote:O7") == 2


def test_what_a_customer_sends_back_goes_into_a_bin_or_quarantine() -> None:
    book = ScanBook()
    book.put("bin:A-01", 1, serial="S1")
    book.scan(command_label("RETURN"), article_label(units=2), order_label("O7"))
    assert book.scan(lot_label(serial="S1")).code == "serial_twice"
    book.scan(bin_label("A-03"), lot_label("L1", 3))
    assert book.moves() == [
        ("customer:", "quarantine:", 2), ("customer:O7", "bin:A-03", 3),
    ]  # fmt: skip
    assert book.scan(UNDO).ok
    assert book.units("bin:A-03") == 0
    book.check()


@pytest.mark.parametrize("name", ["DAMAGED", "OVER", "SHORT"])
def test_a_word_about_a_receipt_is_refused_elsewhere(name: str) -> None:
    book = ScanBook(PICK)
    assert book.scan(command_label("PICK"), command_label(name)).code == "wrong_mode"


@pytest.mark.parametrize(
    ("mode", "label"),
    [("PICK", container_label(1)), ("PICK", order_label("O1")), ("MOVE", order_label("O1"))],
)
def test_a_container_or_order_is_refused_where_it_says_nothing(mode: str, label: str) -> None:
    assert ScanBook(PICK).scan(command_label(mode), label).code == "wrong_mode"


# --- containers -----------------------------------------------------------------------------------


def loaded() -> ScanBook:
    """Return a book with a tote of mugs in a pallet with pens, and the pallet's content known."""
    book = ScanBook()
    book.put("bin:DOCK-1", 6, lot="L1", expires_on="2027-01-31")
    book.put("bin:DOCK-1", 1, serial="S1")
    book.put("bin:DOCK-1", 4, PEN)
    book.scan(command_label("MOVE"), bin_label("DOCK-1"))
    book.scan(lot_label("L1", 6), container_label(1), lot_label(serial="S1"), container_label(1))
    book.scan(article_label(PEN, 4), container_label(2))
    assert book.scan(container_label(1), container_label(2)).code == "booked"
    return book


def test_a_pallet_put_into_a_bin_brings_all_that_is_in_it() -> None:
    book = loaded()
    assert book.units("bin:DOCK-1") == 0
    before = len(book.events)
    assert book.scan(container_label(2), bin_label("A-02")).code == "booked"
    new = book.events[before:]
    ids = [event.event_id for event in new]
    assert ids == [ids[0], *(f"{ids[0]}/{n}" for n in range(2, len(ids) + 1))]
    assert {e.container for e in new if isinstance(e, Movement)} == {sscc(2)}
    assert sum(isinstance(event, ContainerMoved) for event in new) == 2
    assert (book.units("bin:A-02"), book.units("bin:A-02", PEN)) == (7, 4)
    assert (book.lots("bin:A-02"), book.serial("S1")) == ({"L1": 6}, "bin:A-02")
    book.check()
    assert book.scan(UNDO).code == "undone"
    assert (book.units("bin:A-02"), book.serial("S1")) == (0, f"container:{sscc(1)}")
    book.check()
    book.scan(container_label(2), bin_label("A-02"))
    assert book.units("bin:A-02", PEN) == 4, "it went back into the pallet with its tote"
    book.check()


def test_a_pallet_is_lifted_again_with_what_is_left_of_it() -> None:
    book = loaded()
    book.scan(container_label(1), bin_label("A-02"))
    book.put("bin:A-02", 10)
    book.scan(bin_label("A-02"), lot_label("L1", 2), bin_label("A-03"))
    assert book.lots("bin:A-02") == {"L1": 4}
    lifted = book.scan(container_label(1), bin_label("A-01"))
    assert (lifted.code, lifted.text) == (
        "booked", f"container {sscc(1)} with 5 units to bin:A-01",
    )  # fmt: skip
    assert (book.lots("bin:A-01"), book.serial("S1")) == ({"L1": 4}, "bin:A-01")
    assert (book.units("bin:A-01"), book.units("bin:A-02")) == (5, 10)
    book.check()
    assert book.scan(UNDO).code == "undone"
    assert (book.units("bin:A-01"), book.units("bin:A-02")) == (0, 15)
    assert book.scan(container_label(1), bin_label("A-02")).code == "wrong_bin", "it stands there"
    book.scan(UNDO)
    assert book.scan(container_label(1), container_label(2)).code == "booked"
    assert book.units(f"container:{sscc(1)}") == 5
    book.scan(container_label(2), bin_label("A-03"))
    assert book.lots("bin:A-03") == {"L1": 6}
    book.check()


def test_an_article_is_taken_out_of_a_container_that_stands_in_a_bin() -> None:
    book = loaded()
    book.scan(container_label(1), bin_label("A-02"))
    book.scan(container_label(1), lot_label("L1"), bin_label("A-03"))
    assert book.moves()[-1] == ("bin:A-02", "bin:A-03", 1)
    book.check()


def test_goods_come_out_of_quarantine_with_a_reason_and_can_go_back() -> None:
    book = ScanBook()
    book.put("quarantine:", 6, lot="L1", expires_on="2026-12-31")
    book.put("quarantine:", 1, PEN, lot="OLD", expires_on="2026-11-01")
    assert book.scan(command_label("RELEASE-GOOD"), lot_label("L1")).code == "no_bin"
    assert book.scan(bin_label("B-01")).code == "foreign_zone"
    assert book.scan(bin_label("A-02"), lot_label("L1", 7)).code == "not_enough"
    assert book.scan(lot_label("OLD", gtin=PEN)).code == "expired"
    assert book.scan(container_label(1)).code == "wrong_mode"
    assert book.scan(lot_label("L1", 4)).code == "booked"
    assert book.scan(UNDO).code == "undone"
    book.scan(lot_label("L1", 3), command_label("RELEASE-ERROR"), bin_label("A-03"))
    book.scan(lot_label("L1", 2), command_label("SCRAP"))
    assert book.scan(bin_label("A-02")).code == "wrong_mode"
    assert book.scan(lot_label("OLD", gtin=PEN)).code == "booked"
    moves = [event for event in book.events if isinstance(event, Movement)]
    assert [(move.reason, move.to_place, move.person_id) for move in moves] == [
        ("release-good", "bin:A-02", "P1"), ("undo", "quarantine:", "P1"),
        ("release-good", "bin:A-02", "P1"), ("release-error", "bin:A-03", "P1"),
        ("scrap", "damaged:", "P1"),
    ]  # fmt: skip
    assert (book.lots("bin:A-02"), book.lots("bin:A-03")) == ({"L1": 3}, {"L1": 2})
    assert book.units("quarantine:") == 1
    book.check()


def test_a_container_in_quarantine_is_not_carried_off_whole() -> None:
    book = loaded()
    book.scan(command_label("QUARANTINE"), container_label(1))
    assert book.scan(container_label(1)).code == "wrong_mode", "it is there already"
    answer = book.scan(command_label("MOVE"), container_label(1), bin_label("A-01"))
    assert (answer.code, "SH-RELEASE-GOOD" in answer.text) == ("wrong_mode", True)
    book.check()


def test_a_container_cannot_go_into_what_it_holds() -> None:
    book = loaded()
    book.scan(UNDO)  # nothing is in anything now
    book.scan(container_label(1), container_label(2))
    assert book.scan(container_label(2), container_label(1)).code == "container_loop"
    assert book.scan(UNDO).code == "next", "the hands are free again"


@pytest.mark.parametrize("pairs", [
    [(n, n + 1) for n in range(11, 17)],  # each into a larger one
    [(n, n + 1) for n in range(16, 10, -1)],  # the larger ones first
])  # fmt: skip
def test_containers_go_into_each_other_five_deep_from_either_end(
    pairs: list[tuple[int, int]],
) -> None:
    book = ScanBook()
    book.scan(command_label("MOVE"))
    codes = [book.scan(container_label(n), container_label(into)).code for n, into in pairs]
    assert codes == ["booked"] * 5 + ["container_loop"]


def test_goods_are_taken_out_of_a_container_one_by_one() -> None:
    book = loaded()
    book.scan(container_label(2), article_label(PEN, 1))
    assert book.scan(bin_label("A-01")).code == "booked"
    assert book.moves()[-1] == (f"container:{sscc(2)}", "bin:A-01", 1)
    book.scan(bin_label("A-01"))
    assert book.units("bin:A-01", PEN) == 1, "the same bin again empties no container"
    book.check()


def test_a_container_is_put_aside_whole() -> None:
    book = loaded()
    assert book.scan(command_label("QUARANTINE"), container_label(2)).code == "booked"
    assert (book.units("quarantine:"), book.units("quarantine:", PEN)) == (7, 4)
    assert book.scan(UNDO).ok
    assert book.units("quarantine:") == 0
    book.check()


def test_a_container_with_too_many_kinds_is_refused() -> None:
    book = ScanBook()
    for number in range(101):
        book.put(f"container:{sscc(1)}", 1, lot=f"L{number}")
    book.scan(command_label("MOVE"), container_label(1))
    assert book.scan(bin_label("A-01")).code == "container_full"


# --- counts ---------------------------------------------------------------------------------------


def test_a_count_that_differs_is_asked_for_once_more_and_then_taken() -> None:
    book = ScanBook()
    book.put("bin:A-01", 12)
    book.scan(command_label("COUNT"), bin_label("A-01"))
    first = book.scan(article_label(units=9))
    assert (first.code, first.sound) == ("recount", "again")
    assert "12" not in first.text
    assert book.scan(article_label(units=8)).code == "counted"
    assert book.scan(article_label(units=12)).code == "counted", "the book's number needs no other"
    assert book.scan(article_label(units=9)).code == "recount"
    counts = [e for e in book.events if isinstance(e, BinCounted)]
    assert [(c.counted_units, c.book_units) for c in counts] == [(8, 12), (12, 12)]


def test_a_lot_and_a_unit_are_counted_for_themselves() -> None:
    book = ScanBook()
    book.put("bin:A-01", 5, lot="L1")
    book.put("bin:A-01", 1, serial="S1")
    book.scan(command_label("COUNT"), bin_label("A-01"), lot_label("L1", 5), lot_label(serial="S1"))
    book.scan(lot_label(serial="S2"), lot_label(serial="S2"))
    counts = [e for e in book.events if isinstance(e, BinCounted)]
    assert [(c.lot, c.serial, c.counted_units, c.book_units) for c in counts] == [
        ("L1", "", 5, 5), ("", "S1", 1, 1), ("", "S2", 1, 0),
    ]  # fmt: skip


# --- all of it ------------------------------------------------------------------------------------


THIRTY_TASKS = (RECEIVE, PUTAWAY, task("pick", 3, from_place="bin:A-02"), REFILL)
THIRTY = [
    command_label("RECEIVE"), bin_label("DOCK-1"), lot_label("L1", 5, day="270131"),
    lot_label("L2", serial="S1"), command_label("DAMAGED"), lot_label("L1", 2),
    command_label("SHORT"),
    command_label("PUTAWAY"), bin_label("DOCK-1"), lot_label("L1", 4), bin_label("A-02"),
    command_label("PICK"), bin_label("A-02"), article_label(units=2), UNDO, article_label(),
    lot_label("L1", 2),
    command_label("REFILL"), bin_label("A-01"), article_label(units=5), bin_label("A-03"),
    command_label("COUNT"), bin_label("A-03"), article_label(units=5),
    command_label("MOVE"), bin_label("DOCK-1"), lot_label(serial="S1"), container_label(1),
    container_label(1), bin_label("A-01"),
    command_label("PACK"), order_label("O1"), article_label(units=3),
    command_label("RETURN"), order_label("O1"), lot_label("L1"),
    command_label("QUARANTINE"), bin_label("A-01"), article_label(units=2),
    command_label("RELEASE-GOOD"), bin_label("A-03"), article_label(),
    command_label("RELEASE-ERROR"), bin_label("A-02"), lot_label("L1"),
    command_label("SCRAP"), article_label(),
]  # fmt: skip


def test_thirty_scans_of_all_modes_without_a_touch() -> None:
    book = ScanBook(*THIRTY_TASKS)
    book.put("bin:A-01", 20)
    assert len(THIRTY) >= 30
    assert {command_label(mode) for mode in MODES} <= {*THIRTY}
    for number, text in enumerate(THIRTY):
        outcome = book.scan(text)
        assert outcome.ok, (number, text, outcome.text)
    book.check()
    assert (book.units("bin:A-01"), book.serial("S1")) == (14, "bin:A-01")
    assert book.units("customer:O1") == 2
    assert MUG in book.scan(UNDO).text


def test_an_edge_answers_the_same_thirty_scans_and_tells_central_of_them(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path).start()
    world.tell_tasks(*THIRTY_TASKS)
    for text in THIRTY:
        world.scanner.scan(text)  # faster than the edge commits: several scans in one transaction
    world.run(3.0)
    answers = world.scanner.answers
    assert [a.code for a in answers if not a.ok] == []
    assert len(answers) == len(THIRTY)
    assert {a.sound for a in answers} == {"tick", "good", "done"}
    assert verify_counts(world.agent.store.db) == []
    told = world.central.events
    assert {type(event) for event in told} == {Movement, BinCounted, ContainerMoved, TaskClosed}
    again = Fold().add(told)
    kept = set(world.agent.store.db.execute("SELECT * FROM lot_counts"))
    assert kept == {(*key, units) for key, units in again.lot_counts.items()}
    assert again.serials[MUG, "S1"] == ("bin:A-01", "L2")
    world.agent.store.close()
