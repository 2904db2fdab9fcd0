"""From a customer's order to the booked-out tote: allocation, picks, delivery, and trouble."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from central import tables as t
from central.config import TaskingConfig
from central.fleet.jobs import TransportJob
from central.ledger.verify import verify_ledger
from runtime.bus import Incoming
from tests.central_world import CUP, PEN, SITE, CentralWorld
from wire import messages as m
from wire import topics
from wire.codec import decode, encode


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path)
    found.open_stock()
    return found


def test_an_order_is_picked_delivered_and_filled(world: CentralWorld) -> None:
    world.order("O1", (PEN, 5), (CUP, 3))
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    world.rt.run_for(1.0)
    assert world.statuses["O1"] == ["accepted", "allocated", "picked", "filled"]
    assert world.balance("customer:O1", PEN) == 5
    assert world.balance("customer:O1", CUP) == 3
    assert world.balance("tote:O1") == 0
    assert [(r.kind, r.status) for r in world.tasks()] == [
        ("pick", "done"), ("pick", "done"), ("deliver", "done"),
    ]  # fmt: skip
    assert world.rows(select(t.reservation)) == []
    assert verify_ledger(world.engine).balanced


def test_a_pick_asks_for_the_lot_that_expires_first(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    edge = world.edges["B"]
    for name, day in (("L2", "2027-03-31"), ("L1", "2027-01-31"), ("L3", "")):
        edge.move(PEN, 2, "opening:", "bin:B-11", lot=name, expires_on=day)
    world.rt.run_for(1.0)
    world.order("O1", (PEN, 3))
    world.rt.run_for(3.0)
    [asked] = [t for p in world.people.values() for t in p.screen if t.kind == "pick"]
    assert (asked.from_place, asked.lot) == ("bin:B-11", "L1")
    mine = {"task_id": asked.task_id, "person_id": "bob"}
    edge.move(PEN, 2, "bin:B-11", asked.to_place, lot="L1", **mine)
    world.rt.run_for(2.0)
    [asked] = [t for p in world.people.values() for t in p.screen if t.kind == "pick"]
    assert (asked.units, asked.lot) == (1, "L2")


def test_a_line_is_split_over_the_faces_that_have_some(world: CentralWorld) -> None:
    world.order("O1", (PEN, 22))
    world.rt.run_for(1.0)
    assert [(r.from_place, r.units) for r in world.tasks("pick")] == [
        ("bin:B-11", 20), ("bin:B-12", 2),
    ]  # fmt: skip


def test_what_is_not_there_waits_and_the_first_order_gets_it_first(world: CentralWorld) -> None:
    world.order("O1", (PEN, 30))
    world.rt.run_for(1.0)
    world.order("O2", (PEN, 2))
    world.rt.run_for(20.0)
    assert (world.status("O1"), world.status("O2")) == ("accepted", "accepted")
    world.edges["B"].move(PEN, 7, "bin:B-01", "bin:B-12")
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    assert world.rows(select(t.order_line.c.allocated_units, t.order_line.c.picked_units)) == [
        (30, 30), (1, 1),
    ]  # fmt: skip
    assert world.status("O2") == "accepted"


def test_a_repeated_order_is_answered_and_counted_once(world: CentralWorld) -> None:
    for _ in range(3):
        world.order("O1", (PEN, 2))
    world.rt.run_for(0.5)
    assert len(world.rows(select(t.customer_order))) == 1
    world.order("O1", (PEN, 2))
    world.rt.run_for(30.0)
    assert world.statuses["O1"].count("accepted") + world.statuses["O1"].count("allocated") >= 2
    (demand,) = world.rows(select(t.demand_day))
    assert (demand.gtin, demand.units) == (PEN, 2)
    assert demand.day == world.shared.now_ns() // 60_000_000_000


def test_an_order_of_an_unknown_article_is_refused_with_its_number(world: CentralWorld) -> None:
    world.order("O1", (PEN, 1), ("05000000000005", 2))
    world.rt.run_for(1.0)
    assert world.statuses["O1"] == ["refused"]
    assert world.texts["O1"] == "unknown article 05000000000005"
    assert world.tasks() == []
    assert world.rows(select(t.demand_day)) == []


def test_demand_of_a_wrong_clock_is_demand_of_today(world: CentralWorld) -> None:
    for order_id, at_ns in (("O1", 0), ("O2", 2**62)):
        order = m.CustomerOrder(
            order_id=order_id, lines=(m.OrderLine(gtin=PEN, units=1),), ordered_at_ns=at_ns
        )
        world.bus.publish(topics.CUSTOMER_ORDER.of(site=SITE), encode(order))
    world.rt.run_for(0.5)
    (demand,) = world.rows(select(t.demand_day))
    assert (demand.day, demand.units) == (world.shared.now_ns() // 60_000_000_000, 2)


def test_bytes_that_are_no_message_are_counted_and_stop_nothing(world: CentralWorld) -> None:
    parts = {"site": SITE, "edge": "A"}
    foreign = m.JournalBatch(
        edge_id="B", epoch=9, first_seq=1, events=tuple(world.edges["B"].rows[:1])
    )
    for topic, payload in (
        (topics.JOURNAL.of(**parts), b"\x00\xff"),
        (topics.JOURNAL.of(**parts), encode(foreign)),
        (topics.CUSTOMER_ORDER.of(site=SITE), b"{}"),
        (topics.DESK_COMMAND.of(site=SITE), b"[" * 70_000),
        (topics.SUPPLIER_NOTICE.of(site=SITE, supplier="S1"), b"null"),
    ):
        world.bus.publish(topic, payload)
    world.order("O1", (PEN, 1))
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    counters = world.metrics.snapshot().counters
    assert {name: n for name, n in counters.items() if name.startswith("wire_refused")} == {
        "wire_refused{JournalBatch}": 2,
        "wire_refused{CustomerOrder}": 1,
        "wire_refused{DecideProposal}": 1,
        "wire_refused{SupplierNotice}": 1,
    }


def test_picks_go_to_people_of_the_zone_and_one_person_fills_a_tote(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 2), (CUP, 2))
    world.order("O2", (PEN, 2), (CUP, 2))
    world.rt.run_for(1.0)
    who = {r.order_id: r.worker_id for r in world.tasks("pick")}
    assert {r.worker_id for r in world.tasks("pick")} == {"bob", "cid"}
    assert all(r.worker_id == who[r.order_id] for r in world.tasks("pick"))
    assert [x.order_id for x in world.people["bob"].screen] == ["O1", "O1"]


def test_nobody_gets_more_tasks_than_allowed(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path, tasking=TaskingConfig(open_tasks_per_person_max=2))
    world.open_stock()
    for person in world.people.values():
        person.idle = True
    for number in range(6):
        world.order(f"O{number}", (PEN, 1))
    world.rt.run_for(1.0)
    assert sorted(r.worker_id for r in world.tasks("pick")) == ["", "", "bob", "bob", "cid", "cid"]


def test_an_overdue_pick_is_handed_on_and_fails_in_the_end(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 2))
    world.rt.run_for(1.0)
    (first,) = world.tasks("pick")
    world.rt.run_for(60.0)
    (second,) = world.tasks("pick")
    assert {first.worker_id, second.worker_id} == {"bob", "cid"}
    assert [x.task_id for x in world.people[second.worker_id].screen] == [second.task_id]
    assert world.people[first.worker_id].screen == ()
    world.rt.run_for(121.0)
    failed, anew = world.tasks("pick")
    assert failed.status == "failed"
    assert failed.detail == f"given out 3 times, last to {failed.worker_id}: not done in time"
    assert (anew.units, anew.tries) == (2, 1)
    assert [r.task_id for r in world.rows(select(t.reservation))] == [anew.task_id]


def _told(world: CentralWorld, person_id: str) -> m.PersonTasks:
    topic = topics.PERSON_TASKS.of(site=SITE, person=person_id)
    seen: list[Incoming] = []
    bus = world.shared.bus(f"screen of {person_id} at {world.shared.now_ns()}".replace(" ", "-"))
    bus.subscribe(topic, world.rt.lane("screen"), seen.extend)
    bus.start()
    world.rt.run_for(0.1)
    return decode(seen[-1].payload, m.PersonTasks)


def test_lists_say_how_a_task_left_them_also_after_a_restart(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    (row,) = world.tasks("pick")
    first, edge = row.worker_id, world.edges["B"]
    edge.move(PEN, 2, row.from_place, row.to_place, task_id=row.task_id, person_id=first)
    world.rt.run_for(60.0)
    other = next(p for p in ("bob", "cid") if p != first)
    told = _told(world, first)
    assert told.tasks == ()
    assert told.ended == (m.EndedTask(task_id=row.task_id, end="handed_on", own_units=2),)
    assert [(x.task_id, x.units, x.done_units) for x in told.handed_on] == [(row.task_id, 3, 2)]
    assert _told(world, other).ended == ()
    edge.move(PEN, 3, row.from_place, row.to_place, task_id=row.task_id, person_id=other)
    world.rt.run_for(1.0)
    assert _told(world, other).ended == (m.EndedTask(task_id=row.task_id, end="done", own_units=3),)
    world.kill()
    world.begin()
    world.rt.run_for(1.0)
    told = _told(world, first)
    assert told.ended == (m.EndedTask(task_id=row.task_id, end="handed_on", own_units=2),)
    assert told.handed_on == ()


def test_a_task_that_comes_back_is_no_longer_one_that_left_and_then_it_is_withdrawn(
    world: CentralWorld,
) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 2))
    world.rt.run_for(1.0)
    (row,) = world.tasks("pick")
    world.rt.run_for(120.0)
    back = _told(world, row.worker_id)
    assert ([x.task_id for x in back.tasks], back.ended) == ([row.task_id], ())
    world.rt.run_for(61.0)
    for person_id in ("bob", "cid"):
        told = _told(world, person_id)
        assert told.ended == (m.EndedTask(task_id=row.task_id, end="withdrawn"),)
        assert told.handed_on == ()


def test_a_late_scan_takes_back_what_was_asked_for_anew(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    world.rt.run_for(181.0)
    late, anew = world.tasks("pick")
    assert (late.status, anew.status) == ("failed", "assigned")
    world.edges["B"].move(PEN, 3, late.from_place, late.to_place, task_id=late.task_id)
    world.rt.run_for(1.0)
    _, anew, rest = world.tasks("pick")
    assert (anew.status, anew.detail) == (
        "cancelled", "an earlier pick of this line was scanned late",
    )  # fmt: skip
    assert (rest.status, rest.units) == ("assigned", 2)
    world.edges["B"].move(PEN, 2, rest.from_place, rest.to_place, task_id=rest.task_id)
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    assert world.balance("customer:O1", PEN) == 5
    assert world.rows(select(t.reservation)) == []


def test_while_central_reaches_no_broker_nothing_is_handed_on(world: CentralWorld) -> None:
    """What was done in time and could not be said is not asked of others."""
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    (row,) = world.tasks("pick")
    world.rt.broker.fail()
    edge = world.edges["B"]
    edge.move(PEN, 5, row.from_place, row.to_place, task_id=row.task_id, person_id=row.worker_id)
    world.rt.run_for(300.0)
    (waits,) = world.tasks("pick")
    assert (waits.worker_id, waits.tries, waits.status) == (row.worker_id, 1, "assigned")
    world.rt.broker.recover()
    world.rt.run_for(5.0)
    edge.resend()
    world.rt.run_for(1.0)
    assert [r.status for r in world.tasks("pick")] == ["done"]


def test_what_was_picked_before_a_task_failed_is_not_picked_again(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    (row,) = world.tasks("pick")
    world.edges["B"].move(PEN, 2, row.from_place, row.to_place, task_id=row.task_id)
    world.rt.run_for(1.0)
    (row,) = world.tasks("pick")
    assert (row.status, row.moved_units) == ("moving", 2)
    assert world.people[row.worker_id].screen[0].units == 3
    world.rt.run_for(181.0)
    assert [(r.status, r.units) for r in world.tasks("pick")] == [("failed", 5), ("assigned", 3)]
    assert verify_ledger(world.engine).balanced


def test_an_undone_scan_is_asked_for_again(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 2), (CUP, 1))
    world.rt.run_for(1.0)
    pen = next(r for r in world.tasks("pick") if r.gtin == PEN)
    edge = world.edges["B"]
    edge.move(PEN, 2, pen.from_place, pen.to_place, task_id=pen.task_id)
    world.rt.run_for(1.0)
    edge.move(PEN, 2, pen.to_place, pen.from_place, task_id=pen.task_id, reason="undo")
    world.rt.run_for(1.0)
    again = [r for r in world.tasks("pick", "assigned") if r.gtin == PEN]
    assert [(r.units, r.task_id != pen.task_id) for r in again] == [(2, True)]


def test_stock_that_vanishes_from_a_face_cancels_the_pick_and_the_line_waits(
    world: CentralWorld,
) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (CUP, 8))
    world.rt.run_for(1.0)
    world.edges["B"].move(CUP, 5, "bin:B-13", "loss:")
    world.rt.run_for(1.0)
    first, second = world.tasks("pick")
    assert (first.status, first.detail) == ("cancelled", "the stock left bin:B-13 otherwise")
    assert (second.units, world.status("O1")) == (5, "accepted")
    assert verify_ledger(world.engine).balanced


def test_a_delivery_that_fails_is_tried_again(world: CentralWorld) -> None:
    world.robots.fail = "tote not found"
    world.order("O1", (PEN, 1))
    world.rt.run_for(20.0)
    (failed,) = world.tasks("deliver")
    assert (failed.status, failed.detail) == ("failed", "acme/r1: tote not found")
    world.robots.fail = ""
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    assert [r.status for r in world.tasks("deliver")] == ["failed", "done"]


def delivering(world: CentralWorld, *lines: tuple[str, int]) -> TransportJob:
    """Return the delivery of an order that is picked, before its robot has moved."""
    world.robots.idle = True
    world.order("O1", *lines)
    assert world.rt.run_until(lambda: bool(world.tasks("deliver")), 60.0)
    world.rt.run_for(1.0)
    (task,) = world.tasks("deliver")
    return world.robots.jobs[task.task_id]


def ships(world: CentralWorld, edge_id: str = "B") -> list[tuple[str, int]]:
    commands = world.edges[edge_id].commands
    moves = [c.movement for c in commands if isinstance(c, m.RecordMove)]
    return [(move.gtin, move.units) for move in moves if move.reason == "ship"]


@pytest.mark.parametrize("by_hand", [2, 5])
def test_what_was_packed_by_hand_is_not_shipped_again(world: CentralWorld, by_hand: int) -> None:
    job = delivering(world, (PEN, 5))
    world.edges["B"].move(PEN, by_hand, "tote:O1", "customer:O1", reason="pack", person_id="bob")
    world.rt.run_for(1.0)
    world.robots.run(job)
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    world.rt.run_for(1.0)
    assert ships(world) == [(PEN, 5 - by_hand)] * (by_hand < 5)
    assert (world.balance("tote:O1"), world.balance("customer:O1")) == (0, 5)
    assert [row.status for row in world.tasks("deliver")] == ["done"]
    assert verify_ledger(world.engine).balanced


def test_each_edge_books_out_what_it_booked_into_the_tote(world: CentralWorld) -> None:
    world.people["bob"].idle = world.people["cid"].idle = True
    world.robots.idle = True
    world.order("O1", (PEN, 5))
    world.rt.run_for(2.0)
    (pick,) = world.tasks("pick")
    for edge_id, place, units in (("A", "bin:A-01", 2), ("B", pick.from_place, 3)):
        world.edges[edge_id].move(PEN, units, place, "tote:O1", task_id=pick.task_id, reason="pick")
    assert world.rt.run_until(lambda: bool(world.tasks("deliver")), 60.0)
    world.rt.run_for(1.0)
    (task,) = world.tasks("deliver")
    world.robots.run(world.robots.jobs[task.task_id])
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 60.0)
    assert (ships(world, "A"), ships(world, "B")) == ([(PEN, 2)], [(PEN, 3)])
    assert world.balance("tote:O1") == 0


def test_the_booking_out_is_commanded_until_the_edge_has_written_it(world: CentralWorld) -> None:
    world.edges["B"].deaf = True
    world.order("O1", (PEN, 1))
    world.rt.run_for(60.0)
    asked = [c for c in world.edges["B"].commands if isinstance(c, m.RecordMove)]
    assert 3 <= len(asked) <= 8
    assert len({c.movement.event_id for c in asked}) == 1
    (nonce,) = {c.nonce for c in asked}
    assert len(nonce) == 32
    assert world.status("O1") == "picked"
    world.edges["B"].deaf = False
    assert world.rt.run_until(lambda: world.status("O1") == "filled", 120.0)
    assert world.balance("customer:O1") == 1


def test_a_list_that_the_broker_lost_is_published_again(world: CentralWorld) -> None:
    world.people["bob"].idle = world.people["cid"].idle = True
    world.order("O1", (PEN, 1))
    world.rt.run_for(1.0)
    world.rt.broker.fail()
    world.rt.broker.recover()
    world.rt.run_for(1.0)
    seen: list[Incoming] = []
    late = world.shared.bus("late")
    late.subscribe(topics.PERSON_TASKS.any(site=SITE), world.lane, seen.extend)
    late.start()
    world.rt.run_for(1.0)
    lists = [decode(x.payload, m.PersonTasks) for x in seen]
    assert {x.person_id: len(x.tasks) for x in lists} == {"ann": 0, "bob": 1, "cid": 0}


def test_pages_hear_of_changes_at_most_five_times_a_second(world: CentralWorld) -> None:
    world.rt.run_for(5.0)
    before, beats = world.changes, world.beats
    world.rt.run_for(6.0)
    assert world.changes == before
    assert world.beats - beats == 3  # that central is there is said all the same
    for number in range(100):
        world.lane.call_later(number * 0.01, partial(world.order, f"O{number}", (PEN, 1)))
    world.rt.run_for(1.0)
    assert 1 <= world.changes - before <= 5
