"""The stock of the first day, as movements."""

from __future__ import annotations

from collections import Counter

from wire.ids import bin_location, location
from wire.messages import Movement
from wire.site import Site

REASON = "opening"


def opening_movements(site: Site, edge_id: str, at_ns: int) -> list[Movement]:
    """Return the opening stock of one edge's bins. The ids do not depend on the order of the file.

    A database that was lost and begun again writes the same ids, so central books nothing twice.
    """
    ours = site.edge_bins(edge_id)
    rows: Counter[tuple[str, str]] = Counter()
    found = []
    for row in site.opening:
        if row.bin_id not in ours:
            continue
        rows[row.bin_id, row.gtin] += 1
        found.append(
            Movement(
                event_id=f"opening/{row.bin_id}/{row.gtin}/{rows[row.bin_id, row.gtin]}",
                gtin=row.gtin, units=row.units, from_place=location("opening"),
                to_place=bin_location(row.bin_id), reason=REASON, device_id=edge_id,
                observed_at_ns=at_ns, received_at_ns=at_ns, lot=row.lot, expires_on=row.expires_on,
                serial=row.serial,
            )
        )  # fmt: skip
    return found
