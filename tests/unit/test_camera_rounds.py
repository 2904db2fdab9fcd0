"""Counting rounds of fixed cameras: each asked once, answered from pictures, and ended."""

from __future__ import annotations

from typing import Any

import pytest

from edge.vision.core import Sighting
from edge.vision.rounds import LOOKS_MAX, ROUNDS_MAX, CameraRounds
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from wire.messages import BinSighted, LookAtBins, MissionEnded

PEN = "04006381333931"


class Stage:
    def __init__(self) -> None:
        self.runtime = VirtualRuntime(seed=1)
        self.told: list[BinSighted | MissionEnded] = []
        clock = self.runtime.clock
        self.rounds = CameraRounds(clock, Metrics(), ("cam-1",), self.told.extend)

    def begin(self, **fields: Any) -> bool:
        values: dict[str, Any] = {
            "command_id": "c1", "round_id": "r1", "camera_id": "cam-1", "bins": ("A-01", "A-02"),
            "expires_at_ns": self.runtime.clock.now_ns() + 10**10,
        }  # fmt: skip
        return self.rounds.begin(LookAtBins(**(values | fields)))

    def see(self, *bins: str) -> None:
        seen = [Sighting(bin_id=bin_id, articles=((PEN, 2),)) for bin_id in bins]
        self.rounds.looked("cam-1", seen, 7)

    def end(self) -> MissionEnded:
        (found,) = (event for event in self.told if isinstance(event, MissionEnded))
        return found


def test_a_round_is_answered_from_pictures_until_all_its_bins_were_read() -> None:
    stage = Stage()
    assert stage.begin()
    stage.see("A-02", "A-09")
    assert stage.rounds.waits("cam-1")
    stage.see("A-01", "A-02")
    assert not stage.rounds.waits("cam-1")
    seen = [event for event in stage.told if isinstance(event, BinSighted)]
    assert [(one.bin_id, one.task_id, one.event_id) for one in seen] == [
        ("A-02", "r1", "cam-1/r1/A-02"), ("A-01", "r1", "cam-1/r1/A-01"),
    ]  # fmt: skip
    assert (stage.end().ok, stage.end().bins_seen) == (True, ("A-02", "A-01"))
    assert not stage.begin(), "a repetition of a round that is over"
    assert len(stage.told) == 3


@pytest.mark.parametrize("seen", [("A-01",), ()])
def test_a_round_ends_after_some_pictures_with_what_was_seen(seen: tuple[str, ...]) -> None:
    stage = Stage()
    stage.begin()
    for _ in range(LOOKS_MAX):
        stage.see(*seen)
    assert (stage.end().ok, stage.end().bins_seen) == (bool(seen), seen)
    assert stage.end().detail == f"looked {LOOKS_MAX} times; {len(seen)} of 2 bins read"


def test_a_camera_that_gives_no_picture_fails_its_round() -> None:
    stage = Stage()
    stage.begin()
    for _ in range(LOOKS_MAX):
        stage.rounds.failed("cam-1", "no route to host")
    assert (stage.end().ok, stage.end().detail) == (False, "no route to host")


def test_a_round_whose_time_is_over_ends() -> None:
    stage = Stage()
    stage.begin(expires_at_ns=stage.runtime.clock.now_ns() + 1)
    stage.runtime.run_for(1.0)
    stage.rounds.watch()
    assert not stage.end().ok


def test_a_strange_camera_and_too_many_rounds_are_refused() -> None:
    stage = Stage()
    assert not stage.begin(camera_id="cam-9")
    assert stage.end().detail == "cam-9 is no camera of this edge"
    stage.told.clear()
    assert all(stage.begin(round_id=f"n{n}") for n in range(ROUNDS_MAX))
    assert not stage.begin(round_id="one-more")
    assert stage.end().detail == f"{ROUNDS_MAX} rounds wait already"
