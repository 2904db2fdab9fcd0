"""Stop zones: nobody enters, whoever was released into one finishes, they open by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from central import tables as t
from central.stop_zones import (
    NODES_MAX,
    ZONES_MAX,
    Wanted,
    close_zone,
    closed_nodes,
    lift_zone,
    open_zones,
)
from central.store import open_engine
from runtime.clock import NS_PER_S
from stockhelm.cli import app
from tests.build_fleet import FleetWorld, grid_site, node_id, transport
from tests.build_vehicle import Network
from tests.central_world import SITE, CentralWorld
from tests.fleet_audit.messages import audit
from wire import messages as m
from wire import topics
from wire.codec import decode, encode

AISLE = [node_id(x, y) for x in (2, 3) for y in range(1, 5)]


def entered(world: FleetWorld, nodes: list[str], since: int = 0) -> set[str]:
    """Return which of these nodes were released to somebody by messages after the first `since`."""
    found = set()
    for message in world.sent[since:]:
        if message.topic.endswith("/order"):
            told = json.loads(message.payload)["nodes"]
            found |= {node["nodeId"] for node in told[1:] if node["released"]}
    return found & set(nodes)


# --- the fleet --------------------------------------------------------------------------------


def test_nobody_is_released_into_a_zone_and_the_others_drive_around() -> None:
    world = FleetWorld(robots={"r1": "N0-2", "r2": "N5-2"}, seed=1)
    world.start_vehicles()
    world.runtime.run_for(0.2)
    world.fleet.close_zones(AISLE)
    world.submit(transport("T1", "N5-3", "N0-3"), transport("T2", "N0-4", "N5-4"))
    assert world.run_until_ended(2)
    assert entered(world, AISLE) == set()
    assert world.events("T1")[-1] == world.events("T2")[-1] == "done"


def test_who_was_released_into_a_zone_finishes_and_gets_no_further_node_of_it() -> None:
    world = FleetWorld(robots={"r1": "N0-0"}, width=12, height=1, seed=1)
    world.start_vehicles()
    world.runtime.run_for(0.2)
    world.submit(transport("T1", "N11-0"))
    world.runtime.run_for(3.0)
    held = {n.node_id for order in world.orders("r1") for n in order.nodes}
    assert held < {node_id(x, 0) for x in range(12)}
    since = len(world.sent)
    world.fleet.close_zones([node_id(x, 0) for x in range(1, 11)])
    world.runtime.run_for(60)
    assert entered(world, [node_id(x, 0) for x in range(12)], since) == set()
    assert world.vehicles["r1"].node == max(held, key=lambda name: int(name[1:].split("-")[0]))
    assert "done" not in world.events("T1")
    world.fleet.close_zones([])
    assert world.run_until_ended(1)
    assert world.events("T1")[-1] == "done"


def test_a_job_in_a_zone_waits_until_it_is_open() -> None:
    world = FleetWorld(robots={"r1": "N0-0"}, seed=1)
    world.start_vehicles()
    world.runtime.run_for(0.2)
    world.fleet.close_zones(AISLE)
    world.submit(transport("T1", "N3-3"), transport("T2", "N5-0"))
    assert world.run_until_ended(1)
    assert world.events("T2")[-1] == "done"
    world.runtime.run_for(30)
    assert world.events("T1") == []
    world.fleet.close_zones([])
    assert world.run_until_ended(2)
    assert world.events("T1")[-1] == "done"


@pytest.mark.parametrize("seed", range(3))
def test_zones_that_come_and_go_break_no_promise_on_a_bad_network(seed: int) -> None:
    random = Random(seed)
    world = FleetWorld(
        robots={f"r{i}": f"N{i}-0" for i in range(5)}, seed=seed,
        network=Network(lose_p=0.05, double_p=0.05, late_p=0.1),
    )  # fmt: skip
    world.start_vehicles()
    world.runtime.run_for(0.2)
    cells = [node_id(x, y) for x in range(6) for y in range(1, 5)]
    world.submit(*(transport(f"T{i}", *random.sample(cells, 2)) for i in range(10)))
    for _ in range(8):
        zone = random.sample(cells, 5)
        world.fleet.close_zones(zone)
        world.runtime.run_for(0.5)  # what is being sent then goes on
        since = len(world.sent)
        world.runtime.run_for(9)
        fresh = _new_nodes(world, since)
        assert not fresh & set(zone)
    world.fleet.close_zones([])
    assert world.run_until_ended(10)
    assert {world.events(f"T{i}")[-1] for i in range(10)} == {"done"}
    done = audit((m.received_at_ns / NS_PER_S, m.topic, m.payload) for m in world.sent)
    assert done.findings == []
    assert not done.unfinished


def _new_nodes(world: FleetWorld, since: int) -> set[str]:
    """Return nodes that orders released which had not been released by the same order before."""
    known: set[tuple[str, int]] = set()
    fresh: set[str] = set()
    for index, message in enumerate(world.sent):
        if not message.topic.endswith("/order"):
            continue
        told = json.loads(message.payload)
        for node in told["nodes"][told["orderUpdateId"] > 0 or 1 :]:
            key = (told["orderId"], node["sequenceId"])
            if index >= since and key not in known:
                fresh.add(node["nodeId"])
            known.add(key)
    return fresh


# --- the books --------------------------------------------------------------------------------


def wanted(zone_id: str = "z1", **fields: Any) -> Wanted:
    given: dict[str, Any] = {"person_id": "ann", "reason": "spill", "lasts_s": 600.0} | fields
    return Wanted(zone_id=zone_id, **given)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"nodes": ["N9-9"]}, "node 'N9-9' is not in nodes.csv: nothing is closed"),
        ({"box_m": [0, 1]}, "the rectangle has 2 numbers, expected x, y, x, y: none is closed"),
        ({"box_m": [50, 50, 60, 60]}, f"0 nodes are in it, expected 1 to {NODES_MAX}"),
        ({"nodes": ["N0-0"], "lasts_s": 5.0}, "5 s, expected 60 to 86400: none is closed"),
    ],
)
def test_what_cannot_be_closed_is_refused_with_a_reason(fields: dict[str, Any], said: str) -> None:
    engine = open_engine("sqlite://")
    with engine.begin() as conn:
        answer = close_zone(conn, grid_site(4, 4, {}), wanted(**fields), 5)
        assert not answer.ok
        assert said in answer.text
        assert open_zones(conn, 5) == []


def test_a_zone_holds_until_its_time_is_over_or_somebody_lifts_it() -> None:
    site, now_ns = grid_site(4, 4, {}), 1_000 * NS_PER_S
    engine = open_engine("sqlite://")
    with engine.begin() as conn:
        boxed = close_zone(conn, site, wanted("z1", box_m=[2, 2, 0, 0]), now_ns)
        assert boxed.text == (
            "zone z1: 4 nodes (N0-0, N0-1, N1-0, N1-1) are closed until 1970-01-01 00:26:40 UTC;"
            " robots that were released into it finish what they have"
        )
        assert close_zone(conn, site, wanted("z2", nodes=["N3-3"], lasts_s=60), now_ns).ok
        assert closed_nodes(conn, now_ns) == {"N0-0", "N0-1", "N1-0", "N1-1", "N3-3"}
        assert closed_nodes(conn, now_ns + 60 * NS_PER_S) == {"N0-0", "N0-1", "N1-0", "N1-1"}
        assert lift_zone(conn, "z1", "bob", now_ns + 70 * NS_PER_S).text == (
            "zone z1: 4 nodes (N0-0, N0-1, N1-0, N1-1) are open again"
        )
        assert closed_nodes(conn, now_ns + 70 * NS_PER_S) == frozenset()
        again = lift_zone(conn, "z1", "bob", now_ns + 71 * NS_PER_S)
        assert again.text == "zone 'z1' is not closed now; closed are: none"
        for number in range(ZONES_MAX):
            some = wanted(f"n{number}", nodes=["N0-0"])
            assert close_zone(conn, site, some, now_ns + 80 * NS_PER_S).ok
        last = close_zone(conn, site, wanted("last", nodes=["N0-0"]), now_ns + 80 * NS_PER_S)
        assert last.text == f"{ZONES_MAX} zones are closed already: lift one first"


# --- central ----------------------------------------------------------------------------------


def ask(world: CentralWorld, command_id: str, **fields: Any) -> None:
    given: dict[str, Any] = {
        "person_id": "ann", "reason": "people", "lasts_s": 300.0,
        "expires_at_ns": world.shared.now_ns() + 30 * NS_PER_S,
    } | fields  # fmt: skip
    command = m.StopZone(command_id=command_id, **given)
    world.bus.publish(topics.DESK_ZONE.of(site=SITE), encode(command))
    world.rt.run_for(0.5)


def test_a_planner_closes_and_lifts_and_a_zone_outlives_central(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path)
    heard: list[m.StopZoneResult] = []
    world.bus.subscribe(
        topics.DESK_ZONED.any(site=SITE), world.lane,
        lambda batch: heard.extend(
            decode(message.payload, m.StopZoneResult) for message in batch
        ),
    )  # fmt: skip
    node = next(iter(world.shared.site.nodes))
    for _ in range(2):  # a repetition is answered the same
        ask(world, "c1", nodes=(node,))
    assert [answer.ok for answer in heard] == [True, True]
    assert heard[0] == heard[1]
    assert world.robots.closed == {node}
    ask(world, "c2", nodes=("nowhere",))
    ask(world, "c3", nodes=(node,), expires_at_ns=1)
    assert [answer.ok for answer in heard[2:]] == [False, False]
    assert "too late to central" in heard[3].text
    world.kill()
    world.robots.closed = frozenset()
    world.begin()
    assert world.robots.closed == {node}, "the fleet knows it before it starts"
    ask(world, "c4", lifts="c1")
    assert heard[-1].ok
    assert world.robots.closed == frozenset()
    ask(world, "c5", nodes=(node,), lasts_s=60.0)
    world.rt.run_for(62)
    assert world.robots.closed == frozenset(), "it opened by itself"
    rows = world.rows(select(t.stop_zone.c.zone_id, t.stop_zone.c.lifted_by))
    assert sorted(map(tuple, rows)) == [("c1", "ann"), ("c5", "")]
    assert len(world.rows(select(t.decision))) == 5
    world.kill()


# --- the command ------------------------------------------------------------------------------


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["zone", *map(str, words)])
    return result.exit_code, result.output.strip()


def test_the_command_closes_lists_and_lifts(tmp_path: Path) -> None:
    (tmp_path / "bins.csv").write_text("bin_id,edge_id,kind,x_m,y_m,z_m,node_id\n")
    (tmp_path / "articles.csv").write_text("gtin,sku,name,case_units,price_cents,supplier_id\n")
    (tmp_path / "nodes.csv").write_text("node_id,x_m,y_m\na,0,0\nb,2,0\nc,4,0\n")
    config = tmp_path / "central.toml"
    config.write_text(f'site_id = "FC1"\nsite_dir = "{tmp_path}"\ndata_dir = "{tmp_path}"\n')
    open_engine(f"sqlite:///{tmp_path}/central.db").dispose()
    assert run("list", "--config", config) == (0, "no part of the floor is closed")
    who = ("--config", config, "--person", "ann")
    code, said = run("close", *who, "--minutes", 5, "--box", "1,-1,5,1", "--reason", "a spill")
    assert code == 0
    assert "2 nodes (b, c) are closed until" in said
    code, said = run("list", "--config", config, "--json")
    (zone,) = json.loads(said)
    assert (zone["nodes"], zone["reason"], zone["person_id"]) == (["b", "c"], "a spill", "ann")
    assert run("list", "--config", config)[1].endswith("by ann, a spill: b c")
    assert run("close", *who, "--minutes", 5, "--node", "x") == (
        1, "node 'x' is not in nodes.csv: nothing is closed"
    )  # fmt: skip
    assert run("close", *who, "--minutes", 5, "--box", "1,2")[0] == 2
    code, said = run("lift", zone["zone_id"], *who, "--json")
    assert (code, json.loads(said)["ok"]) == (0, True)
    assert run("lift", zone["zone_id"], *who)[0] == 1
