"""The central process: the ledger of a site, its plans, tasks and robots.

Lanes: `store` keeps the books (keeper.py), `planning` reads them and plans (planning.py), `fleet`
drives the robots (fleet/). They talk by posting to each other's lanes, never by sharing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine

from central.config import CentralConfig
from central.fleet.service import Fleet
from central.history import import_history
from central.keeper import Keeper
from central.planning import Planning
from central.rules import rules_of, write_rules
from central.store import open_engine
from central.tasking.floor import Floor, make_floor
from central.tasking.round import Round
from runtime.broker_link import bus_options
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.site import FILES, SiteError, parse_site

HISTORY_FILE: Final = "history.csv"
log = structlog.get_logger()


class CentralAgent:
    """Puts the lanes of central together."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: CentralConfig,
        *,
        floor: Floor,
        history: str,
        engine: Engine,
    ) -> None:
        self.engine = engine
        """Central's database; whoever ends this process closes it."""
        self._history = history
        self._bus = runtime.bus(
            bus_options(config.broker, f"central-{config.site_id}", clean_session=False)
        )
        self._keeper = Keeper(
            runtime,
            metrics,
            config,
            floor=floor,
            engine=engine,
            bus=self._bus,
            lane=runtime.lane("store"),
        )
        self._fleet = Fleet(
            runtime,
            metrics,
            config,
            floor.site,
            runtime.lane("fleet"),
            self._bus,
            self._keeper.follow,
        )
        self._keeper.give_jobs_to(self._fleet)
        self._planning = Planning(
            runtime,
            metrics,
            config,
            floor=floor,
            engine=engine,
            lane=runtime.lane("planning"),
            on_plan=self._keeper.take_plan,
        )

    def start(self) -> None:
        """Begin: rules and sales history, open tasks to the fleet, then all that comes."""
        self._keeper.start(self._at_first)
        self._fleet.start()
        self._bus.start()
        self._planning.start()

    def _at_first(self, work: Round) -> None:
        write_rules(work.conn, rules_of(work.config))
        import_history(work, self._history)

    def stop(self) -> None:
        """Take nothing more; what is committed is all that counts."""
        self._planning.stop()
        self._fleet.stop()
        self._keeper.stop()
        self._bus.stop()

    def let_go(self) -> None:
        """Close all files, as the end of the process does."""
        self._fleet.let_go()
        self.engine.dispose()


def build_central(runtime: Runtime, metrics: Metrics, config: CentralConfig) -> CentralAgent:
    """Return the central process of `config`. Raises SiteError or StoreError with what to do."""
    texts = read_site_texts(Path(config.site_dir))
    history = texts.pop(HISTORY_FILE, "")
    floor = make_floor(parse_site(texts), config.drones, config.cameras)
    check_floor(floor, config)
    engine = open_engine(config.url())
    log.info("central's database is open", url=engine.url.render_as_string(hide_password=True))
    return CentralAgent(runtime, metrics, config, floor=floor, history=history, engine=engine)


def read_site_texts(directory: Path) -> dict[str, str]:
    """Return the texts of a site's files by name, with history.csv where there is one."""
    found = {}
    for name in (*FILES, HISTORY_FILE):
        path = directory / name
        if not path.is_file():
            continue
        try:
            found[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SiteError(f"{path}: cannot be read as text: {error}") from error
    return found


def check_floor(floor: Floor, config: CentralConfig) -> None:
    """Raise SiteError where orders could never leave, or a drone or camera belongs to no edge."""
    if not floor.hands or not floor.packs:
        raise SiteError(
            "bins.csv: expected at least one bin of kind pack whose id begins with HAND- (where "
            "totes wait for a robot) and one that does not (where robots bring them), found "
            f"{len(floor.hands)} and {len(floor.packs)}"
        )
    edges = {row.edge_id for row in floor.site.bins.values()}
    for drone in config.drones:
        if drone.edge_id not in edges:
            raise SiteError(
                f"drones: {drone.drone_id} belongs to edge {drone.edge_id!r}, bins.csv has "
                f"{', '.join(sorted(edges))}"
            )
    for camera in config.cameras:
        for bin_id in camera.bins:
            row = floor.site.bins.get(bin_id)
            if row is None or row.edge_id != camera.edge_id:
                raise SiteError(
                    f"cameras: {camera.camera_id} sees {bin_id!r}: expected a bin of edge"
                    f" {camera.edge_id!r} in bins.csv"
                )
