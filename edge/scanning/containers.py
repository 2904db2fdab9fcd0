"""Pallets, totes and parcels: their SSCC stands for all that is in them.

What is in a container is at the place `container:{SSCC}`. A container that is put into another one
stays whole; what is in it goes along. Put into a bin or into quarantine, its goods are booked
there: one movement for each kind of goods, and from then on they are counted there. It is
remembered what it came with: scanned again in its bin, the container is lifted with what is left
of that there.
"""

from __future__ import annotations

from typing import Final

from edge.scanning.state import CONTAINER, Moved, Outcome, Work, refuse
from wire.answers import Code
from wire.ids import location

ROWS_MAX: Final = 100
"""Kinds of goods and containers that one scan moves."""
BIN_ROWS_MAX: Final = 10_000
"""Kinds of goods in a bin that are looked at for those of one container."""
QUARANTINED: Final = "quarantine:"
DEPTH_MAX: Final = 5
"""Containers in containers in containers ..."""


def unload(sscc: str, to_place: str, work: Work) -> tuple[Moved, ...] | Outcome:
    """Return all that moves where a container is put into a place, itself last; or a refusal."""
    if work.details.container_place(sscc) == to_place != location("quarantine"):
        return refuse(Code.WRONG_BIN, f"container {sscc} stands at {to_place} already")
    stood = lifted(sscc, to_place, work)
    if isinstance(stood, Outcome):
        return stood
    nested = [sscc]
    for outer in nested:
        nested += [n for n in work.details.inside(CONTAINER + outer, ROWS_MAX) if n not in nested]
        if len(nested) > ROWS_MAX:
            return _too_much(sscc)
    rows: list[Moved] = [*stood]
    for one in nested:
        place = CONTAINER + one
        for found in work.details.contents(place, ROWS_MAX + 1):
            expires_on = work.details.lot_expires_on(found.gtin, found.lot) if found.lot else ""
            rows.append(
                Moved(
                    gtin=found.gtin, units=found.units, lot=found.lot, serial=found.serial,
                    expires_on=expires_on, container=sscc, from_place=place, to_place=to_place,
                )
            )  # fmt: skip
    rows += [carried(one, to_place, work) for one in reversed(nested)]
    return _too_much(sscc) if len(rows) > ROWS_MAX else tuple(rows)


def lifted(sscc: str, to_place: str, work: Work) -> tuple[Moved, ...] | Outcome:
    """Return what moves with a container that stands in a bin: what it came with and is there yet.

    None of it where it stands in quarantine: goods go out of there with a reason.
    """
    place = work.details.container_place(sscc)
    if not place.startswith(("bin:", QUARANTINED)):
        return ()
    there = {
        (found.gtin, found.lot, found.serial): found.units
        for found in work.details.contents(place, BIN_ROWS_MAX)
    }
    rows = []
    for came in work.details.goods_with(sscc, ROWS_MAX + 1):
        units = min(came.units, there.get((came.gtin, came.lot, came.serial), 0))
        if units > 0:
            expires_on = work.details.lot_expires_on(came.gtin, came.lot) if came.lot else ""
            rows.append(
                Moved(
                    gtin=came.gtin, units=units, lot=came.lot, serial=came.serial,
                    expires_on=expires_on, container=sscc, from_place=place, to_place=to_place,
                )
            )  # fmt: skip
    if rows and place.startswith(QUARANTINED):
        text = f"container {sscc} is in quarantine: take its goods out with SH-RELEASE-GOOD"
        return refuse(Code.WRONG_MODE, text)
    return tuple(rows)


def nest(sscc: str, into: str, work: Work) -> tuple[Moved, ...] | Outcome:
    """Return the move of one container into another one, or its refusal."""
    outer = into
    for _ in range(DEPTH_MAX - _levels_in(sscc, work)):
        if outer == sscc:
            text = f"container {into} is in {sscc}: it cannot go into what it holds"
            return refuse(Code.CONTAINER_LOOP, text)
        place = work.details.container_place(outer)
        if not place.startswith(CONTAINER) or place == CONTAINER:
            goods = lifted(sscc, CONTAINER + sscc, work)
            if isinstance(goods, Outcome):
                return goods
            return (*goods, carried(sscc, CONTAINER + into, work))
        outer = place.removeprefix(CONTAINER)
    text = f"{sscc} into {into}: at most {DEPTH_MAX} containers more go into each other"
    return refuse(Code.CONTAINER_LOOP, text)


def _levels_in(sscc: str, work: Work) -> int:
    """Return how deep containers lie in each other within this one: 0 where it holds none."""
    inside = [sscc]
    for level in range(DEPTH_MAX):
        inside = [n for outer in inside for n in work.details.inside(CONTAINER + outer, ROWS_MAX)]
        inside = inside[:ROWS_MAX]  # more than that is not unloaded anyway
        if not inside:
            return level
    return DEPTH_MAX


def carried(sscc: str, to_place: str, work: Work) -> Moved:
    """Return the move of the container itself."""
    from_place = work.details.container_place(sscc) or CONTAINER
    return Moved(container=sscc, from_place=from_place, to_place=to_place)


def _too_much(sscc: str) -> Outcome:
    text = f"container {sscc} holds over {ROWS_MAX} kinds of goods: scan them one by one"
    return refuse(Code.CONTAINER_FULL, text)
