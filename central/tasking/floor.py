"""The site as tasking asks for it: which bins serve which purpose, who may do what where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from central.config import CameraAtEdge, DroneAtEdge
from wire.ids import bin_location, bin_of
from wire.site import BinRow, PersonRow, Site

HAND_PREFIX: Final = "HAND-"
"""Bins of kind `pack` with this prefix hold totes that wait for a robot; the others pack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Look-ups over the site's master data, made once."""

    site: Site
    docks: tuple[BinRow, ...]
    reserves: tuple[BinRow, ...]
    hands: tuple[BinRow, ...]
    packs: tuple[BinRow, ...]
    faces: Mapping[str, tuple[str, ...]]
    """GTIN -> places a person picks it from."""
    workers: Mapping[tuple[str, str], tuple[PersonRow, ...]]
    """(role, edge) -> people."""
    worker_ids: Mapping[tuple[str, str], Mapping[str, None]]
    """(role, edge) -> their ids, in order."""
    person_ranks: Mapping[str, int]
    """person -> where they stand in people.csv."""
    drones: Mapping[str, str]
    """edge -> drone."""
    cameras: Mapping[str, CameraAtEdge]
    """camera -> what it sees."""

    def in_order(self, person_ids: AbstractSet[str] | None) -> list[str]:
        """Return the people of the site among `person_ids`, or all, as people.csv has them."""
        people = self.site.people
        if person_ids is None:
            return list(people)
        return sorted(person_ids & people.keys(), key=self.person_ranks.__getitem__)

    def bin_at(self, place: str) -> BinRow | None:
        """Return the bin at `place`, or None where it is no bin of this site."""
        return self.site.bins.get(bin_of(place) or "")

    def edge_of(self, *places: str) -> str:
        """Return the edge that owns the first bin among `places`; empty where none is a bin."""
        for place in places:
            row = self.bin_at(place)
            if row is not None:
                return row.edge_id
        return ""


def make_floor(
    site: Site, drones: tuple[DroneAtEdge, ...], cameras: tuple[CameraAtEdge, ...] = ()
) -> Floor:
    """Return the look-ups over `site`."""
    bins = sorted(site.bins.values(), key=lambda row: row.bin_id)
    faces: dict[str, list[str]] = defaultdict(list)
    for row in bins:
        if row.kind == "pick" and row.gtin:
            faces[row.gtin].append(bin_location(row.bin_id))
    reserves = tuple(row for row in bins if row.kind == "reserve")
    loose = [bin_location(row.bin_id) for row in reserves]
    workers: dict[tuple[str, str], list[PersonRow]] = defaultdict(list)
    for person in site.people.values():
        for role in person.roles.split():
            workers[role, person.edge_id].append(person)
    return Floor(
        site=site,
        docks=tuple(row for row in bins if row.kind == "dock"),
        reserves=reserves,
        hands=tuple(row for row in bins if _is_hand(row)),
        packs=tuple(row for row in bins if row.kind == "pack" and not _is_hand(row)),
        faces={gtin: tuple(faces.get(gtin, loose)) for gtin in site.articles},
        workers={key: tuple(people) for key, people in workers.items()},
        worker_ids={
            key: dict.fromkeys(sorted(person.person_id for person in people))
            for key, people in workers.items()
        },
        person_ranks={person_id: rank for rank, person_id in enumerate(site.people)},
        drones={drone.edge_id: drone.drone_id for drone in drones},
        cameras={camera.camera_id: camera for camera in cameras},
    )


def _is_hand(row: BinRow) -> bool:
    return row.kind == "pack" and row.bin_id.startswith(HAND_PREFIX)
