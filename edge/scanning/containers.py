"""Pallets, totes and parcels: their SSCC stands for all that is in them.

What is in a container is at the place `container:{SSCC}`. A container that is put into another one
stays whole; what is in it goes along. Put into a bin or into quarantine, its goods are booked
there: one movement for each kind of goods, and from then on they are counted there.
"""

from __future__ import annotations

from typing import Final

from edge.scanning.state import CONTAINER, Moved, Outcome, Work, refuse
from wire.answers import Code

ROWS_MAX: Final = 100
"""Kinds of goods and containers that one scan moves."""
DEPTH_MAX: Final = 5
"""Containers in containers in containers ..."""


def unload(sscc: str, to_place: str, work: Work) -> tuple[Moved, ...] | Outcome:
    """Return all that moves where a container is put into a place, itself last; or a refusal."""
    nested = [sscc]
    for outer in nested:
        nested += [n for n in work.details.inside(CONTAINER + outer, ROWS_MAX) if n not in nested]
        if len(nested) > ROWS_MAX:
            return _too_much(sscc)
    rows: list[Moved] = []
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


def nest(sscc: str, into: str, work: Work) -> tuple[Moved, ...] | Outcome:
    """Return the move of one container into another one, or its refusal."""
    outer = into
    for _ in range(DEPTH_MAX):
        if outer == sscc:
            text = f"container {into} is in {sscc}: it cannot go into what it holds"
            return refuse(Code.CONTAINER_LOOP, text)
        place = work.details.container_place(outer)
        if not place.startswith(CONTAINER) or place == CONTAINER:
            return (carried(sscc, CONTAINER + into, work),)
        outer = place.removeprefix(CONTAINER)
    text = f"container {into} is in {DEPTH_MAX} others: no more go into each other"
    return refuse(Code.CONTAINER_LOOP, text)


def carried(sscc: str, to_place: str, work: Work) -> Moved:
    """Return the move of the container itself."""
    from_place = work.details.container_place(sscc) or CONTAINER
    return Moved(container=sscc, from_place=from_place, to_place=to_place)


def _too_much(sscc: str) -> Outcome:
    text = f"container {sscc} holds over {ROWS_MAX} kinds of goods: scan them one by one"
    return refuse(Code.CONTAINER_FULL, text)
