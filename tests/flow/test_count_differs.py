"""A count that differs: its edge books the difference, a small one at once, a large once asked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from central.config import PolicyConfig
from central.ledger.verify import verify_ledger
from central.replenish.planner import recompute
from tests.central_world import CUP, PEN, CentralWorld
from wire import messages as m


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    policy = PolicyConfig(auto_adjust_units_max=5, auto_adjust_cents_max=1_000)
    world = CentralWorld(tmp_path, policy=policy)
    world.open_stock()
    return world


def count(
    world: CentralWorld, bin_id: str, seen: int, book: int, gtin: str = PEN, person: str = "ann"
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
    world.rt.run_for(5.0)
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
