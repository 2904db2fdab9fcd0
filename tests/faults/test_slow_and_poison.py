"""Central is silent: an edge's memory stays flat. Poison on any topic: counted, work goes on."""

from __future__ import annotations

import json
import os
import signal
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edge.counting.store import decode_event
from edge.outbox import BATCHES_IN_FLIGHT_MAX
from runtime.bus import BusOptions
from tests.edge_world import SITE
from tests.faults.forks import Forks
from tests.faults.live_site import LiveSite
from tests.faults.pair import Pair
from tests.faults.site import EDGE, PERSON
from tests.faults.summary import survived
from wire import topics
from wire.codec import encode
from wire.messages import JournalAck, JournalBatch

OF_THE_EDGE = tuple(
    tracemalloc.Filter(inclusive=True, filename_pattern=f"*/{part}/*.py")
    for part in ("edge", "wire", "firmware_bridge")
)
GROWTH_BYTES_MAX = 64 * 1024
"""What a dictionary or a queue that grows by itself would pass after some thousand scans."""

SAMPLE_BYTES = 24
"""A latency sample per scan is kept on purpose, up to metrics.SAMPLES_MAX of them."""


def edge_bytes() -> int:
    found = tracemalloc.take_snapshot().filter_traces(OF_THE_EDGE)
    return sum(stat.size for stat in found.statistics("filename"))


@pytest.mark.parametrize(
    "seconds", [3.0, pytest.param(60.0, marks=[pytest.mark.soak, pytest.mark.timeout(300)])]
)
def test_an_edge_holds_nothing_in_memory_while_central_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=3)
    pair.start()
    pair.run(1.0)
    pair.central_bus.stop()  # with its session: what waits at the broker is the broker's memory
    pair.end_central()
    pair.runtime.broker.fail()
    pair.runtime.broker.recover()
    pair.tell_tasks()
    pair.run(3.0)
    tracemalloc.start()
    try:
        pair.run(2.0)
        before, rows = edge_bytes(), pair.agent.outbox.unacknowledged
        pair.run(seconds)
        grown, more = edge_bytes() - before, pair.agent.outbox.unacknowledged - rows
    finally:
        tracemalloc.stop()
    assert more > 50 * seconds
    grown -= SAMPLE_BYTES * more
    assert grown < GROWTH_BYTES_MAX, f"{grown} bytes more for {more} rows"
    in_flight = pair.metrics.snapshot().counters["batches_resent"]
    assert in_flight <= BATCHES_IN_FLIGHT_MAX * (seconds + 4.0) / 0.5
    pair.start_central()
    lost = pair.settle()
    survived("central silent, edge's memory flat", rounds=1, scans=len(pair.accepted), losses=lost)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_real_edge_stays_small_while_central_stands_still(tmp_path: Path, forks: Forks) -> None:
    with LiveSite(tmp_path, forks, seed=4) as site:
        site.wait_for_scans(200)
        os.kill(site.pids["central"], signal.SIGSTOP)
        site.wait_for_scans(300)
        before_kib = resident_kib(site.pids["edge"])
        site.wait_for_scans(3_000)
        grown_kib = resident_kib(site.pids["edge"]) - before_kib
        os.kill(site.pids["central"], signal.SIGCONT)
        lost = site.settle()
        assert grown_kib < 4_096, f"{grown_kib} KiB more"
    survived("central silent, edge's memory flat", rounds=1, scans=len(site.accepted), losses=lost)


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


SUBSCRIBED = {
    "edge": (
        topics.DEVICE_SCAN.of(site=SITE, device="scanner-1"),
        topics.PERSON_TASKS.of(site=SITE, person=PERSON),
        topics.EDGE_COMMAND.of(site=SITE, edge=EDGE),
        topics.JOURNAL_ACK.of(site=SITE, edge=EDGE),
        topics.EDGE_DEVICES.of(site=SITE, edge="B"),
        "uagv/v2/acme/r1/state",
    ),
    "central": (
        topics.JOURNAL.of(site=SITE, edge=EDGE),
        topics.CUSTOMER_ORDER.of(site=SITE),
        topics.SUPPLIER_NOTICE.of(site=SITE, supplier="S1"),
        topics.DESK_COMMAND.of(site=SITE),
    ),
}
UNREADABLE = (
    b"",
    b"\x00\xff\xfe garbage",
    b"{",
    b"null",
    b"[]",
    b'{"type":"Nothing"}',
    b"[" * 5_000,
    b'{"edge_id":' + b"9" * 400 + b"}",
    b'{"text":"' + b"x" * 70_000 + b'"}',
    b'{"text":"\xed\xa0\x80"}',
)


def impossible(pair: Pair) -> list[tuple[str, bytes]]:
    """Return what can be read but must not be believed."""
    store = pair.agent.store
    journal = topics.JOURNAL.of(site=SITE, edge=EDGE)
    events = tuple(decode_event(payload) for _, payload in store.rows_after(0, 3))
    acks = topics.JOURNAL_ACK.of(site=SITE, edge=EDGE)

    def batch(**fields: Any) -> bytes:
        values = {"edge_id": EDGE, "epoch": store.epoch, "first_seq": 1, "events": events}
        return encode(JournalBatch(**{**values, **fields}))

    def ack(epoch: int, seq: int) -> bytes:
        return encode(JournalAck(edge_id=EDGE, epoch=epoch, watermark_seq=seq))

    strange = json.loads(batch())
    strange["events"][0]["units"] = -5
    return [
        (journal, batch(first_seq=2**53)),
        (journal, batch(epoch=2**53, first_seq=2)),
        (journal, batch(epoch=0)),
        (journal, batch(edge_id="B")),
        (journal, json.dumps(strange).encode()),
        (acks, ack(store.epoch, 2**53)),
        (acks, ack(store.epoch, 0)),
        (acks, ack(2**53, 1)),
    ]


@pytest.mark.parametrize(("seed", "rounds"), [(1, 2), pytest.param(2, 40, marks=pytest.mark.soak)])
def test_poison_on_every_topic_is_counted_and_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=seed)
    pair.start()
    pair.run(1.0)
    poison = pair.runtime.bus(BusOptions(client_id="poison"))
    poison.start()
    chance = Random(f"{seed}/poison")
    said = 0
    for _ in range(rounds):
        messages = [(topic, text) for each in SUBSCRIBED.values() for topic in each
                    for text in UNREADABLE]  # fmt: skip
        messages += impossible(pair)
        chance.shuffle(messages)
        for topic, payload in messages:
            poison.publish(topic, payload)
            said += 1
            if chance.random() < 0.2:
                pair.run(0.02)
        before = len(pair.accepted)
        pair.run(2.0)
        assert len(pair.accepted) >= before + 10, "work goes on"
    lost = pair.settle()
    counters = pair.metrics.snapshot().counters
    refused = sum(n for name, n in counters.items() if "refused" in name)
    assert refused >= rounds * len(UNREADABLE) * 8, "each was counted"
    survived("poison on every topic", rounds=said, scans=len(pair.accepted), losses=lost)
