"""Journal batches come twice, in any order and with gaps; clocks are a day off or go backwards."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from runtime.bus import BusOptions, Incoming
from runtime.memory_wire import Trouble
from tests.edge_world import SITE
from tests.faults.pair import Pair
from tests.faults.summary import survived
from wire.topics import JOURNAL, JOURNAL_ACK

DAY_S = 86_400.0
BATCHES_KEPT_MAX = 1_000


class Echo:
    """Somebody between edge and central who says old batches again, the newest first or at random.

    A batch that was kept back and comes after others is a gap for central; one that comes before
    the edge's own next one, a repeat.
    """

    def __init__(self, pair: Pair, chance: Random) -> None:
        self.said = 0
        self._chance = chance
        self._kept: list[Incoming] = []
        self._bus = pair.runtime.bus(BusOptions(client_id="echo"))
        lane = pair.runtime.lane("echo")
        self._bus.subscribe(JOURNAL.any(site=SITE), lane, self._hear)
        self._bus.start()
        lane.call_every(0.1, self._say)

    def _hear(self, messages: list[Incoming]) -> None:
        self._kept = [*self._kept, *messages][-BATCHES_KEPT_MAX:]

    def _say(self) -> None:
        for message in self._chance.sample(self._kept, min(3, len(self._kept))):
            self._bus.publish(message.topic, message.payload)
            self.said += 1


@pytest.mark.parametrize(("seed", "rounds"), [(1, 6), pytest.param(2, 60, marks=pytest.mark.soak)])
def test_batches_twice_late_and_lost_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=seed)
    pair.start()
    chance = Random(f"{seed}/wire")
    for topic in (JOURNAL.any(site=SITE), JOURNAL_ACK.any(site=SITE)):
        trouble = Trouble(
            topic_filter=topic, duplicate_share=0.3, reorder_share=0.3, reorder_s=1.0, jitter_s=0.1
        )
        pair.runtime.broker.disturb(trouble, chance)
    echo = Echo(pair, chance)
    for _ in range(rounds):
        pair.run(chance.uniform(0.3, 1.0))
        pair.runtime.broker.fail()  # what was on its way is lost
        pair.run(chance.uniform(0.0, 0.5))
        pair.runtime.broker.recover()
        pair.tell_tasks()
        pair.run(1.5)
    lost = pair.settle()
    counters = pair.metrics.snapshot().counters
    assert counters["gaps"] >= rounds
    assert counters["events_repeated"] > rounds
    assert counters["batches_resent"] >= rounds
    happened = counters["gaps"] + echo.said + rounds
    survived(
        "batches doubled, reordered, lost", rounds=happened, scans=len(pair.accepted), losses=lost
    )


@pytest.mark.parametrize(("seed", "rounds"), [(1, 8), pytest.param(2, 80, marks=pytest.mark.soak)])
def test_wrong_clocks_change_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=seed)
    pair.start()
    lost: list[str] = []
    for turn in range(rounds):
        machine = pair.chance.choice(("edge", "central", "devices"))
        pair.set_clock(machine, pair.chance.choice((DAY_S, -DAY_S, 0.0, -3_600.0, 1e-3)))
        if pair.chance.random() < 0.5 and machine != "devices":
            (pair.end_edge if machine == "edge" else pair.end_central)()
            (pair.start_edge if machine == "edge" else pair.start_central)()
        before = len(pair.accepted)
        pair.run(0.6)
        if len(pair.accepted) < before + 3:
            lost.append(f"round {turn}: no scans go on with {pair.ahead_s}")
        edge_rows, acked = pair.agent.store.last_seq, pair.agent.store.acked_seq
        if edge_rows - acked > 100:
            lost.append(f"round {turn}: {edge_rows - acked} rows wait with {pair.ahead_s}")
    lost += pair.settle()
    survived("clocks a day off or put back", rounds=rounds, scans=len(pair.accepted), losses=lost)
