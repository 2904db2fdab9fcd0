"""What faults may happen to, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sim_hardware.config import SimConfig
from sim_hardware.plant import BROKER, CENTRAL, edge_process
from wire.site import Site

Names = tuple[str, ...]
WHOLE_SITE: Final = "site"
DESK: Final = "desk"
LANE_MARK: Final = ">"
SIGHTING: Final = "sighting"
EVERYTHING: Final = "all"


def lane_name(from_node: str, to_node: str) -> str:
    """Return how a lane of the map is written: `N1>N2`."""
    return f"{from_node}{LANE_MARK}{to_node}"


def lane_ends(name: str) -> tuple[str, str]:
    """Return the two nodes of a lane."""
    from_node, _, to_node = name.partition(LANE_MARK)
    return from_node, to_node


def _serial(_: Site, config: SimConfig) -> Names:
    return (*(s.device_id for s in config.scanners if s.path), *_drones(_, config))


def _mqtt(site: Site, config: SimConfig) -> Names:
    scanners = (s.device_id for s in config.scanners if not s.path)
    return (*scanners, *_robots(site, config), *_smart(site, config))


def _scanners(_: Site, config: SimConfig) -> Names:
    return tuple(s.device_id for s in config.scanners)


def _robots(site: Site, _: SimConfig) -> Names:
    return tuple(row.serial for row in site.robots)


def _drones(_: Site, config: SimConfig) -> Names:
    return tuple(own.drone_id for own in config.drones)


def _cameras(_: Site, config: SimConfig) -> Names:
    return tuple(own.camera_id for own in config.cameras)


def _smart(_: Site, config: SimConfig) -> Names:
    return tuple(own.camera_id for own in config.cameras if own.level == SIGHTING)


def _lenses(site: Site, config: SimConfig) -> Names:
    fixed = (own.camera_id for own in config.cameras if own.level != SIGHTING)
    return (*fixed, *_drones(site, config))


def _devices(site: Site, config: SimConfig) -> Names:
    mobile = (*_robots(site, config), *_drones(site, config))
    return (*_scanners(site, config), *mobile, *_cameras(site, config))


def _processes(site: Site, _: SimConfig) -> Names:
    return (BROKER, CENTRAL, *_edges(site, _), DESK)


def _clients(site: Site, config: SimConfig) -> Names:
    return _processes(site, config)[1:]


def _edges(site: Site, _: SimConfig) -> Names:
    return tuple(edge_process(name) for name in sorted({r.edge_id for r in site.bins.values()}))


def _lanes(site: Site, _: SimConfig) -> Names:
    return tuple(lane_name(row.from_node, row.to_node) for row in site.edges)


def _people(_: Site, config: SimConfig) -> Names:
    return tuple(own.person_id for own in config.scanners)


def _articles(site: Site, _: SimConfig) -> Names:
    return (*(row.sku for row in site.articles.values()), *site.articles)


def _aisles(site: Site, _: SimConfig) -> Names:
    """Return `A-02` where bins begin with `A-02-`."""
    return tuple(sorted({row.bin_id.rsplit("-", 2)[0] for row in site.bins.values()}))


NAMES: Final[Mapping[str, Callable[[Site, SimConfig], Names]]] = {
    "serial device": _serial,
    "mqtt device": _mqtt,
    "device": _devices,
    "scanner": _scanners,
    "robot": _robots,
    "drone": _drones,
    "camera": _cameras,
    "smart camera": _smart,
    "lens": _lenses,
    "process": _processes,
    "client process": _clients,
    "broker": lambda _site, _config: (BROKER,),
    "central": lambda _site, _config: (CENTRAL,),
    "desk": lambda _site, _config: (DESK,),
    "edge": _edges,
    "node": lambda site, _: tuple(site.nodes),
    "lane": _lanes,
    "battery": lambda site, config: (*_robots(site, config), *_drones(site, config)),
    "aisle": _aisles,
    "person": _people,
    "bin": lambda site, _: tuple(site.bins),
    "article": _articles,
    "article or all": lambda site, config: (EVERYTHING, *_articles(site, config)),
    "supplier": lambda site, _: tuple(site.suppliers),
    "site": lambda _site, _config: (WHOLE_SITE,),
}
"""By what a kind says it happens to: the names that there are."""
