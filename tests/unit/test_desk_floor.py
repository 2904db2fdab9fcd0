from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from central.desk.floor import Floor
from central.desk.hub import Hub, Page
from central.desk.site import Names
from runtime.bus import Bus, BusOptions
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.desk_world import DeskWorld
from wire import topics
from wire.codec import encode
from wire.messages import Changed, DeviceStatus


class Scene:
    """A floor in virtual time, one open page, and somebody who speaks on the bus."""

    def __init__(self, tmp_path: Path) -> None:
        self.world = DeskWorld(tmp_path)
        self.runtime = VirtualRuntime()
        self.metrics = Metrics()
        lane = self.runtime.lane("desk")

        def post(call: Any) -> bool:
            lane.post(call)
            return True

        self.hub = Hub(post, self.metrics)
        self.changes = 0
        self.floor = Floor(
            lane, self.runtime.clock, self.metrics, self.hub, Names(self.world.site), "FC1"
        )
        bus = self.runtime.bus(BusOptions(client_id="desk"))
        self.floor.listen(bus, "uagv", self._on_changed)
        bus.start()
        self.peer: Bus = self.runtime.bus(BusOptions(client_id="peer"))
        self.peer.start()
        page = self.hub.open()
        assert page is not None
        self.page: Page = page
        self.runtime.run_for(0.35)

    def _on_changed(self) -> None:
        self.changes += 1

    def say(self, topic: str, payload: bytes | dict[str, Any]) -> None:
        self.peer.publish(
            topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        )
        self.runtime.run_for(0.2)

    def frames(self, kind: int) -> list[bytes]:
        taken = list(self.page._frames)
        self.page._frames.clear()
        return [frame for frame in taken if frame[0] == kind]

    def robot(self, serial: str) -> Any:
        return next(robot for robot in self.floor.robots() if robot.serial == serial)


STATE = "uagv/v2/helmworks/agv-1/state"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_new_page_gets_the_plan_the_robots_and_who_is_there(scene: Scene) -> None:
    kinds = [frame[0] for frame in scene.page._frames]
    assert kinds[:4] == [1, 5, 4, 2]
    plan = json.loads(scene.frames(1)[0][1:])
    assert plan["site_id"] == "FC1"
    assert len(plan["bins"]) == len(scene.world.site.bins)
    assert len(plan["lanes"]) == len(scene.world.site.edges) / 2


def test_a_robots_state_reaches_the_page_within_two_beats(scene: Scene) -> None:
    scene.frames(0)
    scene.say(STATE, scene.world.robot_state(0, 10.0))
    frame = scene.frames(2)[0]
    count = struct.unpack_from("<I", frame, 16)[0]
    index, flags = (
        struct.unpack_from("<i", frame, 24)[0],
        struct.unpack_from("<i", frame, 24 + 4 * count)[0],
    )
    assert (count, index) == (1, 0)
    assert flags & 0b111 == 0b111  # online, driving, loaded
    robot = scene.robot("agv-1")
    assert robot.online
    assert robot.task_id == "T-201"
    assert robot.carries == f"24 x {scene.world.name(scene.world.faces[2].gtin)}"


@pytest.mark.parametrize(
    ("said", "task_id"),
    [
        ({"orderId": "T-7.agv-1.3", "nodeStates": [{"nodeId": "N1"}]}, "T-7"),
        ({"orderId": "T-7", "nodeStates": [{"nodeId": "N1"}]}, "T-7"),
        ({"orderId": "T-7.agv-1.3", "nodeStates": [], "actionStates": []}, ""),
        (
            {"orderId": "T-7", "nodeStates": [],
             "actionStates": [{"actionId": "load/T-7", "actionStatus": "FINISHED"}]},
            "",
        ),
        (
            {"orderId": "o", "nodeStates": [],
             "actionStates": [{"actionId": "load/T-7", "actionStatus": "FINISHED"},
                              {"actionId": "unload/T-7", "actionStatus": "RUNNING"}]},
            "T-7",
        ),
    ],
)  # fmt: skip
def test_a_robot_is_on_the_task_that_its_order_names(
    scene: Scene, said: dict[str, Any], task_id: str
) -> None:
    scene.say(STATE, said)
    assert scene.robot("agv-1").task_id == task_id


def test_a_robot_that_falls_silent_is_shown_as_away(scene: Scene) -> None:
    scene.say(STATE, scene.world.robot_state(0, 0.0))
    assert scene.robot("agv-1").online
    scene.runtime.run_for(45)
    assert not scene.robot("agv-1").online


def test_a_robot_whose_connection_broke_is_away_until_it_is_back(scene: Scene) -> None:
    scene.say(STATE, scene.world.robot_state(0, 0.0))
    scene.say("uagv/v2/helmworks/agv-1/connection", {"connectionState": "CONNECTIONBROKEN"})
    assert not scene.robot("agv-1").online
    scene.say("uagv/v2/helmworks/agv-1/connection", {"connectionState": "ONLINE"})
    assert scene.robot("agv-1").online


def test_a_visualization_moves_the_robot_and_forgets_nothing(scene: Scene) -> None:
    scene.say(STATE, scene.world.robot_state(0, 0.0))
    scene.frames(0)
    place = {"agvPosition": {"x": 7.25, "y": 1.5, "theta": 0.25, "mapId": "FC1"}}
    scene.say("uagv/v2/helmworks/agv-1/visualization", place)
    frame = scene.frames(2)[0]
    assert struct.unpack_from("<2f", frame, 24 + 12) == (7.25, 1.5)
    assert scene.robot("agv-1").task_id == "T-201"


def test_what_another_version_of_the_protocol_says_is_taken_as_far_as_it_is_known(
    scene: Scene,
) -> None:
    scene.say(
        STATE,
        {"version": "9.9", "driving": True, "loads": None, "zones": [1], "agvPosition": None,
         "batteryState": {"batteryCharge": 55}, "errors": [{"errorType": "x", "hint": "y"}]},
    )  # fmt: skip
    assert scene.robot("agv-1").online
    assert scene.robot("agv-1").errors == ["x"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\xfe", b"[1]", b'{"driving": "often"}', b'{"agvPosition": {"x": "left"}}',
     b"x" * 70_000],
)  # fmt: skip
def test_a_malformed_robot_message_is_counted_and_changes_nothing(
    scene: Scene, payload: bytes
) -> None:
    before = scene.floor.robots()
    scene.say(STATE, payload)
    assert scene.floor.robots() == before
    assert scene.metrics.snapshot().counters["wire_refused{robot}"] == 1


def test_a_topic_that_names_no_robot_makes_none(scene: Scene) -> None:
    before = len(scene.floor.robots())
    scene.say("uagv/v2/<script>/agv-1/state", scene.world.robot_state(0, 0.0))
    assert len(scene.floor.robots()) == before
    assert scene.metrics.snapshot().counters["wire_refused{robot}"] == 1


def test_edges_and_devices_are_told_with_the_next_beat(scene: Scene) -> None:
    for kind, topic in (
        ("edge", topics.EDGE_STATUS.of(site="FC1", edge="A")),
        ("scanner", topics.DEVICE_STATUS.of(site="FC1", device="A")),
    ):
        said = DeviceStatus(
            device_id="A", kind=kind, online=kind == "edge", boot_epoch=1, changed_at_ns=1
        )
        scene.say(topic, encode(said))
    scene.runtime.run_for(1.2)
    status = json.loads(scene.frames(5)[-1][1:])
    assert status["edges"] == [{"id": "A", "online": True}]
    assert [(device["id"], device["online"]) for device in status["devices"]] == [("A", False)]
    assert status["broker"] is True
    scene.say(topics.EDGE_STATUS.of(site="FC1", edge="A"), b"{}")
    assert scene.metrics.snapshot().counters["wire_refused{status}"] == 1


def test_central_saying_that_something_changed_is_passed_on(scene: Scene) -> None:
    said = Changed(tables=("task",), at_ns=scene.runtime.clock.now_ns())
    scene.say(topics.CHANGED.of(site="FC1"), encode(said))
    assert scene.changes == 1


def test_central_is_there_as_long_as_it_says_so_and_its_beats_read_nothing(scene: Scene) -> None:
    def central() -> bool:
        scene.runtime.run_for(1.1)
        return bool(json.loads(scene.floor._status()[1:])["central"])

    beat = encode(Changed(tables=(), at_ns=scene.runtime.clock.now_ns()))
    for _ in range(12):
        scene.say(topics.CHANGED.of(site="FC1"), beat)
        assert central()
    assert scene.changes == 0
    scene.runtime.run_for(7.0)
    assert not central()
    scene.say(topics.CHANGED.of(site="FC1"), beat)
    assert central()


def test_a_load_is_called_as_people_call_it(scene: Scene) -> None:
    gtin = scene.world.gtins[0]
    article = scene.world.site.articles[gtin]
    loads = [{"loadId": gtin}, {"loadId": "tote:O1044"}, {"loadType": "EPAL"}, {}]
    scene.say(STATE, {"loads": loads})
    named = f"{article.name} ({article.sku})"
    assert scene.robot("agv-1").carries == f"{named}, tote O1044, EPAL, a load"


def test_a_page_hears_a_beat_each_second_even_when_nothing_moves(scene: Scene) -> None:
    scene.frames(0)
    scene.runtime.run_for(10.0)
    assert 9 <= len(scene.frames(2)) <= 11


def test_without_a_page_nothing_is_made(scene: Scene) -> None:
    scene.hub.close(scene.page)
    scene.frames(0)
    scene.say(STATE, scene.world.robot_state(0, 0.0))
    assert not scene.page._frames


def test_a_page_that_does_not_keep_up_is_given_up(scene: Scene) -> None:
    for _ in range(400):
        scene.page.put(b"x")
    assert scene.page.too_slow
    assert len(scene.page._frames) <= 300
    scene.hub.close(scene.page)
    assert scene.metrics.snapshot().counters["desk_pages_too_slow"] == 1


def test_only_so_many_pages_are_open_at_once(scene: Scene) -> None:
    opened = [scene.hub.open() for _ in range(70)]
    assert opened.count(None) == 7  # one page is open already
    assert scene.metrics.snapshot().counters["desk_pages_refused"] == 7


@pytest.mark.parametrize("kind", ["state", "visualization", "connection"])
def test_deep_json_of_a_robot_is_counted_and_the_next_is_read(tmp_path: Path, kind: str) -> None:
    scene = Scene(tmp_path)
    topic = f"uagv/v2/helmworks/agv-1/{kind}"
    for deep in (
        b'{"a":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
        b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    ):
        scene.say(topic, deep)
    assert scene.metrics.snapshot().counters["wire_refused{robot}"] == 2
    scene.say(STATE, {"driving": True, "lastNodeId": "N1"})
    assert scene.robot("agv-1").node_id == "N1"
