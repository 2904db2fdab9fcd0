"""A bin at any past time: what lay in it then, and what was moved until then."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from central.desk import rows as r
from central.desk.site import Names
from central.ledger.asof import stock_as_of
from central.ledger.history import BinMove, bin_history
from wire.ids import bin_location
from wire.messages import LOT_SAID

NS_PER_MS: Final = 1_000_000
EVER_NS: Final = 2**63 - 1


def bin_past(
    books: Connection,
    names: Names,
    bin_id: str,
    *,
    at_ns: int | None,
    gtin: str | None,
    limit: int,
) -> r.BinPast | None:
    """Return a bin as it was at `at_ns` (None: now), or None where no such bin is known.

    A movement counts from the time it was observed, however late it came into the ledger.
    """
    place = bin_location(bin_id)
    held = stock_as_of(books, EVER_NS if at_ns is None else at_ns, place=place, gtin=gtin)
    stock = {what: units for (_, what), units in sorted(held.items())}
    moves = bin_history(books, bin_id, gtin=gtin, until_ns=at_ns, limit=limit)
    if not (moves or stock or bin_id in names.site.bins):
        return None
    return r.BinPast(
        bin_id=bin_id,
        at_ms=None if at_ns is None else at_ns // NS_PER_MS,
        units=sum(stock.values()),
        stock=[
            r.PastStock(article=names.article(what), units=units) for what, units in stock.items()
        ],
        moves=_moves(moves, stock, names),
    )


def _moves(moves: list[BinMove], stock: dict[str, int], names: Names) -> list[r.PastMove]:
    """Return the movements, each with what it left in the bin: counted back from the newest."""
    left = dict(stock)
    found = []
    for move in moves:
        if move.reason == LOT_SAID:
            continue  # nothing came or went
        is_booked = move.committed_at_ns > 0
        after = left.get(move.gtin, 0)
        if is_booked:
            left[move.gtin] = after - move.by_units
        found.append(
            r.PastMove(
                event_id=move.event_id,
                article=names.article(move.gtin),
                by_units=move.by_units,
                left_units=after if is_booked else None,
                other_place=move.other_place,
                reason=move.reason,
                person_id=move.person_id,
                person=names.worker(move.person_id),
                device_id=move.device_id,
                task_id=move.task_id,
                lot=move.lot,
                at_ms=move.observed_at_ns // NS_PER_MS,
                is_booked=is_booked,
            )
        )
    return found
