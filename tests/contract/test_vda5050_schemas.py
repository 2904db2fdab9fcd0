"""Every message that goes over the wire keeps the official schemas of its version."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.build_fleet import FleetWorld, transport
from tests.build_vehicle import Network
from wire.vda5050.codec import encode, parameters
from wire.vda5050.messages import (
    Action,
    AgvPosition,
    Edge,
    Factsheet,
    Node,
    NodePosition,
    Order,
    Velocity,
    Visualization,
    header,
)

VERSION_FOLDER = "2.0.0-errata"


def is_utc_with_milliseconds(value: object) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(value)))


FORMATS = FormatChecker(())
FORMATS.checkers = {"date-time": (is_utc_with_milliseconds, ())}


@cache
def validator(folder: Path, name: str) -> Draft202012Validator:
    """Return a topic's schema; the trailing commas of the published `state` are taken out."""
    text = (folder / f"{name}.schema").read_text(encoding="utf-8")
    schema = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    return Draft202012Validator(schema, format_checker=FORMATS)


@pytest.fixture
def schemas(data_dir: Path) -> Path:
    folder = data_dir / "vda5050" / VERSION_FOLDER
    if not folder.is_dir():
        pytest.skip(f"no official schemas at {folder}")
    return folder


def faults(schemas: Path, topic_name: str, payload: bytes) -> list[str]:
    message: Any = json.loads(payload)
    return [
        f"{topic_name} {error.json_path}: {error.message}"
        for error in validator(schemas, topic_name).iter_errors(message)
    ]


def test_everything_said_in_a_run_with_faults_is_valid_and_counted_without_gaps(
    schemas: Path,
) -> None:
    robots = {f"r{i}": f"N{i}-0" for i in range(4)}
    floor = FleetWorld(robots=robots, network=Network(lose_p=0.1, double_p=0.1, late_p=0.1))
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
        found += faults(schemas, name, message.payload)
        if name in {"order", "instantActions"}:
            ids.setdefault(message.topic, []).append(json.loads(message.payload)["headerId"])
    assert found == []
    for topic, numbers in ids.items():
        assert sorted(set(numbers)) == list(range(len(set(numbers)))), topic


def test_every_optional_field_of_an_order_is_known_to_the_schema(schemas: Path) -> None:
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
    order = Order(
        **header("acme", "r1", header_id=0, now_ns=0),
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
    payload = encode(order)
    assert faults(schemas, "order", payload) == []
    known = validator(schemas, "order").schema["properties"]
    written = json.loads(payload)
    assert set(written) <= set(known)
    assert set(written["edges"][0]) <= set(known["edges"]["items"]["properties"])
    assert set(written["nodes"][1]) <= set(known["nodes"]["items"]["properties"])
    place = known["nodes"]["items"]["properties"]["nodePosition"]["properties"]
    assert set(written["nodes"][1]["nodePosition"]) <= set(place)


def test_a_visualization_is_valid(schemas: Path) -> None:
    message = Visualization(
        **header("acme", "r1", header_id=0, now_ns=0),
        agv_position=AgvPosition(x=1, y=2, map_id="m", localization_score=0.9),
        velocity=Velocity(vx=0.5, vy=0.0, omega=0.1),
    )
    assert faults(schemas, "visualization", encode(message)) == []


def test_a_factsheet_has_the_standards_sections(schemas: Path) -> None:
    payload = encode(Factsheet(**header("acme", "r1", header_id=0, now_ns=0)))
    required = json.loads((schemas / "factsheet.schema").read_text())["required"]
    assert set(required) <= set(json.loads(payload))
