"""Whatever is doubled, late or replayed: a scan counts once; the journal makes the counts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.counting.verify import rebuild_counts, verify_counts
from tests.edge_world import (
    MUG,
    PEN,
    EdgeWorld,
    article_label,
    bin_label,
    command_label,
    task,
)
from wire.messages import PersonTask

TASKS: tuple[PersonTask, ...] = (
    task("pick", 9, task_id="K1"),
    task("pick", 4, task_id="K2", gtin=PEN, from_place="bin:A-02", to_place="tote:O2"),
    task("receive", 12, task_id="R1", from_place="supplier:S1", to_place="bin:DOCK-1"),
    task("putaway", 8, task_id="U1", from_place="bin:DOCK-1", to_place="bin:A-03"),
    task("count", 0, task_id="C1", to_place="bin:A-01"),
)
labels = st.sampled_from(
    [command_label(name) for name in ("RECEIVE", "PUTAWAY", "PICK", "COUNT", "UNDO", "CANCEL")]
    + [bin_label(name) for name in ("DOCK-1", "A-01", "A-02", "A-03", "Z-1")]
    + [article_label(gtin, units) for gtin in (MUG, PEN) for units in (0, 1, 2, 3, 50)]
    + ["rubbish", "]C1", "]E04006381333932"]
)
# A person does sensible things now and then, or hardly any scan would be accepted.
sensible = st.sampled_from(
    [
        [command_label("PICK"), bin_label("A-01"), article_label(MUG, 2), article_label(MUG, 1)],
        [command_label("PICK"), bin_label("A-02"), article_label(PEN, 1), command_label("UNDO")],
        [command_label("RECEIVE"), bin_label("DOCK-1"), article_label(MUG, 3)],
        [command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(MUG, 2), bin_label("A-03")],
        [command_label("COUNT"), bin_label("A-01"), article_label(MUG, 3)],
    ]
)
scan_texts = st.lists(sensible | labels.map(lambda text: [text]), max_size=10).map(
    lambda parts: [text for part in parts for text in part]
)
Row = tuple[int, str]


@contextmanager
def edge() -> Iterator[EdgeWorld]:
    with tempfile.TemporaryDirectory() as directory:
        world = EdgeWorld(Path(directory)).start()
        world.tell_tasks(*TASKS)
        yield world
        world.agent.store.close()


def deliver(world: EdgeWorld, texts: list[str], order: list[int]) -> None:
    for index in order:
        world.scanner.scan(texts[index], seq=index + 1)
    world.run(1.0)


def counts(world: EdgeWorld) -> set[tuple[str, str, int]]:
    return set(world.agent.store.db.execute("SELECT place, gtin, units FROM counts"))


@settings(max_examples=25)
@given(scan_texts, st.data())
def test_duplicates_and_replays_change_nothing(texts: list[str], data: st.DataObject) -> None:
    order: list[int] = []
    for index in range(len(texts)):
        order.append(index)
        order += data.draw(st.lists(st.integers(0, index), max_size=2), label="again")
    restart_at = data.draw(st.integers(0, len(order)), label="kill after")
    with edge() as once, edge() as often:
        deliver(once, texts, list(range(len(texts))))
        deliver(often, texts, order[:restart_at])
        first_answers = often.scanner.answers
        often.restart()
        often.tell_tasks(*TASKS)
        deliver(often, texts, order[restart_at:])
        assert counts(often) == counts(once)
        assert [e.event_id for e in often.central.events] == [
            e.event_id for e in once.central.events
        ]
        expected = {answer.seq: answer for answer in once.scanner.answers}
        for answer in [*first_answers, *often.scanner.answers]:
            assert (answer.ok, answer.code) == (expected[answer.seq].ok, expected[answer.seq].code)
        assert often.agent.outbox.unacknowledged == 0


@settings(max_examples=25)
@given(scan_texts, st.data())
def test_in_any_order_each_scan_counts_at_most_once(texts: list[str], data: st.DataObject) -> None:
    indices = st.integers(0, max(len(texts) - 1, 0))
    order = data.draw(st.lists(indices, max_size=60)) if texts else []
    with edge() as world:
        deliver(world, texts, order)
        answers: dict[int, tuple[bool, str, str]] = {}
        for answer in world.scanner.answers:
            told = (answer.ok, answer.code, answer.text)
            assert answers.setdefault(answer.seq, told)[0] == answer.ok
        assert len(world.scanner.answers) == len(order)
        ids = [event.event_id for event in world.central.events]
        assert len(ids) == len(set(ids))
        booked = {f"mqtt-1/1/{seq}" for seq, told in answers.items() if told[1] == "booked"}
        assert booked <= set(ids)
        assert verify_counts(world.agent.store.db) == []


@settings(max_examples=25)
@given(scan_texts)
def test_the_journal_alone_makes_the_same_tables(texts: list[str]) -> None:
    with edge() as world:
        deliver(world, texts, list(range(len(texts))))
        db = world.agent.store.db
        assert verify_counts(db) == []
        before = counts(world)
        done = set(db.execute("SELECT task_id, units FROM task_units"))
        assert rebuild_counts(db) == len(before)
        assert counts(world) == before
        assert set(db.execute("SELECT task_id, units FROM task_units")) == done
        totals: dict[str, int] = {}
        for _, gtin, units in before:
            totals[gtin] = totals.get(gtin, 0) + units
        assert set(totals.values()) == {0}, "what came to one place left another"
        own_bins = [units for place, _, units in before if place.startswith("bin:")]
        assert min(own_bins) >= 0, "scans never take more than the book holds"


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_payload_is_answered_and_stops_nothing(payloads: list[bytes]) -> None:
    with edge() as world:
        for payload in payloads:
            world.scanner.publish(payload)
        world.run()
        assert len(world.scanner.answers) == len(payloads)
        assert not any(answer.ok for answer in world.scanner.answers)
        assert world.scan(command_label("PICK")).ok
