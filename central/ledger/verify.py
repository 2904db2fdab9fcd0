"""Is the ledger whole? What it says, held against the sum of its own movements."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select, union_all

from central.ledger.asof import wrong_marks
from central.ledger.core import PlaceGtin
from central.ledger.details import rebuild_details, wrong_containers, wrong_lots, wrong_serials
from central.ledger.times import utc_text
from central.store import reading
from central.tables import balance, movement, reservation

DIFFERENCES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """What a check of the whole ledger found. Lists stop at DIFFERENCES_MAX rows."""

    movements: int
    places: int
    wrong_balances: tuple[tuple[PlaceGtin, int, int], ...]
    """(place and article, balance kept, sum of the movements) where the two differ."""
    unbalanced_gtins: tuple[tuple[str, int], ...]
    """Articles whose balances over all places are not zero, and what is over."""
    over_reserved: tuple[tuple[PlaceGtin, int, int], ...]
    """(place and article, units promised, units there) where more is promised than there."""
    wrong_details: tuple[tuple[PlaceGtin, int, int], ...] = ()
    """(place, article and lot or serial, units kept, units moved) where the two differ."""

    wrong_snapshots: tuple[tuple[int, PlaceGtin, int, int], ...] = ()
    """(time in ns, place and article, units kept, sum of the movements) where the two differ."""

    @property
    def balanced(self) -> bool:
        """Return whether nothing is wrong."""
        wrong = self.wrong_balances or self.unbalanced_gtins or self.wrong_details
        return not (wrong or self.over_reserved or self.wrong_snapshots)

    def text(self) -> str:
        """Return the report in words."""
        if self.balanced:
            return f"whole: {self.movements} movements give the balances of {self.places} places"
        lines = [f"not whole ({self.movements} movements, {self.places} places):"]
        for (place, gtin), kept, summed in (*self.wrong_balances, *self.wrong_details):
            lines.append(f"  {place} {gtin}: balance {kept}, its movements sum up to {summed}")
        lines += [f"  {gtin}: {units} units too many" for gtin, units in self.unbalanced_gtins]
        for (place, gtin), promised, there in self.over_reserved:
            lines.append(f"  {place} {gtin}: {promised} units promised, {there} there")
        for at_ns, (place, gtin), kept, summed in self.wrong_snapshots:
            lines.append(
                f"  {place} {gtin}: kept as {kept} at {utc_text(at_ns)}, its movements until then"
                f" sum up to {summed}"
            )
        if self.wrong_balances or self.wrong_details or self.wrong_snapshots:
            lines.append("rebuild the balances from the movements: stockhelm ledger rebuild")
        return "\n".join(lines)


def verify_ledger(engine: Engine) -> LedgerReport:
    """Return what a check of the whole ledger finds; reads one moment, changes nothing."""
    with reading(engine) as conn:
        kept = {(row.place, row.gtin): row.units for row in conn.execute(select(balance))}
        summed = _sum_movements(conn)
        wrong = [
            (key, kept.get(key, 0), summed.get(key, 0))
            for key in sorted(kept.keys() | summed.keys())
            if kept.get(key, 0) != summed.get(key, 0)
        ]
        per_gtin = conn.execute(
            select(balance.c.gtin, func.sum(balance.c.units))
            .group_by(balance.c.gtin)
            .having(func.sum(balance.c.units) != 0)
            .order_by(balance.c.gtin)
            .limit(DIFFERENCES_MAX)
        ).all()
        return LedgerReport(
            movements=conn.execute(select(func.count()).select_from(movement)).scalar_one(),
            places=len(kept),
            wrong_balances=tuple(wrong[:DIFFERENCES_MAX]),
            unbalanced_gtins=tuple((gtin, int(units)) for gtin, units in per_gtin),
            over_reserved=tuple(_over_reserved(conn)),
            wrong_snapshots=tuple(wrong_marks(conn, DIFFERENCES_MAX)),
            wrong_details=tuple(
                [*wrong_lots(conn), *wrong_serials(conn), *wrong_containers(conn)][:DIFFERENCES_MAX]
            ),
        )


def rebuild_balances(conn: Connection) -> int:
    """Make the balances again from the movements; return how many rows that are."""
    summed = _sum_movements(conn)
    conn.execute(delete(balance))
    rows = [{"place": p, "gtin": g, "units": units} for (p, g), units in sorted(summed.items())]
    if rows:
        conn.execute(insert(balance), rows)
    rebuild_details(conn)
    return len(rows)


def _sum_movements(conn: Connection) -> dict[PlaceGtin, int]:
    sides = union_all(
        select(movement.c.to_place.label("place"), movement.c.gtin, movement.c.units),
        select(movement.c.from_place, movement.c.gtin, -movement.c.units),
    ).subquery()
    rows = conn.execute(
        select(sides.c.place, sides.c.gtin, func.sum(sides.c.units)).group_by(
            sides.c.place, sides.c.gtin
        )
    )
    return {(place, gtin): int(units) for place, gtin, units in rows}


def _over_reserved(conn: Connection) -> list[tuple[PlaceGtin, int, int]]:
    promised = func.sum(reservation.c.units)
    there = func.coalesce(func.max(balance.c.units), 0)
    rows = conn.execute(
        select(reservation.c.place, reservation.c.gtin, promised, there)
        .outerjoin(
            balance,
            and_(balance.c.place == reservation.c.place, balance.c.gtin == reservation.c.gtin),
        )
        .group_by(reservation.c.place, reservation.c.gtin)
        .having(promised > there)
        .limit(DIFFERENCES_MAX)
    )
    return [((place, gtin), int(units), int(held)) for place, gtin, units, held in rows]
