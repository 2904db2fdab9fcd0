"""The physical world: what is where, who carries what, and how far time has gone.

The books know nothing of it and it knows nothing of the books, so the two can be compared.

Where units are:

* `bin:` what stands in it. `robot:` what it carries. `person:` what somebody has in their hands.
* `tote:` what lies in it. Totes stand on the roller line that joins the handover bins, so a robot
  can take one at any of them; packed totes leave the world with their customer.
* `supplier:` what its lorry has brought to the dock and nobody has received yet. Units come into
  the world when a lorry arrives (and on the first day), not before.
* `stolen:` what somebody took home, `damaged:` what arrived broken: nobody will find it again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from sim_hardware.world.bodies import Bodies
from sim_hardware.world.chargers import Chargers
from sim_hardware.world.floor_map import FloorMap
from sim_hardware.world.incidents import Incidents
from sim_hardware.world.lots import Deliveries, opening_mark
from sim_hardware.world.schedule import WorldTime
from sim_hardware.world.stock import PhysicalStock
from wire.ids import bin_location
from wire.site import ArticleRow, BinRow, Site

HANDOVER_PREFIX: Final = "HAND-"
STEP_S: Final = 0.05
"""Bodies move in steps of so many world seconds."""


class World:
    """Everything physical of one site, and what went wrong in it."""

    def __init__(self, site: Site, speed: float) -> None:
        self.site = site
        self.time = WorldTime(speed)
        self.stock = PhysicalStock()
        self.floor = FloorMap(site)
        self.incidents = Incidents()
        self.bodies = Bodies(STEP_S)
        self.chargers = Chargers(n.node_id for n in site.nodes.values() if n.kind == "charger")
        self.top_z_m = max((row.z_m for row in site.bins.values()), default=0.0)
        """How high the highest shelf is."""
        self.look_for_people: Callable[[], list[tuple[float, float]]] = list
        """Returns where everybody is; set by whoever knows the people."""
        self.handover_bins = tuple(
            row for row in site.bins.values()
            if row.kind == "pack" and row.bin_id.startswith(HANDOVER_PREFIX)
        )  # fmt: skip
        self.carried_totes: set[str] = set()
        """Totes that are on a robot, not on the roller line."""
        self._on_the_way: Counter[str] = Counter()
        self._labels: dict[str, str] = {}
        self._damaged_labels: Counter[str] = Counter()
        self._by_node: dict[str, list[BinRow]] = {}
        self._neighbours: dict[str, tuple[BinRow, ...]] = {}
        for row in site.opening:
            self.stock.arrive(bin_location(row.bin_id), row.gtin, row.units, opening_mark(row))
        self.lots = Deliveries(site.opening)
        """What lot comes next of each article."""

    @property
    def bins(self) -> Mapping[str, BinRow]:
        """Return every bin by its id."""
        return self.site.bins

    @property
    def articles(self) -> Mapping[str, ArticleRow]:
        """Return every article by its GTIN-14."""
        return self.site.articles

    def stock_at(self, place: str) -> dict[str, int]:
        """Return the units that are physically at `place` by GTIN-14."""
        return self.stock.stock_at(place)

    # --- labels -----------------------------------------------------------------------------------

    def label_of(self, bin_id: str) -> str:
        """Return which bin the label on this bin's shelf names: its own, unless it was swapped."""
        return self._labels.get(bin_id, bin_id)

    def swap_labels(self, bin_id: str, other_id: str) -> None:
        """Let two bins carry each other's labels; swapped again, all is right again.

        Raises ValueError for a bin that is not there.
        """
        for name in (bin_id, other_id):
            if name not in self.bins:
                raise ValueError(f"bin {name!r} is not in bins.csv")
        one, other = self.label_of(bin_id), self.label_of(other_id)
        for name, label in ((bin_id, other), (other_id, one)):
            if label == name:
                self._labels.pop(name, None)
            else:
                self._labels[name] = label

    def damage_label(self, bin_id: str) -> None:
        """Let a bin's label be torn; damaged twice, it is to be mended twice."""
        self._damaged_labels[bin_id] += 1

    def mend_label(self, bin_id: str) -> None:
        """Let a new label be put there."""
        assert self._damaged_labels[bin_id] > 0, f"the label of {bin_id} is not damaged"
        self._damaged_labels[bin_id] -= 1

    def is_readable(self, bin_id: str) -> bool:
        """Return whether the label on this bin's shelf can be read."""
        return not self._damaged_labels[bin_id]

    # --- ways and neighbours ----------------------------------------------------------------------

    def block_node(self, node_id: str) -> None:
        """Let something stand in the way on a node. Raises ValueError for one that is not there."""
        self.floor.block_node(node_id)

    def unblock_node(self, node_id: str) -> None:
        """Take it away. Raises ValueError where nothing is there."""
        self.floor.unblock_node(node_id)

    def close_edge(self, from_node: str, to_node: str) -> None:
        """Close a door, in both directions. Raises ValueError where no lane leads there."""
        self.floor.close_edge(from_node, to_node)

    def open_edge(self, from_node: str, to_node: str) -> None:
        """Open it again. Raises ValueError where it is not closed."""
        self.floor.open_edge(from_node, to_node)

    def aisle_nodes(self, aisle: str) -> tuple[str, ...]:
        """Return the nodes beside the bins of an aisle: those whose id begins with `A-02-`.

        Raises ValueError where there is no such bin.
        """
        nodes = {r.node_id for r in self.bins.values() if r.bin_id.startswith(f"{aisle}-")}
        if not nodes:
            known = sorted({r.bin_id.rsplit("-", 2)[0] for r in self.bins.values()})
            raise ValueError(f"aisle {aisle!r}: no bin begins so; there is {', '.join(known[:20])}")
        return tuple(sorted(nodes))

    def neighbours(self, bin_id: str) -> tuple[BinRow, ...]:
        """Return the bins of the same kind and zone within reach of this one, nearest first."""
        if bin_id not in self._neighbours:
            self._neighbours[bin_id] = self._find_neighbours(self.bins[bin_id])
        return self._neighbours[bin_id]

    def nearest_bin(self, bin_id: str) -> BinRow:
        """Return the first of a bin's neighbours; where it has none, the bin that is nearest."""
        near = self.neighbours(bin_id)
        if near:
            return near[0]
        row = self.bins[bin_id]
        here = (row.x_m, row.y_m, row.z_m)
        others = [other for other in self.bins.values() if other.bin_id != bin_id]
        assert others, f"{bin_id} is the only bin of its site"
        return min(others, key=lambda o: (math.dist(here, (o.x_m, o.y_m, o.z_m)), o.bin_id))

    def _find_neighbours(self, row: BinRow) -> tuple[BinRow, ...]:
        if not self._by_node:
            for other in self.bins.values():
                self._by_node.setdefault(other.node_id, []).append(other)
        nodes = [row.node_id, *self.floor.next_to(row.node_id)]
        near = [
            (math.dist((row.x_m, row.y_m, row.z_m), (o.x_m, o.y_m, o.z_m)), o.bin_id, o)
            for node in dict.fromkeys(nodes)
            for o in self._by_node.get(node, ())
            if o.bin_id != row.bin_id and (o.kind, o.edge_id) == (row.kind, row.edge_id)
        ]
        return tuple(other for _, _, other in sorted(near, key=lambda found: found[:2]))

    # --- totes ------------------------------------------------------------------------------------

    def bring(self, place: str) -> None:
        """Note that somebody has goods in their hands for the tote at `place`."""
        self._on_the_way[place] += 1

    def brought(self, place: str) -> None:
        """Note that those goods lie in the tote, or were put back."""
        self._on_the_way[place] -= 1
        assert self._on_the_way[place] >= 0, f"{place}: more was brought than taken"
        if not self._on_the_way[place]:
            del self._on_the_way[place]

    def is_awaited(self, place: str) -> bool:
        """Return whether somebody is on the way to the tote at `place` with goods for it."""
        return place in self._on_the_way

    def pack(self, tote: str) -> None:
        """Let a tote's goods leave the world with their customer."""
        for gtin, units in sorted(self.stock.stock_at(tote).items()):
            self.stock.leave(tote, gtin, units)
