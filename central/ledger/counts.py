"""Counts of whole bins, kept until they are judged: the book may have to be made to agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select

from central.ledger.origin import ArrivedRow
from central.statement import Statement
from central.store import insert_new
from central.tables import bin_count, movement
from wire.messages import BinCounted, BinSighted

_LAST_ID: Final = Statement(select(func.coalesce(func.max(movement.c.id), 0)))


def keep_counts(
    conn: Connection,
    arrived: Iterable[ArrivedRow],
    fresh: Sequence[BinCounted | BinSighted],
    now_ns: int,
) -> None:
    """Write down the counts among `fresh`, what is new of `arrived`.

    The count of a lot or a serial number says nothing of the rest of its bin: it is left out.
    """
    ids = {look.event_id for look in fresh if isinstance(look, BinCounted)}
    if not ids:
        return
    last_id = int(_LAST_ID.scalar(conn))
    rows = [
        _row(edge_id, epoch, seq, look) | {"committed_at_ns": now_ns, "last_id": last_id}
        for edge_id, epoch, seq, look in arrived
        if isinstance(look, BinCounted) and look.event_id in ids and not (look.lot or look.serial)
    ]
    insert_new(conn, bin_count, rows)


def _row(edge_id: str, epoch: int, seq: int, look: BinCounted) -> dict[str, Any]:
    return {
        "event_id": look.event_id,
        "bin_id": look.bin_id,
        "gtin": look.gtin,
        "counted_units": look.counted_units,
        "book_units": look.book_units,
        "counted_by": look.person_id or look.device_id,
        "person_id": look.person_id,
        "edge_id": edge_id,
        "epoch": epoch,
        "seq": seq,
        "since_ns": min(look.since_ns or look.received_at_ns, look.received_at_ns),
        "until_ns": look.received_at_ns,
        "status": "new",
    }
