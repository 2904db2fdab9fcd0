"""A day without central: every scan is taken, none costs more than the first, all arrive after."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from edge.config import ScannerConfig
from edge.outbox import BATCHES_IN_FLIGHT_MAX
from runtime.bus import Bus, BusOptions, Incoming
from tests.build import movement
from tests.edge_world import SITE, EdgeWorld, SerialDevice, article_label, bin_label, command_label
from wire.codec import decode, encode
from wire.messages import EVENTS_PER_BATCH_MAX, JournalAck, JournalBatch, Movement
from wire.topics import JOURNAL, JOURNAL_ACK

SCANS_PER_S = 20
GROUP_S = 10
GROUP_LONG_S = 60
STEPS_EACH = 50
WARM_GROUPS = 10
BYTES_MAX = 150 << 20
PAGE_BYTES = 4_096


class Counter:
    """Somebody in central's place who keeps a watermark and a checksum, and no row."""

    def __init__(self, world: EdgeWorld) -> None:
        self.watermark = world.agent.store.acked_seq
        self.moved_units = 0
        self.in_flight_max = 0
        self._world = world
        self.bus: Bus = world.runtime.bus(BusOptions(client_id="counter"))
        self.bus.subscribe(JOURNAL.any(site=SITE), world.runtime.lane("counter"), self._handle)
        self.bus.start()

    def _handle(self, messages: list[Incoming]) -> None:
        waiting = len(self._world.agent.outbox._in_flight)
        self.in_flight_max = max(self.in_flight_max, waiting)
        for message in messages:
            batch = decode(message.payload, JournalBatch)
            for seq, event in enumerate(batch.events, start=batch.first_seq):
                if seq == self.watermark + 1:
                    self.watermark = seq
                    self.moved_units += event.units if isinstance(event, Movement) else 0
            ack = JournalAck(edge_id="A", epoch=batch.epoch, watermark_seq=self.watermark)
            self.bus.publish(JOURNAL_ACK.of(site=SITE, edge="A"), encode(ack))


class Day:
    """An edge whose people go on while the broker is away, by a virtual clock."""

    def __init__(self, directory: Path, group_s: int = GROUP_S) -> None:
        """`group_s`: what people scan in so many seconds arrives together."""
        self._group_s = group_s
        self.world = EdgeWorld(directory).start()
        self.world.central.bus.stop()
        self.central = Counter(self.world)
        self.world.run()
        self.opening = self.world.agent.store.last_seq
        self.steps: list[int] = []
        """Of SQLite's own machine, in fifties, for each group of scans."""
        self._numbers = count(1)
        self._counted = 0

    def offline(self, seconds: int) -> int:
        """Let people scan for so long without a broker; return how many scans that were."""
        world = self.world
        world.runtime.broker.fail()
        world.agent.store.db.conn.set_progress_handler(self._step, STEPS_EACH)
        for _ in range(seconds // self._group_s):
            self._counted = 0
            world.agent._take_events(list(self._scans()))
            world.run(self._group_s)
            self.steps.append(self._counted)
        world.agent.store.db.conn.set_progress_handler(None, 0)
        return seconds * SCANS_PER_S

    def online(self, rows: int) -> None:
        """Bring the broker back and wait until central has so many rows."""
        self.world.runtime.broker.recover()
        while self.central.watermark < rows:
            before = self.central.watermark
            self.world.run(10)
            assert self.central.watermark > before, "it goes on"
        self.world.run(5)

    def _step(self) -> int:
        self._counted += 1
        return 0

    def _scans(self) -> Iterator[Movement]:
        for number in (next(self._numbers) for _ in range(self._group_s * SCANS_PER_S)):
            yield movement(
                event_id=f"scanner-{number % 12}/1/{number}", from_place=f"bin:A-{number % 997}",
                to_place=f"bin:B-{number % 991}", units=number % 7 + 1,
            )  # fmt: skip


def check(day: Day, scans: int) -> None:
    """Check that nothing was lost, grew or was held."""
    rows = scans + day.opening
    store = day.world.agent.store
    assert store.last_seq == rows
    assert store.db.execute("SELECT count(*), min(seq), max(seq) FROM journal").fetchone() == (
        rows, 1, rows,
    )  # fmt: skip
    assert day.world.agent.outbox.unacknowledged == rows - day.central.watermark
    day.online(rows)
    assert day.central.watermark == rows
    taken = sum(number % 7 + 1 for number in range(1, scans + 1))
    assert day.central.moved_units == taken
    assert day.world.agent.outbox.unacknowledged == 0
    assert day.central.in_flight_max <= BATCHES_IN_FLIGHT_MAX
    first = day.steps[WARM_GROUPS : 2 * WARM_GROUPS]
    assert sum(day.steps[-WARM_GROUPS:]) <= 1.1 * sum(first), "SQLite does no more for a scan"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def test_minutes_offline_lose_nothing_and_no_scan_costs_more(tmp_path: Path) -> None:
    day = Day(tmp_path)
    check(day, day.offline(600))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_day_offline_at_twenty_scans_a_second(tmp_path: Path) -> None:
    day = Day(tmp_path, GROUP_LONG_S)
    scans = day.offline(3_600)
    before = resident_bytes()
    scans += day.offline(23 * 3_600)
    check(day, scans)
    assert scans == 1_728_000
    assert resident_bytes() - before < BYTES_MAX, "rows wait on the disk, not in memory"


def test_scans_at_the_pace_of_a_shift_are_answered_without_a_broker(tmp_path: Path) -> None:
    own = ScannerConfig(device_id="serial-1", person_id="P1", path="/dev/s1")
    world = EdgeWorld(tmp_path, own)
    device = SerialDevice(world.runtime, "/dev/s1")
    world.start()
    world.runtime.broker.fail()
    device.scan(command_label("COUNT"))
    rounds = 30 * SCANS_PER_S // 2
    for _ in range(rounds):
        device.scan(bin_label("A-01"), article_label(units=20))
        world.run(2 / SCANS_PER_S)
    assert device.heard == b"\x06" * (2 * rounds + 1)
    assert world.agent.outbox.unacknowledged >= rounds
    world.runtime.broker.recover()
    world.run(30)
    assert world.agent.outbox.unacknowledged == 0
    assert len(world.central.events) == world.agent.store.last_seq
    assert all(len(batch.events) <= EVENTS_PER_BATCH_MAX for batch in world.central.batches)
