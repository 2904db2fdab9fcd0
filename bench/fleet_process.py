"""The process that is measured: the master of a fleet on its own bus, with its own database.

`python -m bench.fleet_process SETUP.json`: it says `ready` once it is connected. Each line of its
input is a list of jobs (JSON, as `central.fleet.jobs.TransportJob`) or the word `ask`; it answers
`ask` with how its robots stand, and tells each step of a job by a line. It ends with its input.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future
from pathlib import Path

import msgspec

from central.config import CentralConfig
from central.fleet.jobs import JobProgress, TransportJob
from central.fleet.service import Fleet
from runtime.bus import BusOptions
from runtime.garbage import collect_seldom
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from wire.site import EdgeRow, NodeRow, RobotRow, Site


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to lead: an open floor of nodes in rows, and robots on them."""

    port: int
    database_url: str
    width: int
    height: int
    distance_m: float
    maker: str
    robots: dict[str, str]
    """Serial -> node."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How the robots stand."""

    online: int
    with_order: int
    """Robots that are online and have the order of a job."""


class Told(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something happened to a job."""

    progress: JobProgress


def node_id(x: int, y: int) -> str:
    """Return the name of the node in this column and row."""
    return f"N{x}-{y}"


def make_site(setup: Setup) -> Site:
    """Return an open floor with edges between neighbours, both ways."""
    cells = [(x, y) for y in range(setup.height) for x in range(setup.width)]
    there = set(cells)
    far_m = setup.distance_m
    return Site(
        bins={}, articles={}, people={}, opening=(), suppliers={},
        nodes={
            node_id(x, y): NodeRow(node_id=node_id(x, y), x_m=x * far_m, y_m=y * far_m)
            for x, y in cells
        },
        edges=tuple(
            EdgeRow(from_node=node_id(x, y), to_node=node_id(x + dx, y + dy))
            for x, y in cells
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
            if (x + dx, y + dy) in there
        ),
        robots=tuple(
            RobotRow(manufacturer=setup.maker, serial=serial, node_id=node)
            for serial, node in setup.robots.items()
        ),
    )  # fmt: skip


def main() -> None:
    """Run until nobody holds the other end of our input."""
    setup = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Setup)
    collect_seldom()
    runtime = LiveRuntime()
    config = CentralConfig(site_id="FC1", site_dir="", data_dir="", database_url=setup.database_url)
    lane = runtime.lane("fleet")
    bus = runtime.bus(BusOptions(client_id="bench-central", port=setup.port))

    def say(told: Standing | Told) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()

    fleet = Fleet(
        runtime, Metrics(), config, make_site(setup), lane, bus,
        lambda progress: say(Told(progress=progress)),
    )  # fmt: skip
    bus.on_connect(runtime.lane("said"), lambda: print("ready", flush=True))
    fleet.start()
    bus.start()
    for line in sys.stdin.buffer:
        if line.strip() == b"ask":
            asked: Future[Standing] = Future()
            lane.post(lambda asked=asked: asked.set_result(standing(fleet)))  # type: ignore[misc]
            say(asked.result())
        else:
            for job in msgspec.json.decode(line, type=list[TransportJob]):
                fleet.submit(job)
    fleet.stop()
    runtime.close()


def standing(fleet: Fleet) -> Standing:
    """Return how the robots stand; on the fleet's lane."""
    robots = fleet.robots()
    return Standing(
        online=sum(r.available for r in robots),
        with_order=sum(r.available and bool(r.order_id) and bool(r.job_id) for r in robots),
    )


if __name__ == "__main__":
    main()
