"""What the books know of goods beside their number: lots, last days, serials, containers."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, func, select

import central.tables as t
from central.belief.books import how_sure
from central.desk import rows as r
from central.desk.site import Names

NS_PER_MS: Final = 1_000_000
DETAILS_MAX: Final = 200
"""Lots, serial numbers and containers of one place that are shown, each."""


def book_of(books: Connection, names: Names, bin_id: str, now_ns: int) -> r.BookSure:
    """Return how sure the book of a bin is: what the choice of bins to count goes by."""
    found = how_sure(books, now_ns, names.site.bins, bin_id)[bin_id]
    return r.BookSure(
        probability=round(found.sure, 4), seen_at_ms=found.seen_ns // NS_PER_MS,
        picks=found.picks, moves=found.others, days=round(found.days, 2),
        failed=found.failed, counts=found.counts,
    )  # fmt: skip


def lots_at(books: Connection, names: Names, place: str) -> list[r.LotStock]:
    """Return the lots at a place, what is to go first first; lots with no units are left out."""
    held, known = t.lot_balance.c, t.lot.c
    expires_on = func.coalesce(known.expires_on, "")
    rows = books.execute(
        select(held.gtin, held.lot, held.units, expires_on.label("expires_on"))
        .outerjoin(t.lot, and_(known.gtin == held.gtin, known.lot == held.lot))
        .where(held.place == place, held.units != 0)
        .order_by(held.gtin, expires_on == "", expires_on, held.lot)
        .limit(DETAILS_MAX)
    )
    return [
        r.LotStock(
            article=names.article(row.gtin), lot=row.lot, units=int(row.units),
            expires_on=row.expires_on,
        )
        for row in rows
    ]  # fmt: skip


def serials_at(books: Connection, names: Names, place: str) -> list[r.SerialUnit]:
    """Return the units at a place that are known by their serial numbers."""
    unit = t.serial_place.c
    rows = books.execute(
        select(unit.gtin, unit.serial, unit.lot)
        .where(unit.place == place)
        .order_by(unit.gtin, unit.serial)
        .limit(DETAILS_MAX)
    )
    return [
        r.SerialUnit(article=names.article(row.gtin), serial=row.serial, lot=row.lot)
        for row in rows
    ]


def containers_at(books: Connection, place: str) -> list[str]:
    """Return the SSCCs of the pallets, totes and parcels that were put into a place."""
    stands = t.container_place.c
    query = select(stands.sscc).where(stands.place == place).order_by(stands.sscc)
    return list(books.execute(query.limit(DETAILS_MAX)).scalars())


def quarantine(books: Connection, names: Names) -> r.Quarantine:
    """Return what is put aside: by article, with its lots and serial numbers."""
    place = r.QUARANTINE
    held = t.balance.c
    rows = books.execute(
        select(held.gtin, held.units)
        .where(held.place == place, held.units != 0)
        .order_by(held.gtin)
        .limit(DETAILS_MAX)
    )
    stock = [
        r.BinStock(article=names.article(row.gtin), units=int(row.units), reserved_units=0)
        for row in rows
    ]
    return r.Quarantine(
        stock=stock, lots=lots_at(books, names, place), serials=serials_at(books, names, place)
    )
