"""Whatever comes to the desk from outside: it goes on, and what it sends can be read back."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from central.desk.core import BinMark, RobotMark, Rows, bins_frame, robots_frame
from central.desk.queries import _json_object, _json_texts
from tests.unit.test_desk_floor import STATE, Scene

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=12), parts),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["orderId", "driving", "agvPosition", "loads", "actionStates", "nodeStates", "errors",
     "batteryState", "operatingMode", "lastNodeId", "paused", "connectionState"]
)  # fmt: skip
SCENE = Scene(Path(tempfile.gettempdir()))  # writes nothing: the site is made in memory


@given(
    payload=st.binary(max_size=200) | st.dictionaries(FIELDS, JSON).map(json.dumps).map(str.encode),
    topic=st.sampled_from(["state", "visualization", "connection"]),
)
def test_any_robot_message_is_taken_or_counted_and_the_next_good_one_counts(
    payload: bytes, topic: str
) -> None:
    SCENE.say(f"uagv/v2/helmworks/agv-1/{topic}", payload)
    SCENE.say("uagv/v2/helmworks/agv-1/connection", {"connectionState": "ONLINE"})
    SCENE.say(STATE, SCENE.world.robot_state(0, 1.0))
    SCENE.page._frames.clear()
    assert SCENE.robot("agv-1").online
    assert SCENE.robot("agv-1").task_id == "T-201"


@given(st.lists(st.tuples(INT32, st.floats(width=32, allow_nan=False), INT32), max_size=20))
def test_robots_frames_read_back_to_what_was_put_in(marks: list[tuple[int, float, int]]) -> None:
    frame = robots_frame(
        [
            RobotMark(
                index=index, x_m=x_m, y_m=-x_m, heading_rad=0, battery_percent=1, flags=flags,
                age_ms=5,
            )
            for index, x_m, flags in marks
        ],
        7,
    )  # fmt: skip
    n = len(marks)
    assert struct.unpack_from("<I", frame, 16)[0] == n
    assert struct.unpack_from(f"<{n}i", frame, 24) == tuple(mark[0] for mark in marks)
    assert struct.unpack_from(f"<{n}i", frame, 24 + 4 * n) == tuple(mark[2] for mark in marks)
    assert struct.unpack_from(f"<{n}f", frame, 24 + 12 * n) == tuple(mark[1] for mark in marks)
    assert len(frame) == 24 + 28 * n


@given(st.lists(st.tuples(INT32, INT32, INT32, INT32), max_size=20))
def test_bins_frames_read_back_to_what_was_put_in(marks: list[tuple[int, int, int, int]]) -> None:
    frame = bins_frame([BinMark(*mark) for mark in marks], full=False)
    n = len(marks)
    columns = [struct.unpack_from(f"<{n}i", frame, 8 + 4 * n * i) for i in range(4)]
    assert list(zip(*columns, strict=True)) == marks


@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3)), max_size=8))
def test_a_page_that_applies_every_change_has_what_the_desk_has(
    states: list[dict[str, int]],
) -> None:
    rows = Rows("t")
    page: dict[str, int] = {}
    for now in states:
        frame = rows.change(now)
        if frame is not None:
            said: dict[str, Any] = json.loads(frame[1:])
            for key in said["gone"]:
                del page[key]
            page.update(said["put"])
        assert page == now


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_in_the_place_of_numbers_or_causes_can_be_shown(text: str) -> None:
    assert isinstance(_json_object(text), dict)
    assert all(isinstance(cause, str) for cause in _json_texts(text))
