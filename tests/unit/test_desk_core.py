from __future__ import annotations

import json
import math
import struct

import pytest

from central.desk import core
from central.desk.core import BinMark, BinMarks, RobotMark, Rows
from central.desk.rows import ArticleRef, Event


def test_a_robots_frame_is_laid_out_as_documented() -> None:
    marks = [
        RobotMark(
            index=3, x_m=1.5, y_m=-2.0, heading_rad=0.5, battery_percent=80, flags=5, age_ms=120
        ),
        RobotMark(
            index=9, x_m=7, y_m=8, heading_rad=-1, battery_percent=math.nan, flags=0, age_ms=2**40
        ),
    ]
    frame = core.robots_frame(marks, 1_760_000_000_123)
    assert struct.unpack_from("<BBHIdII", frame) == (2, 1, 0, 0, 1_760_000_000_123.0, 2, 0)
    assert struct.unpack_from("<6i", frame, 24) == (3, 9, 5, 0, 120, 2**31 - 1)
    numbers = struct.unpack_from("<8f", frame, 48)
    assert numbers[:7] == (1.5, 7, -2, 8, 0.5, -1, 80)
    assert math.isnan(numbers[7])
    assert len(frame) == 24 + 7 * 4 * 2


def test_a_robots_frame_without_robots_is_only_the_beat() -> None:
    assert len(core.robots_frame([], 1)) == 24


def test_a_bins_frame_is_laid_out_as_documented_and_clips_what_is_too_large() -> None:
    frame = core.bins_frame([BinMark(0, 5, 1, 0), BinMark(7, 2**40, -1, 3)], full=True)
    assert struct.unpack_from("<BBHI", frame) == (3, 1, 1, 2)
    assert struct.unpack_from("<8i", frame, 8) == (0, 7, 5, 2**31 - 1, 1, -1, 0, 3)


def test_only_rows_that_changed_are_sent() -> None:
    rows = Rows("tasks")
    assert rows.change({"a": 1, "b": 2}) is not None
    assert rows.change({"a": 1, "b": 2}) is None
    frame = rows.change({"b": 3, "c": 4})
    assert frame is not None
    assert frame[0] == 4
    assert json.loads(frame[1:]) == {
        "table": "tasks",
        "full": False,
        "put": {"b": 3, "c": 4},
        "gone": ["a"],
    }
    assert json.loads(rows.full()[1:])["put"] == {"b": 3, "c": 4}


def test_only_bins_that_changed_are_sent() -> None:
    bins = BinMarks()
    first = {i: BinMark(i, 10, 0, 0) for i in range(3)}
    assert bins.change(first) is not None
    assert bins.change(first) is None
    frame = bins.change({**first, 1: BinMark(1, 9, 0, 0)})
    assert frame is not None
    assert struct.unpack_from("<HI4i", frame, 2) == (0, 1, 1, 9, 0, 0)


@pytest.mark.parametrize(
    ("status", "worker_kind", "worker", "detail", "text"),
    [
        ("open", "robot", "", "", "Waits for a free robot."),
        ("open", "drone", "", "", "Waits for the drone."),
        ("open", "person", "", "", "Waits for a person with this role."),
        ("open", "person", "Ana", "", "On the list of Ana."),
        ("open", "robot", "", "A-1 is empty.", "A-1 is empty."),
        ("assigned", "robot", "agv-1", "", "agv-1 has it next."),
        ("moving", "robot", "agv-1", "", ""),
        ("done", "robot", "agv-1", "", ""),
    ],
)
def test_a_task_says_why_it_waits(
    status: str, worker_kind: str, worker: str, detail: str, text: str
) -> None:
    said = core.why_it_waits(status=status, worker_kind=worker_kind, worker=worker, detail=detail)
    assert said == text


def test_a_task_that_was_handed_on_says_so() -> None:
    said = core.why_it_waits(
        status="assigned", worker_kind="person", worker="Bob", detail="", tries=2
    )
    assert said == "Bob has it next. Given out 2 times: it was due."


@pytest.mark.parametrize(
    ("status", "detail", "text"),
    [
        ("assigned", "A-1:04006381333931,5 A-2", "drone-1 has it next. To count: A-1, A-2."),
        ("assigned", "A B C D E F", "drone-1 has it next. To count: A, B, C, D and 2 more."),
        ("assigned", "", "drone-1 has it next."),
        ("done", "A-1 A-2", ""),
        ("failed", "no word from drone drone-1", "no word from drone drone-1"),
    ],
)
def test_a_count_names_its_bins_in_words(status: str, detail: str, text: str) -> None:
    said = core.why_it_waits(
        status=status, worker_kind="drone", worker="drone-1", detail=detail, kind="count"
    )
    assert said == text


def test_an_event_reads_as_a_sentence() -> None:
    mug = ArticleRef(gtin="1", sku="M", name="Mug")

    def event(kind: str, article: ArticleRef = mug, source: str = "") -> Event:
        return Event(
            event_id="e", kind=kind, article=article, units=4, book_units=6, from_place=source,
            to_place="bin:A-1", reason="pick", device_id="s1", person_id="", person="Ana",
            task_id="", at_ms=1,
        )  # fmt: skip

    moved = core.event_text(event("moved", source="supplier:S1"))
    assert moved == "4 x Mug went from supplier S1 to A-1 (pick, Ana)"
    assert core.event_text(event("counted")) == "Ana counted 4 x Mug in A-1; the books said 6"
    assert core.event_text(event("sighted")) == "Ana saw Mug in A-1"
    nothing = ArticleRef(gtin="", sku="", name="")
    assert core.event_text(event("sighted", nothing)) == "Ana saw A-1 without any article label"
