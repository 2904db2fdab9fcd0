"""An edge tells of its own bins and devices: what is another's is set aside, the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.ledger import origin
from central.ledger.journal import Applied, apply_batches
from central.ledger.origin import Origin, read_devices, write_devices
from central.store import open_engine
from central.tables import balance, edge_command, movement, refused_event, task
from tests.build import movement as build_movement
from tests.central_world import PEN, site
from wire.messages import (
    BinCounted,
    BinSighted,
    ContainerMoved,
    JournalBatch,
    MissionEnded,
    Movement,
    StockEvent,
    TaskClosed,
)

AT: dict[str, Any] = {"observed_at_ns": 1, "received_at_ns": 1}


class Books:
    """Central's ledger of the site with the edges A and B."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder}/central.db")
        self.origin = Origin(site(), {"drone-b": "B"})
        self.origin.take_devices("A", ["scanner-a", "both"])
        self.origin.take_devices("B", ["scanner-b", "both"])

    def take(self, edge_id: str, *events: StockEvent, epoch: int = 1, first: int = 1) -> Applied:
        batch = JournalBatch(edge_id=edge_id, epoch=epoch, first_seq=first, events=events)
        with self.engine.begin() as conn:
            return apply_batches(conn, [batch], 1, origin=self.origin)

    def units(self, place: str) -> int:
        with self.engine.connect() as conn:
            query = select(balance.c.units).where(balance.c.place == place)
            return conn.execute(query).scalar() or 0


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


def move(event_id: str, from_place: str, to_place: str, device_id: str = "scanner-a") -> Movement:
    return build_movement(
        event_id=event_id, gtin=PEN, units=1, from_place=from_place, to_place=to_place,
        device_id=device_id, task_id="",
    )  # fmt: skip


def test_an_edge_tells_nothing_of_another_zones_bins(books: Books) -> None:
    applied = books.take(
        "A",
        move("scanner-a/1/1", "bin:A-01", "bin:A-02"),
        move("scanner-a/1/2", "bin:B-01", "tote:O1"),
        move("scanner-a/1/3", "tote:O1", "bin:B-01"),
        BinCounted(event_id="scanner-a/1/4", bin_id="B-11", gtin=PEN, counted_units=0,
                   book_units=9, device_id="scanner-a", **AT),
        BinSighted(event_id="cam/1/1", bin_id="B-11", articles=(), device_id="cam", **AT),
        ContainerMoved(event_id="scanner-a/1/5", container="395110800000000011",
                       from_place="container:", to_place="bin:B-01", device_id="scanner-a", **AT),
        move("scanner-a/1/6", "bin:A-01", "bin:A-02"),
    )  # fmt: skip
    assert [refusal.code for refusal in applied.refused] == ["foreign_bin"] * 5
    assert applied.refused[0].text == (
        "scanner-a/1/2: bin:B-01 is in zone B: only edge B tells of it"
    )
    assert [event.event_id for event in applied.events] == ["scanner-a/1/1", "scanner-a/1/6"]
    assert applied.acks[0].watermark_seq == 7, "what is set aside is not sent for ever"
    assert (books.units("bin:A-02"), books.units("bin:B-01")) == (2, 0)
    with books.engine.connect() as conn:
        assert len(conn.execute(select(refused_event)).all()) == 5


@pytest.mark.parametrize(
    ("event_id", "device_id"),
    [
        ("scanner-b/1/1", "scanner-b"),
        ("scanner-b/1/1", "scanner-a"),  # would keep B's own first scan out of the ledger
        ("drone-b/1/1", "drone-b"),
        ("B/1/1", "B"),
    ],
)
def test_an_edge_tells_nothing_in_the_name_of_anothers_device(
    books: Books, event_id: str, device_id: str
) -> None:
    forged = books.take("A", move(event_id, "bin:A-01", "bin:A-02", device_id))
    assert [refusal.code for refusal in forged.refused] == ["foreign_device"]
    true = books.take("B", move(event_id, "bin:B-01", "bin:B-11", event_id.partition("/")[0]))
    assert [event.event_id for event in true.events] == [event_id]


def test_what_crosses_zones_is_booked(books: Books) -> None:
    for edge_id, bin_id in (("A", "A-01"), ("B", "B-11")):
        here = f"bin:{bin_id}"
        applied = books.take(
            edge_id,
            move(f"pick/T1/{bin_id}/{PEN}/1", here, "robot:r1", "r1"),  # a robot of the site
            move(f"both/{len(edge_id)}/{ord(edge_id)}", here, "tote:O1", "both"),  # it walks
            move(f"nobodys-{edge_id}/1/1", here, "tote:O1", f"nobodys-{edge_id}"),
            move(f"T9/{edge_id}", "tote:O1", "customer:O1", "central"),
            move(f"{edge_id}/1/7", "bin:NEW-1", "tote:O1", edge_id),  # not in our bins.csv yet
        )
        assert applied.refused == []
        assert len(applied.events) == 5


@pytest.mark.parametrize("named", ["central", "A", "drone-a"])
def test_to_name_what_is_anothers_keeps_nothing_of_it_out(books: Books, named: str) -> None:
    books.origin = Origin(site(), {"drone-a": "A"})
    books.origin.take_devices("B", [named])
    move_of_a = move("adjust/a1" if named == "central" else f"{named}/1/1",
                     "bin:A-01", "loss:", named)  # fmt: skip
    assert books.take("A", move_of_a).refused == []
    of_b = books.take("B", move(f"{named}/1/2", "bin:B-01", "loss:", named))
    assert [refusal.code for refusal in of_b.refused] == ["foreign_device"] * (named != "central")


def test_a_device_that_changed_hands_may_still_send_what_it_saw_before(books: Books) -> None:
    books.origin.take_devices("B", ["scanner-a"])
    assert books.take("A", move("scanner-a/1/1", "bin:A-01", "bin:A-02")).refused == []


def test_rows_that_are_booked_already_are_repeats_and_no_refusals(books: Books) -> None:
    first = move("scanner-a/1/1", "bin:A-01", "bin:A-02")
    books.take("A", first)
    swapped = site()
    for row in [*swapped.bins.values()]:
        other = "B" if row.edge_id == "A" else "A"
        swapped.bins[row.bin_id] = type(row)(
            **{name: getattr(row, name) for name in row.__struct_fields__} | {"edge_id": other}
        )
    books.origin = Origin(swapped, {})
    again = books.take("A", first, epoch=2)
    assert (again.duplicates, again.refused, again.events) == (1, [], [])


def test_what_was_asked_of_another_edge_is_not_ended(books: Books) -> None:
    with books.engine.begin() as conn:
        for event_id, kind in (("M1", "fly"), ("T9/1", "record")):
            conn.execute(
                edge_command.insert().values(
                    command_id=f"c-{kind}", kind=kind, status="open", edge_id="B", task_id="T9",
                    event_id=event_id, body="", next_at_ns=0,
                )
            )  # fmt: skip
        values = {column.name: 0 for column in task.columns if not column.nullable}
        texts = {c.name: "" for c in task.columns if c.type.python_type is str}
        conn.execute(
            task.insert().values(
                **(values | texts | {"task_id": "T5", "to_place": "bin:B-01", "kind": "receive"})
            )
        )
    end = MissionEnded(
        event_id="x/1/1", mission_id="M1", drone_id="x", ok=True, detail="", bins_seen=(), **AT
    )
    short = TaskClosed(
        event_id="scanner-a/1/2", task_id="T5", short_units=1, device_id="scanner-a", **AT
    )
    applied = books.take("A", end, move("T9/1", "tote:O1", "customer:O1", "central"), short)
    assert [refusal.code for refusal in applied.refused] == ["foreign_command"] * 3
    assert applied.events == []


def test_what_is_set_aside_is_bounded(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "SET_ASIDE_MAX", 3)
    rows = [move(f"scanner-a/1/{n}", "bin:B-01", "tote:O1") for n in range(5)]
    assert len(books.take("A", *rows).refused) == 5
    with books.engine.connect() as conn:
        assert len(conn.execute(select(refused_event)).all()) == 3
        assert conn.execute(select(movement)).all() == []


def test_devices_are_known_after_a_restart(books: Books) -> None:
    with books.engine.begin() as conn:
        write_devices(conn, "B", ["scanner-b"], 1)
        write_devices(conn, "B", ["scanner-b"], 2)
    again = Origin(site(), {})
    with books.engine.connect() as conn:
        read_devices(conn, again)
    assert set(again.takers_of("scanner-b")) == {"B"}
    assert again.foreign("A", move("scanner-b/1/1", "bin:A-01", "bin:A-02", "scanner-b"))
