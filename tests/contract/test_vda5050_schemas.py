"""Every message that goes over the wire keeps the official schema of its version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sim_hardware.config import SimRobot, Version
from tests.build_fleet import FleetWorld, transport
from tests.build_vehicle import Network
from tests.sim_floor import make_bench
from tests.vda_schemas import FOLDERS, faults, has_schemas, names_in, schema, tapped
from wire.vda5050.codec import decode, decode_order, encode, parameters
from wire.vda5050.dialects import DIALECTS, VERSIONS, dialect_of
from wire.vda5050.messages import (
    Action,
    ActionState,
    AgvPosition,
    BatteryState,
    Connection,
    Edge,
    EdgeState,
    Header,
    InstantActions,
    Load,
    Node,
    NodePosition,
    NodeState,
    Order,
    Reference,
    Request,
    Response,
    Responses,
    SafetyState,
    State,
    VehicleError,
    Velocity,
    Visualization,
    header,
)

every_version = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture
def schemas(data_dir: Path) -> Path:
    folder = data_dir / "vda5050"
    if not has_schemas(folder):
        pytest.skip(f"no official schemas at {folder}")
    return folder


@every_version
def test_everything_said_in_a_run_with_faults_is_valid_and_counted_without_gaps(
    schemas: Path, version: str
) -> None:
    robots = {f"r{i}": f"N{i}-0" for i in range(4)}
    floor = FleetWorld(
        robots=robots, network=Network(lose_p=0.1, double_p=0.1, late_p=0.1), version=version
    )
    floor.start_vehicles()
    floor.submit(
        *(transport(f"T{i}", f"N{i % 6}-2", f"N{5 - i % 6}-4", units=3, ok="x") for i in range(12))
    )
    assert floor.run_until_ended(12)
    floor.vehicles["r0"].dumb = True
    floor.runtime.run_for(120)  # long enough to be asked for its state
    names = {m.topic.rpartition("/")[2] for m in floor.sent}
    assert names == {"order", "instantActions", "state", "connection"}
    found = []
    ids: dict[str, list[int]] = {}
    for message in floor.sent:
        name = message.topic.rpartition("/")[2]
        said = json.loads(message.payload)
        found += faults(schemas, said["version"], name, message.payload)
        if name in {"order", "instantActions"}:
            ids.setdefault(message.topic, []).append(said["headerId"])
        # Who has not spoken yet is asked for its state in all versions of topics.
        assert said["version"] == version or name == "instantActions"
        assert message.topic.split("/")[1] == DIALECTS[said["version"]].major
    assert found == []
    for topic, numbers in ids.items():
        assert sorted(set(numbers)) == list(range(len(set(numbers)))), topic


@every_version
def test_a_simulated_robot_says_only_what_is_valid(
    schemas: Path, tmp_path: Path, version: Version
) -> None:
    robots = tuple(SimRobot(serial=f"agv-{n}", version=version) for n in range(1, 7))
    bench = make_bench(tmp_path, robots=robots)
    bench.runtime.run_for(5)
    robot = bench.floor.robots["agv-1"]
    robot.press_estop("AUTOACK")
    robot.lose_position(2)
    bench.runtime.run_for(5)
    said = [(topic, payload) for topic, payload in bench.said if topic.startswith("uagv/")]
    found = []
    for topic, payload in said:
        assert topic.split("/")[1] == DIALECTS[version].major
        found += faults(schemas, version, topic.rpartition("/")[2], payload)
        assert json.loads(payload)["version"] == version
    assert {topic.rpartition("/")[2] for topic, _ in said} >= {"state", "connection", "factsheet"}
    assert found == []


def full_order(version: str) -> Order:
    """Return an order in which every field that we know is said."""
    position = NodePosition(
        x=1, y=2, theta=3.1, allowed_deviation_xy=0.1, allowed_deviation_theta=0.1, map_id="m",
        map_description="d",
    )  # fmt: skip
    action = Action(
        action_type="pick",
        action_id="a",
        action_description="d",
        action_parameters=parameters({"a": "x", "b": 1, "c": 0.5, "d": True, "e": [1]}),
    )
    return Order(
        **header("acme", "r1", header_id=0, now_ns=0, version=version),
        order_id="o",
        order_update_id=0,
        zone_set_id="z",
        nodes=(
            Node(node_id="A", sequence_id=0, released=True),
            Node(
                node_id="B",
                sequence_id=2,
                node_description="d",
                released=True,
                node_position=position,
                actions=(action,),
            ),
        ),
        edges=(
            Edge(
                edge_id="e", sequence_id=1, edge_description="d", released=True,
                start_node_id="A", end_node_id="B", max_speed=1.0, max_height=1.0, min_height=0.1,
                orientation=0.5, orientation_type="TANGENTIAL", direction="left",
                rotation_allowed=True, max_rotation_speed=0.5, length=2.0,
                trajectory={"degree": 1, "knotVector": [0, 1], "controlPoints": []},
                actions=(action,),
            ),
        ),
    )  # fmt: skip


def full_state(version: str) -> State:
    """Return a state in which every field that we know is said."""
    request = Request(
        request_id="q", request_type="ACCESS", request_status="REQUESTED", zone_id="z",
        zone_set_id="s",
    )  # fmt: skip
    corridor = Request(
        request_id="c", request_type="CORRIDOR", request_status="GRANTED", edge_id="e",
        sequence_id=1,
    )  # fmt: skip
    action = ActionState(
        action_id="a", action_type="pick", action_description="d", action_status="FINISHED",
        result_description="r",
    )  # fmt: skip
    return State(
        **header("acme", "r1", header_id=0, now_ns=0, version=version),
        order_id="o",
        zone_set_id="z",
        last_node_id="A",
        paused=False,
        new_base_request=False,
        distance_since_last_node=0.5,
        operating_mode="TEACHIN",
        node_states=(
            NodeState(
                node_id="A", sequence_id=2, node_description="d",
                node_position=NodePosition(x=1, y=2, theta=0.5, map_id="m"),
            ),
        ),
        edge_states=(EdgeState(edge_id="e", sequence_id=1, edge_description="d"),),
        agv_position=AgvPosition(
            x=1, y=2, map_id="m", map_description="d", localization_score=0.9, deviation_range=0.1
        ),
        velocity=Velocity(vx=0.5, vy=0.0, omega=0.1),
        loads=(Load(load_id="l", load_type="EPAL", load_position="p", weight=2.0),),
        action_states=(action,),
        battery_state=BatteryState(
            battery_charge=50.0, battery_voltage=24.0, battery_health=90, charging=True, reach=5.0
        ),
        errors=(
            VehicleError(
                error_type="x", error_description="d", error_hint="h",
                error_references=(Reference(reference_key="k", reference_value="v"),),
            ),
        ),
        information=({"infoType": "i", "infoLevel": "INFO"},),
        safety_state=SafetyState(e_stop="AUTOACK"),
        maps=({"mapId": "m", "mapVersion": "1", "mapStatus": "ENABLED"},),
        instant_action_states=(action,),
        zone_action_states=(action,),
        zone_sets=({"zoneSetId": "s", "mapId": "m", "zoneSetStatus": "ENABLED"},),
        zone_requests=(request,),
        edge_requests=(corridor,),
    )  # fmt: skip


def others(version: str) -> list[Header]:
    """Return one of each of the smaller messages."""
    head = header("acme", "r1", header_id=0, now_ns=0, version=version)
    action = Action(action_type="initPosition", action_id="a1", blocking_type="NONE")
    found: list[Header] = [
        InstantActions(**head, actions=(action,)),
        Visualization(
            **head,
            agv_position=AgvPosition(x=1, y=2, map_id="m", localization_score=0.9),
            velocity=Velocity(vx=0.5, vy=0.0, omega=0.1),
        ),
        Connection(**head, connection_state="CONNECTIONBROKEN"),
    ]
    if version == "3.0.0":
        answer = Response(request_id="q", grant_type="REJECTED", lease_expiry="x")
        found.append(Responses(**head, responses=(answer,)))
    return found


TOPIC = {
    "Order": "order", "State": "state", "InstantActions": "instantActions",
    "Visualization": "visualization", "Connection": "connection", "Responses": "responses",
}  # fmt: skip


@every_version
def test_what_is_written_is_valid_and_every_field_is_one_of_the_version(
    schemas: Path, version: str
) -> None:
    dialect = DIALECTS[version]
    for message in (full_order(version), full_state(version), *others(version)):
        name = TOPIC[type(message).__name__]
        payload = encode(message, dialect)
        assert faults(schemas, version, name, payload) == []
        found = schema(schemas, version, name)
        known = set(names_in(found, found))
        strange = set(fields_of(json.loads(payload))) - known
        assert {path for path in strange if not is_free(path)} == set(), (version, name)


def is_free(path: tuple[str, ...]) -> bool:
    """Return whether a schema leaves open what stands at this place."""
    open_ = ("trajectory", "information", "referenceStateHeaderId")  # the last: asked for, not told
    return any(name in path for name in open_)


def fields_of(said: Any) -> list[tuple[str, ...]]:
    if isinstance(said, list):
        return [path for item in said for path in fields_of(item)]
    if not isinstance(said, dict):
        return []
    return [
        path
        for name, inner in said.items()
        for path in ((name,), *((name, *rest) for rest in fields_of(inner)))
    ]


@every_version
def test_what_is_written_is_read_again(version: str) -> None:
    dialect = DIALECTS[version]
    order = full_order(version)
    read = decode_order(encode(order, dialect), dialect)
    assert isinstance(read, Order)
    assert [n.node_id for n in read.nodes] == ["A", "B"]
    assert (read.edges[0].start_node_id, read.edges[0].end_node_id) == ("A", "B")
    assert read.edges[0].max_speed == 1.0
    state = full_state(version)
    said = decode(encode(state, dialect), State, dialect)
    assert said.agv_position
    assert state.agv_position
    assert (said.agv_position.x, said.agv_position.position_initialized) == (1.0, True)
    assert said.battery_state.battery_charge == 50.0
    assert said.action_states[0].result_description == "r"
    assert said.safety_state.e_stop == ("MANUAL" if version == "3.0.0" else "AUTOACK")
    assert msgspec.to_builtins(said)["orderId"] == "o"


@pytest.mark.parametrize(
    ("said", "major", "version"),
    [
        ("2.0.0", "v2", "2.0.0"), ("2.0", "v2", "2.0.0"), ("V2.1", "v2", "2.1.0"),
        ("2.1.0", "v2", "2.1.0"), ("3.0.0", "v3", "3.0.0"), ("3.1", "v3", "3.0.0"),
        ("", "v3", "3.0.0"), ("", "v2", "2.0.0"), ("latest", "v3", "3.0.0"), ("1.1", "v2", "2.0.0"),
        ("latest", "", "2.0.0"),
    ],
)  # fmt: skip
def test_the_dialect_is_that_of_the_header_else_of_the_topic(
    said: str, major: str, version: str
) -> None:
    assert dialect_of(said, major).version == version


@pytest.mark.says_wrong
def test_a_message_that_its_schema_refuses_is_found_by_the_tap(schemas: Path) -> None:
    head = header("acme", "r1", header_id=0, now_ns=0)
    with tapped(schemas) as tap:
        encode(Connection(**head, connection_state="HERE"))
        for number in (0, 1, 3):
            numbered = msgspec.structs.replace(InstantActions(**head), header_id=number)
            encode(numbered)
    assert len(tap.found) == 2
    assert "'HERE' is not one of" in tap.found[0]
    assert "headerId 3 after 1" in tap.found[1]


def test_every_version_has_a_folder_of_schemas() -> None:
    assert set(FOLDERS) == set(VERSIONS)
