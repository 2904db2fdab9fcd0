"""The edge's database: journal, counts, sessions and answers, changed together or not at all.

Tables:

| table | one row per |
|---|---|
| `meta` | name: `edge_id`, `epoch` (new with each new database), `acked_seq`, `opened`, `tables` |
| `journal` | stock event, in order; `event_id` is unique, rows are never changed or deleted |
| `counts` | place and article that a movement named |
| `lot_counts` | place, article and lot that a movement named |
| `lots` | article and lot: its last day |
| `serials` | article and serial number: where that one unit is |
| `containers` | SSCC: the container that it was put into |
| `container_goods` | SSCC, article, lot, serial: units that the container was put into a bin with |
| `task_units` | task: units that people's scans did |
| `session` | scanner: where its person stands |
| `device_state` | scanner and boot epoch: the last sequence number handled |
| `answer` | scan: what we said, so that a repeated scan gets the same words |
| `command` | central's command that was handled: what must not change in a repetition |

The outbox is the view `outbox`: the journal after `acked_seq`. There is one writer, on one lane.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec
import sqlite_utils

from edge.counting.core import (
    Content,
    container_goods,
    container_place,
    deltas,
    lot_deltas,
    lot_expiry,
    serial_place,
    split,
    task_units,
)
from edge.counting.emptied import mark_made, refuse_emptied
from edge.counting.tables import AWAY, TABLES, file_of, prepare_tables
from edge.scanning.core import Session
from runtime.store import StoreError, open_database
from wire.messages import MissionEnded, Movement, ScanFeedback, StockEvent

ANSWERS_PER_EPOCH_MAX: Final = 512
EPOCHS_PER_DEVICE_MAX: Final = 32
SEQ_MAX: Final = 2**53
FILE_NAME: Final = "edge.db"
EVENT_BYTES_MAX: Final = 16 * 1024
"""A batch to central holds one of these at least, whatever else there is to say."""
EVENTS_READ_MAX: Final = 200
_DIGITS: Final = re.compile(r"[0-9]{1,16}")
_event_decoder: msgspec.json.Decoder[StockEvent] = msgspec.json.Decoder(StockEvent)
_session_decoder = msgspec.json.Decoder(Session)
_encoder = msgspec.json.Encoder()

_INSERT_EVENT: Final = (
    "INSERT INTO journal(seq, event_id, payload) VALUES (?, ?, ?) ON CONFLICT(event_id) DO NOTHING"
)
_INSERT_EVENTS: Final = "INSERT INTO journal(seq, event_id, payload) VALUES (?, ?, ?)"
_ADD_UNITS: Final = (
    "INSERT INTO counts(place, gtin, units) VALUES (?, ?, ?) "
    "ON CONFLICT(place, gtin) DO UPDATE SET units = units + excluded.units"
)
_BOOK_UNITS: Final = "SELECT units FROM counts WHERE place = ? AND gtin = ?"
READ_AHEAD: Final = 256
READ_EACH_MAX: Final = 24
_MANY_UNITS: Final = (
    "WITH asked(place, gtin) AS (VALUES (?, ?)" + ", (?, ?)" * (READ_AHEAD - 1) + ") "
    "SELECT counts.place, counts.gtin, units FROM asked CROSS JOIN counts"
    " ON counts.place = asked.place AND counts.gtin = asked.gtin"
)
_DONE_UNITS: Final = "SELECT units FROM task_units WHERE task_id = ?"
_ADD_TASK_UNITS: Final = (
    "INSERT INTO task_units(task_id, units) VALUES (?, ?) "
    "ON CONFLICT(task_id) DO UPDATE SET units = units + excluded.units"
)
_ADD_LOT_UNITS: Final = (
    "INSERT INTO lot_counts(place, gtin, lot, units) VALUES (?, ?, ?, ?) "
    "ON CONFLICT(place, gtin, lot) DO UPDATE SET units = units + excluded.units"
)
_PUT_LOT: Final = "INSERT OR REPLACE INTO lots(gtin, lot, expires_on) VALUES (?, ?, ?)"
_PUT_SERIAL: Final = "INSERT OR REPLACE INTO serials(gtin, serial, place, lot) VALUES (?, ?, ?, ?)"
_PUT_CONTAINER: Final = "INSERT OR REPLACE INTO containers(sscc, place) VALUES (?, ?)"
_PUT_GOODS: Final = "INSERT OR REPLACE INTO container_goods VALUES (?, ?, ?, ?, ?)"
_PUT_SESSION: Final = (
    "INSERT INTO session(device_id, state) VALUES (?, ?) "
    "ON CONFLICT(device_id) DO UPDATE SET state = excluded.state"
)
_PUT_DEVICE: Final = (
    "INSERT INTO device_state(device_id, epoch, last_seq) VALUES (?, ?, ?) "
    "ON CONFLICT(device_id, epoch) DO UPDATE SET last_seq = excluded.last_seq"
)
_PUT_ANSWER: Final = "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)"
_OLD_ANSWERS: Final = "DELETE FROM answer WHERE device_id = ? AND epoch = ? AND seq <= ?"
_OLD_EPOCHS: Final = (
    "SELECT epoch FROM device_state WHERE device_id = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?"
)
_PUT_COMMAND: Final = (
    "INSERT INTO command(command_id, mark, mission_id, expires_at_ns, ended) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT(command_id) DO UPDATE"
    " SET expires_at_ns = max(expires_at_ns, excluded.expires_at_ns)"
)
_PUT_META: Final = (
    "INSERT INTO meta(name, value) VALUES (?, ?) "
    "ON CONFLICT(name) DO UPDATE SET value = excluded.value"
)


class CommitError(Exception):
    """A transaction did not become durable; nothing of it is in the database or in memory."""


class EdgeStore:
    """One edge's database, opened and checked. Reads and writes belong to one lane."""

    def __init__(self, db: sqlite_utils.Database, *, edge_id: str, new_epoch: int) -> None:
        self.db = db
        self._conn: sqlite3.Connection = db.conn
        self.last_seq = 0
        self.acked_seq = self._acked_written = 0
        try:
            prepare_tables(db)
            self._check_owner(edge_id, new_epoch)
            query = "SELECT coalesce(max(seq), 0) FROM journal"
            self.last_seq = int(db.execute(query).fetchone()[0])
        except (sqlite3.Error, CommitError) as error:
            raise StoreError(
                f"{file_of(db)}: expected an edge's database that can be read and written: {error}"
            ) from error
        self.epoch = self._number("epoch")
        # Central has rows up to `acked_seq`; it is written down with the next transaction.
        self.acked_seq = self._acked_written = self._number("acked_seq")

    @property
    def opened(self) -> bool:
        """Return whether the opening stock is in the journal."""
        return self._meta("opened") is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield a transaction; leaving it commits, durable. Raises CommitError once rolled back."""
        try:
            self._conn.execute("BEGIN IMMEDIATE")
            tx = Transaction(self._conn, self.last_seq)
            yield tx
            tx.write_counts()
            if self.acked_seq != self._acked_written:
                tx.put_meta("acked_seq", str(self.acked_seq))
            self._conn.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise CommitError(f"the edge's database took nothing: {error}") from error
        except BaseException:
            self._roll_back()
            raise
        self.last_seq = tx.last_seq
        self._acked_written = self.acked_seq

    def write_acked(self) -> None:
        """Write `acked_seq` down where it is not. Raises CommitError."""
        if self.acked_seq != self._acked_written:
            with self.transaction():
                pass

    def renew_epoch(self, epoch: int) -> None:
        """Let the whole journal be sent again as rows of a new epoch. Raises CommitError."""
        acked_seq, self.acked_seq = self.acked_seq, 0
        try:
            with self.transaction() as tx:
                tx.put_meta("epoch", str(epoch))
        except CommitError:
            self.acked_seq = acked_seq
            raise
        self.epoch = epoch

    def rows_after(self, seq: int, count_max: int) -> list[tuple[int, bytes]]:
        """Return the journal's next rows after `seq`: number and event as JSON."""
        query = "SELECT seq, payload FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
        return [(n, text.encode()) for n, text in self._conn.execute(query, (seq, count_max))]

    def unbalanced(self) -> list[tuple[str, int]]:
        """Return the articles whose counts do not add up to 0 over all places, and to what.

        Each movement takes what it gives: such counts are not what the journal adds up to. Raises
        sqlite3.Error where they cannot be read.
        """
        query = "SELECT gtin, sum(units) FROM counts GROUP BY gtin HAVING sum(units) != 0"
        return self._conn.execute(query).fetchall()

    def commands(self) -> list[tuple[str, str, int]]:
        """Return the commands that were handled, the oldest first: id, mark, expiry."""
        query = "SELECT command_id, mark, expires_at_ns FROM command ORDER BY rowid"
        return self._conn.execute(query).fetchall()

    def mission_is_over(self, command_id: str) -> bool:
        """Return whether the journal has the end of the mission that this command asked for."""
        query = "SELECT ended FROM command WHERE command_id = ?"
        row = self._conn.execute(query, (command_id,)).fetchone()
        return bool(row and row[0])

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        self._conn.close()

    def _roll_back(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error as error:
            # After some I/O errors SQLite has rolled back by itself: then there is nothing to undo.
            if self._conn.in_transaction:
                raise CommitError(f"rollback failed: {error}") from error

    def _check_owner(self, edge_id: str, new_epoch: int) -> None:
        """Write whose the database is; each time: what cannot be written is found out here."""
        known = self._meta("edge_id")
        if known not in (None, edge_id):
            raise StoreError(
                f"{file_of(self.db)} belongs to edge {known!r}, the configuration says"
                f" {edge_id!r}: give each edge a data_dir of its own"
            )
        with self.transaction() as tx:
            tx.put_meta("edge_id", edge_id)
            tx.put_meta("tables", " ".join(TABLES))
            if known is None:
                tx.put_meta("epoch", str(new_epoch))

    def _number(self, name: str) -> int:
        text = self._meta(name) or "0"
        if not (_DIGITS.fullmatch(text) and int(text) <= SEQ_MAX):
            raise StoreError(
                f"{file_of(self.db)}: meta {name} = {text!r}: expected a whole number of at most"
                f" 2^53; {AWAY}"
            )
        return int(text)

    def _meta(self, name: str) -> str | None:
        row = self._conn.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])


class Transaction:
    """What one transaction reads and writes; all of it is gone again where it is not committed.

    Counts that change are held here until the commit and written then, each once, in the order of
    their index: many events of a commit name the same places.
    """

    def __init__(self, conn: sqlite3.Connection, last_seq: int) -> None:
        self._conn = conn
        self.last_seq = last_seq
        self.discrepancies = 0
        """Counts of bins that went below zero here."""
        self._stored: dict[tuple[str, str], int] = {}
        self._changes: dict[tuple[str, str], int] = {}
        self._done: dict[str, int] = {}

    def append(self, event: StockEvent) -> bool:
        """Write an event and its counts; return False where its id is in the journal already."""
        payload = _encoder.encode(event).decode()
        row = (self.last_seq + 1, event.event_id, payload)
        if self._conn.execute(_INSERT_EVENT, row).rowcount != 1:
            return False
        self.last_seq += 1
        taken: dict[tuple[str, str], None] = {}
        self._change(event, taken)
        self.discrepancies += sum(self.book_units(*key) < 0 for key in taken)
        return True

    def append_all(self, events: Sequence[StockEvent]) -> None:
        """Write events and their counts, but those whose ids are in the journal already."""
        encode, first = _encoder.encode, self.last_seq + 1
        rows = [(seq, e.event_id, encode(e).decode()) for seq, e in enumerate(events, first)]
        try:
            self._conn.executemany(_INSERT_EVENTS, rows)
            written = len(rows)
        except sqlite3.IntegrityError:  # rows up to the first one whose id is known are in
            (last_seq,) = self._conn.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
            written = last_seq - self.last_seq
        self.last_seq += written
        taken: dict[tuple[str, str], None] = {}
        for event in events[:written]:
            self._change(event, taken)
        self._read_ahead(list(taken))
        stored, changes = self._stored, self._changes
        for key in taken:
            units = stored[key] + changes[key] if key in stored else self.book_units(*key)
            self.discrepancies += units < 0
        for event in events[written:]:
            self.append(event)

    def _change(self, event: StockEvent, taken: dict[tuple[str, str], None]) -> None:
        """Note what an event changes, and in `taken` the places in bins that it takes from."""
        changes = self._changes
        for place, gtin, units in deltas(event):
            key = (place, gtin)
            changes[key] = changes.get(key, 0) + units
            if units < 0 and place.startswith("bin:"):
                taken[key] = None
        done = task_units(event)
        if done is not None:
            task_id, units = done
            self._done[task_id] = self._done.get(task_id, 0) + units
        self._append_details(event)

    def _read_ahead(self, keys: Sequence[tuple[str, str]]) -> None:
        """Read what the table has at these places and articles, many with one question."""
        for begin in range(0, len(keys), READ_AHEAD):
            part = keys[begin : begin + READ_AHEAD]
            if len(part) < READ_EACH_MAX:
                return  # few: each is asked for when it is needed
            full = [*part, *[part[-1]] * (READ_AHEAD - len(part))]
            self._stored.update(dict.fromkeys(part, 0))
            for place, gtin, units in self._conn.execute(
                _MANY_UNITS, list(chain.from_iterable(full))
            ):
                self._stored[place, gtin] = units

    def write_counts(self) -> None:
        """Write the counts that changed so far: before the commit, or before they are queried."""
        changes = self._changes
        rows = [(*key, changes[key]) for key in sorted(changes)]
        self._conn.executemany(_ADD_UNITS, rows)
        self._conn.executemany(_ADD_TASK_UNITS, list(self._done.items()))
        for held in (self._changes, self._done, self._stored):
            held.clear()

    def _append_details(self, event: StockEvent) -> None:
        if isinstance(event, Movement) and not (event.lot or event.serial or event.container):
            return
        for lot_delta in lot_deltas(event):
            self._conn.execute(_ADD_LOT_UNITS, lot_delta)
        if expiry := lot_expiry(event):
            self._conn.execute(_PUT_LOT, expiry)
        if unit := serial_place(event):
            self._conn.execute(_PUT_SERIAL, unit)
        if moved := container_place(event):
            self._conn.execute(_PUT_CONTAINER, moved)
        if goods := container_goods(event):
            self._conn.execute(_PUT_GOODS, goods)
        if isinstance(event, MissionEnded):
            over = "UPDATE command SET ended = 1 WHERE mission_id = ?"
            self._conn.execute(over, (event.mission_id,))

    def book_units(self, place: str, gtin: str) -> int:
        """Return the units in the book at a place."""
        key = (place, gtin)
        stored = self._stored.get(key)
        if stored is None:
            row = self._conn.execute(_BOOK_UNITS, key).fetchone()
            stored = self._stored[key] = int(row[0]) if row else 0
        return stored + self._changes.get(key, 0)

    def lots_at(self, place: str, gtin: str) -> dict[str, int]:
        """Return the units of each lot that the book has at a place."""
        query = "SELECT lot, units FROM lot_counts WHERE place = ? AND gtin = ? AND units > 0"
        return dict(self._conn.execute(query, (place, gtin)).fetchall())

    def knows_lots(self) -> bool:
        """Return whether any lot or serial number was ever named here."""
        query = "SELECT EXISTS(SELECT 1 FROM lot_counts) OR EXISTS(SELECT 1 FROM serials)"
        return bool(self._conn.execute(query).fetchone()[0])

    def has_event(self, event_id: str) -> bool:
        """Return whether an event is in the journal."""
        query = "SELECT 1 FROM journal WHERE event_id = ?"
        return self._conn.execute(query, (event_id,)).fetchone() is not None

    def events_from(self, prefix: str) -> list[StockEvent]:
        """Return the journal's events whose ids begin with `prefix`, up to EVENTS_READ_MAX."""
        query = (
            "SELECT payload FROM journal WHERE event_id >= ? AND event_id < ?"
            " ORDER BY event_id LIMIT ?"
        )
        after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        rows = self._conn.execute(query, (prefix, after, EVENTS_READ_MAX))
        return [decode_event(payload) for (payload,) in rows]

    def lots_of_serials(self, place: str, gtin: str) -> dict[str, str]:
        """Return the lot of each unit at a place that has a serial number."""
        query = "SELECT serial, lot FROM serials WHERE place = ? AND gtin = ? ORDER BY serial"
        return dict(self._conn.execute(query, (place, gtin)).fetchall())

    def serials_at(self, place: str, gtin: str) -> int:
        """Return how many units at a place the book knows by their serial numbers."""
        query = "SELECT count(*) FROM serials WHERE place = ? AND gtin = ?"
        return int(self._conn.execute(query, (place, gtin)).fetchone()[0])

    def serial_place(self, gtin: str, serial: str) -> str:
        """Return where the book has this one unit, empty where it never heard of it."""
        query = "SELECT place FROM serials WHERE gtin = ? AND serial = ?"
        return self._text(query, gtin, serial)

    def serial_lot(self, gtin: str, serial: str) -> str:
        """Return the lot of this one unit, empty where nobody said it."""
        query = "SELECT lot FROM serials WHERE gtin = ? AND serial = ?"
        return self._text(query, gtin, serial)

    def lot_expires_on(self, gtin: str, lot: str) -> str:
        """Return the last day of a lot, empty where nobody said it."""
        return self._text("SELECT expires_on FROM lots WHERE gtin = ? AND lot = ?", gtin, lot)

    def container_place(self, sscc: str) -> str:
        """Return what a container was put into, empty where nothing is known."""
        return self._text("SELECT place FROM containers WHERE sscc = ?", sscc)

    def contents(self, place: str, rows_max: int) -> list[Content]:
        """Return what the book has at a place: by article, lot and serial, at most `rows_max`."""
        self.write_counts()
        found: list[Content] = []
        query = "SELECT gtin, units FROM counts WHERE place = ? AND units > 0 ORDER BY gtin"
        for gtin, units in self._conn.execute(query, (place,)).fetchall():
            serials = self.lots_of_serials(place, gtin)
            found += split(gtin, int(units), self.lots_at(place, gtin), serials)
        return found[:rows_max]

    def goods_with(self, sscc: str, rows_max: int) -> list[Content]:
        """Return what a container was put into a bin with, at most `rows_max`."""
        query = (
            "SELECT gtin, units, lot, serial FROM container_goods WHERE sscc = ? AND units > 0"
            " ORDER BY gtin, lot, serial LIMIT ?"
        )
        return [Content(*row) for row in self._conn.execute(query, (sscc, rows_max))]

    def inside(self, place: str, rows_max: int) -> list[str]:
        """Return the SSCCs of the containers that were put into this place, at most `rows_max`."""
        query = "SELECT sscc FROM containers WHERE place = ? ORDER BY sscc LIMIT ?"
        return [sscc for (sscc,) in self._conn.execute(query, (place, rows_max))]

    def done_units(self, task_id: str) -> int:
        """Return the units that scans did for a task."""
        row = self._conn.execute(_DONE_UNITS, (task_id,)).fetchone()
        return (int(row[0]) if row else 0) + self._done.get(task_id, 0)

    def last_scan(self, device_id: str, epoch: int) -> int:
        """Return the last sequence number handled since this start of a device; 0 for none."""
        query = "SELECT last_seq FROM device_state WHERE device_id = ? AND epoch = ?"
        row = self._conn.execute(query, (device_id, epoch)).fetchone()
        return int(row[0]) if row else 0

    def answer(self, device_id: str, epoch: int, seq: int) -> ScanFeedback | None:
        """Return what was said to a scan, or None where it was never answered or is long ago."""
        query = (
            "SELECT ok, code, text, sound FROM answer WHERE device_id = ? AND epoch = ? AND seq = ?"
        )
        row = self._conn.execute(query, (device_id, epoch, seq)).fetchone()
        if row is None:
            return None
        return ScanFeedback(
            device_id=device_id, boot_epoch=epoch, seq=seq, ok=bool(row[0]), code=row[1],
            text=row[2], sound=row[3],
        )  # fmt: skip

    def session(self, device_id: str) -> Session:
        """Return where a scanner's person stands; a new session where none is known."""
        query = "SELECT state FROM session WHERE device_id = ?"
        row = self._conn.execute(query, (device_id,)).fetchone()
        if row is None:
            return Session()
        try:
            return _session_decoder.decode(row[0])
        except msgspec.DecodeError:
            return Session()  # written by another version: the person starts with a command again

    def put_session(self, device_id: str, session: Session) -> None:
        """Write where a scanner's person stands."""
        self._conn.execute(_PUT_SESSION, (device_id, _encoder.encode(session).decode()))

    def put_answer(self, answer: ScanFeedback, last_seq: int) -> None:
        """Write the answer to a scan and the last one handled; the oldest answers go."""
        device_id, epoch = answer.device_id, answer.boot_epoch
        if last_seq == 0:
            self._forget_old_epochs(device_id)
        if answer.seq > last_seq:
            self._conn.execute(_PUT_DEVICE, (device_id, epoch, answer.seq))
        row = (device_id, epoch, answer.seq, answer.ok, answer.code, answer.text, answer.sound)
        self._conn.execute(_PUT_ANSWER, row)
        oldest = max(answer.seq, last_seq) - ANSWERS_PER_EPOCH_MAX
        if oldest > 0:
            self._conn.execute(_OLD_ANSWERS, (device_id, epoch, oldest))

    def put_command(
        self, command_id: str, mark: str, *, mission_id: str, expires_at_ns: int, ended: int = 0
    ) -> None:
        """Write that a command was handled; of a known one only the expiry moves on."""
        self._conn.execute(_PUT_COMMAND, (command_id, mark, mission_id, expires_at_ns, ended))

    def forget_commands(self, expired_at_ns: int) -> None:
        """Forget the commands that are expired at this moment."""
        self._conn.execute("DELETE FROM command WHERE expires_at_ns < ?", (expired_at_ns,))

    def put_meta(self, name: str, value: str) -> None:
        """Write one of the database's own facts."""
        self._conn.execute(_PUT_META, (name, value))

    def _text(self, query: str, *key: str) -> str:
        row = self._conn.execute(query, key).fetchone()
        return str(row[0]) if row else ""

    def _forget_old_epochs(self, device_id: str) -> None:
        """Forget the device's oldest starts; their events stay unique in the journal."""
        args = (device_id, EPOCHS_PER_DEVICE_MAX - 1)
        for (epoch,) in self._conn.execute(_OLD_EPOCHS, args).fetchall():
            for table in ("answer", "device_state"):
                self._conn.execute(
                    f"DELETE FROM {table} WHERE device_id = ? AND epoch = ?",  # noqa: S608 - two names of ours
                    (device_id, epoch),
                )


def open_store(path: Path | None, *, edge_id: str, new_epoch: int) -> EdgeStore:
    """Return the edge's database at `path` (None: in memory).

    Raises StoreError where it is damaged, or empty although it was not.
    """
    if path is None:
        return EdgeStore(open_database(None), edge_id=edge_id, new_epoch=new_epoch)
    refuse_emptied(path)
    store = EdgeStore(open_database(path), edge_id=edge_id, new_epoch=new_epoch)
    mark_made(path, edge_id)
    return store


def decode_event(payload: bytes | str) -> StockEvent:
    """Return the event in a journal row."""
    return _event_decoder.decode(payload)


def why_not_to_be_kept(event: StockEvent) -> str:
    """Return why an event must not come into the journal, empty where it may.

    What stands there is sent to central sooner or later and stays for ever: a row that could not
    be read or sent would keep everything behind it from central.
    """
    payload = _encoder.encode(event)
    if len(payload) > EVENT_BYTES_MAX:
        return f"{len(payload)} bytes, at most {EVENT_BYTES_MAX} are kept"
    try:
        decode_event(payload)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
