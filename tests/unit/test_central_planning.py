"""What the planner is shown: each figure of the snapshot from the rows it stands for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from central import tables as t
from central.config import CameraAtEdge, PolicyConfig
from central.demand.service import Forecast
from central.desk.details import book_of
from central.desk.site import Names
from central.eyes import BLIND_ROUNDS_MAX
from central.planning import Planning, read_snapshot
from central.replenish.types import Plan, PlanningSnapshot, Proposal, ProposalKind
from central.store import reading
from central.tasking.floor import make_floor
from tests.central_world import CUP, PEN, CentralWorld
from wire import messages as m


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=20, auto_buy_cents_max=1_000))
    found.open_stock()
    for person in found.people.values():
        person.idle = True
    found.robots.idle = True
    return found


def snapshot(world: CentralWorld) -> PlanningSnapshot:
    floor = make_floor(world.shared.site, world.config.drones)
    with reading(world.engine) as conn:
        return read_snapshot(conn, floor=floor, config=world.config, now_ns=world.shared.now_ns())


def propose(
    world: CentralWorld, kind: ProposalKind, units: int, to_place: str = "bin:B-12", gtin: str = PEN
) -> None:
    from_place = "supplier:S1" if kind == "buy" else "bin:A-01"
    item = Proposal(
        kind=kind, gtin=gtin, units=units, from_place=from_place, to_place=to_place,
        reason="r", numbers={"bins": "A-01"},
    )  # fmt: skip
    world.keeper.take_plan(Plan(proposals=(item,), forecasts=()))
    world.rt.run_for(1.0)


def test_stock_orders_and_their_causes(world: CentralWorld) -> None:
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    world.order("O2", (PEN, 30))
    world.rt.run_for(1.0)
    seen = snapshot(world)
    assert seen.balances["bin:B-11", PEN] == 20
    assert seen.balances["bin:A-01", PEN] == 80
    assert seen.reserved == {("bin:B-11", PEN): 20, ("bin:B-12", PEN): 4}
    assert seen.allocated == {PEN: 24}
    assert seen.backordered == {PEN: 11}
    assert seen.causes == {PEN: ("O2", "O1")}
    assert seen.history == {PEN: ((seen.day, 35),)}
    assert seen.first_day == seen.day


def test_picked_units_are_no_longer_allocated(world: CentralWorld) -> None:
    world.order("O1", (PEN, 5))
    world.rt.run_for(1.0)
    (pick,) = world.tasks("pick")
    world.edges["B"].move(PEN, 2, pick.from_place, pick.to_place, task_id=pick.task_id)
    world.rt.run_for(1.0)
    seen = snapshot(world)
    assert seen.allocated == {PEN: 3}
    assert seen.reserved == {("bin:B-11", PEN): 3}


def test_moves_under_way_and_waiting_are_inbound(world: CentralWorld) -> None:
    propose(world, "refill", 12)
    propose(world, "transfer", 30, "bin:B-01")
    seen = snapshot(world)
    assert seen.inbound == {("bin:B-12", PEN): 12, ("bin:B-01", PEN): 30}
    assert seen.reserved == {("bin:A-01", PEN): 12}
    assert seen.promised == {("bin:A-01", PEN): 30}


def test_purchases_are_on_order_until_they_are_received(world: CentralWorld) -> None:
    propose(world, "buy", 6, "bin:A-DOCK")
    propose(world, "buy", 60, "bin:A-DOCK", CUP)
    assert snapshot(world).on_order == {PEN: 6, CUP: 60}
    short = m.PurchaseOrder(
        po_id=world.purchases[0].po_id, supplier_id="S1", ordered_at_ns=1,
        lines=(m.OrderLine(gtin=PEN, units=5),),
    )  # fmt: skip
    world.notice(short, "arrived")
    world.rt.run_for(1.0)
    assert snapshot(world).on_order == {PEN: 5, CUP: 60}
    (row,) = world.tasks("receive")
    world.edges["A"].move(PEN, 5, row.from_place, row.to_place, task_id=row.task_id)
    world.rt.run_for(1.0)
    assert snapshot(world).on_order == {CUP: 60}
    assert [(r.kind, r.units) for r in world.tasks("putaway")] == [("putaway", 5)]


def test_looks_at_bins_and_open_counts(world: CentralWorld) -> None:
    world.edges["A"].deaf = True
    seen = snapshot(world)
    assert seen.last_count_round_ns == 0
    eyes = {(eye.kind, eye.edge_id): eye for eye in seen.eyes}
    assert eyes["drone", "A"].bins == {"A-01", "A-02"}
    assert {"B-11", "B-12"} <= eyes["person", "B"].bins
    assert not any(eye.busy for eye in seen.eyes)
    for number, (bin_id, units) in enumerate((("A-01", 79), ("A-02", 0), ("B-11", 20))):
        world.edges[bin_id[0]].write(
            m.BinCounted(
                event_id=f"c/{number}", bin_id=bin_id, gtin=PEN, counted_units=units,
                book_units=80 if bin_id == "A-01" else units, observed_at_ns=100 + number,
                device_id="d", received_at_ns=1,
            )
        )  # fmt: skip
    stranger = (m.SeenArticle(gtin=CUP, labels=1),)
    world.edges["B"].write(
        m.BinSighted(
            event_id="s/1", bin_id="B-12", articles=stranger, observed_at_ns=200,
            device_id="cam", received_at_ns=1,
        )
    )  # fmt: skip
    propose(world, "count", 1, "")
    seen = snapshot(world)
    assert seen.last_seen_ns == {"A-01": 100, "A-02": 101, "B-11": 102, "B-12": 200}
    assert seen.doubtful_bins == {"A-01", "B-12"}
    assert [(eye.kind, eye.edge_id) for eye in seen.eyes if eye.busy] == [("drone", "A")]
    assert seen.last_count_round_ns > 0


def test_what_a_person_rejected_is_not_to_be_proposed(world: CentralWorld) -> None:
    propose(world, "refill", 30)
    world.decide(world.proposals()[0].proposal_id, approve=False)
    world.rt.run_for(1.0)
    seen = snapshot(world)
    assert seen.refused == {("refill", PEN, "bin:B-12")}
    assert seen.inbound == {}


def test_forecasts_are_kept_for_the_pages(world: CentralWorld) -> None:
    forecast = Forecast(
        gtin=PEN, mean_units_per_day=3.5, sd_units_per_day=1.25, days=30, method="ses",
        alpha=0.1, weekday_factors=(1.0,) * 7, surge=False, day=1, elapsed_share=0.5,
    )  # fmt: skip
    for mean in (3.5, 4.5):
        changed = Forecast(
            **{name: getattr(forecast, name) for name in forecast.__slots__}
            | {"mean_units_per_day": mean}
        )
        world.keeper.take_plan(Plan(proposals=(), forecasts=(changed,)))
        world.rt.run_for(1.0)
    (row,) = world.rows(t.forecast.select())
    assert (row.gtin, row.mean_units_per_day, row.days) == (PEN, 4.5, 30)


def plans_of(world: CentralWorld) -> list[Plan]:
    plans: list[Plan] = []
    planning = Planning(
        world.rt, world.metrics, world.config,
        floor=make_floor(world.shared.site, world.config.drones), engine=world.engine,
        lane=world.rt.lane("planning"), on_plan=plans.append,
    )  # fmt: skip
    planning.start()
    return plans


def test_nothing_is_planned_before_the_opening_stock_is_known(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    world.edges["A"].open_stock()
    plans = plans_of(world)
    world.rt.run_for(5.0)
    assert plans == []
    world.edges["B"].open_stock()
    world.rt.run_for(60.0)
    assert plans


def test_an_edge_that_never_comes_does_not_hold_up_the_plan_for_ever(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    plans = plans_of(world)
    world.rt.run_for(59.0)
    assert plans == []
    world.rt.run_for(62.0)
    assert plans


@pytest.mark.parametrize(("days_ahead", "units"), [(400, 1), (0, -5), (0, 2**62)])
def test_demand_that_cannot_be_true_is_named_and_left_out(
    world: CentralWorld, days_ahead: int, units: int
) -> None:
    today = world.shared.now_ns() // 60_000_000_000
    with world.engine.begin() as conn:
        rows = [
            {"gtin": PEN, "day": today + days_ahead, "units": units},
            {"gtin": CUP, "day": today, "units": 4},
        ]
        conn.execute(t.demand_day.insert(), rows)
    plans = plans_of(world)
    with capture_logs() as logs:
        world.rt.run_for(2.0)
    assert len(plans) == 1
    assert snapshot(world).history == {CUP: ((today, 4),)}
    assert units in [line.get("units") for line in logs]


def test_books_of_bins_and_articles_that_the_site_no_longer_has_can_be_planned(
    world: CentralWorld,
) -> None:
    gone = "05000000000005"
    with world.engine.begin() as conn:
        stock = [("bin:Z-99", PEN, 5), ("bin:B-11", gone, 5), ("bin:A-DOCK", gone, 5)]
        conn.execute(t.balance.insert(), [{"place": p, "gtin": g, "units": u} for p, g, u in stock])
        conn.execute(
            t.customer_order.insert(), {"order_id": "X", "status": "accepted", "ordered_at_ns": 1}
        )
        line = {"order_id": "X", "line": 1, "gtin": gone, "units": 5}
        conn.execute(t.order_line.insert(), line)
        purchase = {
            "po_id": "X", "supplier_id": "S9", "gtin": gone, "units": 5, "status": "sent",
            "ordered_at_ns": 1, "changed_at_ns": 1,
        }  # fmt: skip
        conn.execute(t.purchase_order.insert(), purchase)
    plans = plans_of(world)
    world.order("O1", (PEN, 1))
    world.rt.run_for(3.0)
    assert len(plans) == 1
    assert world.status("X") == "accepted"


def test_moves_make_a_book_less_sure_and_a_look_more_also_after_a_restart(
    world: CentralWorld,
) -> None:
    before = snapshot(world).sure.get("B-11", 1.0)
    for _ in range(4):
        world.edges["B"].move(PEN, 1, "bin:B-11", "tote:T1", reason="pick")
    world.rt.run_for(1.0)
    moved = snapshot(world).sure["B-11"]
    assert moved == pytest.approx(0.98 * math.exp(-4 * 0.002))
    assert moved < before
    with world.engine.begin() as conn:
        shown = book_of(conn, Names(world.shared.site), "B-11", world.shared.now_ns())
    assert (shown.probability, shown.picks) == (round(moved, 4), 4)  # the desk says the same
    world.kill()
    world.begin()
    assert snapshot(world).sure["B-11"] == moved
    now_ns = world.shared.now_ns()
    world.edges["B"].write(
        m.BinCounted(
            event_id="c/sure", bin_id="B-11", gtin=PEN, counted_units=16, book_units=16,
            observed_at_ns=now_ns, device_id="d", received_at_ns=now_ns,
        )
    )  # fmt: skip
    world.rt.run_for(1.0)
    assert moved < snapshot(world).sure["B-11"] <= before


def test_who_counts_one_lot_or_one_unit_has_not_counted_the_bin(world: CentralWorld) -> None:
    for number, (lot, serial) in enumerate((("L1", ""), ("", "S1"))):
        world.edges["A"].write(
            m.BinCounted(
                event_id=f"c/{number}", bin_id="A-01", gtin=PEN, counted_units=0, book_units=1,
                observed_at_ns=100 + number, device_id="d", received_at_ns=1,
                lot=lot, serial=serial,
            )
        )  # fmt: skip
    seen = snapshot(world)
    assert "A-01" not in seen.last_seen_ns
    assert not seen.doubtful_bins


def camera_round(world: CentralWorld, number: int, *read: str) -> None:
    """Let the camera look at A-01 once more, and read these."""
    task_id, now_ns = f"look/{number}", world.shared.now_ns()
    with world.engine.begin() as conn:
        row = {
            "command_id": task_id, "kind": "look", "status": "done", "edge_id": "A",
            "task_id": task_id, "event_id": task_id, "body": "A-01", "drone_id": "cam-1",
            "next_at_ns": now_ns,
        }  # fmt: skip
        conn.execute(t.edge_command.insert(), row)
        ended = {
            "event_id": f"cam-1/{task_id}", "mission_id": task_id, "drone_id": "cam-1",
            "ok": len(read), "detail": "", "bins_seen": json.dumps(read),
            "observed_at_ns": now_ns,
        }  # fmt: skip
        conn.execute(t.mission_end.insert(), ended)
    world.rt.run_for(1.0)


def test_a_camera_that_never_reads_a_bin_is_not_asked_again_until_something_changes(
    world: CentralWorld,
) -> None:
    def looks_at() -> frozenset[str]:
        cameras = (CameraAtEdge(camera_id="cam-1", edge_id="A", bins=("A-01", "A-02")),)
        floor, now_ns = make_floor(world.shared.site, (), cameras), world.shared.now_ns()
        with reading(world.engine) as conn:
            found = read_snapshot(conn, floor=floor, config=world.config, now_ns=now_ns)
        return found.eyes[0].bins

    camera_round(world, 0, "A-01")
    for number in range(1, BLIND_ROUNDS_MAX):
        camera_round(world, number)
    assert looks_at() == {"A-01", "A-02"}
    camera_round(world, BLIND_ROUNDS_MAX)
    assert looks_at() == {"A-02"}
    world.edges["A"].move(PEN, 1, "bin:A-01", "tote:T1", reason="pick")
    world.rt.run_for(1.0)
    assert "A-01" in snapshot(world).changed_bins
    assert looks_at() == {"A-01", "A-02"}
    camera_round(world, BLIND_ROUNDS_MAX + 1)
    assert looks_at() == {"A-02"}
    camera_round(world, BLIND_ROUNDS_MAX + 2, "A-01")
    assert looks_at() == {"A-01", "A-02"}
