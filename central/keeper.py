"""The store lane: takes facts from the bus, keeps the books, lets the phases follow.

Every change is one transaction; answers, messages and jobs go out after its commit. What is lost
between a commit and its messages is sent again: by a phase that repeats, or because the other side
asks again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog
from sqlalchemy import Delete, Engine, Insert, Table, Update, event

from central.config import CentralConfig
from central.fleet.jobs import JobProgress, TransportJob
from central.ledger.journal import Applied, apply_batches
from central.ledger.origin import Origin, read_devices, write_devices
from central.orders import take_orders
from central.replenish.types import Plan
from central.robot_pause import Pause, pause_now
from central.statement import ON_WRITE, Values
from central.stop_zones import closed_nodes
from central.store import birth_mark, command_key, reading
from central.tables import edge_command
from central.tasking.adjusting import take_adjustment
from central.tasking.clock import ClockWatch, bring_back
from central.tasking.commands import LOOK_S, is_sending_due
from central.tasking.deadlines import OUT_OF_TOUCH_S
from central.tasking.floor import Floor
from central.tasking.people import PeopleBoard
from central.tasking.phases import make_turns, raise_doubts
from central.tasking.pinning import take_pin
from central.tasking.proposals import decide, take_plan
from central.tasking.purchasing import PurchaseSender, take_notice
from central.tasking.robots import follow_job, submit_open_tasks
from central.tasking.round import Effects, Round
from central.tasking.zoning import take_zone
from runtime.bus import Bus, Incoming
from runtime.lanes import Inbox, Lane
from runtime.metrics import Metrics
from runtime.reading import readable, refuse
from runtime.runtime import Runtime
from wire import topics
from wire.codec import encode
from wire.messages import (
    AdjustStock,
    BinCounted,
    Changed,
    CustomerOrder,
    DecideProposal,
    EdgeDevices,
    JournalBatch,
    Movement,
    PinTask,
    StockEvent,
    StopZone,
    SupplierNotice,
)

log = structlog.get_logger()
T = TypeVar("T")

EVENTS_PER_COMMIT_MAX: Final = 5_000
TICK_S: Final = 0.25
"""How often the phases that wait for a time run when nothing else happens."""
FOLLOW_S: Final = 0.05
"""The phases follow a change after this: changes that come together are followed once."""
FOLLOW_LARGE_S: Final = 0.25
WORKERS_SMALL_MAX: Final = 100
"""With more people and robots something changes all the time, and each round looks at all that is
open: then changes are gathered for longer."""
CHANGED_S: Final = 0.2
BEAT_S: Final = 2.0
"""So often pages hear at least that central is there, also when nothing changed."""
PROGRESS_MAX: Final = 10_000
BATCHES_READ_MAX: Final = 200
"""Batches that are read and wait to be written; with more of them reading waits."""
_NS_PER_MS: Final = 1e6


class JobTaker(Protocol):
    """Who moves: the fleet. Both may be called from any lane, and return at once."""

    def submit(self, job: TransportJob) -> None:
        """Take a job; one that is known already goes on as it is."""

    def withdraw(self, job_id: str) -> None:
        """Give a job back if nothing was picked up for it yet."""

    def pin(self, job_id: str, robot_id: str, by: str) -> None:
        """Let only this robot have a job, because `by` says so; an empty one: any."""

    def close_zones(self, nodes: Collection[str]) -> None:
        """Let nobody enter these nodes, and no others."""

    def pause(self, why: str) -> None:
        """Have every robot stand where it is, until `resume`."""

    def resume(self) -> None:
        """Let the robots that stand for `pause` drive on."""


class Keeper:
    """Owns the one connection that writes ledger, orders, proposals and tasks."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: CentralConfig,
        *,
        floor: Floor,
        engine: Engine,
        bus: Bus,
        lane: Lane,
    ) -> None:
        self._clock = runtime.clock
        self._metrics = metrics
        self._config = config
        self._floor = floor
        self._engine = engine.execution_options(**{ON_WRITE: self._note_rows})
        self._bus = bus
        self._lane = lane
        workers = len(floor.site.people) + len(floor.site.robots)
        self._origin = Origin(floor.site, {row.drone_id: row.edge_id for row in config.drones})
        self._follow_s = FOLLOW_S if workers <= WORKERS_SMALL_MAX else FOLLOW_LARGE_S
        self._people = PeopleBoard()
        self._purchases = PurchaseSender()
        self._watch = ClockWatch(runtime.clock)
        self._turns = make_turns(self._people, self._purchases)
        self._dirty: set[str] = set()
        self._beat_due_ns = 0
        self._in_touch_from_ns = 0
        self._wrote = False
        self._follows = False
        self._stopped = False
        self._birth = ""
        self._command_key = b""
        self._fresh_key = runtime.secret("commands")
        self._fleet: JobTaker | None = None
        self._closed: frozenset[str] = frozenset()
        """Nodes of stop zones, as the fleet was told."""
        self._pause: Pause | None = None
        """Why all robots are to stand, as the fleet was told."""
        self._progress = lane.inbox("progress", self._on_progress, size_max=PROGRESS_MAX)
        # Journals are read beside the lane that writes: SQLite leaves the interpreter to others.
        self._reader = runtime.lane("journals")
        self._batches: Inbox[JournalBatch] = lane.inbox(
            "batches", self._on_batches, size_max=BATCHES_READ_MAX
        )
        event.listen(engine, "after_execute", self._note_execute)
        self._subscribe()

    def give_jobs_to(self, fleet: JobTaker) -> None:
        """Hand robot tasks to `fleet`; call before it starts, so that it knows the stop zones."""
        self._fleet = fleet
        self._tell_zones()

    def start(self, at_first: Callable[[Round], None]) -> None:
        """Begin: `at_first`, then all open robot tasks to the fleet, then the phases."""
        self._lane.post(lambda: self._begin(at_first))

    def stop(self) -> None:
        """Do nothing more from now on."""
        self._stopped = True

    def follow(self, progress: JobProgress) -> None:
        """Write down what the fleet tells of a job; may be called from any lane."""
        self._progress.put(progress)

    def take_plan(self, plan: Plan) -> None:
        """Keep a plan's forecasts and proposals; may be called from any lane."""
        self._lane.post(lambda: self._change(lambda work: take_plan(work, plan)))

    # --- the lane ------------------------------------------------------------------------------

    def _begin(self, at_first: Callable[[Round], None]) -> None:
        if self._stopped:
            return
        with self._engine.begin() as conn:
            self._birth = birth_mark(conn, self._clock.now_ns())
            self._command_key = command_key(conn, self._fresh_key)
            read_devices(conn, self._origin)
        self._change(at_first)
        self._change(bring_back)
        self._change(submit_open_tasks)
        self._lane.call_every(TICK_S, self._tick)
        self._lane.call_every(CHANGED_S, self._tell_changed)
        self._lane.call_every(LOOK_S, self._look_for_commands)
        self._follow_soon()

    def _change(self, change: Callable[[Round], None]) -> None:
        """Do `change` in one transaction, then what follows its commit, then soon the phases."""
        if self._do((change, raise_doubts)):
            self._follow_soon()

    def _do(self, phases: Sequence[Callable[[Round], None]]) -> bool:
        """Do `phases` in one transaction and what follows its commit; return whether it wrote."""
        if self._stopped:
            return False
        self._wrote = False
        try:
            work = self._transact(phases)
        except BaseException:
            self._turns.all()  # nothing of it is written: whoever had a turn gets it again
            raise
        self._follow_commit(work.effects)
        return self._wrote

    def _transact(self, phases: Sequence[Callable[[Round], None]]) -> Round:
        with self._engine.begin() as conn:
            work = Round(
                conn=conn,
                now_ns=self._clock.now_ns(),
                config=self._config,
                floor=self._floor,
                metrics=self._metrics,
                birth=self._birth,
                command_key=self._command_key,
                in_touch=self._is_in_touch(),
            )
            for phase in phases:
                phase(work)
        return work

    def _follow_commit(self, effects: Effects) -> None:
        if self._stopped:
            return
        for call in effects.calls:
            call()
        for topic, payload, retain, qos in effects.publishes:
            self._publish(topic, payload, retain=retain, qos=qos)
        fleet = self._fleet
        if fleet is None:
            return
        for job in effects.submits:
            fleet.submit(job)
        for job_id in effects.withdrawals:
            fleet.withdraw(job_id)
        for job_id, robot_id, by in effects.pins:
            fleet.pin(job_id, robot_id, by)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        if not self._bus.publish(topic, payload, qos=qos, retain=retain) and qos:
            self._metrics.count("publishes_refused")
            self._tell_people_again()

    def _follow_soon(self) -> None:
        if not self._follows:
            self._follows = True
            self._lane.call_later(self._follow_s, self._run_phases)

    def _run_phases(self) -> None:
        """Run the phases whose turn it is, again and again until nobody finds anything to do."""
        self._follows = False
        if self._turns.is_due and self._do((self._turns.run,)):
            self._follow_soon()

    def _tick(self) -> None:
        """Run the phases that wait for a time; what they change is followed by the others."""
        if self._watch.was_put_back():
            self._purchases.forget_times()
            self._do((bring_back,))
            self._turns.all()
        self._turns.ticked(self._clock.now_ns())
        if not self._follows:
            self._run_phases()

    def _look_for_commands(self) -> None:
        """Give a turn to who sends commands, where another process wrote one: nobody tells us.

        To look is no transaction that writes: it waits for nobody, and nobody waits for it.
        """
        if self._stopped:
            return
        self._tell_zones()
        with reading(self._engine) as conn:
            is_due = is_sending_due(conn, self._clock.now_ns())
        if is_due:
            self._turns.wrote(edge_command.name, ({},))
            self._follow_soon()

    def _tell_zones(self) -> None:
        """Tell the fleet which nodes stop zones close now, and whether all stand: what changed."""
        with reading(self._engine) as conn:
            closed = closed_nodes(conn, self._clock.now_ns())
            pause = pause_now(conn)
        if pause != self._pause and self._fleet is not None:
            self._pause = pause
            if pause is None:
                self._fleet.resume()
            else:
                self._fleet.pause(pause.why)
        if closed != self._closed and self._fleet is not None:
            self._closed = closed
            self._fleet.close_zones(closed)
            log.info("stop zones changed", closed_nodes=len(closed))

    # --- what arrives --------------------------------------------------------------------------

    def _subscribe(self) -> None:
        site = self._config.site_id
        handlers: tuple[tuple[topics.Topic, Callable[[list[Incoming]], None]], ...] = (
            (topics.EDGE_DEVICES, self._on_devices),
            (topics.CUSTOMER_ORDER, self._on_orders),
            (topics.SUPPLIER_NOTICE, self._on_notices),
            (topics.DESK_COMMAND, self._on_decisions),
            (topics.DESK_ADJUST, self._on_adjustments),
            (topics.DESK_ZONE, self._on_zones),
            (topics.DESK_PIN, self._on_pins),
        )
        for topic, handler in handlers:
            self._bus.subscribe(topic.any(site=site), self._lane, handler, qos=topic.qos)
        journals = topics.JOURNAL.any(site=site)
        self._bus.subscribe(journals, self._reader, self._on_journal, qos=topics.JOURNAL.qos)
        self._bus.on_connect(self._lane, self._on_connect)

    def _is_in_touch(self) -> bool:
        """Return whether edges had the time to say what happened while the broker was away."""
        return self._bus.connected and self._clock.monotonic_ns() >= self._in_touch_from_ns

    def _on_connect(self) -> None:
        self._in_touch_from_ns = self._clock.monotonic_ns() + round(OUT_OF_TOUCH_S * 1e9)
        self._tell_people_again()
        self._follow_soon()

    def _tell_people_again(self) -> None:
        self._people.forget_sent()
        self._turns.all()

    def _decoded(self, messages: Iterable[Incoming], kind: type[T]) -> Iterator[tuple[str, T]]:
        """Yield (topic, message) of what can be read; the rest is counted and logged."""
        for incoming, message in readable(messages, kind, self._metrics, kind.__name__):
            yield incoming.topic, message

    def _refuse(self, kind: str, topic: str, why: str) -> None:
        refuse(topic, why, self._metrics, kind)

    def _on_journal(self, messages: list[Incoming]) -> None:
        """Read batches, on the lane that does nothing else."""
        for topic, batch in self._decoded(messages, JournalBatch):
            parts = topics.JOURNAL.parts(topic) or {}
            if parts.get("edge") != batch.edge_id:
                self._refuse("JournalBatch", topic, f"a batch of edge {batch.edge_id} on it")
            else:
                self._batches.put(batch)

    def _on_batches(self, batches: list[JournalBatch]) -> None:
        for part in _parts(batches):
            self._apply(part)

    def _on_devices(self, messages: list[Incoming]) -> None:
        """Learn which devices are whose; an empty message takes nothing away."""
        told = [message for message in messages if message.payload]
        for topic, devices in self._decoded(told, EdgeDevices):
            edge_id = devices.edge_id
            if (topics.EDGE_DEVICES.parts(topic) or {}).get("edge") != edge_id:
                self._refuse("EdgeDevices", topic, f"devices of edge {edge_id} on it")
                continue
            names = (*devices.devices, *devices.others)
            new = self._origin.take_devices(edge_id, names)
            if new and not self._stopped:
                with self._engine.begin() as conn:
                    write_devices(conn, edge_id, new, self._clock.now_ns())
            for name in new:
                if len(takers := self._origin.takers_of(name)) > 1:
                    log.warning("a device of several edges", device=name, edges=sorted(takers))

    def _apply(self, batches: list[JournalBatch]) -> None:
        if self._stopped:
            return
        with self._engine.begin() as conn:
            applied = apply_batches(conn, batches, self._clock.now_ns(), origin=self._origin)
        for ack in applied.acks:
            topic = topics.JOURNAL_ACK.of(site=self._config.site_id, edge=ack.edge_id)
            self._publish(topic, encode(ack))
        self._measure(applied)
        if applied.events:
            self._follow_soon()

    def _measure(self, applied: Applied) -> None:
        now_ns = self._clock.now_ns()
        metrics = self._metrics
        metrics.count("events_applied", by=len(applied.events))
        for name, count in (
            ("events_repeated", applied.duplicates),
            ("gaps", applied.gaps),
            ("reservations_cut", len(applied.cut_tasks)),
        ):
            if count:
                metrics.count(name, by=count)
        # One line for many: an edge with another bins.csv than central's has thousands of them.
        refused = Counter((refusal.edge_id, refusal.code) for refusal in applied.refused)
        first = {(r.edge_id, r.code): r.text for r in reversed(applied.refused)}
        for (edge_id, code), count in refused.items():
            metrics.count("events_refused", code, by=count)
            why = first[edge_id, code]
            log.error("events set aside", edge=edge_id, code=code, events=count, first=why)
        late_ms: dict[bool, list[float]] = {True: [], False: []}
        for item in applied.events:
            late_ms[_is_scan(item)].append(max(now_ns - item.received_at_ns, 0) / _NS_PER_MS)
        metrics.latencies("scan_to_central_ms", late_ms[True])
        metrics.latencies("event_to_central_ms", late_ms[False])

    def _on_orders(self, messages: list[Incoming]) -> None:
        orders = [order for _, order in self._decoded(messages, CustomerOrder)]
        if orders:
            self._change(lambda work: take_orders(work, orders))

    def _on_notices(self, messages: list[Incoming]) -> None:
        for topic, notice in self._decoded(messages, SupplierNotice):
            parts = topics.SUPPLIER_NOTICE.parts(topic) or {}
            if parts.get("supplier") == notice.supplier_id:
                self._change(partial(take_notice, notice=notice))
            else:
                why = f"a notice of supplier {notice.supplier_id} on it"
                self._refuse("SupplierNotice", topic, why)

    def _on_decisions(self, messages: list[Incoming]) -> None:
        for _, command in self._decoded(messages, DecideProposal):
            self._change(partial(decide, command=command))

    def _on_adjustments(self, messages: list[Incoming]) -> None:
        for _, command in self._decoded(messages, AdjustStock):
            self._change(partial(take_adjustment, command=command))

    def _on_pins(self, messages: list[Incoming]) -> None:
        for _, command in self._decoded(messages, PinTask):
            self._change(partial(take_pin, command=command))

    def _on_zones(self, messages: list[Incoming]) -> None:
        for _, command in self._decoded(messages, StopZone):
            self._change(partial(take_zone, command=command))
        if not self._stopped:
            self._tell_zones()

    def _on_progress(self, reports: list[JobProgress]) -> None:
        def follow(work: Round) -> None:
            for report in reports:
                follow_job(work, report)

        self._change(follow)

    # --- what pages hear -----------------------------------------------------------------------

    def _note_rows(self, table: str, rows: Sequence[Values]) -> None:
        """Note what a statement wrote."""
        self._dirty.add(table)
        self._turns.wrote(table, rows)
        self._wrote = True

    def _note_execute(
        self, _conn: Any, clause: Any, _many: Any, _params: Any, _options: Any, result: Any
    ) -> None:
        """Note what SQLAlchemy itself wrote: which rows that are is not known then."""
        if not isinstance(clause, Insert | Update | Delete):
            return
        # What returns rows has counted none yet.
        if isinstance(clause.table, Table) and (result.rowcount != 0 or result.returns_rows):
            # A plain str: SQLAlchemy's names are a subclass that does not go on the wire.
            self._note_rows(str.__str__(clause.table.name), ({},))

    def _tell_changed(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._stopped or not (self._dirty or now_ns >= self._beat_due_ns):
            return
        self._beat_due_ns = now_ns + round(BEAT_S * 1e9)
        names, self._dirty = tuple(sorted(self._dirty))[:20], set()
        message = Changed(tables=names, at_ns=self._clock.now_ns())
        topic = topics.CHANGED.of(site=self._config.site_id)
        self._publish(topic, encode(message), qos=topics.CHANGED.qos)


def _is_scan(item: StockEvent) -> bool:
    return isinstance(item, Movement | BinCounted) and bool(item.person_id)


def _parts(batches: list[JournalBatch]) -> Iterator[list[JournalBatch]]:
    """Yield the batches in groups that one transaction takes."""
    part: list[JournalBatch] = []
    events = 0
    for batch in batches:
        if part and events + len(batch.events) > EVENTS_PER_COMMIT_MAX:
            yield part
            part, events = [], 0
        part.append(batch)
        events += len(batch.events)
    if part:
        yield part
