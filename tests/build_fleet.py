"""Floors, jobs and fleets for tests: a test names only what it is about."""

from __future__ import annotations

from central.config import CentralConfig
from central.config import FleetConfig as FleetConfig  # noqa: PLC0414 - tests take it from here
from central.fleet.jobs import Stop, TransportJob
from wire.site import EdgeRow, NodeRow, RobotRow, Site

SITE_ID = "FC1"
GRID_M = 1.5


def node_id(x: int, y: int) -> str:
    return f"N{x}-{y}"


def grid_site(width: int, height: int, robots: dict[str, str], maker: str = "acme") -> Site:
    """Return an open floor of width x height nodes and robots (serial -> node)."""
    cells = [(x, y) for y in range(height) for x in range(width)]
    nodes = [NodeRow(node_id=node_id(x, y), x_m=x * GRID_M, y_m=y * GRID_M) for x, y in cells]
    edges = [
        EdgeRow(from_node=node_id(x, y), to_node=node_id(x + dx, y + dy))
        for x, y in cells
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        if (x + dx, y + dy) in set(cells)
    ]
    return Site(
        bins={},
        articles={},
        nodes={node.node_id: node for node in nodes},
        edges=tuple(edges),
        robots=tuple(
            RobotRow(manufacturer=maker, serial=serial, node_id=node)
            for serial, node in robots.items()
        ),
        people={},
        opening=(),
        suppliers={},
    )


def config(**fleet: object) -> CentralConfig:
    """Return a configuration with a database in memory and these fleet settings."""
    return CentralConfig(
        site_id=SITE_ID,
        site_dir="",
        data_dir="",
        database_url="sqlite://",
        fleet=FleetConfig(**fleet),  # type: ignore[arg-type]
    )


def transport(
    job_id: str, *nodes: str, due_at_ns: int = 0, priority: int = 0, **parameters: str | float
) -> TransportJob:
    """Return a job that picks at the first node and drops at the others."""
    stops = tuple(
        Stop(
            node_id=node,
            action_type="drop" if i else "pick",
            action_id=f"{'drop' if i else 'pick'}{i}/{job_id}",
            parameters=dict(parameters),
        )
        for i, node in enumerate(nodes)
    )
    return TransportJob(job_id=job_id, stops=stops, due_at_ns=due_at_ns, priority=priority)
