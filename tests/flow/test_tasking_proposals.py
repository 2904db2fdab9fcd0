"""Proposals: policy and people decide, once each; moves, purchases and counts follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from central import tables as t
from central.config import PolicyConfig, TaskingConfig
from central.ledger.verify import verify_ledger
from central.replenish.numbers import Numbers
from central.replenish.planner import recompute
from central.replenish.types import Plan, Proposal, ProposalKind
from tests.central_world import CUP, PEN, CentralWorld
from wire import messages as m


def proposed(kind: ProposalKind = "refill", units: int = 12, **columns: object) -> Proposal:
    values: dict[str, object] = {
        "kind": kind, "gtin": PEN, "units": units, "from_place": "bin:A-01",
        "to_place": "bin:B-12", "reason": "runs low", "numbers": {"position_units": 4},
        "causes": ("O1",),
    }  # fmt: skip
    return msgspec.convert(values | columns, Proposal)


def plan(world: CentralWorld, *proposals: Proposal) -> None:
    world.keeper.take_plan(Plan(proposals=proposals, forecasts=()))
    world.rt.run_for(1.0)


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    found = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=20, auto_buy_cents_max=5_000))
    found.open_stock()
    return found


def test_a_small_refill_is_approved_by_policy_and_a_robot_does_it(world: CentralWorld) -> None:
    plan(world, proposed(units=12))
    (row,) = world.proposals()
    assert (row.status, row.decided_by) == ("approved", "policy")
    assert row.decision_reason == "moves 12 units, up to 20 allowed"
    world.rt.run_for(10.0)
    (row,) = world.proposals()
    (done,) = world.tasks("refill")
    assert (row.status, done.status, done.worker_id) == ("done", "done", "acme/r1")
    assert (world.balance("bin:B-12"), world.balance("bin:A-01")) == (16, 68)
    assert (done.proposal_id, msgspec.json.decode(row.causes)) == (row.proposal_id, ["O1"])
    assert world.rows(select(t.reservation)) == []


def test_a_large_refill_waits_for_a_person(world: CentralWorld) -> None:
    plan(world, proposed(units=30))
    assert [r.status for r in world.proposals()] == ["waiting"]
    assert world.tasks() == []
    world.decide(world.proposals()[0].proposal_id, approve=True)
    world.rt.run_for(10.0)
    (row,) = world.proposals()
    assert (row.status, row.decided_by, row.decision_reason) == ("done", "planner", "because")
    assert world.results == [
        m.DecisionResult(
            command_id="c1", proposal_id=row.proposal_id, ok=True, text="approved: 30 units"
        )
    ]


def test_a_person_may_change_the_units(world: CentralWorld) -> None:
    plan(world, proposed(units=30))
    world.decide(world.proposals()[0].proposal_id, approve=True, units=8)
    world.rt.run_for(10.0)
    assert [r.units for r in world.tasks("refill")] == [8]
    assert world.balance("bin:B-12") == 12


def test_more_than_is_free_cannot_be_approved(world: CentralWorld) -> None:
    plan(world, proposed(units=30))
    world.decide(world.proposals()[0].proposal_id, approve=True, units=500)
    world.rt.run_for(1.0)
    assert not world.results[0].ok
    assert world.results[0].text == (
        "500 cannot be approved: 80 are free at A-01; enter 80 or fewer"
    )
    assert (world.proposals()[0].status, world.tasks()) == ("waiting", [])
    world.decide(world.proposals()[0].proposal_id, approve=True, units=80, command_id="c2")
    world.rt.run_for(1.0)
    assert world.results[1].text == "approved: 80 units"
    plan(world, proposed(units=30, to_place="bin:B-11"))
    world.decide(world.proposals()[1].proposal_id, approve=True, command_id="c3")
    world.rt.run_for(1.0)
    assert not world.results[2].ok
    assert world.results[2].text.startswith("failed: nothing is free at bin:A-01")
    assert world.proposals()[1].status == "failed"


def test_a_proposal_of_more_than_is_left_is_not_cut_behind_a_persons_back(
    world: CentralWorld,
) -> None:
    plan(world, proposed(units=60), proposed(units=79, to_place="bin:B-11"))
    first, second = world.proposals()
    world.decide(second.proposal_id, approve=True)
    world.decide(first.proposal_id, approve=True, command_id="c2")
    world.rt.run_for(1.0)
    assert [r.ok for r in world.results] == [True, False]
    assert world.results[1].text == ("60 cannot be approved: 1 is free at A-01; enter 1 or fewer")
    world.decide(first.proposal_id, approve=True, units=1, command_id="c3")
    world.rt.run_for(1.0)
    assert world.results[2].text == "approved: 1 unit"


def test_policy_moves_what_is_still_free(world: CentralWorld) -> None:
    plan(world, proposed(units=70))
    world.decide(world.proposals()[0].proposal_id, approve=True)
    plan(world, proposed(units=15, to_place="bin:B-11"))
    assert [r.units for r in world.tasks("refill")] == [70, 10]
    assert world.proposals()[1].status == "approved"


def test_a_repeated_decision_is_answered_the_same_and_done_once(world: CentralWorld) -> None:
    plan(world, proposed(units=30))
    proposal_id = world.proposals()[0].proposal_id
    for _ in range(3):
        world.decide(proposal_id, approve=True)
    world.decide(proposal_id, approve=False, command_id="c2")
    world.rt.run_for(1.0)
    assert [r.ok for r in world.results] == [True, True, True, False]
    assert world.results[3].text == f"{proposal_id} is approved by planner: nothing to decide"
    assert len(world.tasks("refill")) == 1


def test_a_decision_on_nothing_is_refused(world: CentralWorld) -> None:
    world.decide("refill-x-1", approve=True)
    world.rt.run_for(1.0)
    assert world.results[0].text == "there is no proposal refill-x-1"


def test_a_rejected_proposal_is_not_made_again_before_it_expires(tmp_path: Path) -> None:
    policy = PolicyConfig(auto_units_max=20, proposal_expires_s=60.0)
    world = CentralWorld(tmp_path, policy=policy)
    world.open_stock()
    plan(world, proposed(units=30))
    world.decide(world.proposals()[0].proposal_id, approve=False)
    world.rt.run_for(1.0)
    assert world.results[0].text == "rejected"
    plan(world, proposed(units=30))
    assert [r.status for r in world.proposals()] == ["rejected"]
    world.rt.run_for(60.0)
    plan(world, proposed(units=30))
    assert [r.status for r in world.proposals()] == ["rejected", "waiting"]
    world.rt.run_for(61.0)
    assert [r.status for r in world.proposals()] == ["rejected", "expired"]


def test_the_same_need_is_proposed_once(world: CentralWorld) -> None:
    plan(world, proposed(units=30))
    plan(world, proposed(units=31))
    assert [r.units for r in world.proposals()] == [30]
    plan(world, proposed(units=5, to_place="bin:B-11"), proposed(units=6, to_place="bin:B-11"))
    assert [r.units for r in world.proposals()] == [30, 5, 6]


def test_a_robot_that_fails_gives_the_stock_back_and_the_bin_is_counted(
    world: CentralWorld,
) -> None:
    world.robots.fail = "only 3 units there"
    plan(world, proposed(units=12))
    world.rt.run_for(5.0)
    refill, count = world.proposals()
    assert refill.status == "failed"
    assert (count.kind, count.to_place, count.status) == ("count", "bin:A-01", "done")
    (failed,) = world.tasks("refill")
    assert failed.detail == "acme/r1: only 3 units there"
    assert msgspec.json.decode(count.causes) == [failed.task_id]
    assert recompute(msgspec.json.decode(count.numbers)) == count.units == 1
    assert count.reason == f"{failed.task_id} failed there: acme/r1: only 3 units there"
    assert world.rows(select(t.reservation)) == []
    assert [c.bins for c in world.edges["A"].commands if isinstance(c, m.FlyMission)] == [("A-01",)]


def test_a_robot_that_restarts_in_its_drop_has_the_goal_counted(world: CentralWorld) -> None:
    """It may have dropped the goods and forgotten to say so: nobody else knows."""
    world.robots.idle = True
    plan(world, proposed(units=12))
    world.rt.run_for(0.5)
    (job,) = world.robots.jobs.values()
    world.robots.stop(job, 0)
    world.rt.run_for(1.0)
    world.robots.report(job.job_id, "failed", 1, detail="no longer knows its order, in its drop")
    world.rt.run_for(1.0)
    (failed,) = world.tasks("refill")
    assert failed.detail.endswith("in its drop; 12 units are on robot acme/r1")
    refill, count = world.proposals()
    assert (refill.status, count.kind, count.to_place) == ("failed", "count", refill.to_place)
    assert count.reason.startswith(f"{failed.task_id} failed there: ")


def test_what_no_edge_booked_is_commanded_after_a_while(world: CentralWorld) -> None:
    world.robots.books = False
    plan(world, proposed(units=12))
    assert world.rt.run_until(lambda: bool(world.tasks("refill", "done")), 30.0)
    (at_a,) = [c for c in world.edges["A"].commands if isinstance(c, m.RecordMove)]
    (at_b,) = [c for c in world.edges["B"].commands if isinstance(c, m.RecordMove)]
    task_id = world.tasks("refill")[0].task_id
    assert at_a.movement.event_id == f"pick/{task_id}/A-01/{PEN}/12"
    assert (at_a.movement.from_place, at_a.movement.to_place) == ("bin:A-01", "robot:r1")
    assert (at_b.movement.from_place, at_b.movement.to_place) == ("robot:r1", "bin:B-12")
    assert world.balance("bin:B-12") == 16
    assert world.balance("robot:r1") == 0


def test_what_a_robot_says_after_its_task_was_given_up_is_booked_once(world: CentralWorld) -> None:
    world.robots.idle, world.robots.books = True, False
    plan(world, proposed(units=12))
    world.rt.run_for(181.0)
    (failed,) = world.tasks("refill", "failed")
    assert world.balance("bin:B-12") == 4
    world.robots.report(failed.task_id, "stop_done", 0)
    world.robots.report(failed.task_id, "stop_done", 1)
    world.robots.report(failed.task_id, "done", 2)
    world.robots.report(failed.task_id, "done", 2)
    world.rt.run_for(20.0)
    told = [c for edge in "AB" for c in world.edges[edge].commands if isinstance(c, m.RecordMove)]
    assert [command.movement.reason for command in told] == ["robot-pick", "robot-drop"]
    assert [world.balance(f"bin:{name}") for name in ("A-01", "B-12")] == [68, 16]
    assert [row.status for row in world.tasks("refill")] == ["failed"]


@pytest.mark.soak
def test_what_an_edge_refuses_to_book_is_given_up_and_its_bin_is_counted(tmp_path: Path) -> None:
    tasking = TaskingConfig(task_due_s=60.0, record_after_s=2.0, record_give_up_s=600.0)
    world = CentralWorld(tmp_path, tasking=tasking)
    world.open_stock()
    world.robots.books = False
    world.edges["B"].deaf = True  # as where its bins.csv gives the bin to another edge
    plan(world, proposed(units=12))
    told = world.edges["B"].commands
    world.rt.run_for(590.0)
    assert 10 <= len(told) <= 20
    assert not world.proposals("count")
    assert world.rt.run_until(lambda: bool(world.tasks("count")), 60.0)
    tries = len(told)
    (count,) = world.proposals("count")
    (task,) = world.tasks("refill")
    assert (count.to_place, count.status) == ("bin:B-12", "approved")
    assert count.reason == (
        f"edge B did not write down drop/{task.task_id}/B-12/{PEN}/12 in {tries} tries:"
        f" 12 x {PEN} from robot:r1 to bin:B-12"
    )
    assert msgspec.json.decode(count.causes) == [task.task_id]
    assert world.metrics.snapshot().counters["edge_commands_dropped{record}"] == 1
    world.rt.run_for(1_000.0)
    assert len(told) == tries
    assert [r.status for r in world.proposals("count")] == ["done"]
    assert [r.status for r in world.tasks("refill")] == ["failed"]
    assert [
        r.status for r in world.rows(select(t.edge_command).order_by(t.edge_command.c.status))
    ] == [
        "done",
        "dropped",
    ]


def test_commands_of_before_there_was_an_end_get_one(tmp_path: Path) -> None:
    tasking = TaskingConfig(task_due_s=60.0, record_after_s=2.0, record_give_up_s=100.0)
    world = CentralWorld(tmp_path, tasking=tasking)
    world.open_stock()
    world.robots.books = False
    world.edges["B"].deaf = True
    plan(world, proposed(units=12))
    world.rt.run_for(20.0)
    with world.engine.begin() as conn:
        conn.execute(update(t.edge_command).values(expires_at_ns=0, tries=5_000))
    world.rt.run_for(200.0)
    assert {r.status for r in world.rows(select(t.edge_command))} == {"done", "dropped"}


def test_what_the_edges_booked_is_not_commanded(world: CentralWorld) -> None:
    plan(world, proposed(units=12))
    world.rt.run_for(20.0)
    assert world.tasks("refill", "done")
    assert world.edges["A"].commands == world.edges["B"].commands == []


def test_a_robot_that_never_comes_is_withdrawn_and_the_task_fails(world: CentralWorld) -> None:
    world.robots.idle = True
    plan(world, proposed(units=12))
    task_id = world.tasks("refill")[0].task_id
    world.rt.run_for(181.0)
    assert world.robots.withdrawn == [task_id]
    assert [r.status for r in world.tasks("refill")] == ["failed"]
    assert [r.status for r in world.proposals("refill")] == ["failed"]
    assert world.rows(select(t.reservation)) == []


def test_a_job_that_is_handed_back_goes_to_the_fleet_again(world: CentralWorld) -> None:
    world.robots.idle = True
    plan(world, proposed(units=12))
    task_id = world.tasks("refill")[0].task_id
    world.robots.jobs.clear()
    world.robots.report(task_id, "handed_back", detail="robot lost")
    world.rt.run_for(1.0)
    assert world.robots.submitted == [task_id, task_id]
    assert [(r.status, r.tries) for r in world.tasks("refill")] == [("open", 2)]


def test_a_purchase_goes_to_the_supplier_arrives_and_is_put_away(world: CentralWorld) -> None:
    plan(world, proposed("buy", units=30, from_place="supplier:S1", to_place="bin:A-DOCK"))
    world.rt.run_for(5.0)
    assert len(world.purchases) >= 2
    order = world.purchases[0]
    assert all(again == order for again in world.purchases)
    world.notice(order, "confirmed")
    world.rt.run_for(1.0)
    sent = len(world.purchases)
    world.rt.run_for(60.0)
    assert len(world.purchases) == sent
    world.notice(order, "arrived")
    world.notice(order, "arrived")
    assert world.rt.run_until(lambda: bool(world.tasks("putaway", "done")), 30.0)
    world.rt.run_for(1.0)
    assert [(r.kind, r.status, r.units, r.worker_id) for r in world.tasks()] == [
        ("receive", "done", 30, "ann"),
        ("putaway", "done", 20, "ann"),
        ("putaway", "done", 10, "ann"),
    ]
    assert (world.balance("bin:A-01"), world.balance("bin:A-02")) == (100, 10)
    assert world.balance("bin:A-DOCK") == 0
    assert [r.status for r in world.proposals()] == ["done"]
    assert {r.proposal_id for r in world.tasks()} == {world.proposals()[0].proposal_id}
    assert verify_ledger(world.engine).balanced


def test_what_a_second_lorry_brings_of_the_same_purchase_is_received_too(
    world: CentralWorld,
) -> None:
    plan(world, proposed("buy", units=30, from_place="supplier:S1", to_place="bin:A-DOCK"))
    world.rt.run_for(2.0)
    order = world.purchases[0]

    def came(units: int) -> m.PurchaseOrder:
        lines = (m.OrderLine(gtin=order.lines[0].gtin, units=units),)
        return msgspec.structs.replace(order, lines=lines)

    world.notice(came(12), "arrived")
    world.notice(came(12), "arrived")
    assert world.rt.run_until(lambda: bool(world.tasks("putaway", "done")), 30.0)
    world.notice(came(30), "arrived")
    world.notice(came(12), "arrived")
    world.notice(came(30), "arrived")
    world.rt.run_for(30.0)
    assert [(r.status, r.units) for r in world.tasks("receive")] == [("done", 12), ("done", 18)]
    [row] = world.rows(select(t.purchase_order))
    assert (row.status, row.arrived_units, row.received_units) == ("received", 30, 30)
    assert verify_ledger(world.engine).balanced


def test_what_did_not_come_or_came_broken_ends_the_purchase(world: CentralWorld) -> None:
    ann, edge = world.people["ann"], world.edges["A"]
    ann.idle = True
    plan(world, proposed("buy", units=30, from_place="supplier:S1", to_place="bin:A-DOCK"))
    world.rt.run_for(2.0)
    order = world.purchases[0]
    world.notice(order, "arrived")
    world.rt.run_for(2.0)
    [task] = world.tasks("receive")
    mine = {"task_id": task.task_id, "person_id": "ann"}
    edge.move(PEN, 20, "supplier:S1", "bin:A-DOCK", reason="receive", lot="L1", **mine)
    edge.move(PEN, 4, "supplier:S1", "damaged:", reason="damaged", **mine)
    world.rt.run_for(2.0)
    [task] = world.tasks("receive")
    assert (task.status, task.moved_units) == ("moving", 24)
    edge.write(
        m.TaskClosed(event_id="closed/1", task_id=task.task_id, short_units=6, device_id="s",
                     observed_at_ns=1, received_at_ns=1, person_id="ann")
    )  # fmt: skip
    edge.send()
    world.rt.run_for(2.0)
    world.notice(order, "arrived")  # whatever the supplier says once more
    world.rt.run_for(5.0)
    [task] = world.tasks("receive")
    assert (task.status, task.detail) == ("done", "6 units did not come")
    [row] = world.rows(select(t.purchase_order))
    assert (row.status, row.arrived_units, row.received_units) == ("received", 30, 24)
    assert world.balance("damaged:") == 4
    assert verify_ledger(world.engine).balanced


def test_a_receipt_goes_on_when_somebody_takes_back_that_no_more_comes(
    world: CentralWorld,
) -> None:
    edge = world.edges["A"]
    world.people["ann"].idle = True
    plan(world, proposed("buy", 30, from_place="supplier:S1", to_place="bin:A-DOCK"))
    world.rt.run_for(2.0)
    world.notice(world.purchases[0], "arrived")
    world.rt.run_for(2.0)
    [task] = world.tasks("receive")
    mine = {"task_id": task.task_id, "person_id": "ann"}
    closed = m.TaskClosed(
        event_id="closed/1", task_id=task.task_id, short_units=6, device_id="s",
        observed_at_ns=1, received_at_ns=1, person_id="ann",
    )  # fmt: skip
    edge.move(PEN, 24, "supplier:S1", "bin:A-DOCK", reason="receive", **mine)
    edge.write(closed)
    world.rt.run_for(3.0)
    assert [row.status for row in world.tasks("receive")] == ["done"]
    assert [row.status for row in world.rows(select(t.purchase_order))] == ["received"]
    edge.write(msgspec.structs.replace(closed, event_id="closed/2", undone=True))
    world.rt.run_for(3.0)
    [task] = world.tasks("receive")
    assert (task.status, task.worker_id, task.moved_units) == ("moving", "ann", 24)
    screen = [row for row in world.people["ann"].screen if row.kind == "receive"]
    assert [(row.task_id, row.units) for row in screen] == [(task.task_id, 6)]
    assert task.task_id not in [row.task_id for row in world.rows(select(t.task_end))]
    assert [row.status for row in world.rows(select(t.purchase_order))] == ["arrived"]
    edge.move(PEN, 4, "supplier:S1", "bin:A-DOCK", reason="receive", **mine)
    edge.write(msgspec.structs.replace(closed, event_id="closed/3", short_units=2))
    world.rt.run_for(3.0)
    assert [(r.status, r.detail) for r in world.tasks("receive")] == [
        ("done", "2 units did not come")
    ]
    [row] = world.rows(select(t.purchase_order))
    assert (row.status, row.received_units) == ("received", 28)
    assert verify_ledger(world.engine).balanced


def test_what_comes_in_while_putaways_wait_goes_along_with_the_next_one(
    world: CentralWorld,
) -> None:
    edge, ann = world.edges["A"], world.people["ann"]
    ann.idle = True
    for _ in range(30):
        edge.move(PEN, 1, "supplier:S1", "bin:A-DOCK")
        world.rt.run_for(0.5)
    most = world.config.tasking.open_tasks_per_person_max
    assert len(world.tasks("putaway")) <= most + 1
    ann.idle = False
    assert world.rt.run_until(lambda: world.balance("bin:A-DOCK") == 0, 60.0)
    world.rt.run_for(1.0)
    assert sum(row.units for row in world.tasks("putaway", "done")) == 30
    assert verify_ledger(world.engine).balanced


def test_a_late_delivery_is_asked_for_again(world: CentralWorld) -> None:
    plan(world, proposed("buy", units=30, from_place="supplier:S1", to_place="bin:A-DOCK"))
    world.notice(world.purchases[0], "confirmed")
    world.rt.run_for(1.0)
    sent = len(world.purchases)
    world.rt.run_for(2 * 2 * 60.0 + 60.0 + 2.0)
    assert len(world.purchases) > sent


def test_an_expensive_purchase_waits_for_a_person(world: CentralWorld) -> None:
    plan(world, proposed("buy", units=34, from_place="supplier:S1", to_place="bin:A-DOCK"))
    assert [r.status for r in world.proposals()] == ["waiting"]
    assert world.rows(select(t.purchase_order)) == []


def test_a_notice_on_an_unknown_order_changes_nothing(world: CentralWorld) -> None:
    lines = (m.OrderLine(gtin=PEN, units=3),)
    order = m.PurchaseOrder(po_id="po-x", supplier_id="S1", lines=lines, ordered_at_ns=1)
    world.notice(order, "arrived")
    world.rt.run_for(1.0)
    assert world.tasks() == []
    assert world.metrics.snapshot().counters["notices_refused{unknown order}"] == 1


def counting(bins: str) -> Proposal:
    where = {"gtin": "", "from_place": "", "to_place": ""}
    return proposed("count", units=len(bins.split()), numbers={"bins": bins}, **where)


def test_a_count_is_flown_by_the_drone_of_the_zone(world: CentralWorld) -> None:
    plan(world, counting("A-01 A-02"))
    world.rt.run_for(3.0)
    (row,) = world.tasks("count")
    assert (row.status, row.worker_kind, row.worker_id) == ("done", "drone", "drone-1")
    (command,) = world.edges["A"].commands
    assert isinstance(command, m.FlyMission)
    assert (command.mission_id, command.bins) == (row.task_id, ("A-01", "A-02"))
    assert [r.status for r in world.proposals()] == ["done"]


def test_a_drone_flies_one_mission_at_a_time(world: CentralWorld) -> None:
    world.edges["A"].deaf = True
    plan(world, counting("A-01"))
    plan(world, counting("A-02"))
    world.keeper.take_plan(
        Plan(
            proposals=(proposed("count", numbers={"bins": "A-02"}, to_place="bin:A-02"),),
            forecasts=(),
        )
    )
    world.rt.run_for(3.0)
    assert [r.status for r in world.tasks("count")] == ["assigned", "open"]
    world.edges["A"].deaf = False
    world.rt.run_for(20.0)
    assert [r.status for r in world.tasks("count")] == ["done", "done"]


def test_a_mission_that_failed_or_never_ended_fails_its_count(world: CentralWorld) -> None:
    world.edges["A"].flies_ok = False
    plan(world, counting("A-01"))
    world.rt.run_for(3.0)
    assert [(r.status, r.detail) for r in world.tasks("count")] == [("failed", "wind")]
    assert [r.status for r in world.proposals()] == ["failed"]
    world.edges["A"].deaf = True
    world.rt.run_for(40.0)
    plan(world, counting("A-02"))
    world.rt.run_for(61.0)
    assert world.tasks("count")[1].detail == "no word from drone drone-1"
    flights = len(world.edges["A"].commands)
    world.rt.run_for(120.0)
    assert len(world.edges["A"].commands) == flights


def round_by(eye: str, name: str, bins: str) -> Proposal:
    numbers: Numbers = {"bins": bins, "eye": eye, "eye_name": name}
    return replace(counting(bins), numbers=numbers)


def test_a_round_is_one_task_of_a_person_that_shrinks_as_they_count(world: CentralWorld) -> None:
    cid = world.people["cid"]
    cid.idle = True
    plan(world, counting("B-12 B-11"))
    world.rt.run_for(1.0)
    (task,) = cid.screen
    assert (task.kind, task.from_place, task.units) == ("count", "bin:B-12", 2)
    assert [stop.bin_id for stop in task.stops] == ["B-12", "B-11"]
    assert {stop.gtins for stop in task.stops} == {(PEN,)}
    cid.say(task, "B-12", PEN)
    world.rt.run_for(1.0)
    (task,) = cid.screen
    assert (task.from_place, task.units, task.done_units) == ("bin:B-11", 1, 1)
    assert [stop.bin_id for stop in task.stops] == ["B-11"]
    cid.say(task, "B-11", CUP)
    world.rt.run_for(1.0)
    assert len(cid.screen) == 1, "another article says nothing of the one that is asked for"
    cid.say(task, "B-11", PEN)
    world.rt.run_for(1.0)
    assert [r.status for r in world.proposals()] == ["done"]
    assert not cid.screen


def test_a_camera_looks_at_its_round(world: CentralWorld) -> None:
    plan(world, round_by("camera", "cam-1", "B-11 B-12"))
    world.rt.run_for(3.0)
    (row,) = world.tasks("count")
    assert (row.status, row.worker_kind, row.worker_id) == ("done", "camera", "cam-1")
    (command,) = world.edges["B"].commands
    assert isinstance(command, m.LookAtBins)
    assert (command.round_id, command.camera_id) == (row.task_id, "cam-1")
    assert command.bins == ("B-11", "B-12")
    assert [r.status for r in world.proposals()] == ["done"]


def test_a_person_counts_also_where_a_drone_flies_if_the_proposal_says_so(
    world: CentralWorld,
) -> None:
    plan(world, round_by("person", "", "A-01"))
    world.rt.run_for(5.0)
    assert [(r.status, r.worker_kind) for r in world.tasks("count")] == [("done", "person")]


def test_where_no_drone_flies_a_person_counts(world: CentralWorld) -> None:
    plan(world, counting("B-11 B-12"))
    world.rt.run_for(5.0)
    assert [(r.status, r.worker_id, r.from_place) for r in world.tasks("count")] == [
        ("done", "cid", "bin:B-11"),
    ]
    assert [r.status for r in world.proposals()] == ["done"]


def test_a_sighting_after_the_drop_confirms_the_task(world: CentralWorld) -> None:
    plan(world, proposed(units=12))
    world.rt.run_for(10.0)
    now_ns = world.shared.now_ns()
    world.edges["B"].write(
        m.BinSighted(
            event_id="s/1", bin_id="B-12", articles=(m.SeenArticle(gtin=PEN, labels=1),),
            device_id="cam", observed_at_ns=now_ns, received_at_ns=now_ns,
        )
    )  # fmt: skip
    world.rt.run_for(1.0)
    assert [r.confirmed_at_ns for r in world.tasks("refill")] == [now_ns]
