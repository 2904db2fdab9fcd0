"""The outbox brings every row to central, in order, whatever is lost; memory stays flat."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.outbox import BATCHES_IN_FLIGHT_MAX
from tests.build import movement
from tests.edge_world import SITE, EdgeWorld
from wire.codec import encode
from wire.messages import EVENTS_PER_BATCH_MAX, BinSighted, JournalAck, SeenArticle
from wire.topics import JOURNAL_ACK

OPENING = 2


@pytest.fixture
def world(tmp_path: Path) -> EdgeWorld:
    return EdgeWorld(tmp_path)


def write(world: EdgeWorld, count: int, name: str = "e") -> None:
    events = [movement(event_id=f"{name}{n}", from_place="bin:A-01") for n in range(count)]
    world.agent._store_lane.post(lambda: world.agent._writer.submit_facts(events))
    world.run()


def ids(world: EdgeWorld) -> list[str]:
    return [event.event_id for event in world.central.events][OPENING:]


def test_every_row_reaches_central_once_and_in_order(world: EdgeWorld) -> None:
    world.start()
    write(world, 250)
    assert ids(world) == [f"e{n}" for n in range(250)]
    assert world.agent.outbox.unacknowledged == 0
    assert world.counter("events_accepted") == world.counter("events_acknowledged") == 252
    assert all(len(batch.events) <= EVENTS_PER_BATCH_MAX for batch in world.central.batches)


def test_without_an_acknowledgement_the_window_closes(world: EdgeWorld) -> None:
    world.central.acknowledges = False
    world.start()
    write(world, 3_000)
    assert len(world.central.batches) <= BATCHES_IN_FLIGHT_MAX + 1
    assert world.agent.outbox.unacknowledged == 3_000 + OPENING


def test_what_is_not_acknowledged_is_sent_again_with_growing_pauses(world: EdgeWorld) -> None:
    world.central.acknowledges = False
    world.start()
    write(world, 5)
    world.run(600)
    resent = len(world.central.batches)
    assert 5 < resent < 60, "again and again, but not every two seconds for ten minutes"
    world.central.acknowledges = True
    world.run(120)
    assert world.agent.outbox.unacknowledged == 0
    assert ids(world) == [f"e{n}" for n in range(5)]


def test_hours_without_a_broker_lose_nothing(world: EdgeWorld) -> None:
    world.start()
    world.runtime.broker.fail()
    for hour in range(5):
        write(world, 1_000, name=f"h{hour}-")
        world.run(3_600)
    assert len(world.agent.outbox._in_flight) == 0
    world.runtime.broker.recover()
    world.run(60)
    assert len(ids(world)) == 5_000
    assert ids(world)[-1] == "h4-999"
    assert world.agent.outbox.unacknowledged == 0


def test_a_gap_at_central_makes_the_edge_go_back(world: EdgeWorld) -> None:
    world.start()
    write(world, 10)
    epoch = world.agent.store.epoch
    for key in [key for key in world.central.rows if key[1] > 4]:
        del world.central.rows[key]
    world.central.watermark[epoch] = 4  # central's database is an older copy
    write(world, 1, name="next")
    world.run(5)
    assert ids(world) == [*(f"e{n}" for n in range(10)), "next0"]
    assert world.agent.outbox.unacknowledged == 0


def test_a_restart_goes_on_from_what_central_has(world: EdgeWorld) -> None:
    world.start()
    write(world, 10)
    world.central.acknowledges = False
    write(world, 5, name="late")
    known = dict(world.central.watermark)
    world.restart()
    assert world.agent.store.acked_seq <= known[world.agent.store.epoch]
    world.run(5)
    assert set(ids(world)) >= {f"late{n}" for n in range(5)}
    assert world.agent.outbox.unacknowledged == 0


def test_rows_that_we_never_wrote_mean_an_old_copy_and_a_new_epoch(world: EdgeWorld) -> None:
    world.start()
    write(world, 3)
    old = world.agent.store.epoch
    ack = JournalAck(edge_id="A", epoch=old, watermark_seq=1_000)
    world.central.bus.publish(JOURNAL_ACK.of(site=SITE, edge="A"), encode(ack))
    world.run(5)
    new = world.agent.store.epoch
    assert new > old
    assert world.central.watermark[new] == 3 + OPENING
    write(world, 1, name="next")
    world.run(5)
    assert world.central.rows[new, 3 + OPENING + 1].event_id == "next0"
    assert world.agent.outbox.unacknowledged == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"\xff",
        encode(JournalAck(edge_id="B", epoch=1, watermark_seq=99)),
        encode(JournalAck(edge_id="A", epoch=1, watermark_seq=99)),
    ],
)
def test_an_acknowledgement_that_is_not_ours_changes_nothing(
    world: EdgeWorld, payload: bytes
) -> None:
    world.central.acknowledges = False
    world.start()
    write(world, 3)
    world.central.bus.publish(JOURNAL_ACK.of(site=SITE, edge="A"), payload)
    world.run()
    assert world.agent.outbox.unacknowledged == 3 + OPENING


def test_large_events_go_in_batches_that_fit_on_the_wire(world: EdgeWorld) -> None:
    world.start()
    articles = tuple(SeenArticle(gtin=f"{n:014}", labels=10_000) for n in range(64))
    events = [
        BinSighted(
            event_id=f"s{n}", bin_id="A-01", articles=articles, device_id="cam-1",
            observed_at_ns=1, received_at_ns=1,
        )
        for n in range(100)
    ]  # fmt: skip
    world.agent._store_lane.post(lambda: world.agent._writer.submit_facts(events))
    world.run(5)
    assert ids(world) == [f"s{n}" for n in range(100)]
