"""Central on PostgreSQL, from the customer's order to the count: every statement it has runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from central import tables as t
from central.agent import build_central
from central.config import CentralConfig, PlanningConfig, PolicyConfig
from central.desk.books import Books
from central.desk.queries import Queries
from central.desk.site import Names
from central.ledger.verify import verify_ledger
from central.planning import Planning
from central.rules import rules_of, write_rules
from central.tasking.floor import make_floor
from runtime.metrics import Metrics
from tests.central_world import CUP, PEN, SITE, TEXTS, CentralWorld, Edge, Shared

REVIEW_S = 5.0


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> Iterator[CentralWorld]:
    found = CentralWorld(
        tmp_path,
        database_url=postgres_url,
        planning=PlanningConfig(day_s=60.0, review_s=REVIEW_S, count_every_s=30.0),
        policy=PolicyConfig(auto_units_max=1_000, auto_buy_cents_max=10_000_000),
    )
    found.open_stock()
    yield found
    found.kill()


def start_planning(world: CentralWorld) -> Planning:
    planning = Planning(
        world.rt,
        world.metrics,
        world.config,
        floor=make_floor(world.shared.site, world.config.drones),
        engine=world.engine,
        lane=world.rt.lane("planning"),
        on_plan=world.keeper.take_plan,
    )
    planning.start()
    return planning


def deliver(world: CentralWorld, arrived: set[str]) -> None:
    """Be the supplier: what is bought arrives."""
    for order in world.purchases:
        if order.po_id not in arrived:
            arrived.add(order.po_id)
            world.notice(order, "confirmed")
            world.notice(order, "arrived")


def test_the_closed_loop_runs_on_postgresql(world: CentralWorld) -> None:
    planning = start_planning(world)
    arrived: set[str] = set()
    orders = [f"O{n}" for n in range(8)]
    for order_id in orders:
        world.order(order_id, (PEN, 7), (CUP, 1))
        world.rt.run_for(10.0)
        deliver(world, arrived)

    def is_all_done() -> bool:
        deliver(world, arrived)
        done = {(row.kind, row.status) for row in world.tasks()}
        wanted = {(kind, "done") for kind in ("pick", "deliver", "refill", "putaway", "count")}
        return all(world.status(id_) == "filled" for id_ in orders) and wanted <= done

    assert world.rt.run_until(is_all_done, 600.0), [
        (row.kind, row.status, row.detail) for row in world.tasks()
    ]
    planning.stop()
    counters = world.metrics.snapshot().counters
    assert counters.get("plans_failed", 0) == 0
    assert counters["plans_made"] > 5
    assert sum(world.balance(f"customer:{id_}") for id_ in orders) == 7 * len(orders)
    assert {row.status for row in world.rows(select(t.purchase_order))} & {"received"}
    assert world.rows(select(t.forecast))
    report = verify_ledger(world.engine)
    assert report.balanced, report.text()
    check_desk(world)


def check_desk(world: CentralWorld) -> None:
    """Everything that the desk asks is answered, in whole numbers."""
    with world.engine.begin() as conn:
        write_rules(conn, rules_of(world.config))
    queries = Queries(Names(world.shared.site))
    books = Books(world.config.url())
    with books.read() as conn:
        assert queries.any_row(conn)
        figures = queries.figures(conn)
        assert (figures.orders_filled, figures.orders_waiting) == (8, 0)
        assert type(figures.units_in_bins) is int
        bins = queries.bins(conn)
        assert sum(row.units for row in bins.values()) == figures.units_in_bins
        assert all(
            type(row.units) is int and type(row.inbound_units) is int for row in bins.values()
        )
        detail = queries.bin_detail(conn, "B-11", world.shared.now_ns())
        assert detail is not None
        assert 0.0 < detail.book.probability < 1.0
        assert detail.events
        proposals, total = queries.proposals(conn)
        assert len(proposals) == total > 0
        for proposal in proposals[:5]:
            assert queries.why(conn, proposal.proposal_id) is not None
        assert queries.page_proposals(conn)
        assert queries.tasks(conn, kind="pick", status="done")[1] >= 8
        assert queries.orders(conn, status="filled")[1] == 8
        assert queries.page_tasks(conn)
        assert queries.page_orders(conn)
        assert queries.page_events(conn)
        assert queries.page_rules(conn)
    books.close()


def test_the_whole_of_central_starts_on_postgresql_and_goes_on_where_it_was(
    tmp_path: Path, postgres_url: str
) -> None:
    """Lanes and fleet as the process has them."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    config = CentralConfig(
        site_id=SITE, site_dir=str(tmp_path), data_dir=str(tmp_path), database_url=postgres_url
    )
    shared = Shared()
    edges = [Edge(shared, edge_id) for edge_id in ("A", "B")]
    for edge in edges:
        edge.open_stock()
    for _ in range(2):
        metrics = Metrics()
        agent = build_central(shared.rt, metrics, config)
        agent.start()
        edges[0].move(PEN, 1, "bin:A-01", "bin:A-02")
        assert shared.rt.run_until(lambda: all(e.acked == len(e.rows) for e in edges), 10.0)
        shared.rt.run_for(70.0)
        assert metrics.snapshot().counters["plans_made"] >= 1
        assert verify_ledger(agent.engine).balanced
        agent.stop()
        shared.rt.run_for(1.0)  # the fleet closes what it keeps on its own lane
        agent.engine.dispose()
