"""A count that differs: its edge books the difference, a small one at once, a large once asked."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import pytest

from central.config import PolicyConfig
from central.ledger.verify import verify_ledger
from central.replenish.numbers import Numbers
from central.replenish.planner import recompute
from central.replenish.types import Plan, Proposal
from tests.central_world import CUP, PEN, CentralWorld
from wire import messages as m

QUIET_S = 2.0
"""How the world of these tests is set up."""


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    policy = PolicyConfig(auto_adjust_units_max=5, auto_adjust_cents_max=1_000)
    world = CentralWorld(tmp_path, policy=policy)
    world.open_stock()
    return world


def count(
    world: CentralWorld,
    bin_id: str,
    seen: int,
    book: int,
    gtin: str = PEN,
    person: str = "ann",
    *,
    wait_s: float = 5.0,
) -> str:
    now_ns = world.shared.now_ns()
    event_id = world.shared.new_id("count")
    edge = world.edges[world.shared.site.bins[bin_id].edge_id]
    edge.write(
        m.BinCounted(
            event_id=event_id, bin_id=bin_id, gtin=gtin, counted_units=seen, book_units=book,
            device_id="scanner", observed_at_ns=now_ns, received_at_ns=now_ns, person_id=person,
        )
    )  # fmt: skip
    world.rt.run_for(wait_s)
    return event_id


def test_a_small_difference_is_booked_by_the_edge_and_the_book_is_true(world: CentralWorld) -> None:
    event_id = count(world, "A-01", 77, 80)
    (row,) = world.proposals("adjust")
    assert (row.status, row.units, row.decided_by) == ("done", 3, "policy")
    assert msgspec.json.decode(row.causes) == [event_id]
    assert recompute(msgspec.json.decode(row.numbers)) == 3
    assert row.reason == (
        "ann counted 77 at A-01, the book had 80: -3. The count is right with 98%."
    )
    assert (world.balance("bin:A-01"), world.balance("loss:")) == (77, 3)
    written = [e for e in world.edges["A"].rows if isinstance(e, m.Movement)][-1]
    assert (written.reason, written.person_id, written.units) == ("count", "ann", 3)
    assert verify_ledger(world.engine).balanced


def test_what_is_found_comes_from_found(world: CentralWorld) -> None:
    count(world, "A-02", 2, 0, CUP)
    assert world.balance("bin:A-02", CUP) == 2
    assert world.balance("found:", CUP) == -2


@pytest.mark.parametrize(("gtin", "bin_id", "book", "seen"), [
    (PEN, "A-01", 80, 60), (CUP, "B-13", 10, 6),
])  # fmt: skip
def test_one_over_a_limit_waits_for_a_planner(
    world: CentralWorld, gtin: str, bin_id: str, book: int, seen: int
) -> None:
    count(world, bin_id, seen, book, gtin)
    (row,) = world.proposals("adjust")
    assert (row.status, world.balance(f"bin:{bin_id}", gtin)) == ("waiting", book)
    world.decide(row.proposal_id, approve=True)
    world.rt.run_for(5.0)
    (row,) = world.proposals("adjust")
    assert (row.status, world.balance(f"bin:{bin_id}", gtin)) == ("done", seen)


def test_a_newer_count_takes_the_place_of_one_that_waits(world: CentralWorld) -> None:
    count(world, "A-01", 60, 80)
    count(world, "A-01", 80, 80)
    (row,) = world.proposals("adjust")
    assert (row.status, row.decision_reason) == ("expired", "the bin was counted again")
    assert world.balance("bin:A-01") == 80


def test_of_two_counts_that_come_at_once_the_newer_is_judged(world: CentralWorld) -> None:
    count(world, "A-01", 60, 80, wait_s=0.0)
    count(world, "A-01", 78, 80)
    (row,) = world.proposals("adjust")
    assert (row.status, row.units) == ("done", 2)
    assert world.balance("bin:A-01") == 78


def test_a_rejected_adjustment_changes_nothing(world: CentralWorld) -> None:
    count(world, "A-01", 60, 80)
    world.decide(world.proposals("adjust")[0].proposal_id, approve=False)
    world.rt.run_for(5.0)
    assert world.proposals("adjust")[0].status == "rejected"
    assert world.balance("bin:A-01") == 80


def test_a_difference_that_is_being_booked_already_is_not_booked_twice(world: CentralWorld) -> None:
    world.edges["A"].deaf = True
    count(world, "A-01", 77, 80)
    count(world, "A-01", 77, 80)
    (row,) = world.proposals("adjust")
    world.edges["A"].deaf = False
    world.rt.run_for(30.0)
    assert world.balance("bin:A-01") == 77
    assert row.units == 3


def test_what_is_counted_by_one_whose_work_it_is_not_waits(world: CentralWorld) -> None:
    count(world, "A-01", 79, 80, person="bob")
    (row,) = world.proposals("adjust")
    assert row.status == "waiting"
    assert world.balance("bin:A-01") == 80


@pytest.mark.parametrize("before_s", [1.0, 0.0])
def test_a_difference_that_goods_just_handled_explain_changes_nothing(
    world: CentralWorld, before_s: float
) -> None:
    edge = world.edges["A"]
    book = 80
    if before_s:
        edge.move(PEN, 3, "bin:A-01", "tote:O1")
        world.rt.run_for(before_s)
        book = 77  # scanned, and not taken yet: 80 are seen
    count(world, "A-01", 80 if before_s else 77, book, wait_s=QUIET_S / 2)
    if not before_s:
        edge.move(PEN, 3, "bin:A-01", "tote:O1")  # taken before the count, scanned after it
    world.rt.run_for(10.0)
    assert world.proposals("adjust") == []
    assert world.proposals("count") == []
    assert world.balance("bin:A-01") == 77
    assert world.metrics.snapshot().counters["counts_unsettled"] == 1


def test_a_difference_larger_than_the_goods_just_handled_is_counted_again(
    world: CentralWorld,
) -> None:
    world.edges["A"].move(PEN, 3, "bin:A-01", "tote:O1")
    count(world, "A-01", 60, 77, wait_s=10.0)
    assert world.proposals("adjust") == []
    (again,) = world.proposals("count")
    assert again.reason == f"-17 x {PEN} at A-01, counted while goods were handled there"
    assert [(r.worker_kind, r.status) for r in world.tasks("count")] == [("person", "done")]
    count(world, "A-01", 60, 77)
    (row,) = world.proposals("adjust")
    assert (row.status, row.units) == ("waiting", 17)


def test_it_is_counted_again_by_a_person_also_while_a_drone_flies_there(
    world: CentralWorld,
) -> None:
    world.edges["A"].deaf = True
    numbers: Numbers = {"bins": "A-01", "eye": "drone", "eye_name": "drone-1"}
    flight = Proposal(
        kind="count", gtin="", units=1, from_place="", to_place="bin:A-01", reason="r",
        numbers=numbers,
    )  # fmt: skip
    world.keeper.take_plan(Plan(proposals=(flight,), forecasts=()))
    world.edges["A"].move(PEN, 3, "bin:A-01", "tote:O1")
    count(world, "A-01", 60, 77, wait_s=10.0)
    count(world, "A-01", 60, 77, wait_s=0.0)
    assert sorted(r.worker_kind for r in world.tasks("count")) == ["drone", "person"]


def test_what_a_robot_took_before_it_was_booked_is_not_lost_twice(world: CentralWorld) -> None:
    world.robots.idle = True
    refill = Proposal(
        kind="refill", gtin=PEN, units=12, from_place="bin:A-01", to_place="bin:B-12",
        reason="runs low", numbers={"position_units": 4}, causes=("O1",),
    )  # fmt: skip
    world.keeper.take_plan(Plan(proposals=(refill,), forecasts=()))
    world.rt.run_for(2.0)
    (job,) = world.robots.jobs.values()
    world.robots.happen(job.job_id, "assigned")
    world.rt.run_for(2.0)
    count(world, "A-01", 68, 80, wait_s=10.0)  # it took them; its edge has not heard of it yet
    world.robots.stop(job, 0)
    world.robots.stop(job, 1)
    world.robots.happen(job.job_id, "done", 1)
    world.rt.run_for(10.0)
    assert world.proposals("adjust") == []
    assert world.balance("bin:A-01") == 68


def test_an_adjustment_that_a_late_fact_explains_is_not_booked(world: CentralWorld) -> None:
    at_ns = world.shared.now_ns()
    count(world, "A-01", 60, 80)
    (row,) = world.proposals("adjust")
    assert row.status == "waiting"
    edge = world.edges["A"]
    edge.move(PEN, 20, "bin:A-01", "tote:O1", observed_at_ns=at_ns, received_at_ns=at_ns)
    world.rt.run_for(1.0)
    world.decide(row.proposal_id, approve=True)
    world.rt.run_for(5.0)
    assert world.proposals("adjust")[0].status == "failed"
    assert world.balance("bin:A-01") == 60


def test_what_a_planner_puts_aside_is_not_taken_for_a_correction(world: CentralWorld) -> None:
    """The goods left the bin after the count: that says nothing of the difference it found."""
    edge = world.edges["A"]
    count(world, "A-01", 78, 80, wait_s=0.5)
    edge.deaf = True
    world.adjust(-5, is_difference=True, quarantine=True)
    world.rt.run_for(5.0)
    edge.deaf = False
    world.rt.run_for(40.0)
    assert world.proposals("adjust") == []
    assert (world.balance("bin:A-01"), world.balance("quarantine:")) == (75, 5)
    assert world.metrics.snapshot().counters["counts_unsettled"] == 1


def test_a_difference_larger_than_what_was_put_aside_is_counted_again(world: CentralWorld) -> None:
    count(world, "A-01", 70, 80, wait_s=0.5)
    world.adjust(-5, is_difference=True, quarantine=True)
    world.rt.run_for(10.0)
    assert world.proposals("adjust") == []
    (again,) = world.proposals("count")
    assert again.reason == f"-10 x {PEN} at A-01, counted while goods were handled there"


@pytest.mark.parametrize(("units", "is_difference", "left"), [
    (77, False, 77), (80, False, 80), (-3, True, 77),
])  # fmt: skip
def test_an_older_count_does_not_undo_what_a_person_said_since(
    world: CentralWorld, units: int, *, is_difference: bool, left: int
) -> None:
    edge = world.edges["A"]
    count(world, "A-01", 78, 80, wait_s=0.5)
    edge.deaf = True
    world.adjust(units, is_difference=is_difference)
    world.rt.run_for(5.0)
    edge.deaf = False
    world.rt.run_for(40.0)
    assert world.proposals("adjust") == []
    assert world.balance("bin:A-01") == left


def test_a_difference_to_a_book_that_the_ledger_does_not_know_waits(world: CentralWorld) -> None:
    """An old copy of the edge's database: 80 are there, as the ledger says; its book has 83."""
    count(world, "A-01", 80, 83)
    (row,) = world.proposals("adjust")
    assert (row.status, world.balance("bin:A-01")) == ("waiting", 80)
    assert "the book had 83 (that is edge A's: the ledger had 80): -3." in row.reason
    assert world.metrics.snapshot().counters["counts_of_another_book"] == 1


def test_what_is_booked_behind_a_count_sets_no_books_apart(world: CentralWorld) -> None:
    edge = world.edges["A"]
    long_ago_ns = world.shared.now_ns() - 100 * 10**9
    count(world, "A-01", 77, 80, wait_s=QUIET_S / 4)
    edge.move(PEN, 9, "dock:", "bin:A-01", received_at_ns=long_ago_ns)
    world.rt.run_for(10.0)
    assert [row.status for row in world.proposals("adjust")] == ["done"]
    assert world.balance("bin:A-01") == 86
    assert "counts_of_another_book" not in world.metrics.snapshot().counters


def test_a_count_is_judged_after_a_crash_right_behind_its_commit(world: CentralWorld) -> None:
    world.kill_after_commits(1)
    count(world, "A-01", 77, 80, wait_s=1.0)
    world.begin()
    world.rt.run_for(10.0)
    assert [row.units for row in world.proposals("adjust")] == [3]
    assert world.balance("bin:A-01") == 77


@pytest.mark.parametrize("seed", range(4))
def test_right_counts_never_make_a_true_book_false(world: CentralWorld, seed: int) -> None:
    """People take or bring up to a second before or after their scan; all is approved."""
    random = Random(seed)
    edge, lane = world.edges["A"], world.rt.lane("people")
    there = {"bin:A-01": 80, "bin:A-02": 40}
    edge.move(PEN, 40, "dock:", "bin:A-02")
    world.rt.run_for(10.0)
    booked = dict(there)

    def handle(place: str, by: int, scan_s: float) -> None:
        def take() -> None:
            there[place] += by

        def scan() -> None:
            booked[place] += by
            ends = ("dock:", place) if by > 0 else (place, "tote:O1")
            edge.move(PEN, abs(by), *ends)

        lane.call_later(1.0, take)
        lane.call_later(1.0 + scan_s, scan)

    for _ in range(40):
        place = random.choice(sorted(there))
        if random.random() < 0.5:
            handle(place, random.choice([-4, -2, -1, 3]), random.uniform(-0.9, 0.9))
        else:
            count(world, place.removeprefix("bin:"), there[place], booked[place], wait_s=0.0)
        world.rt.run_for(random.choice([0.3, 1.0, 6.0]))
        for row in world.proposals("adjust"):
            if row.status == "waiting":
                world.decide(row.proposal_id, approve=True)
    world.rt.run_for(20.0)
    assert {place: world.balance(place) for place in there} == there, f"seed {seed}"
