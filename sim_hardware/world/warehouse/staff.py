"""Who works in a generated warehouse, and who it buys from."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim_hardware.world.warehouse.demand import generator
from wire.site import PersonRow, SupplierRow

NAMES: Final = (
    "Ana", "Bo", "Cem", "Dita", "Emil", "Farah", "Goran", "Hana", "Ines", "Jan", "Kofi", "Lena",
    "Milo", "Nora", "Oskar", "Paula", "Quan", "Rosa", "Samir", "Tilda", "Umut", "Vera", "Wim",
    "Xenia", "Yuki", "Zoran",
)  # fmt: skip
PLACES: Final = (
    "Northgate", "Harbour", "Millbrook", "Eastfield", "Oakwood", "Riverside", "Highmoor",
    "Stonebridge", "Westlake", "Greenhill", "Ashford Lane", "Old Quay", "Fairview", "Redcliff",
    "Summit", "Lowland",
)  # fmt: skip
TRADES: Final = ("Wholesale", "Goods", "Supply", "Trading", "Foods", "Brands", "Imports", "Works")
LEAD_MEDIAN_D: Final = 3.0
LEAD_SPREAD: Final = 0.6
LEAD_D: Final = (0.25, 21.0)
INBOUND_EVERY: Final = 5
"""One person of so many in a zone looks after what comes in; the others pick."""


def make_people(people: int, zones: list[str], dock_zones: set[str]) -> list[PersonRow]:
    """Return people by zone, one zone after the other.

    Where there are too few for one who looks after goods in and one who picks in each zone, one
    person does both.
    """
    rows = []
    for number in range(people):
        zone, turn = zones[number % len(zones)], number // len(zones)
        in_zone = len(range(number % len(zones), people, len(zones)))
        inbound = ["receive", "putaway", "count"] if zone in dock_zones else ["putaway", "count"]
        roles = inbound if turn % INBOUND_EVERY == 0 else ["pick"]
        if in_zone == 1:
            roles = [*inbound, "pick"]
        name = NAMES[number % len(NAMES)]
        again = number // len(NAMES)
        rows.append(
            PersonRow(
                person_id=f"p{number + 1}", name=f"{name} {again + 1}" if again else name,
                edge_id=zone, roles=" ".join(roles),
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: zones.index(row.edge_id))


def make_suppliers(seed: int, suppliers: int) -> list[SupplierRow]:
    """Return suppliers; most deliver within days, a few within weeks."""
    rng = generator(seed, "warehouse/suppliers")
    lead_d = LEAD_MEDIAN_D * np.exp(LEAD_SPREAD * rng.standard_normal(suppliers))
    rows = []
    for number, lead in enumerate(np.clip(lead_d, *LEAD_D).tolist()):
        name = f"{PLACES[number % len(PLACES)]} {TRADES[number // len(PLACES) % len(TRADES)]}"
        again = number // (len(PLACES) * len(TRADES))
        rows.append(
            SupplierRow(
                supplier_id=f"S{number + 1}", name=f"{name} {again + 1}" if again else name,
                lead_time_d=round(lead, 2),
            )
        )  # fmt: skip
    return rows
