"""Central's surroundings in virtual time: edges, people, suppliers and a shop that speak its wire.

Central is the real one on a real SQLite file. The others are simple peers that keep the protocol:
edges number and repeat their rows until they are acknowledged, and write what central commands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, event, select

from central import tables as t
from central.config import CentralConfig, DroneAtEdge, PlanningConfig, TaskingConfig
from central.fleet.jobs import JobEvent, JobProgress, TransportJob
from central.history import import_history
from central.keeper import Keeper
from central.store import open_engine, reading
from central.tasking.floor import make_floor
from runtime.bus import Bus, BusOptions, Incoming
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from wire import messages as m
from wire import topics
from wire.codec import decode, encode
from wire.ids import bin_of
from wire.site import Site, parse_site
from wire.vda5050.action_ids import parse_action_id

PEN = "04006381333931"
CUP = "04012345678901"
SITE = "FC1"
TEXTS = {
    "bins.csv": """bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units
A-DOCK,A,dock,0,0,0,n1,,1000
A-01,A,reserve,1,0,0,n2,,100
A-02,A,reserve,2,0,0,n3,,100
B-01,B,reserve,3,0,0,n4,,100
B-11,B,pick,4,0,0,n5,04006381333931,40
B-12,B,pick,5,0,0,n6,04006381333931,40
B-13,B,pick,6,0,0,n7,04012345678901,40
HAND-1,B,pack,7,0,0,n8,,1000
HAND-2,B,pack,8,0,0,n9,,1000
PACK-1,B,pack,9,0,0,n10,,1000
""",
    "articles.csv": """gtin,sku,name,case_units,price_cents,supplier_id
04006381333931,PEN,Pen,6,150,S1
04012345678901,CUP,Cup,6,500,S1
""",
    "nodes.csv": "node_id,x_m,y_m,kind\n"
    + "".join(f"n{i},{(i - 1) % 5 * 2},{(i - 1) // 5 * 2},way\n" for i in range(1, 11)),
    "edges.csv": "from_node,to_node\n"
    + "".join(
        f"n{a},n{b}\nn{b},n{a}\n"
        for a, b in (
            *((i, i + 1) for i in (1, 2, 3, 4, 6, 7, 8, 9)),
            *((i, i + 5) for i in range(1, 6)),
        )
    ),
    "robots.csv": "manufacturer,serial,node_id\nacme,r1,n2\nacme,r2,n3\n",
    "people.csv": """person_id,name,edge_id,roles
ann,Ann,A,receive putaway count
bob,Bob,B,pick
cid,Cid,B,pick count
""",
    "suppliers.csv": "supplier_id,name,lead_time_d\nS1,Supplier,2\n",
    "opening.csv": "bin_id,gtin,units\nA-01,04006381333931,80\nB-11,04006381333931,20\n"
    "B-12,04006381333931,4\nB-13,04012345678901,10\n",
}


def site() -> Site:
    """Return the site of these tests."""
    return parse_site(TEXTS)


class Shared:
    """What all peers need: the loop, the broker, the site."""

    def __init__(self) -> None:
        self.rt = VirtualRuntime(seed=1)
        self.site = site()
        self.ids = 0

    def new_id(self, kind: str) -> str:
        self.ids += 1
        return f"{kind}/{self.ids}"

    def now_ns(self) -> int:
        return self.rt.clock.now_ns()

    def bus(self, name: str) -> Bus:
        return self.rt.bus(BusOptions(client_id=name))


class Edge:
    """An edge's journal and outbox, and what it does when it is told."""

    def __init__(self, shared: Shared, edge_id: str, *, deaf: bool = False) -> None:
        self.shared = shared
        self.edge_id = edge_id
        self.epoch = 1
        self.rows: list[m.StockEvent] = []
        self.acked = 0
        self.sent = 0
        self.acks: list[m.JournalAck] = []
        self.commands: list[m.RecordMove | m.FlyMission | m.LookAtBins] = []
        self.deaf = deaf
        """Does not do what it is told."""
        self.flies_ok = True
        self.lane = shared.rt.lane(f"edge-{edge_id}")
        self.bus = shared.bus(f"edge-{edge_id}")
        parts = {"site": SITE, "edge": edge_id}
        self.bus.subscribe(topics.JOURNAL_ACK.of(**parts), self.lane, self._on_ack)
        self.bus.subscribe(topics.EDGE_COMMAND.of(**parts), self.lane, self._on_command)
        self.topic = topics.JOURNAL.of(**parts)
        self.bus.start()
        self.lane.call_every(0.1, self.send)
        self.lane.call_every(2.0, self.resend)

    def write(self, event: m.StockEvent) -> None:
        """Put an event into the journal unless its id stands there."""
        if all(row.event_id != event.event_id for row in self.rows):
            self.rows.append(event)

    def move(self, gtin: str, units: int, from_place: str, to_place: str, **fields: Any) -> str:
        """Write a movement; return its id."""
        values: dict[str, Any] = {
            "event_id": self.shared.new_id(f"scan-{self.edge_id}"),
            "reason": "scan",
            "device_id": f"scanner-{self.edge_id}",
            "observed_at_ns": self.shared.now_ns(),
            "received_at_ns": self.shared.now_ns(),
        }
        event = m.Movement(
            gtin=gtin, units=units, from_place=from_place, to_place=to_place, **(values | fields)
        )
        self.write(event)
        return event.event_id

    def open_stock(self) -> None:
        """Write the opening stock of this edge's bins."""
        for row in self.shared.site.opening:
            if self.shared.site.bins[row.bin_id].edge_id == self.edge_id:
                self.move(row.gtin, row.units, "opening:", f"bin:{row.bin_id}", reason="opening")

    def send(self) -> None:
        """Send what was never sent."""
        while self.sent < len(self.rows):
            events = tuple(self.rows[self.sent : self.sent + 100])
            batch = m.JournalBatch(
                edge_id=self.edge_id, epoch=self.epoch, first_seq=self.sent + 1, events=events
            )
            self.bus.publish(self.topic, encode(batch))
            self.sent += len(events)

    def resend(self) -> None:
        """Send everything that is not acknowledged."""
        self.sent = self.acked
        self.send()

    def _on_ack(self, messages: list[Incoming]) -> None:
        for incoming in messages:
            ack = decode(incoming.payload, m.JournalAck)
            self.acks.append(ack)
            if ack.epoch == self.epoch:
                self.acked = max(self.acked, ack.watermark_seq)

    def _on_command(self, messages: list[Incoming]) -> None:
        for incoming in messages:
            command: m.RecordMove | m.FlyMission | m.LookAtBins = decode(
                incoming.payload, cast("type[m.EdgeCommand]", m.EdgeCommand)
            )
            self.commands.append(command)
            if self.deaf:
                continue
            if isinstance(command, m.RecordMove):
                self.write(command.movement)
            elif isinstance(command, m.FlyMission):
                self._end(command, command.mission_id, command.drone_id)
            else:
                self._end(command, command.round_id, command.camera_id)

    def _end(self, command: m.FlyMission | m.LookAtBins, mission_id: str, eye_id: str) -> None:
        now_ns = self.shared.now_ns()
        self.write(
            m.MissionEnded(
                event_id=f"mission/{mission_id}",
                mission_id=mission_id,
                drone_id=eye_id,
                ok=self.flies_ok,
                detail="" if self.flies_ok else "wind",
                bins_seen=command.bins,
                observed_at_ns=now_ns,
                received_at_ns=now_ns,
            )
        )


class Person:
    """Reads the list on the screen and does it, `per_task_s` a task; `idle` ones only read."""

    def __init__(self, shared: Shared, person_id: str, edge: Edge, *, idle: bool = False) -> None:
        self.shared = shared
        self.person_id = person_id
        self.edge = edge
        self.idle = idle
        self.screen: tuple[m.PersonTask, ...] = ()
        self.lists = 0
        self.done: set[str] = set()
        self.lane = shared.rt.lane(person_id)
        self.bus = shared.bus(person_id)
        topic = topics.PERSON_TASKS.of(site=SITE, person=person_id)
        self.bus.subscribe(topic, self.lane, self._on_list)
        self.bus.start()
        self.lane.call_every(1.0, self.work)

    def _on_list(self, messages: list[Incoming]) -> None:
        self.lists += len(messages)
        self.screen = decode(messages[-1].payload, m.PersonTasks).tasks

    def work(self) -> None:
        """Do the first task of the list."""
        task = next((x for x in self.screen if x.task_id not in self.done), None)
        if self.idle or task is None:
            return
        self.done.add(task.task_id)
        if task.kind == "count":
            self._count(task)
            return
        self.edge.move(
            task.gtin,
            task.units,
            task.from_place,
            task.to_place,
            task_id=task.task_id,
            person_id=self.person_id,
        )

    def _count(self, task: m.PersonTask) -> None:
        stops = task.stops or (m.CountStop(bin_id=str(bin_of(task.from_place)), gtins=(PEN,)),)
        for stop in stops:
            for gtin in stop.gtins or (PEN,):
                self.say(task, stop.bin_id, gtin)

    def say(self, task: m.PersonTask, bin_id: str, gtin: str) -> None:
        """Count one of an article in a bin, as the book has it."""
        now_ns = self.shared.now_ns()
        self.edge.write(
            m.BinCounted(
                event_id=self.shared.new_id("count"),
                bin_id=bin_id,
                gtin=gtin,
                counted_units=1,
                book_units=1,
                device_id="scanner",
                observed_at_ns=now_ns,
                received_at_ns=now_ns,
                person_id=self.person_id,
                task_id=task.task_id,
            )
        )


@dataclass
class Robots:
    """What the fleet is to central: takes jobs, tells how they go, and moves stock at the edges.

    The real fleet and robots stand in the tests of the agent; here the border to them is central's
    own: jobs in, JobProgress out.
    """

    shared: Shared
    edges: dict[str, Edge]
    tell: Callable[[JobProgress], None]
    jobs: dict[str, TransportJob] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    told: dict[str, list[tuple[JobEvent, int]]] = field(default_factory=dict)
    """What happened to each job: told again when central asks again, as the fleet does."""
    pins: list[tuple[str, str, str]] = field(default_factory=list)
    closed: frozenset[str] = frozenset()
    """Nodes of stop zones."""
    pauses: list[str] = field(default_factory=list)
    """Why all were told to stand; empty: to go on."""
    idle: bool = False
    books: bool = True
    """Whether the edges see the robots' states and book their moves."""
    fail: str = ""

    def submit(self, job: TransportJob) -> None:
        self.submitted.append(job.job_id)
        if job.job_id in self.jobs:
            for event, index in self.told.get(job.job_id, []):
                self.report(job.job_id, event, index)
            return
        self.jobs[job.job_id] = job
        if not self.idle:
            self.run(job)

    def withdraw(self, job_id: str) -> None:
        self.withdrawn.append(job_id)
        if self.jobs.pop(job_id, None) is not None:
            self.report(job_id, "handed_back", detail="withdrawn")

    def pin(self, job_id: str, robot_id: str, by: str) -> None:
        self.pins.append((job_id, robot_id, by))

    def pause(self, why: str) -> None:
        self.pauses.append(why)

    def resume(self) -> None:
        self.pauses.append("")

    def close_zones(self, nodes: Collection[str]) -> None:
        self.closed = frozenset(nodes)

    def run(self, job: TransportJob) -> None:
        lane = self.shared.rt.lane("robot")
        lane.call_later(0.5, lambda: self.happen(job.job_id, "assigned"))
        if self.fail:
            lane.call_later(1.0, lambda: self.report(job.job_id, "failed", detail=self.fail))
            return
        lane.call_later(2.0, lambda: self.stop(job, 0))
        lane.call_later(4.0, lambda: self.stop(job, 1))
        lane.call_later(4.5, lambda: self.happen(job.job_id, "done", 1))

    def stop(self, job: TransportJob, index: int) -> None:
        action = parse_action_id(job.stops[index].action_id)
        if action is not None and self.books:
            here, robot = f"bin:{action.bin_id}", "robot:r1"
            places = (robot, here) if index else (here, robot)
            edge = self.edges[self.shared.site.bins[action.bin_id].edge_id]
            edge.move(
                action.gtin,
                action.units,
                *places,
                event_id=action.action_id,
                task_id=action.task_id,
                reason=f"robot-{action.verb}",
            )
        self.happen(job.job_id, "stop_done", index)

    def happen(self, job_id: str, event: JobEvent, index: int = 0) -> None:
        self.told.setdefault(job_id, []).append((event, index))
        self.report(job_id, event, index)

    def report(
        self, job_id: str, event: JobEvent, stop_index: int = 0, *, detail: str = ""
    ) -> None:
        self.tell(
            JobProgress(
                job_id=job_id,
                robot_id="acme/r1",
                event=event,
                stop_index=stop_index,
                detail=detail,
                at_ns=self.shared.now_ns(),
            )
        )


class CentralWorld:
    """The whole: `keeper` may be stopped and begun again on the same file."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.shared = Shared()
        self.rt = self.shared.rt
        self.folder = folder
        values: dict[str, Any] = {
            "site_id": SITE,
            "site_dir": str(folder),
            "data_dir": str(folder),
            "planning": PlanningConfig(day_s=60.0),
            "tasking": TaskingConfig(task_due_s=60.0, record_after_s=2.0, count_quiet_s=2.0),
            "drones": (DroneAtEdge(drone_id="drone-1", edge_id="A"),),
        }
        self.config = CentralConfig(**(values | config))
        self.metrics = Metrics()
        self.edges = {edge_id: Edge(self.shared, edge_id) for edge_id in ("A", "B")}
        self.people = {
            row.person_id: Person(self.shared, row.person_id, self.edges[row.edge_id])
            for row in self.shared.site.people.values()
        }
        self.bus = self.shared.bus("others")
        self.lane = self.rt.lane("others")
        self.statuses: dict[str, list[str]] = {}
        self.texts: dict[str, str] = {}
        self.purchases: list[m.PurchaseOrder] = []
        self.results: list[m.DecisionResult] = []
        self.adjusted: list[m.AdjustResult] = []
        self.changes = 0
        self.beats = 0
        for topic, handler in (
            (topics.ORDER_STATUS, self._on_status),
            (topics.PURCHASE_ORDER, self._on_purchase),
            (topics.DESK_RESULT, self._on_result),
            (topics.DESK_ADJUSTED, self._on_adjusted),
            (topics.CHANGED, self._on_changed),
        ):
            self.bus.subscribe(topic.any(site=SITE), self.lane, handler)
        self.bus.start()
        self.robots = Robots(self.shared, self.edges, self._tell_central)
        self.engine: Engine
        self.keeper: Keeper
        self.begin()

    def begin(self, history: str = "") -> None:
        """Start central (again)."""
        floor = make_floor(self.shared.site, self.config.drones)
        self.engine = open_engine(self.config.url(), synchronous="OFF")
        self.central_bus = self.rt.bus(BusOptions(client_id="central", clean_session=False))
        self.keeper = Keeper(
            self.rt,
            self.metrics,
            self.config,
            floor=floor,
            engine=self.engine,
            bus=self.central_bus,
            lane=self.rt.lane("store"),
        )
        self.keeper.give_jobs_to(self.robots)
        self.keeper.start(lambda work: import_history(work, history))
        self.central_bus.start()

    def kill(self) -> None:
        """End central without a word: nothing that was not committed is known afterwards."""
        self.keeper.stop()
        self.central_bus.stop()
        self.engine.dispose()

    def kill_after_commits(self, count: int) -> None:
        """Let central end right after so many commits, before anything is sent."""
        left = count

        def on_commit(_conn: Any) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                self.keeper.stop()

        event.listen(self.engine, "commit", on_commit)

    def open_stock(self) -> None:
        for edge in self.edges.values():
            edge.open_stock()
        self.rt.run_for(1.0)

    def order(self, order_id: str, *lines: tuple[str, int]) -> None:
        order = m.CustomerOrder(
            order_id=order_id,
            lines=tuple(m.OrderLine(gtin=gtin, units=units) for gtin, units in lines),
            ordered_at_ns=self.shared.now_ns(),
        )
        self.bus.publish(topics.CUSTOMER_ORDER.of(site=SITE), encode(order))

    def notice(self, po: m.PurchaseOrder, status: str) -> None:
        notice = m.SupplierNotice(
            po_id=po.po_id,
            supplier_id=po.supplier_id,
            status=status,
            lines=po.lines,
            at_ns=self.shared.now_ns(),
        )
        topic = topics.SUPPLIER_NOTICE.of(site=SITE, supplier=po.supplier_id)
        self.bus.publish(topic, encode(notice))

    def decide(
        self, proposal_id: str, *, approve: bool, command_id: str = "c1", units: int = 0
    ) -> None:
        command = m.DecideProposal(
            command_id=command_id,
            proposal_id=proposal_id,
            approve=approve,
            person_id="planner",
            reason="because",
            units=units,
        )
        self.bus.publish(topics.DESK_COMMAND.of(site=SITE), encode(command))

    def adjust(self, units: int, **fields: Any) -> None:
        """Say what a bin holds, as the desk does."""
        values: dict[str, Any] = {
            "command_id": "a1",
            "bin_id": "A-01",
            "gtin": PEN,
            "reason": "damaged",
            "person_id": "maria",
            "expires_at_ns": self.shared.now_ns() + 30 * 10**9,
        }
        command = m.AdjustStock(units=units, **(values | fields))
        self.bus.publish(topics.DESK_ADJUST.of(site=SITE), encode(command))

    # --- what is in the books ---------------------------------------------------------------------

    def rows(self, query: Any) -> list[Any]:
        with reading(self.engine) as conn:
            return list(conn.execute(query).all())

    def tasks(self, kind: str = "", status: str = "") -> list[Any]:
        query = select(t.task).order_by(t.task.c.created_at_ns, t.task.c.task_id)
        if kind:
            query = query.where(t.task.c.kind == kind)
        if status:
            query = query.where(t.task.c.status == status)
        return self.rows(query)

    def proposals(self, kind: str = "") -> list[Any]:
        query = select(t.proposal).order_by(t.proposal.c.created_at_ns)
        return self.rows(query.where(t.proposal.c.kind == kind) if kind else query)

    def balance(self, place: str, gtin: str = PEN) -> int:
        query = select(t.balance.c.units).where(
            t.balance.c.place == place, t.balance.c.gtin == gtin
        )
        return sum(row.units for row in self.rows(query))

    def status(self, order_id: str) -> str:
        query = select(t.customer_order.c.status).where(t.customer_order.c.order_id == order_id)
        found = self.rows(query)
        return str(found[0].status) if found else ""

    def _tell_central(self, report: JobProgress) -> None:
        self.keeper.follow(report)

    # --- what central said ------------------------------------------------------------------------

    def _on_status(self, messages: list[Incoming]) -> None:
        for incoming in messages:
            status = decode(incoming.payload, m.OrderStatus)
            self.statuses.setdefault(status.order_id, []).append(status.status)
            self.texts[status.order_id] = status.text

    def _on_purchase(self, messages: list[Incoming]) -> None:
        self.purchases += [decode(incoming.payload, m.PurchaseOrder) for incoming in messages]

    def _on_result(self, messages: list[Incoming]) -> None:
        self.results += [decode(incoming.payload, m.DecisionResult) for incoming in messages]

    def _on_adjusted(self, messages: list[Incoming]) -> None:
        self.adjusted += [decode(incoming.payload, m.AdjustResult) for incoming in messages]

    def _on_changed(self, messages: list[Incoming]) -> None:
        named = [decode(message.payload, m.Changed).tables for message in messages]
        self.changes += sum(bool(tables) for tables in named)
        self.beats += len(named)
