"""The simulated planner: decides what waits after a while, over the desk's own message."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bus import Incoming
from runtime.config import ConfigError
from sim_hardware.config import SimPlanner
from tests.sim_floor import SITE, Bench, make_bench
from wire import topics
from wire.codec import decode, encode
from wire.messages import DecideProposal, DecisionResult


class Central:
    """What answers decisions: each proposal is decided once."""

    def __init__(self, bench: Bench, *, deaf: bool = False) -> None:
        self.waiting = [f"PR{n}" for n in range(20)]
        self.heard: list[DecideProposal] = []
        self._bench = bench
        self._deaf = deaf
        lane = bench.runtime.lane("central")
        bench.bus.subscribe(topics.DESK_COMMAND.of(site=SITE), lane, self._decide)

    def _decide(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            command = decode(incoming.payload, DecideProposal)
            self.heard.append(command)
            if self._deaf:
                continue
            ok = command.proposal_id in self.waiting
            if ok:
                self.waiting.remove(command.proposal_id)
            result = DecisionResult(
                command_id=command.command_id, proposal_id=command.proposal_id, ok=ok, text="",
            )  # fmt: skip
            self._bench.bus.publish(topics.DESK_RESULT.of(site=SITE), encode(result))


def test_all_that_waits_is_decided_after_a_while_some_of_it_rejected(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, planner=SimPlanner(delay_s=10.0, reject_share=0.4))
    central = Central(bench)
    planner = bench.floor.hire_planner(lambda: central.waiting)
    bench.runtime.run_for(10)
    assert 2 <= len(central.heard) < 18
    bench.runtime.run_for(40)
    assert central.waiting == []
    assert planner.approved + planner.rejected == 20
    assert 3 < planner.rejected < 14
    assert len({c.command_id for c in central.heard}) == 20
    assert planner.rejected == sum(not c.approve for c in central.heard)
    with pytest.raises(ConfigError, match="one at the desk already"):
        bench.floor.hire_planner(list)


def test_asleep_nothing_is_decided_until_somebody_wakes_them(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, planner=SimPlanner(delay_s=3.0, asleep=True))
    central = Central(bench)
    planner = bench.floor.hire_planner(lambda: central.waiting)
    bench.runtime.run_for(60)
    assert central.heard == []
    planner.wake()
    bench.runtime.run_for(6)
    planner.sleep()
    heard = len(central.heard)
    assert heard > 0
    bench.runtime.run_for(60)
    assert len(central.heard) == heard


def test_an_unanswered_decision_is_said_again_with_the_same_id_and_not_for_ever(
    tmp_path: Path,
) -> None:
    bench = make_bench(tmp_path, planner=SimPlanner(delay_s=1.0))
    central = Central(bench, deaf=True)
    central.waiting = ["PR1"]
    bench.floor.hire_planner(lambda: central.waiting)
    bench.runtime.run_for(30)
    assert len(central.heard) > 5
    assert len({c.command_id for c in central.heard}) == 1
    central.waiting = []
    bench.runtime.run_for(5)
    said = len(central.heard)
    bench.runtime.run_for(60)
    assert len(central.heard) == said


def test_in_a_world_that_stands_still_nobody_decides(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, planner=SimPlanner(delay_s=10.0))
    central = Central(bench)
    bench.floor.hire_planner(lambda: central.waiting)
    bench.runtime.run_for(5)
    bench.floor.freeze()
    bench.runtime.run_for(0.5)
    heard = len(central.heard)
    bench.runtime.run_for(60)
    assert len(central.heard) == heard
