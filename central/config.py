"""Configuration of the central process and of the planners' desk."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from runtime.broker_link import BrokerConfig
from runtime.config import Folder, check_unique, is_loopback
from wire.messages import BINS_PER_LOOK_MAX, Bin, Name

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class PlanningConfig(Section, frozen=True, kw_only=True):
    """How demand is counted and stock is planned."""

    day_s: Annotated[float, Meta(ge=1, le=86_400)] = 86_400.0
    """Length of one demand day: sales are summed, forecast and planned in this rhythm."""
    review_s: Annotated[float, Meta(ge=0.5, le=86_400)] = 60.0
    """How often the plan is made again."""
    service_level: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    """Share of lead times without a stock-out that reorder points aim at."""
    refill_lead_time_d: Annotated[float, Meta(gt=0, le=100)] = 0.1
    """From the proposal of a refill to its goods in the face, in demand days."""
    face_cover_d: Annotated[float, Meta(gt=0, le=365)] = 1.0
    """A refill of a pick face covers so many days beyond the reorder point: a trip in that time."""
    forward_cover_d: Annotated[float, Meta(gt=0, le=365)] = 3.0
    """A zone's forward reserve covers so many days beyond what its faces take."""
    buy_review_d: Annotated[float, Meta(gt=0, le=365)] = 1.0
    """How often a supplier is ordered from, in demand days."""
    count_every_s: Annotated[float, Meta(ge=1, le=10_000_000)] = 3_600.0
    """How often rounds of cycle counts are proposed."""
    count_bins_max: Annotated[int, Meta(ge=1, le=200)] = 6
    """Bins of one round; a person's has 50 at most."""
    count_errors_per_h_min: Annotated[float, Meta(ge=0, le=3_600)] = 6.0
    """A person is sent to count where an hour of it is expected to find so many errors at least;
    drones and cameras look all the same."""


class PolicyConfig(Section, frozen=True, kw_only=True):
    """What is approved without a person."""

    auto_units_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 60
    """Moves of at most so many units are approved by policy; larger ones wait for a person."""
    auto_buy_cents_max: Annotated[int, Meta(ge=0)] = 100_000
    """Purchases of at most this value are approved by policy."""
    auto_adjust_units_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 6
    """A book that differs from a count by at most so many units is adjusted by policy, if they are
    worth little too; others wait for a person."""
    auto_adjust_cents_max: Annotated[int, Meta(ge=0)] = 5_000
    """Adjustments of at most this value are approved by policy."""
    proposal_expires_s: Annotated[float, Meta(ge=1)] = 3_600.0
    """From a proposal's making: undecided it is let go then; rejected, no other takes its place
    before then."""


class TaskingConfig(Section, frozen=True, kw_only=True):
    """Deadlines of tasks: at each there is a next step, so that nothing waits for ever."""

    task_due_s: Annotated[float, Meta(ge=1)] = 900.0
    """A task's time; then it is given to somebody else, and in the end it fails."""
    record_after_s: Annotated[float, Meta(ge=0.5)] = 5.0
    """How long a robot's finished action may lack its journal event before the edge is told."""
    record_give_up_s: Annotated[float, Meta(ge=1, le=10_000_000)] = 86_400.0
    """An edge that has not written down a robot's action by then is told no more, be it away or
    refusing; the bin is counted."""
    count_quiet_s: Annotated[float, Meta(ge=0.5, le=600)] = 20.0
    """A count is judged so long after it came. Goods that were handled at its bin less than that
    before, during or after it make it unsure: no adjustment is proposed from it."""
    open_tasks_per_person_max: Annotated[int, Meta(ge=1, le=50)] = 6
    """More wait until a person has done some."""


class FleetConfig(Section, frozen=True, kw_only=True):
    """The VDA 5050 master."""

    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""
    base_nodes_max: Annotated[int, Meta(ge=2, le=100)] = 6
    """How many nodes ahead of its last reported one a robot may own."""
    resend_s: Annotated[float, Meta(ge=0.2, le=60)] = 3.0
    """An order that a robot does not confirm is sent again after this."""
    resends_max: Annotated[int, Meta(ge=1, le=100)] = 5
    """Then the order is taken back and the robot is given something else or counts as silent."""
    silent_after_s: Annotated[float, Meta(ge=1)] = 40.0
    """A robot that says nothing for so long is out of reach."""


class DroneAtEdge(Section, frozen=True, kw_only=True):
    """A drone and the edge agent that flies it: it may be asked to look at that edge's bins."""

    drone_id: Name
    """As in that edge's `[[drones]]`."""
    edge_id: Name
    """The edge that flies it."""


class CameraAtEdge(Section, frozen=True, kw_only=True):
    """A fixed camera and the edge agent that reads it: it may be asked to look at its bins."""

    camera_id: Name
    """As in that edge's `[[cameras]]` or `[[smart_cameras]]`."""
    edge_id: Name
    """The edge that reads it."""
    bins: Annotated[tuple[Bin, ...], Meta(min_length=1, max_length=BINS_PER_LOOK_MAX)]
    """What it sees; bins of that edge."""


class CentralConfig(Section, frozen=True, kw_only=True):
    """Everything the central process needs to know."""

    site_id: Name
    """Name of the site: part of every topic."""
    site_dir: Folder
    """Folder of the site's CSV files."""
    data_dir: Folder
    """Folder that this process alone writes; it is made where it is missing."""
    database_url: str = ""
    """SQLAlchemy URL, SQLite or PostgreSQL; empty: SQLite in `data_dir`/central.db."""
    broker: BrokerConfig = BrokerConfig()
    planning: PlanningConfig = PlanningConfig()
    policy: PolicyConfig = PolicyConfig()
    tasking: TaskingConfig = TaskingConfig()
    fleet: FleetConfig = FleetConfig()
    drones: tuple[DroneAtEdge, ...] = ()
    cameras: tuple[CameraAtEdge, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where a drone or camera stands twice."""
        check_unique(
            drones=[("drone_id", row.drone_id) for row in self.drones],
            cameras=[("camera_id", row.camera_id) for row in self.cameras],
        )

    def url(self) -> str:
        """Return the database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir}/central.db"


class PageTls(Section, frozen=True, kw_only=True):
    """The certificate that the desk shows to browsers; none of it: plain HTTP."""

    certificate: str = ""
    """PEM file, as `stockhelm keys enrol desk --kind desk --host NAME` makes it."""
    key: str = ""
    """Its private key."""


class DeskConfig(Section, frozen=True, kw_only=True):
    """Everything the planners' desk needs to know."""

    site_id: Name
    """Name of the site: part of every topic."""
    site_dir: Folder
    """Folder of the site's CSV files."""
    data_dir: Folder
    """Folder that this process alone writes; it is made where it is missing."""
    database_url: str
    """Central's database, SQLAlchemy URL; a SQLite file is opened read-only."""
    host: str = "127.0.0.1"
    """Address the page is served on; anything but the loopback needs `tls` or `plain_http`."""
    port: Port = 8000
    """Its port; a busy one stops the start."""
    public_hosts: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    """Other names under which a proxy before the desk serves it."""
    plain_http: bool = False
    """Serve others without TLS all the same: a proxy does it, or the network is trusted."""
    tls: PageTls = PageTls()
    broker: BrokerConfig = BrokerConfig()
    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""

    def __post_init__(self) -> None:
        """Raise ValueError where others could read along, or keys do not go together."""
        if bool(self.tls.certificate) != bool(self.tls.key):
            raise ValueError("tls: expected certificate and key together, or neither")
        if not (is_loopback(self.host) or self.tls.certificate or self.plain_http):
            raise ValueError(
                f"host = {self.host!r}: expected tls beside an address that others can reach"
                " (`stockhelm keys enrol desk --kind desk --host NAME` makes a certificate), or"
                " plain_http = true where a proxy does it"
            )
