"""A generated warehouse, from 50 bins to a million bins and ten thousand robots.

The demo's site comes from `sim_hardware/world/generate.py`; this makes any other. The same seed and
the same numbers give the same warehouse, whatever PYTHONHASHSEED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.warehouse.demand import Catalogue, Sales, make_catalogue, make_sales
from sim_hardware.world.warehouse.floor import CHARGER, STATION, Floor
from sim_hardware.world.warehouse.slots import Opening, Rack, Slotter, Slotting, make_rack
from sim_hardware.world.warehouse.spec import Spec, units_per_day
from sim_hardware.world.warehouse.staff import make_people, make_suppliers
from wire.site import PersonRow, SupplierRow

Ints = NDArray[np.int64]
Say = Callable[[str], None]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Warehouse:
    """Everything of one generated site, in columns."""

    spec: Spec
    zones: list[str]
    """Their names: the edges that own them."""
    floor: Floor
    rack: Rack
    rack_nodes: Ints
    """By rack place: the node before it."""
    slotting: Slotting
    opening: Opening
    catalogue: Catalogue
    sales: Sales
    robot_nodes: Ints
    people: list[PersonRow]
    suppliers: list[SupplierRow]


def generate_warehouse(spec: Spec, say: Say = lambda _step: None) -> Warehouse:
    """Return the warehouse; `say` is told what is done next."""
    say("articles")
    catalogue = make_catalogue(
        spec.seed, articles=spec.skus, suppliers=spec.suppliers, units_per_day=units_per_day(spec)
    )
    say("eight weeks of sales")
    sales = make_sales(spec.seed, catalogue)
    say("floor")
    floor = Floor(spec.sizes)
    places = floor.block.places
    rack = make_rack(places, spec.zones, spec.rack_bins)
    rack_nodes = floor.node(rack.zone, places.column[rack.place], places.row[rack.place])
    say("slots and opening stock")
    slotter = Slotter(spec.seed, catalogue, places, rack, pick_levels=spec.pick_levels)
    slotting, opening = slotter.slot(spec.cover_d)
    floor.kinds[rack_nodes] = STATION
    for zone, spot in floor.spots():
        floor.kinds[floor.node(np.array(zone), np.array(spot.column), np.array(spot.row))] = STATION
    floor.kinds[floor.bay_nodes(spec.sizes.chargers * spec.zones)] = CHARGER
    zones = zone_names(spec.zones)
    return Warehouse(
        spec=spec,
        zones=zones,
        floor=floor,
        rack=rack,
        rack_nodes=rack_nodes,
        slotting=slotting,
        opening=opening,
        catalogue=catalogue,
        sales=sales,
        robot_nodes=floor.bay_nodes(spec.robots),
        people=make_people(spec.people, zones, {zones[zone] for zone, _ in floor.docks}),
        suppliers=make_suppliers(spec.seed, spec.suppliers),
    )


def zone_names(zones: int) -> list[str]:
    """Return A, B, C, ...; two letters each where one is not enough."""
    if zones <= len(LETTERS):
        return list(LETTERS[:zones])
    return [a + b for a in LETTERS for b in LETTERS][:zones]
