"""What counts find is kept and learned from: which books are doubted, which counts believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from central import tables as t
from central.belief import intervals
from central.belief.books import how_sure
from central.belief.core import DAY, PICK, Prior
from central.belief.intervals import read_rates
from central.config import PolicyConfig
from central.replenish.types import Plan, Proposal
from central.store import reading
from tests.central_world import CUP, PEN, CentralWorld
from wire import messages as m

DAY_NS = 86_400 * 10**9


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    policy = PolicyConfig(auto_adjust_units_max=100, auto_adjust_cents_max=100_000)
    world = CentralWorld(tmp_path, policy=policy)
    world.open_stock()
    for person in world.people.values():
        person.idle = True
    return world


def sure(world: CentralWorld, bin_id: str) -> float:
    with reading(world.engine) as conn:
        bins = world.shared.site.bins
        alone = how_sure(conn, world.shared.now_ns(), bins, bin_id)[bin_id]
        whole = how_sure(conn, world.shared.now_ns(), bins)
    assert whole.get(bin_id, alone) == alone
    return alone.sure


def taught(world: CentralWorld) -> intervals.Rates:
    with reading(world.engine) as conn:
        return read_rates(conn, world.shared.site.bins)


def count(
    world: CentralWorld, bin_id: str, off_units: int, gtin: str = PEN, *, days: int = 0
) -> None:
    """Count a bin; `days`: so much later by the clock of whoever counts."""
    now_ns = world.shared.now_ns() + days * DAY_NS
    book = world.balance(f"bin:{bin_id}", gtin)
    world.edges[world.shared.site.bins[bin_id].edge_id].write(
        m.BinCounted(
            event_id=world.shared.new_id("count"), bin_id=bin_id, gtin=gtin,
            counted_units=book + off_units, book_units=book, device_id="scanner",
            observed_at_ns=now_ns, received_at_ns=now_ns, person_id="ann",
        )
    )  # fmt: skip
    world.rt.run_for(6.0)


def pick(world: CentralWorld, bin_id: str, times: int, gtin: str = PEN) -> None:
    for _ in range(times):
        world.edges["B"].move(gtin, 1, f"bin:{bin_id}", "tote:T1", reason="pick")
    world.rt.run_for(5.0)


def test_where_counts_find_errors_books_are_doubted_sooner(world: CentralWorld) -> None:
    pick(world, "B-12", 2)
    before = sure(world, "B-12")
    assert taught(world).counts == 0
    for _ in range(5):
        pick(world, "B-11", 2)
        count(world, "B-11", 3)
    rates = taught(world)
    assert rates.counts == 5
    assert rates.classes["B/pick"][0] > Prior().hazards[0]
    assert rates.frailty["B-11"] > 1.5
    after = sure(world, "B-12")
    assert after < before - 0.001  # the same picks at its neighbour: less is expected of it
    world.kill()
    world.begin()
    assert taught(world) == rates
    assert sure(world, "B-12") == after


def test_where_counts_agree_books_are_trusted_longer(world: CentralWorld) -> None:
    pick(world, "B-12", 2)
    before = sure(world, "B-12")
    for day in range(6):
        pick(world, "B-11", 3)
        count(world, "B-11", 0, days=10 * day)
    rates = taught(world)
    assert rates.counts == 6
    for cause in (PICK, DAY):
        assert rates.site[cause] < Prior().hazards[cause]
    assert sure(world, "B-12") > before


def test_an_interval_tells_what_was_done_since_the_count_before(world: CentralWorld) -> None:
    pick(world, "B-13", 3, CUP)
    count(world, "B-13", 0, CUP)
    world.edges["B"].move(CUP, 6, "found:", "bin:B-13", reason="putaway")
    pick(world, "B-13", 2, CUP)
    pick(world, "B-11", 1)  # elsewhere
    count(world, "B-13", -2, CUP)
    pick(world, "B-13", 1, CUP)
    count(world, "B-13", 0, CUP)
    for edge in world.edges.values():
        edge.resend()
    world.rt.run_for(6.0)
    rows = world.rows(select(t.count_interval).order_by(t.count_interval.c.counted_ns))
    assert [(r.picks, r.putaways, r.moves, r.off_units) for r in rows] == [
        (3, 0, 0, 0), (2, 1, 0, -2), (1, 0, 0, 0),
    ]  # fmt: skip
    assert rows[1].begun_ns == rows[0].counted_ns
    assert rows[2].begun_ns > rows[1].counted_ns  # when its book was made to agree
    assert [round(r.sure, 2) for r in rows] == [0.98, 1.0, 0.98]


def test_where_the_ledger_is_looked_through_in_part_the_rest_is_taken_to_be_alike(
    world: CentralWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(world, "B-11", 0)
    for _ in range(10):
        pick(world, "B-11", 1)
    monkeypatch.setattr(intervals, "MOVES_PER_COUNT_MAX", 4)
    count(world, "B-11", 0)
    _, row = world.rows(select(t.count_interval).order_by(t.count_interval.c.counted_ns))
    assert 8.0 < row.picks < 13.0


def test_a_count_is_believed_by_what_was_done_at_its_bin_before(world: CentralWorld) -> None:
    count(world, "A-01", -1)
    (fresh,) = world.proposals("adjust")
    count(world, "A-01", -1, days=200)
    old = world.proposals("adjust")[-1]
    shares = [json.loads(row.numbers)["count_sure"] for row in (fresh, old)]
    assert 0.0 < shares[0] < shares[1] < 1.0
    assert (fresh.status, old.status) == ("done", "done")


def test_counts_that_had_to_be_taken_back_lower_the_trust_in_counts(tmp_path: Path) -> None:
    world = CentralWorld(
        tmp_path, policy=PolicyConfig(auto_adjust_units_max=1, auto_adjust_cents_max=1)
    )
    world.open_stock()
    for _ in range(4):
        count(world, "A-01", -2)  # nobody decides
        count(world, "A-01", 0)
    rates = taught(world)
    assert rates.miscount == pytest.approx((200 * 0.02 + 4) / 208)


def test_a_short_pick_raises_doubt_until_somebody_looks(
    world: CentralWorld,
) -> None:
    world.order("O1", (PEN, 3))
    world.rt.run_for(5.0)
    (task,) = world.tasks("pick")
    bin_id = task.from_place.removeprefix("bin:")
    before = sure(world, bin_id)
    now_ns = world.shared.now_ns()
    world.edges["B"].write(
        m.TaskClosed(
            event_id="closed/1", task_id=task.task_id, short_units=3, device_id="s",
            observed_at_ns=now_ns, received_at_ns=now_ns, person_id="bob",
        )
    )  # fmt: skip
    world.rt.run_for(5.0)
    assert sure(world, bin_id) < 0.8 < before
    count(world, bin_id, 0)
    assert sure(world, bin_id) > 0.99


def test_a_robot_that_failed_at_a_bin_raises_doubt_there(world: CentralWorld) -> None:
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
    target, before = sure(world, "B-12"), sure(world, "A-01")
    world.robots.report(job.job_id, "failed", detail="only 3 there")
    world.rt.run_for(5.0)
    assert sure(world, "A-01") < 0.8 < before
    assert sure(world, "B-12") == pytest.approx(target, abs=0.01)
