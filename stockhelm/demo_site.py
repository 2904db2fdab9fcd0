"""The demo's site on disk: master data, and one configuration per process."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from central.config import (
    CameraAtEdge,
    CentralConfig,
    DeskConfig,
    DroneAtEdge,
    FleetConfig,
    PlanningConfig,
    PolicyConfig,
    TaskingConfig,
)
from edge.config import (
    CameraConfig,
    DroneConfig,
    EdgeConfig,
    ScannerConfig,
    SmartCameraConfig,
)
from runtime.broker_link import BrokerConfig as BrokerLink
from runtime.config import to_toml
from sim_hardware.config import (
    SimBroker,
    SimCamera,
    SimConfig,
    SimDrone,
    SimOrders,
    SimScanner,
)
from sim_hardware.world.generate import generate_site
from sim_hardware.world.lots import give_lots
from stockhelm.broker import BrokerConfig
from wire.site import BinRow, PersonRow, Site, parse_site, write_rows

SITE_ID: Final = "FC1"
GLN: Final = "9521321000018"
"""A GLN from the range that GS1 keeps for demonstrations and examples (prefix 952)."""
DAY_S: Final = 120.0
HISTORY_DAYS: Final = 56
CAMERA_BINS: Final = 4
ORIGIN: Final = (50.0, 8.0)
SERIAL_SCANNERS: Final = 4
GUEST_SCANNER: Final = "scanner-guest"
GUEST: Final = PersonRow(person_id="guest", name="Guest", edge_id="B", roles="")
"""A person without tasks: whoever looks at the demo may scan over MQTT and disturb nobody."""
GUEST_CABLE_SCANNER: Final = "scanner-guest-2"
GUEST_CABLE: Final = PersonRow(person_id="guest-2", name="Second guest", edge_id="B", roles="")
"""Another one, with a scanner on a serial line: in scenarios, where the simulator holds both."""
DAYS_MIN: Final = 2


class SalesFileError(ValueError):
    """The file given as --orders cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The network ports of one demo."""

    broker: int
    desk: int
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSite:
    """Where everything of one demo lies."""

    directory: Path
    site: Site
    edges: tuple[str, ...]

    def config(self, name: str) -> Path:
        """Return the configuration of one process."""
        return self.directory / "config" / f"{name}.toml"

    def data(self, name: str) -> Path:
        """Return the data folder of one process."""
        return self.directory / "data" / name

    @property
    def truth_file(self) -> Path:
        """Return where the simulated floor writes the physical truth."""
        return self.directory / "truth.json"

    @property
    def database_url(self) -> str:
        """Return the URL of central's database."""
        return f"sqlite:///{self.data('central')}/central.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a demo site is, and how lively."""

    site_seed: int | None = None
    """Decides the generated site; None: the run's own seed."""
    skus: int | None = None
    """Articles; None: as many as the generator likes."""
    robots: int = 6
    cameras: int = 1
    smart_cameras: int = 0
    """Cameras that decode by themselves."""
    drones: int = 1
    orders_per_day: float = SimOrders().orders_per_day
    day_s: float = DAY_S
    stray_share: float = 0.03
    lot_share: float = 0.0
    """Share of the articles whose goods are of lots."""
    numbered: int = 0
    """Articles of which one bin holds units with serial numbers."""
    auto_units_max: int = 60
    task_due_s: float = 120.0
    proposal_expires_s: float = PolicyConfig().proposal_expires_s
    base_nodes_max: int = FleetConfig().base_nodes_max
    visitors: bool = False
    """Whether the simulator holds the guests' scanners, for a scenario to scan with."""
    texts: Mapping[str, str] | None = None
    """CSV texts by file name; None: a generated site."""


SHAPE: Final = Shape()
"""The demo's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """Real sales: the articles, the days before the demo, and the first day that it replays."""

    path: Path
    skus: tuple[str, ...]
    history: tuple[tuple[int, str, int], ...]
    """(day, sku, units), days -1, -2, ... before the first replayed one."""
    first_date: str
    rows: tuple[tuple[str, str, int], ...]
    """(date, sku, units) of these articles from that day on."""


def read_sales(path: Path, *, articles_max: int = 40) -> Sales:
    """Return the best-selling articles of a file `date,sku,quantity`, its first part as history.

    The demo replays what comes after the first eight weeks (or after half of a shorter file).
    Raises SalesFileError with the line of the first bad row.
    """
    totals: dict[str, int] = {}
    rows: list[tuple[date, str, int]] = []
    for day, sku, units in _sales_rows(path):
        totals[sku] = totals.get(sku, 0) + units
        rows.append((day, sku, units))
    days = sorted({day for day, _, _ in rows})
    if len(days) < DAYS_MIN:
        raise SalesFileError(
            f"{path}: expected at least {DAYS_MIN} days of sales, found {len(days)}"
        )
    first = min(days[0] + timedelta(days=HISTORY_DAYS), days[len(days) // 2])
    best = sorted(totals, key=lambda sku: (-totals[sku], sku))[:articles_max]
    kept = frozenset(best)
    history = tuple(
        ((day - first).days, sku, units) for day, sku, units in rows if sku in kept and day < first
    )
    return Sales(
        path=path,
        skus=tuple(best),
        history=history,
        first_date=first.isoformat(),
        rows=tuple((d.isoformat(), sku, n) for d, sku, n in rows if sku in kept and d >= first),
    )


def _sales_rows(path: Path) -> list[tuple[date, str, int]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SalesFileError(f"{path}: cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines())
    wanted = ("date", "sku", "quantity")
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        raise SalesFileError(
            f"{path} line 1: expected the columns {','.join(wanted)}; missing: {', '.join(missing)}"
        )
    found = []
    for line, row in enumerate(reader, start=2):
        try:
            day, units = date.fromisoformat(row["date"]), int(row["quantity"])
        except (TypeError, ValueError) as error:
            raise SalesFileError(
                f"{path} line {line}: expected a date YYYY-MM-DD and a whole quantity: {error}"
            ) from error
        if units < 1 or not row["sku"]:
            raise SalesFileError(
                f"{path} line {line}: expected a sku and a quantity of at least 1, got"
                f" {row['sku']!r}, {units}"
            )
        found.append((day, row["sku"], units))
    return found


def site_texts(seed: int, shape: Shape, sales: Sales | None) -> dict[str, str]:
    """Return the CSV texts of the site by file name, its guests among the people.

    Raises SiteError where given texts are wrong.
    """
    if shape.texts is not None:
        texts = dict(shape.texts)
    else:
        skus = sales.skus if sales else None
        if shape.skus is not None:
            skus = tuple(f"SKU-{number:03}" for number in range(1, shape.skus + 1))
        texts = generate_site(
            seed if shape.site_seed is None else shape.site_seed,
            skus=skus,
            history=sales.history if sales else None,
            orders_per_day=shape.orders_per_day,
            robots=shape.robots,
        )
    if shape.lot_share or shape.numbered:
        site_seed = seed if shape.site_seed is None else shape.site_seed
        texts = give_lots(texts, share=shape.lot_share, numbered=shape.numbered, seed=site_seed)
    site = parse_site(texts)
    last = max((row.edge_id for row in site.bins.values()), default=GUEST.edge_id)
    guests = (GUEST, GUEST_CABLE) if shape.visitors else (GUEST,)
    people = [*site.people.values(), *(replace(guest, edge_id=last) for guest in guests)]
    texts["people.csv"] = write_rows(people, PersonRow)
    return texts


def write_demo(
    directory: Path,
    *,
    seed: int,
    speed: float,
    ports: Ports,
    sales: Sales | None,
    shape: Shape = SHAPE,
    change_sim: Callable[[SimConfig], SimConfig] = lambda config: config,
) -> DemoSite:
    """Write the site and all configurations under `directory`; return where they lie.

    `change_sim` may change how the simulated floor is, before that is written.
    """
    texts = site_texts(seed, shape, sales)
    site_dir = directory / "site"
    site_dir.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (site_dir / name).write_text(text, encoding="utf-8")
    site = parse_site(texts)
    edges = tuple(sorted({row.edge_id for row in site.bins.values()}))
    demo = DemoSite(directory=directory, site=site, edges=edges)
    scanners = _scanners(demo)
    configs = {
        "broker": BrokerConfig(directory=str(directory / "broker"), port=ports.broker),
        **{f"edge-{e}": _edge_config(demo, e, scanners, ports, shape) for e in edges},
        "central": _central_config(demo, ports, shape),
        "desk": DeskConfig(
            site_id=SITE_ID,
            site_dir=str(site_dir),
            data_dir=str(demo.data("desk")),
            database_url=demo.database_url,
            port=ports.desk,
            broker=BrokerLink(port=ports.broker),
        ),
        "sim": change_sim(
            _sim_config(demo, scanners, ports, seed=seed, speed=speed, sales=sales, shape=shape)
        ),
    }
    demo.config("sim").parent.mkdir(parents=True, exist_ok=True)
    for name, config in configs.items():
        demo.config(name).write_text(to_toml(config), encoding="utf-8")
    return demo


def _scanners(demo: DemoSite) -> dict[str, list[ScannerConfig]]:
    """Return one scanner per person, by edge: four on serial lines, the others over MQTT.

    The guest's is the one that nobody simulated holds.
    """
    found: dict[str, list[ScannerConfig]] = {edge: [] for edge in demo.edges}
    guests = (GUEST.person_id, GUEST_CABLE.person_id)
    people = [person for person in demo.site.people.values() if person.person_id not in guests]
    for number, person in enumerate(people, start=1):
        serial = number <= SERIAL_SCANNERS
        path = str(demo.directory / "ports" / f"scanner-{number}") if serial else ""
        found[person.edge_id].append(
            ScannerConfig(device_id=f"scanner-{number}", person_id=person.person_id, path=path)
        )
    last = demo.edges[-1]
    found[last].append(ScannerConfig(device_id=GUEST_SCANNER, person_id=GUEST.person_id))
    if GUEST_CABLE.person_id in demo.site.people:
        path = str(demo.directory / "ports" / GUEST_CABLE_SCANNER)
        found[last].append(
            ScannerConfig(device_id=GUEST_CABLE_SCANNER, person_id=GUEST_CABLE.person_id, path=path)
        )
    return found


def _picture_url(ports: Ports, name: str) -> str:
    return f"http://127.0.0.1:{ports.pictures}/{name}.jpg"


def _camera_bins(demo: DemoSite) -> tuple[str, tuple[str, ...]]:
    """Return the edge and the bins that the fixed camera looks at: some pick faces in a row."""
    faces = [row for row in demo.site.bins.values() if row.kind == "pick"]
    first = faces[0]
    row = [f for f in faces if (f.y_m, f.z_m) == (first.y_m, first.z_m)]
    row.sort(key=lambda f: abs(f.x_m - first.x_m))
    return first.edge_id, tuple(f.bin_id for f in row[:CAMERA_BINS])


def _smart_looks(demo: DemoSite, shape: Shape) -> dict[str, list[BinRow]]:
    """Return what each smart camera looks at: some pick faces side by side; the zones in turn."""
    rows = demo.site.bins.values()
    faces = [[r for r in rows if r.kind == "pick" and r.edge_id == e] for e in demo.edges]
    owned = [own for own in faces if own]
    found = {}
    for number in range(shape.smart_cameras if owned else 0):
        own = owned[number % len(owned)]
        first = number // len(owned) * CAMERA_BINS
        seen = own[first : first + CAMERA_BINS] or own[:CAMERA_BINS]
        found[f"smart-{number + 1}"] = seen
    return found


def _cameras_of(demo: DemoSite, shape: Shape) -> tuple[CameraAtEdge, ...]:
    """Return what central knows of the fixed cameras: their edges and what they see."""
    found = [
        CameraAtEdge(
            camera_id=name, edge_id=rows[0].edge_id, bins=tuple(row.bin_id for row in rows)
        )
        for name, rows in _smart_looks(demo, shape).items()
    ]
    if shape.cameras:
        edge_id, bins = _camera_bins(demo)
        found.append(CameraAtEdge(camera_id="camera-1", edge_id=edge_id, bins=bins))
    return tuple(found)


def _drone_port(demo: DemoSite) -> str:
    return str(demo.directory / "ports" / "drone-1")


def _edge_config(
    demo: DemoSite,
    edge_id: str,
    scanners: dict[str, list[ScannerConfig]],
    ports: Ports,
    shape: Shape,
) -> EdgeConfig:
    camera_edge = _camera_bins(demo)[0] if shape.cameras else ""
    drone_edge = demo.edges[0] if shape.drones else ""
    camera = CameraConfig(camera_id="camera-1", url=_picture_url(ports, "camera-1"))
    drone = DroneConfig(
        drone_id="drone-1",
        path=_drone_port(demo),
        camera_url=_picture_url(ports, "drone-1"),
        origin_lat_deg=ORIGIN[0],
        origin_lon_deg=ORIGIN[1],
        mission_timeout_s=120.0,
    )
    return EdgeConfig(
        site_id=SITE_ID,
        edge_id=edge_id,
        site_dir=str(demo.directory / "site"),
        data_dir=str(demo.data(f"edge-{edge_id}")),
        gln=GLN,
        broker=BrokerLink(port=ports.broker),
        scanners=tuple(scanners[edge_id]),
        cameras=(camera,) if edge_id == camera_edge else (),
        smart_cameras=tuple(
            SmartCameraConfig(camera_id=camera)
            for camera, rows in _smart_looks(demo, shape).items()
            if rows[0].edge_id == edge_id
        ),
        drones=(drone,) if edge_id == drone_edge else (),
    )


def _central_config(demo: DemoSite, ports: Ports, shape: Shape) -> CentralConfig:
    drone = DroneAtEdge(drone_id="drone-1", edge_id=demo.edges[0])
    return CentralConfig(
        site_id=SITE_ID,
        site_dir=str(demo.directory / "site"),
        data_dir=str(demo.data("central")),
        database_url=demo.database_url,
        broker=BrokerLink(port=ports.broker),
        drones=(drone,) if shape.drones else (),
        cameras=_cameras_of(demo, shape),
        planning=PlanningConfig(
            day_s=shape.day_s,
            review_s=3.0,
            refill_lead_time_d=0.5,
            face_cover_d=3.0,
            forward_cover_d=8.0,
            buy_review_d=1.0,
            count_every_s=20.0,
        ),
        policy=PolicyConfig(
            auto_units_max=shape.auto_units_max,
            auto_buy_cents_max=500_000,
            proposal_expires_s=shape.proposal_expires_s,
        ),
        tasking=TaskingConfig(task_due_s=shape.task_due_s, record_after_s=3.0, count_quiet_s=5.0),
        fleet=FleetConfig(base_nodes_max=shape.base_nodes_max),
    )


def _write_sales(path: Path, sales: Sales) -> Path:
    """Write the sales that are replayed: those of the articles that the site stocks."""
    lines = [f"{day},{sku},{units}\n" for day, sku, units in sales.rows]
    path.write_text("date,sku,quantity\n" + "".join(lines), encoding="utf-8")
    return path


def _sim_config(
    demo: DemoSite,
    scanners: dict[str, list[ScannerConfig]],
    ports: Ports,
    *,
    seed: int,
    speed: float,
    sales: Sales | None,
    shape: Shape,
) -> SimConfig:
    orders = SimOrders(day_s=shape.day_s, orders_per_day=shape.orders_per_day)
    if sales is not None:
        orders = SimOrders(
            kind="file",
            day_s=shape.day_s,
            path=str(_write_sales(demo.directory / "sales.csv", sales)),
            first_date=sales.first_date,
        )
    return SimConfig(
        site_id=SITE_ID,
        site_dir=str(demo.directory / "site"),
        gln=GLN,
        truth_file=str(demo.truth_file),
        broker=SimBroker(port=ports.broker),
        seed=seed,
        speed=speed,
        scanners=tuple(
            SimScanner(device_id=s.device_id, person_id=s.person_id, path=s.path)
            for row in scanners.values()
            for s in row
            if s.device_id != GUEST_SCANNER or shape.visitors
        ),
        cameras=_sim_cameras(demo, ports, shape),
        drones=_sim_drones(demo, ports) if shape.drones else (),
        orders=orders,
        stray_scan_share=shape.stray_share,
    )


def _sim_cameras(demo: DemoSite, ports: Ports, shape: Shape) -> tuple[SimCamera, ...]:
    found = [
        SimCamera(camera_id=name, bins=tuple(row.bin_id for row in rows), level="sighting")
        for name, rows in _smart_looks(demo, shape).items()
    ]
    if shape.cameras:
        _, bins = _camera_bins(demo)
        url = _picture_url(ports, "camera-1")
        found.insert(0, SimCamera(camera_id="camera-1", url=url, bins=bins))
    return tuple(found)


def _sim_drones(demo: DemoSite, ports: Ports) -> tuple[SimDrone, ...]:
    drone = SimDrone(
        drone_id="drone-1",
        path=_drone_port(demo),
        camera_url=_picture_url(ports, "drone-1"),
        origin_lat_deg=ORIGIN[0],
        origin_lon_deg=ORIGIN[1],
    )
    return (drone,)
