"""Journal batches into the ledger: each row once, and what it changes in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, select, tuple_, update

from central.ledger.asof import follow_moves
from central.ledger.core import PlaceGtin, Watermarks, balance_changes
from central.ledger.counts import keep_counts
from central.ledger.details import apply_closed, apply_containers, apply_details
from central.ledger.origin import ArrivedRow, Origin, Refusal, set_aside
from central.ledger.reservations import cut_to_balance, settle_reservations
from central.ledger.segments import close_segment
from central.statement import Statement, parts_of
from central.store import add_values, insert_returning, insert_values_returning, upsert
from central.tables import balance, mission_end, movement, observation, task, watermark
from wire.ids import bin_location, bin_of
from wire.messages import (
    BinCounted,
    BinSighted,
    ContainerMoved,
    JournalAck,
    JournalBatch,
    MissionEnded,
    Movement,
    StockEvent,
    TaskClosed,
)


@dataclass(slots=True, kw_only=True)
class Applied:
    """What came of some batches; it holds once the transaction is committed."""

    acks: list[JournalAck]
    events: list[StockEvent] = field(default_factory=list)
    """Rows taken in: those that were not in the ledger before."""
    duplicates: int = 0
    gaps: int = 0
    """Batches that began beyond the watermark: nothing of them was taken."""
    cut_tasks: list[str] = field(default_factory=list)
    """Tasks that lost their reservation, since the stock left the bin otherwise."""
    refused: list[Refusal] = field(default_factory=list)
    """Events that were not their edge's to tell: set aside, and acknowledged."""


def apply_batches(
    conn: Connection, batches: Sequence[JournalBatch], now_ns: int, *, origin: Origin | None = None
) -> Applied:
    """Take in every row of `batches` that is next in its journal and not known yet.

    What `origin` says is not its edge's to tell is set aside.

    The caller commits, and only then sends the acks. A batch beyond the watermark changes nothing;
    its ack repeats the watermark, so the edge sends again from there.
    """
    marks, before = _read_watermarks(conn, batches)
    applied = Applied(acks=[])
    rows: list[ArrivedRow] = []
    for batch in batches:
        fresh = marks.fresh_rows(batch)
        if fresh is None:
            applied.gaps += 1
            continue
        applied.duplicates += len(batch.events) - len(fresh)
        rows += [(batch.edge_id, batch.epoch, seq, event) for seq, event in fresh]
    if origin is not None:
        fresh_rows = len(rows)
        rows, applied.refused = set_aside(conn, origin, rows, now_ns)
        applied.duplicates += fresh_rows - len(rows) - len(applied.refused)
    moves = _insert_movements(conn, rows, now_ns)
    _apply_moves(conn, moves, applied)
    follow_moves(conn, moves, now_ns)
    if moves:
        close_segment(conn)
    # Mostly there are movements only: the others are looked for once.
    others = [event for *_, event in rows if not isinstance(event, Movement)]
    seen = _insert_observations(conn, others)
    keep_counts(conn, rows, seen, now_ns)
    ended = _insert_mission_ends(conn, others)
    carried = apply_containers(conn, (e for e in others if isinstance(e, ContainerMoved)))
    closed = apply_closed(conn, (e for e in others if isinstance(e, TaskClosed)))
    applied.events += [*moves, *seen, *ended, *carried, *closed]
    applied.duplicates += len(rows) - len(applied.events)
    applied.acks += _write_watermarks(conn, marks, before)
    return applied


_CHANGE: Final = ("place", "gtin", "units")


def _apply_moves(conn: Connection, moves: Sequence[Movement], applied: Applied) -> None:
    apply_details(conn, moves)
    changes = balance_changes(moves)
    if not changes:
        return
    rows = [(*key, changes[key]) for key in sorted(changes)]
    add_values(conn, balance, _CHANGE, rows, "units")
    settle_reservations(conn, {move.task_id for move in moves if move.task_id})
    # Where units came, no promise became too much.
    fewer = {key: units for key, units in changes.items() if units < 0 and bin_of(key[0])}
    applied.cut_tasks += cut_to_balance(conn, fewer)


_WATERMARKS: Final = Statement(
    select(watermark).where(tuple_(watermark.c.edge_id, watermark.c.epoch).in_(bindparam("keys")))
)


def _read_watermarks(
    conn: Connection, batches: Sequence[JournalBatch]
) -> tuple[Watermarks, dict[tuple[str, int], int]]:
    keys = sorted({(batch.edge_id, batch.epoch) for batch in batches})
    found = [row for part in parts_of(keys) for row in _WATERMARKS.all(conn, {"keys": part})]
    seqs = dict.fromkeys(keys, 0) | {(row.edge_id, row.epoch): row.seq for row in found}
    return Watermarks(dict(seqs)), seqs


def _write_watermarks(
    conn: Connection, marks: Watermarks, before: dict[tuple[str, int], int]
) -> list[JournalAck]:
    rows = [
        {"edge_id": edge_id, "epoch": epoch, "seq": seq}
        for (edge_id, epoch), seq in marks.seqs.items()
        if seq > before[edge_id, epoch]
    ]
    if rows:
        upsert(conn, watermark, rows, replace=("seq",))
    return [
        JournalAck(edge_id=edge_id, epoch=epoch, watermark_seq=seq)
        for (edge_id, epoch), seq in marks.seqs.items()
    ]


_COPIED: Final = (
    "gtin", "units", "from_place", "to_place", "reason", "device_id", "person_id", "task_id",
    "observed_at_ns", "received_at_ns",
)  # fmt: skip
_SAID: Final = ("lot", "expires_on", "serial", "container")
_values_of: Final = attrgetter(*_COPIED)
_said_of: Final = attrgetter(*_SAID)
_ROW: Final = ("event_id", "edge_id", "epoch", "seq", *_COPIED, "committed_at_ns", *_SAID)
"""Columns in the order of the table: then a row goes to the driver as it is."""


def _insert_movements(
    conn: Connection, arrived: Iterable[ArrivedRow], now_ns: int
) -> list[Movement]:
    """Insert what is new and return it: balances come from rows really inserted."""
    moves: dict[str, Movement] = {}
    rows: list[tuple[Any, ...]] = []
    for edge_id, epoch, seq, move in arrived:
        if isinstance(move, Movement) and move.event_id not in moves:
            moves[move.event_id] = move
            where = (move.event_id, edge_id, epoch, seq)
            rows.append((*where, *_values_of(move), now_ns, *_said_of(move)))
    inserted = insert_values_returning(conn, movement, _ROW, rows, movement.c.event_id)
    return [moves[event_id] for event_id in inserted]


def _insert_observations(
    conn: Connection, arrived: Iterable[StockEvent]
) -> list[BinCounted | BinSighted]:
    looks = [e for e in arrived if isinstance(e, BinCounted | BinSighted)]
    if not looks:
        return []
    book = _bin_units(conn, {look.bin_id for look in looks})
    rows: dict[str, dict[str, Any]] = {}
    for look in looks:
        for row in _observation_rows(look, book):
            rows.setdefault(row["event_id"], row)
    inserted = set(insert_returning(conn, observation, [*rows.values()], observation.c.event_id))
    _confirm_tasks(conn, [rows[event_id] for event_id in inserted])
    new: dict[str, BinCounted | BinSighted] = {}
    for look in looks:
        if any(row["event_id"] in inserted for row in _observation_rows(look, book)):
            new.setdefault(look.event_id, look)
    return list(new.values())


_BALANCES: Final = Statement(select(balance).where(balance.c.place.in_(bindparam("places"))))


def _bin_units(conn: Connection, bins: Collection[str]) -> dict[PlaceGtin, int]:
    return {
        (row.place, row.gtin): row.units
        for part in parts_of(map(bin_location, sorted(bins)))
        for row in _BALANCES.all(conn, {"places": part})
    }


def _observation_rows(
    look: BinCounted | BinSighted, book: dict[PlaceGtin, int]
) -> list[dict[str, Any]]:
    """Return one row per article seen; one with an empty article where only the bin was."""
    base = {
        "event_id": look.event_id,
        "bin_id": look.bin_id,
        "device_id": look.device_id,
        "task_id": look.task_id,
        "observed_at_ns": look.observed_at_ns,
        "lot": "",
        "serial": "",
    }
    if isinstance(look, BinCounted):
        counts = {"seen_units": look.counted_units, "book_units": look.book_units}
        named = {"lot": look.lot, "serial": look.serial}
        return [base | counts | named | {"kind": "counted", "gtin": look.gtin}]
    if not look.articles:
        return [base | {"kind": "sighted", "gtin": "", "seen_units": 0, "book_units": 0}]
    return [
        base
        | {
            "event_id": f"{look.event_id}/{article.gtin}",
            "kind": "sighted",
            "gtin": article.gtin,
            "seen_units": article.labels,
            "book_units": book.get((bin_location(look.bin_id), article.gtin), 0),
        }
        for article in look.articles
    ]


_UNCONFIRMED: Final = Statement(
    select(task.c.task_id).where(
        task.c.to_place == bindparam("place"),
        task.c.gtin == bindparam("seen_gtin"),
        task.c.status == "done",
        task.c.confirmed_at_ns == 0,
        task.c.done_at_ns <= bindparam("at_ns"),
    )
)
_CONFIRM: Final = Statement(
    update(task)
    .where(task.c.task_id == bindparam("of_task"))
    .values(confirmed_at_ns=bindparam("at_ns"))
)


def _confirm_tasks(conn: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Note the done tasks whose target bin shows their article now."""
    for row in rows:
        if not row["gtin"] or row["seen_units"] <= 0:
            continue
        at_ns = row["observed_at_ns"]
        seen = {"place": bin_location(row["bin_id"]), "seen_gtin": row["gtin"], "at_ns": at_ns}
        found = _UNCONFIRMED.scalars(conn, seen)
        _CONFIRM.many(conn, [{"of_task": task_id, "at_ns": at_ns} for task_id in found])


def _insert_mission_ends(conn: Connection, arrived: Iterable[StockEvent]) -> list[MissionEnded]:
    ends = {e.event_id: e for e in arrived if isinstance(e, MissionEnded)}
    rows = [
        {
            "event_id": end.event_id,
            "mission_id": end.mission_id,
            "drone_id": end.drone_id,
            "ok": int(end.ok),
            "detail": end.detail,
            "bins_seen": msgspec.json.encode(end.bins_seen).decode(),
            "observed_at_ns": end.observed_at_ns,
        }
        for end in ends.values()
    ]
    inserted = insert_returning(conn, mission_end, rows, mission_end.c.event_id)
    return [ends[event_id] for event_id in inserted]
