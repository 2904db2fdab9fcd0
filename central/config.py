"""Configuration of the central process and of the planners' desk."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from wire.messages import Name

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class BrokerConfig(Section, frozen=True, kw_only=True):
    """Where the message broker listens."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str = ""
    password: str = ""


class PlanningConfig(Section, frozen=True, kw_only=True):
    """How demand is counted and stock is planned."""

    day_s: Annotated[float, Meta(ge=1, le=86_400)] = 86_400.0
    """Length of one demand day: sales are summed, forecast and planned in this rhythm."""
    review_s: Annotated[float, Meta(ge=0.5, le=86_400)] = 60.0
    """How often the plan is made again."""
    service_level: Annotated[float, Meta(gt=0.5, lt=1.0)] = 0.95
    refill_lead_time_d: Annotated[float, Meta(gt=0, le=100)] = 0.1
    face_cover_d: Annotated[float, Meta(gt=0, le=365)] = 1.0
    """A refill of a pick face covers so many days beyond the reorder point: a trip in that time."""
    forward_cover_d: Annotated[float, Meta(gt=0, le=365)] = 3.0
    buy_review_d: Annotated[float, Meta(gt=0, le=365)] = 1.0
    count_every_s: Annotated[float, Meta(ge=1, le=10_000_000)] = 3_600.0
    """How often a round of cycle counts by drone is proposed."""
    count_bins_max: Annotated[int, Meta(ge=1, le=200)] = 6


class PolicyConfig(Section, frozen=True, kw_only=True):
    """What is approved without a person."""

    auto_units_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 60
    """Moves of at most so many units are approved by policy; larger ones wait for a person."""
    auto_buy_cents_max: Annotated[int, Meta(ge=0)] = 100_000
    proposal_expires_s: Annotated[float, Meta(ge=1)] = 3_600.0


class TaskingConfig(Section, frozen=True, kw_only=True):
    """Deadlines of tasks: at each there is a next step, so that nothing waits for ever."""

    task_due_s: Annotated[float, Meta(ge=1)] = 900.0
    record_after_s: Annotated[float, Meta(ge=0.5)] = 5.0
    """How long a robot's finished action may lack its journal event before the edge is told."""
    open_tasks_per_person_max: Annotated[int, Meta(ge=1, le=50)] = 6


class FleetConfig(Section, frozen=True, kw_only=True):
    """The VDA 5050 master."""

    interface_name: Name = "uagv"
    base_nodes_max: Annotated[int, Meta(ge=2, le=100)] = 6
    """How many nodes ahead of its last reported one a robot may own."""
    resend_s: Annotated[float, Meta(ge=0.2, le=60)] = 3.0
    resends_max: Annotated[int, Meta(ge=1, le=100)] = 5
    silent_after_s: Annotated[float, Meta(ge=1)] = 40.0


class DroneAtEdge(Section, frozen=True, kw_only=True):
    """A drone and the edge agent that flies it: it may be asked to look at that edge's bins."""

    drone_id: Name
    edge_id: Name


class CentralConfig(Section, frozen=True, kw_only=True):
    """Everything the central process needs to know."""

    site_id: Name
    site_dir: str
    data_dir: str
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite in `data_dir`/central.db."""
    broker: BrokerConfig = BrokerConfig()
    planning: PlanningConfig = PlanningConfig()
    policy: PolicyConfig = PolicyConfig()
    tasking: TaskingConfig = TaskingConfig()
    fleet: FleetConfig = FleetConfig()
    drones: tuple[DroneAtEdge, ...] = ()

    def url(self) -> str:
        """Return the database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir}/central.db"


class DeskConfig(Section, frozen=True, kw_only=True):
    """Everything the planners' desk needs to know."""

    site_id: Name
    site_dir: str
    data_dir: str
    database_url: str
    host: str = "127.0.0.1"
    port: Port = 8000
    public_hosts: Annotated[tuple[str, ...], Meta(max_length=20)] = ()
    """Other names under which a proxy before the desk serves it."""
    broker: BrokerConfig = BrokerConfig()
    interface_name: Name = "uagv"
