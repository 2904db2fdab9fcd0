"""A damaged edge database made anew: from the rows that its journal still gives, and a copy.

The copy is central's: every movement that this edge ever sent. The new database has a new epoch, so
its whole journal goes to central again, which knows the old events by their ids. The damaged file
is kept beside it under another name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from edge.counting.emptied import mark_made
from edge.counting.store import EdgeStore, decode_event
from runtime.store import StoreError, open_database
from wire.messages import Movement, StockEvent

_EVENTS_PER_COMMIT: Final = 5_000
_SIDES: Final = ("", "-wal", "-shm")
CopiedRow = tuple[int, int, Movement]
"""(epoch, number in the journal, movement) as central keeps it."""


_Command = tuple[str, str, int, int]
"""(mark, mission, expiry, whether that mission ended) as the table `command` has them."""


@dataclass(slots=True)
class _Found:
    """What can still be read of a damaged database."""

    rows: dict[int, StockEvent] = field(default_factory=dict)
    epoch: int = 0
    acked_seq: int = 0
    is_whole: bool = True
    commands: dict[str, _Command] = field(default_factory=dict)
    """Of central, that were handled: by id."""
    has_all_commands: bool = True

    @property
    def last_seq(self) -> int:
        """Return the highest number that the journal is known to have had."""
        return max([self.acked_seq, *self.rows])


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What a database was made anew from."""

    from_journal: int
    from_copy: int
    missing: int
    """Numbers of the journal that are in neither; rows after its last known one are not counted."""
    kept_as: Path
    """The damaged file."""
    commands: int
    """Central's commands that are still known to be handled."""
    has_all_commands: bool
    """Whether none of them is lost: one that is lost may be done again when central repeats it."""


def salvage(file: Path, *, edge_id: str, now_ns: int, copy: Sequence[CopiedRow] | None) -> Salvaged:
    """Make the database at `file` anew. Raises StoreError where that needs a `copy` and none is."""
    found = _read(file)
    if copy is None and not found.is_whole:
        raise StoreError(
            f"{file}: damaged, and its journal cannot be read to its end ({len(found.rows)} rows"
            " can): name central's configuration or a copy of it with --central"
        )
    events, from_copy, missing = _merge(found, copy or ())
    new = file.with_name(f"{file.name}.new")
    for side in _SIDES:
        new.with_name(new.name + side).unlink(missing_ok=True)
    epoch = max(now_ns // 1_000, found.epoch + 1, *(e + 1 for e, _, _ in copy or ()), 1)
    store = EdgeStore(open_database(new), edge_id=edge_id, new_epoch=epoch)
    _fill(store, events, found.commands, now_ns)
    store.close()
    kept_as = _keep(file)
    new.rename(file)
    mark_made(file, edge_id)
    return Salvaged(
        len(found.rows), from_copy, missing, kept_as, len(found.commands), found.has_all_commands
    )


def _read(file: Path) -> _Found:
    """Return what `file` still gives; it is not written."""
    found = _Found()
    try:
        conn = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        found.is_whole = found.has_all_commands = False
        return found
    with closing(conn):
        meta: dict[str, str] = {}
        try:
            meta = dict(conn.execute("SELECT name, value FROM meta"))
        except sqlite3.Error:
            found.is_whole = False
        with suppress(ValueError, KeyError):
            found.epoch, found.acked_seq = int(meta["epoch"]), int(meta.get("acked_seq", 0))
        if not found.epoch:
            found.is_whole = False
        # From both ends: what lies behind a damaged page is read from behind.
        for order in ("", " DESC"):
            if not _read_rows(conn, order, found.rows):
                found.is_whole = False
        found.has_all_commands = _read_commands(conn, found.commands)
    if len(found.rows) != found.last_seq:
        found.is_whole = False
    return found


def _read_commands(conn: sqlite3.Connection, commands: dict[str, _Command]) -> bool:
    """Read the commands that were handled, from both ends; return whether all could be read."""
    for order in ("", " DESC"):
        query = f"SELECT * FROM command NOT INDEXED ORDER BY rowid{order}"  # noqa: S608 - ours
        try:
            for command_id, mark, mission_id, expires_at_ns, ended in conn.execute(query):
                commands[str(command_id)] = (
                    str(mark), str(mission_id), int(expires_at_ns), int(ended),
                )  # fmt: skip
        except (sqlite3.Error, ValueError, TypeError):
            continue
        return True
    return False


def _read_rows(conn: sqlite3.Connection, order: str, rows: dict[int, StockEvent]) -> bool:
    """Read rows in an order as far as it goes; return whether all could be read."""
    whole = True
    try:
        query = f"SELECT seq, payload FROM journal NOT INDEXED ORDER BY seq{order}"  # noqa: S608 - ours
        for seq, payload in conn.execute(query):
            try:
                rows[seq] = decode_event(payload)
            except (msgspec.MsgspecError, TypeError):
                whole = False
    except sqlite3.Error:
        return False
    return whole


def _merge(found: _Found, copy: Iterable[CopiedRow]) -> tuple[list[StockEvent], int, int]:
    """Return the events in order, how many came from the copy, how many numbers are missing."""
    known = {event.event_id for event in found.rows.values()}
    placed: list[tuple[int, int, StockEvent]] = [(1, n, e) for n, e in found.rows.items()]
    copied = [row for row in copy if row[2].event_id not in known]
    newest = found.epoch or max((epoch for epoch, _, _ in copied), default=0)
    placed += [(int(epoch == newest), seq, move) for epoch, seq, move in copied]
    numbers = {seq for newest_too, seq, _ in placed if newest_too}
    last_seq = max([found.acked_seq, *numbers])
    placed.sort(key=lambda row: row[:2])
    return [event for *_, event in placed], len(copied), last_seq - len(numbers)


def _fill(
    store: EdgeStore, events: Sequence[StockEvent], commands: dict[str, _Command], now_ns: int
) -> None:
    with store.transaction() as tx:
        for command_id, (mark, mission_id, expires_at_ns, ended) in commands.items():
            tx.put_command(
                command_id, mark, mission_id=mission_id, expires_at_ns=expires_at_ns, ended=ended
            )
    for start in range(0, len(events), _EVENTS_PER_COMMIT):
        with store.transaction() as tx:
            for event in events[start : start + _EVENTS_PER_COMMIT]:
                tx.append(event)
    if any(isinstance(event, Movement) and event.reason == "opening" for event in events):
        with store.transaction() as tx:
            tx.put_meta("opened", str(now_ns))


def _keep(file: Path) -> Path:
    """Give the damaged file a name that is free; return it."""
    for number in count(1):
        kept = file.with_name(f"{file.name}.damaged-{number}")
        if not kept.exists():
            break
    for side in _SIDES:
        source = file.with_name(file.name + side)
        if source.exists():
            source.rename(kept.with_name(kept.name + side))
    return kept
