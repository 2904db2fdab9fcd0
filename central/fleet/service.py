"""The fleet: jobs in, orders to robots out, progress told. Everything runs on one lane.

A tick comes every TICK_S and, with few robots, after each batch of states: jobs move on by what
robots reported, free robots get jobs, paths grow, what is safe is released and sent, then whoever
asked is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Final

import structlog

from central.config import CentralConfig
from central.fleet.adoption import adopt
from central.fleet.book import ATTEMPTS_MAX, NOBODY, BookFullError, Entry, JobBook
from central.fleet.charging import Charging
from central.fleet.dispatch import Dispatcher, Doubt, Leg
from central.fleet.ears import Ears
from central.fleet.giving import Giving
from central.fleet.graph import FloorGraph, lanes_for_all
from central.fleet.jobs import JobEvent, JobProgress, TransportJob
from central.fleet.memory import JobEnd, KeptJob, Memory, OrderMemory
from central.fleet.news import News
from central.fleet.parking import Parking
from central.fleet.traffic import NO_GOAL, Traffic, Wish
from central.fleet.vehicle import Vehicle
from central.fleet.view import PauseView, RobotView, pause_view, view_of
from central.fleet.voice import Voice
from central.robot_pause import Pause
from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.site import Site
from wire.vda5050 import topics

TICK_S: Final = 0.15
PLAN_ANEW_S: Final = 3.0
ROBOTS_AT_ONCE_MAX: Final = 20
"""With more robots states come all the time, and each tick looks at all robots: then only the
ticks in time follow what states say."""
ENDS_KEPT_S: Final = 30 * 86_400
"""No task waits for longer than a month to be told how its job ended."""
LOST_AFTER: Final = 5
"""A job on a robot that is silent for so many times `silent_after_s` has failed."""
BROKEN: Final = frozenset({"OFFLINE", "CONNECTIONBROKEN", "CONNECTION_BROKEN", "HIBERNATING"})
NO_LEG: Final = Leg(key=("", 0), goal=NO_GOAL)
log = structlog.get_logger()


class Fleet:
    """The master of all robots of a site."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: CentralConfig,
        site: Site,
        lane: Lane,
        bus: Bus,
        on_progress: Callable[[JobProgress], None],
    ) -> None:
        self._clock = runtime.clock
        self._metrics = metrics
        self._config = config.fleet
        self._lane = lane
        self._bus = bus
        self._on_progress = on_progress
        self._graph = FloorGraph(site.nodes, lanes_for_all(site.edges, site.robots))
        self._traffic = Traffic(self._graph, len(site.robots), config.fleet.base_nodes_max)
        self._memory = OrderMemory(config.url())
        self._pause: Pause | None = None
        self._voice = Voice(config.fleet, runtime.clock, metrics, bus)
        self._vehicles = [
            Vehicle(
                number=i,
                vehicle_id=topics.VehicleId(row.manufacturer, row.serial),
                memory=Memory(robot_id=f"{row.manufacturer}/{row.serial}"),
                home=self._graph.number[row.node_id],
            )
            for i, row in enumerate(site.robots)
        ]
        self._dispatcher = Dispatcher(
            self._graph,
            self._traffic,
            self._vehicles,
            map_id=config.site_id,
            config=config.fleet,
            clock=runtime.clock,
            metrics=metrics,
            bus=bus,
            voice=self._voice,
            memory=self._memory,
            on_broken=self._handle_broken,
        )
        self._book = JobBook()
        parking = Parking(self._graph, (vehicle.home for vehicle in self._vehicles))
        self._charging = Charging(self._graph, parking)
        self._giving = Giving(
            self._graph, self._traffic, self._vehicles, book=self._book, charging=self._charging,
            parking=parking, clock=runtime.clock,
        )  # fmt: skip
        self._ears = Ears(config.fleet.interface_name, self._vehicles, runtime.clock, metrics)
        self._news = News(len(self._vehicles))
        self._away: set[int] = set()
        """Robots that get no nodes now."""
        self._unheard: set[int] = set()
        """Robots that have not acknowledged what they were sent last."""
        self._early: list[TransportJob] = []
        self._begun = False
        self._progress: list[JobProgress] = []
        self._why: dict[int, str] = {}
        self._silent_after_ns = round(config.fleet.silent_after_s * NS_PER_S)
        self._rests_until_ns = 0
        """Until then nothing happens by itself: ticks do nothing unless somebody says something."""
        self._planned_anew_ns = 0
        self._stopped = False

    # --- called from any lane -------------------------------------------------------------------

    def start(self) -> None:
        """Go on where the last process stopped, and listen to the robots."""
        self._lane.post(self._begin)

    def stop(self) -> None:
        """Send nothing any more; robots finish the nodes they have."""
        self._lane.post(self._end)

    def let_go(self) -> None:
        """Close the database, as the end of the process does."""
        self._memory.close()

    def submit(self, job: TransportJob) -> None:
        """Take a job. One that is in hand, or was the last one of a robot, is not done twice."""
        self._lane.post(lambda: self._submit(job))

    def withdraw(self, job_id: str) -> None:
        """Give a job back if no robot was sent its first action; else it goes on to its end."""
        self._lane.post(lambda: self._withdraw(job_id))

    def close_zones(self, nodes: Collection[str]) -> None:
        """Let nobody enter these nodes of stop zones; robots that were released into them finish.

        Those that were closed before and are not among them are open again.
        """
        numbers = frozenset(self._graph.number[n] for n in nodes if n in self._graph.number)
        self._lane.post(lambda: self._bar(numbers))

    def pause(self, why: str) -> None:
        """Have every robot stand where it is, until `resume`."""
        pause = Pause(why=why, since_ns=self._clock.now_ns())
        self._lane.post(lambda: self._set_pause(pause))

    def resume(self) -> None:
        """Let the robots that stand for `pause` drive on."""
        self._lane.post(lambda: self._set_pause(None))

    def paused(self) -> PauseView | None:
        """Return since when and why all stand, and who has not said so yet; None: nobody has to."""
        return pause_view(self._pause, self._vehicles)

    def pin(self, job_id: str, robot_id: str, by: str) -> None:
        """Let only this robot (`manufacturer/serial`; empty: any) have a job that `by` wants so.

        It takes the job over where that robot's first action was not sent yet.
        """
        self._lane.post(lambda: self._pin(job_id, robot_id, by))

    def robots(self) -> tuple[RobotView, ...]:
        """Return how the robots stand; on the fleet's lane, or while it does nothing."""
        if not self._why:
            return ()
        now_ns, utc_ns = self._clock.monotonic_ns(), self._clock.now_ns()
        jobs, why = self._book.entries, self._why
        return tuple(
            view_of(
                v, self._traffic, entry=jobs.get(v.job_id),
                why=why[v.number], idle=self._giving.words(v.number),
                now_ns=now_ns, utc_ns=utc_ns,
            )
            for v in self._vehicles
        )  # fmt: skip

    def strangers(self) -> tuple[str, ...]:
        """Return vehicles that speak here and are not in robots.csv: they get no orders."""
        return self._ears.strangers()

    # --- beginning and end ----------------------------------------------------------------------

    def _begin(self) -> None:
        if self._stopped:
            return
        self._memory.forget_ends(self._clock.now_ns() - ENDS_KEPT_S * NS_PER_S)
        self._adopt()
        self._begun = True
        for job in self._early:
            self._submit(job)
        interface = self._config.interface_name
        for name, handler in (
            (topics.STATE, self._handle_states),
            (topics.CONNECTION, self._handle_connections),
        ):
            for wanted in topics.every_vehicle(interface, name):
                self._bus.subscribe(wanted, self._lane, handler)
        self._lane.call_every(TICK_S, self._tick_in_time)

    def _end(self) -> None:
        self._stopped = True
        self._memory.close()

    def _adopt(self) -> None:
        """Take over what robots were sent before; put the others where they stand at first."""
        self._pause = self._memory.pause()
        self._unheard |= adopt(
            self._memory.load(), self._vehicles, self._graph, self._traffic, self._book,
            self._clock.monotonic_ns(),
        )  # fmt: skip

    def _set_pause(self, pause: Pause | None) -> None:
        if not self._stopped:
            self._pause = pause
            self._look_at_all()

    def _look_at_all(self) -> None:
        """Look at every robot in this very tick: nobody waits for the next one."""
        for vehicle in self._vehicles:
            self._news.mark(vehicle.number)
        self._rests_until_ns = 0
        self._tick()

    # --- what comes in --------------------------------------------------------------------------

    def _handle_states(self, batch: list[Incoming]) -> None:
        if self._stopped:
            return
        for incoming in batch:
            heard = self._ears.state(incoming)
            if heard is None:
                continue
            vehicle, state = heard
            now_ns = self._clock.monotonic_ns()
            if vehicle.hears_two(state, now_ns):
                self._metrics.count("fleet_two_sources")
                self._news.mark(vehicle.number)
            elif vehicle.take(state, now_ns):
                self._news.mark(vehicle.number)
                self._dispatcher.follow(vehicle)
                self._follow_job(vehicle)
            else:
                self._metrics.count("fleet_late_states")
        self._rests_until_ns = 0
        if len(self._vehicles) <= ROBOTS_AT_ONCE_MAX:
            self._tick()

    def _handle_connections(self, batch: list[Incoming]) -> None:
        if self._stopped:
            return
        self._rests_until_ns = 0
        for incoming in batch:
            heard = self._ears.connection(incoming)
            if heard is None:
                continue
            vehicle, said = heard
            self._news.mark(vehicle.number)
            if said.connection_state in BROKEN:
                vehicle.suspected_at_ns = self._clock.monotonic_ns()
            elif vehicle.state is None:
                self._voice.ask(vehicle)

    # --- jobs -----------------------------------------------------------------------------------

    def _submit(self, job: TransportJob) -> None:
        self._rests_until_ns = 0
        if not self._begun:  # what robots did before is not known yet
            self._early.append(job)
            return
        if self._stopped or job.job_id in self._book.entries:
            return
        end = self._dispatcher.end_of(job.job_id)
        if end is not None:
            self._tell_end_again(job, end)
            return
        unknown = [s.node_id for s in job.stops if s.node_id not in self._graph.number]
        if unknown:
            self._tell(job, "", "failed", 0, f"node {unknown[0]!r} is not in nodes.csv")
            return
        try:
            self._book.submit(job, self._clock.monotonic_ns())
        except BookFullError as error:
            self._tell(job, "", "handed_back", 0, str(error))
            return
        if job.pinned_to:
            self._pin(job.job_id, job.pinned_to, job.pinned_by)

    def _tell_end_again(self, job: TransportJob, end: JobEnd) -> None:
        """Tell what was told when the job ended: whoever asks may have died before it was heard."""
        for index in range(end.stops_done):
            self._tell(job, end.robot_id, "stop_done", index, "done before")
        self._tell(job, end.robot_id, end.event, end.stops_done, end.detail)

    def _withdraw(self, job_id: str) -> None:
        self._rests_until_ns = 0
        entry = self._book.entries.get(job_id)
        if self._stopped or entry is None:
            return
        if entry.started and not self._is_untouched(entry, self._vehicles[entry.robot]):
            log.info("job is too far to be withdrawn; it goes on", job=job_id)
            return
        self._end_job(entry, "handed_back", "withdrawn before anything was picked up")

    def _pin(self, job_id: str, robot_id: str, by: str) -> None:
        self._rests_until_ns = 0
        entry = self._book.entries.get(job_id)
        numbers = {v.robot_id: v.number for v in self._vehicles}
        if entry is None or self._stopped or (robot_id and robot_id not in numbers):
            return
        self._book.pin(entry, numbers.get(robot_id, NOBODY), by)
        self._giving.reconsider()

    def _follow_job(self, vehicle: Vehicle) -> None:
        """Move the vehicle's job on by the status of its order's action."""
        entry = self._book.entries.get(vehicle.job_id)
        if entry is None or not entry.started:
            return
        status, result = vehicle.shown(entry.stop.action_id)
        # By an order that was given up it may have failed because that was cancelled.
        failed = status == "FAILED" and vehicle.action_id == entry.stop.action_id
        if status != "FINISHED" and not failed:
            return
        if failed:
            why = result or vehicle.words_about(entry.stop.action_id)
            self._end_job(entry, "failed", f"{entry.stop.action_type} failed: {why}")
            return
        done = entry.stop_index
        entry.stop_index += 1
        vehicle.memory.stops_done = entry.stop_index
        vehicle.changed = True
        self._metrics.count("fleet_stops_done")
        self._tell(entry.job, vehicle.robot_id, "stop_done", done, result)
        if entry.stop_index == len(entry.job.stops):
            self._end_job(entry, "done", result)

    def _handle_broken(self, vehicle: Vehicle, why: str, doubt: Doubt) -> None:
        """Decide what becomes of the job whose order was refused, lost or given up.

        Nothing is ever done twice: what may have been done fails, and what may still be done by a
        message on its way is asked of nobody else.
        """
        self._news.mark(vehicle.number)
        self._away.add(vehicle.number)  # it rests for a while, from this very tick on
        entry = self._book.entries.get(vehicle.job_id)
        if entry is None or not entry.started:
            return
        if vehicle.shown(entry.stop.action_id)[0] == "FINISHED":
            # The very state for which the order is given up says that it was done in it.
            self._follow_job(vehicle)
            return
        entry.attempts += 1
        entry.failed_by[vehicle.number] = entry.failed_by.get(vehicle.number, 0) + 1
        if doubt is Doubt.MAYBE_DONE:
            self._end_job(
                entry, "failed", f"{vehicle.robot_id} {why}, in its {entry.stop.action_type}"
            )
        elif entry.attempts >= ATTEMPTS_MAX:
            self._end_job(
                entry, "failed", f"{vehicle.robot_id} {why}; tried {entry.attempts} times"
            )
        elif entry.stop_index == 0 and doubt is Doubt.NONE:
            self._take_back(vehicle, entry, why)

    def _is_untouched(self, entry: Entry, vehicle: Vehicle) -> bool:
        """Return whether no robot was sent any of the job's actions."""
        if not entry.started:
            return True
        sent = vehicle.order_key == (entry.job.job_id, 0) and vehicle.memory.action_is_sent
        return entry.stop_index == 0 and not sent

    def _take_back(self, vehicle: Vehicle, entry: Entry, why: str) -> None:
        """Let another robot do a job of which nothing is done."""
        self._metrics.count("fleet_jobs_reassigned")
        log.info("job goes to another robot", job=entry.job.job_id, robot=vehicle.robot_id, why=why)
        self._book.give_back(entry)
        self._news.mark(vehicle.number)
        vehicle.job_id = ""
        self._mark_ended(vehicle, entry, "handed_back", why)

    def _end_job(self, entry: Entry, event: JobEvent, detail: str) -> None:
        job, robot_id = entry.job, ""
        if entry.robot != NOBODY:
            vehicle = self._vehicles[entry.robot]
            robot_id = vehicle.robot_id
            vehicle.job_id = ""
            self._news.mark(vehicle.number)
            self._mark_ended(vehicle, entry, event, detail)
            if event in {"done", "failed"}:
                self._dispatcher.keep_end(
                    JobEnd(
                        job_id=job.job_id, robot_id=robot_id, event=event,
                        stops_done=entry.stop_index, detail=detail,
                        ended_at_ns=self._clock.now_ns(),
                    )
                )  # fmt: skip
        self._book.end(entry)
        self._giving.forget(job.job_id)
        self._metrics.count("fleet_jobs", event)
        self._tell(job, robot_id, event, entry.stop_index, detail)

    def _mark_ended(self, vehicle: Vehicle, entry: Entry, event: JobEvent, detail: str) -> None:
        kept = vehicle.memory.kept
        if kept is not None and kept.job.job_id == entry.job.job_id:
            vehicle.memory.kept = KeptJob(job=kept.job, ended=event, detail=detail)
            vehicle.changed = True

    def _tell(
        self, job: TransportJob, robot_id: str, event: JobEvent, stop_index: int, detail: str
    ) -> None:
        self._progress.append(
            JobProgress(
                job_id=job.job_id,
                robot_id=robot_id,
                event=event,
                stop_index=stop_index,
                detail=detail,
                at_ns=self._clock.now_ns(),
            )
        )

    def _bar(self, nodes: frozenset[int]) -> None:
        self._traffic.bar(nodes)
        self._rests_until_ns = 0

    # --- the tick -------------------------------------------------------------------------------

    def _tick_in_time(self) -> None:
        if self._clock.monotonic_ns() < self._rests_until_ns and not self._stopped:
            self._traffic.rest()
        else:
            self._tick()

    def _rest_until_ns(self) -> int:
        """Return until when a tick would find nothing to do if nobody says anything; 0: it may.

        So it is where no job is in hand, nobody charges, is on the way or has to answer. What
        happens next by itself is then that a robot has been silent for too long.
        """
        rests = not (
            self._book.entries or self._progress or self._charging.anybody or self._away
        ) and all(v.rests for v in self._vehicles)
        if not (rests and self._traffic.rests):
            return 0
        since_ns = min((v.state_at_ns for v in self._vehicles), default=0)
        return since_ns + self._silent_after_ns

    def _tick(self) -> None:
        if self._stopped:
            return
        began_ns = self._clock.monotonic_ns()
        looked = self._news.take(began_ns) | self._away | self._unheard
        vehicles = [self._vehicles[number] for number in sorted(looked)]
        for vehicle in vehicles:
            self._see(vehicle, began_ns)
        self._watch(vehicles)
        self._traffic.close(self._dispatcher.closed_nodes(vehicles, self._away))
        looked |= self._assign(looked)
        self._plan_anew(began_ns)
        self._traffic.plan({number: self._wish(number) for number in looked})
        looked |= self._traffic.take_changed()
        for number in sorted(looked):
            if number not in self._away:
                self._extend(self._vehicles[number])
        if self._dispatcher.flush(looked):
            told, self._progress = self._progress, []
            for progress in told:
                self._on_progress(progress)
        self._rests_until_ns = self._rest_until_ns()
        self._metrics.latency("fleet_tick_ms", (self._clock.monotonic_ns() - began_ns) / 1e6)

    def _plan_anew(self, now_ns: int) -> None:
        """Drop what is planned and not released from time to time, while anybody waits.

        Paths grow at their ends only. Who has a long one is in the way of the others there, and
        where all do, they step aside for each other for ever; planned anew, all have room.
        """
        if now_ns - self._planned_anew_ns >= PLAN_ANEW_S * NS_PER_S:
            self._planned_anew_ns = now_ns
            if self._traffic.anybody_waits():
                self._traffic.replan()

    def _see(self, vehicle: Vehicle, now_ns: int) -> None:
        """Note whether a robot gets nodes, and when that may change by itself."""
        number = vehicle.number
        pause = f"all robots are to stand: {self._pause.why}" if self._pause else ""
        why = self._why[number] = self._dispatcher.why_unavailable(vehicle, now_ns) or pause
        self._voice.hold(vehicle, pause)
        if why:
            self._away.add(number)
        elif number in self._away:
            self._away.discard(number)
        if vehicle.instants.waiting:
            self._unheard.add(number)
        elif vehicle.acknowledged:
            self._unheard.discard(number)
        if not self._news.has_time(number):
            self._news.look_after(number, self._dispatcher.look_again_at_ns(vehicle, now_ns))

    def _watch(self, vehicles: Sequence[Vehicle]) -> None:
        """Repeat what is not acknowledged, ask who is silent, give up who is lost."""
        now_ns = self._clock.monotonic_ns()
        lost_ns = round(LOST_AFTER * self._config.silent_after_s * NS_PER_S)
        for vehicle in vehicles:
            why = self._why[vehicle.number]
            suspect = vehicle.suspected_at_ns >= vehicle.state_at_ns
            if vehicle.state is None or suspect or why.startswith("silent"):
                self._voice.ask(vehicle)
            self._voice.repeat(vehicle)
            if vehicle.is_in_other_hands:
                self._dispatcher.let_go(vehicle)
            gave_up = not vehicle.acknowledged and self._dispatcher.repeat(vehicle)
            if not gave_up and vehicle.unavailable_since_ns < 0:
                continue
            entry = self._book.entries.get(vehicle.job_id)
            if entry is not None and gave_up and self._is_untouched(entry, vehicle):
                self._take_back(vehicle, entry, vehicle.complaint)
                entry = None
            away_ns = now_ns - vehicle.unavailable_since_ns
            if vehicle.memory.held:  # it waits for people, and they know that
                vehicle.unavailable_since_ns = now_ns
            elif vehicle.unavailable_since_ns >= 0 and away_ns > lost_ns and entry is not None:
                self._end_job(entry, "failed", f"{vehicle.robot_id} {why}")

    def _assign(self, looked: AbstractSet[int]) -> set[int]:
        """Give jobs to free robots; return the robots that may have another goal now."""
        changed = self._giving.update(looked, self._away)
        changed |= self._giving.give(self._away)
        for entry in self._book.waiting_for:
            self._tell(entry.job, "", "waits", 0, entry.reason)
        for entry, before in self._book.moved:
            self._metrics.count("fleet_jobs_reassigned")
            self._mark_ended(self._vehicles[before], entry, "handed_back", "another robot has it")
            self._news.mark(before)
            if entry.robot == NOBODY:
                robot_id = self._vehicles[before].robot_id
                self._tell(entry.job, robot_id, "waits", 0, f"{robot_id} got another job before it")
        return changed

    def _wish(self, number: int) -> Wish:
        entry = self._book.entries.get(self._vehicles[number].job_id)
        place, stays = self._giving.place(number)
        if entry is not None:
            place, stays = self._graph.number[entry.stop.node_id], True
        wish: Wish = _wish_of(NO_GOAL if place is None else place, number in self._away, stays)
        return wish

    def _extend(self, vehicle: Vehicle) -> None:
        if not vehicle.acknowledged or not self._traffic.may_release(vehicle.number):
            return
        entry = self._book.entries.get(vehicle.job_id)
        if entry is None:
            if self._dispatcher.extend(vehicle, NO_LEG):
                self._unheard.add(vehicle.number)
            return
        leg = Leg(
            key=(entry.job.job_id, entry.stop_index),
            goal=self._graph.number[entry.stop.node_id],
            stop_index=entry.stop_index,
            kept=KeptJob(job=entry.job),
        )
        if not self._dispatcher.extend(vehicle, leg):
            return
        self._unheard.add(vehicle.number)
        entry.action_sent = entry.action_sent or vehicle.memory.action_is_sent
        if not entry.started:
            self._book.begin(entry)
            self._tell(entry.job, vehicle.robot_id, "assigned", 0, entry.reason)


@cache
def _wish_of(goal: int, frozen: bool, stays: bool) -> Wish:  # noqa: FBT001 - cached by place
    """Return what a robot wants that goes to `goal`, or nowhere; there are few of them."""
    return Wish(goal=goal, stays_at_goal=stays and goal != NO_GOAL, frozen=frozen)
