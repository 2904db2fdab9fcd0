"""One edge agent: a zone's scanners, cameras and drones in, journal and counts kept, events out.

Lanes: `io` reads and answers serial devices; `store` decides and writes; `vision` and `missions`
look and fly. Only the store lane touches the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from edge.commands import Commands
from edge.config import EdgeConfig, ScannerConfig
from edge.counting.store import FILE_NAME, EdgeStore, open_store
from edge.missions import MissionService
from edge.opening import opening_movements
from edge.outbox import Outbox
from edge.robot_moves import RobotMoves
from edge.scanning.core import Arrival, Floor
from edge.scanning.intake import ScanIntake
from edge.scanning.strangers import Strangers, answering_edge
from edge.site import read_site
from edge.vision.looks import WATCH_S, Looks
from edge.vision.rounds import CameraRounds
from edge.vision.service import CameraStatus, VisionService
from edge.writer import Writer
from firmware_bridge.scanners.aim_line import (
    UNANSWERED_MAX,
    AimLineScanner,
    ArrivedScan,
    LineStatus,
)
from runtime.broker_link import bus_options
from runtime.bus import Bus, Incoming, Will
from runtime.config import ConfigError
from runtime.lanes import Inbox
from runtime.metrics import Metrics
from runtime.reading import readable, refuse
from runtime.runtime import Runtime
from wire.answers import Code, Sound
from wire.codec import WireError, decode, encode
from wire.ids import gs1_check_digit
from wire.messages import (
    EDGE_DEVICES_MAX,
    PAYLOAD_BYTES_MAX,
    DeviceScan,
    DeviceStatus,
    EdgeDevices,
    FlyMission,
    LookAtBins,
    PersonTasks,
    ScanFeedback,
    StockEvent,
)
from wire.site import Site
from wire.topics import (
    CAMERA_LOOK,
    DEVICE_FEEDBACK,
    DEVICE_SCAN,
    DEVICE_STATUS,
    EDGE_COMMAND,
    EDGE_DEVICES,
    EDGE_STATUS,
    JOURNAL_ACK,
    PERSON_TASKS,
)
from wire.vda5050.topics import VehicleId

NAMES_SHOWN: Final = 10
ADDED_UP_S: Final = 3_600.0
"""How often it is looked whether the counts still add up; and at each start."""
_TEXT_MAX: Final = 400
_NS_PER_US: Final = 1_000
log = structlog.get_logger()


class EdgeAgent:
    """Everything of one zone beside the racks."""

    def __init__(
        self, runtime: Runtime, metrics: Metrics, config: EdgeConfig, site: Site, store: EdgeStore
    ) -> None:
        self.store = store
        self._runtime = runtime
        self._metrics = metrics
        self._config = config
        self._clock = runtime.clock
        self._started_ns = runtime.clock.now_ns()
        self._io = runtime.lane("io")
        self._store_lane = runtime.lane("store")
        self._bus = self._make_bus()
        self.outbox = Outbox(
            store, self._bus, site_id=config.site_id, edge_id=config.edge_id,
            lane=self._store_lane, clock=self._clock, metrics=metrics,
            resend_s=config.outbox_resend_s,
        )  # fmt: skip
        self._writer = Writer(
            store, lane=self._store_lane, clock=self._clock, metrics=metrics,
            on_commit=self.outbox.send,
        )  # fmt: skip
        bin_owner = {row.bin_id: row.edge_id for row in site.bins.values()}
        floor = Floor(
            gln=config.gln, edge_id=config.edge_id, bin_owner=bin_owner,
            article_name={row.gtin: row.name for row in site.articles.values()},
        )  # fmt: skip
        self._intake = ScanIntake(
            floor, writer=self._writer, metrics=metrics,
            person_of={scanner.device_id: scanner.person_id for scanner in config.scanners},
            journal_rows_max=config.journal_rows_max,
        )  # fmt: skip
        self._robots = RobotMoves(
            bins=site.edge_bins(config.edge_id).keys(), articles=site.articles.keys(),
            robots={VehicleId(row.manufacturer, row.serial) for row in site.robots},
            writer=self._writer, metrics=metrics,
        )  # fmt: skip
        self._commands = Commands(
            edge_id=config.edge_id, bin_owner=bin_owner, writer=self._writer,
            clock=self._clock, metrics=metrics, fly=self._fly, look=self._look,
        )  # fmt: skip
        mqtt_devices = (row.device_id for row in config.scanners if not row.path)
        self._mqtt_devices = frozenset(mqtt_devices)
        self._listening = False
        self._strangers = Strangers(
            site_id=config.site_id, edges={row.edge_id for row in site.bins.values()},
            bus=self._bus, lane=self._store_lane, metrics=metrics,
        )  # fmt: skip
        self._hears_strangers = config.edge_id == answering_edge(site)
        self._opening = opening_movements(site, config.edge_id, self._started_ns)
        self._scan_inbox: Inbox[tuple[AimLineScanner, ArrivedScan]] = self._store_lane.inbox(
            "scans", self._take_serial_scans
        )
        self._event_inbox: Inbox[StockEvent] = self._store_lane.inbox(
            "events", self._writer.submit_facts
        )
        self._scanners = [self._serial_scanner(row) for row in config.scanners if row.path]
        # Room for every answer that the scanners may wait for: the store lane never waits on io.
        self._answer_inbox: Inbox[tuple[AimLineScanner, ScanFeedback]] = self._io.inbox(
            "answers", self._send_answers, size_max=(len(self._scanners) + 1) * UNANSWERED_MAX
        )
        self._mission_lane = runtime.lane("missions")
        self._missions = MissionService(
            runtime, metrics, config, site, self._mission_lane, self._take_events
        )
        self._vision_lane = runtime.lane("vision")
        eyes = [row.camera_id for row in config.cameras]
        eyes += [row.camera_id for row in config.smart_cameras]
        self._rounds = CameraRounds(self._clock, metrics, eyes, self._take_events)
        self._vision = VisionService(
            runtime, metrics, config, site, self._vision_lane, self._take_events,
            self._tell_camera, self._rounds,
        )  # fmt: skip
        self._looks = Looks(
            metrics, config, site, self._clock, self._take_events, self._tell_camera, self._rounds
        )
        # What stands at the broker of devices, for a broker that lost it: one table per lane.
        self._told_of_lines: dict[str, bytes] = {}
        self._told_of_cameras: dict[str, bytes] = {}

    def start(self) -> None:
        """Write the opening stock where this is the first start; open devices and the broker."""
        if not self.store.opened:
            self._write_opening()
        self._subscribe()
        self._store_lane.post(self.outbox.start)
        self._store_lane.post(self._add_up)
        self._store_lane.call_every(ADDED_UP_S, self._add_up)
        for scanner in self._scanners:
            scanner.start()
        self._mission_lane.post(self._missions.start)
        self._vision_lane.post(self._vision.start)
        if self._config.smart_cameras:
            self._vision_lane.call_every(WATCH_S, self._looks.watch)
        if self._config.smart_cameras or self._config.cameras:
            self._vision_lane.call_every(WATCH_S, self._rounds.watch)
        self._bus.start()

    def stop(self) -> None:
        """Close devices, say that we are gone. What was answered is in the database."""
        self._vision_lane.post(self._vision.stop)
        self._vision_lane.post(self._looks.stop)
        self._mission_lane.post(self._missions.stop)
        for scanner in self._scanners:
            self._io.post(scanner.stop)
        self._bus.publish(self._status_topic(), self._status(online=False), retain=True)
        self._store_lane.post(self.outbox.write_acked)

    # --- start ------------------------------------------------------------------------------

    def _make_bus(self) -> Bus:
        broker = self._config.broker
        # A clean session: a scan that waited at the broker while we were away was not answered,
        # so the person scanned it again.
        return self._runtime.bus(
            bus_options(
                broker,
                f"edge-{self._config.site_id}-{self._config.edge_id}",
                will=Will(topic=self._status_topic(), payload=self._status(online=False)),
            )
        )

    def _subscribe(self) -> None:
        config, bus, lane = self._config, self._bus, self._store_lane
        site, edge = config.site_id, config.edge_id
        if self._hears_strangers:
            bus.subscribe(EDGE_DEVICES.any(site=site), lane, self._strangers.told)
        for person_id in sorted({scanner.person_id for scanner in config.scanners}):
            bus.subscribe(PERSON_TASKS.of(site=site, person=person_id), lane, self._take_tasks)
        bus.subscribe(EDGE_COMMAND.of(site=site, edge=edge), lane, self._commands.handle)
        bus.subscribe(JOURNAL_ACK.of(site=site, edge=edge), lane, self.outbox.acknowledged)
        # QoS 0: a robot tells its finished actions again in each state until its next order.
        for wanted in RobotMoves.topics(config.interface_name):
            bus.subscribe(wanted, lane, self._robots.handle, qos=0)
        for camera in config.smart_cameras:
            topic = CAMERA_LOOK.of(site=site, device=camera.camera_id)
            bus.subscribe(topic, self._vision_lane, self._looks.handle)
        bus.on_connect(lane, self._connected)

    def _connected(self) -> None:
        self._announce_devices()
        self._bus.publish(self._status_topic(), self._status(online=True), retain=True)
        self._io.post(partial(self._tell_again, self._told_of_lines))
        self._vision_lane.post(partial(self._tell_again, self._told_of_cameras))
        self.outbox.connected()

    def _announce_devices(self) -> None:
        """Say which devices are ours, then listen: who refuses strangers knows of them."""
        config = self._config
        devices = tuple(sorted(self._mqtt_devices))
        others = other_devices(config)[: max(EDGE_DEVICES_MAX - len(devices), 0)]
        told = EdgeDevices(edge_id=config.edge_id, devices=devices, others=others)
        topic = EDGE_DEVICES.of(site=config.site_id, edge=config.edge_id)
        self._bus.publish(topic, encode(told), retain=True)
        if self._listening:
            return
        self._listening = True
        if self._hears_strangers:
            everybody = DEVICE_SCAN.any(site=config.site_id)
            self._bus.subscribe(everybody, self._store_lane, self._take_messages)
            return
        for device_id in self._mqtt_devices:
            topic = DEVICE_SCAN.of(site=config.site_id, device=device_id)
            self._bus.subscribe(topic, self._store_lane, self._take_messages)

    def _write_opening(self) -> None:
        with self.store.transaction() as tx:
            for movement in self._opening:
                tx.append(movement)
            tx.put_meta("opened", str(self._started_ns))
        self._metrics.count("events_accepted", by=self.store.last_seq)
        log.info("opening stock written", rows=self.store.last_seq)

    def _add_up(self) -> None:
        """Count and say which articles' counts are not what any journal could add up to."""
        try:
            found = self.store.unbalanced()
        except sqlite3.Error as error:
            log.warning("counts could not be added up", reason=str(error))
            return
        for gtin, units in found:
            self._metrics.count("counts_unbalanced", gtin)
            log.error(
                "counts were changed by something else than movements", gtin=gtin, sum=units,
                fix="stop this edge, then stockhelm ledger verify and ledger rebuild",
            )  # fmt: skip

    def _status_topic(self) -> str:
        return EDGE_STATUS.of(site=self._config.site_id, edge=self._config.edge_id)

    def _status(self, *, online: bool) -> bytes:
        return encode(
            DeviceStatus(
                device_id=self._config.edge_id, kind="edge", online=online,
                boot_epoch=self._started_ns // _NS_PER_US, changed_at_ns=self._clock.now_ns(),
            )
        )  # fmt: skip

    # --- serial scanners --------------------------------------------------------------------

    def _serial_scanner(self, row: ScannerConfig) -> AimLineScanner:
        def forward(arrived: ArrivedScan) -> None:
            self._scan_inbox.put((scanner, arrived))

        scanner = AimLineScanner(
            row.device_id, row.path, row.baud, ports=self._runtime.ports, clock=self._clock,
            lane=self._io, metrics=self._metrics, on_scan=forward,
            on_status=partial(self._tell_status, row.device_id),
        )  # fmt: skip
        return scanner

    def _take_serial_scans(self, arrived: list[tuple[AimLineScanner, ArrivedScan]]) -> None:
        for scanner, one in arrived:
            arrival = Arrival(scan=one.scan, received_at_ns=one.received_at_ns)
            self._intake.take(arrival, partial(self._answer_serial, scanner))

    def _answer_serial(self, scanner: AimLineScanner, feedback: ScanFeedback) -> None:
        self._answer_inbox.put((scanner, feedback))

    def _send_answers(self, answers: list[tuple[AimLineScanner, ScanFeedback]]) -> None:
        for scanner, feedback in answers:
            scanner.answer(feedback)

    def _tell_status(self, device_id: str, line: LineStatus) -> None:
        status = DeviceStatus(
            device_id=device_id, kind="scanner", online=line.online, boot_epoch=line.boot_epoch,
            changed_at_ns=self._clock.now_ns(), detail=line.detail[:_TEXT_MAX],
        )  # fmt: skip
        self._told_of_lines[device_id] = encode(status)
        self._tell_device(device_id, self._told_of_lines[device_id])

    def _tell_device(self, device_id: str, status: bytes) -> None:
        topic = DEVICE_STATUS.of(site=self._config.site_id, device=device_id)
        self._bus.publish(topic, status, retain=True)

    def _tell_again(self, told: dict[str, bytes]) -> None:
        for device_id, status in told.items():
            self._tell_device(device_id, status)

    # --- scanners and others over MQTT ------------------------------------------------------

    def _take_messages(self, messages: list[Incoming]) -> None:
        for message in messages:
            device_id = (DEVICE_SCAN.parts(message.topic) or {}).get("device", "")
            if device_id in self._mqtt_devices:
                self._take_message(device_id, message)
            else:
                self._strangers.take(device_id, message)

    def _take_message(self, device_id: str, message: Incoming) -> None:
        try:
            scan = decode(message.payload, DeviceScan)
        except WireError as error:
            too_long = len(message.payload) > PAYLOAD_BYTES_MAX
            code = Code.TOO_LONG if too_long else Code.MALFORMED
            self._refuse_message(device_id, code, str(error))
            return
        if scan.device_id != device_id:
            text = f"this is {device_id}'s topic, the message says {scan.device_id}"
            self._refuse_message(device_id, Code.FOREIGN_DEVICE, text)
            return
        arrival = Arrival(scan=scan, received_at_ns=message.received_at_ns)
        self._intake.take(arrival, partial(self._answer_message, device_id))

    def _refuse_message(self, device_id: str, code: Code, text: str) -> None:
        self._metrics.count("scans_refused", code)
        feedback = ScanFeedback(
            device_id=device_id, boot_epoch=0, seq=0, ok=False, code=code, text=text[:_TEXT_MAX],
            sound=Sound.BAD,
        )  # fmt: skip
        self._answer_message(device_id, feedback)

    def _answer_message(self, device_id: str, feedback: ScanFeedback) -> None:
        topic = DEVICE_FEEDBACK.of(site=self._config.site_id, device=device_id)
        if not self._bus.publish(topic, encode(feedback)):
            self._metrics.count("answers_lost", device_id)

    def _take_tasks(self, messages: list[Incoming]) -> None:
        for message, told in readable(messages, PersonTasks, self._metrics, "person-tasks"):
            parts = PERSON_TASKS.parts(message.topic) or {}
            if told.person_id == parts.get("person"):
                self._intake.set_tasks(told)
            else:
                refuse(message.topic, "the tasks of somebody else", self._metrics, "person-tasks")

    # --- missions and cameras ---------------------------------------------------------------

    def _tell_camera(self, camera: CameraStatus) -> None:
        status = DeviceStatus(
            device_id=camera.camera_id, kind="camera", online=camera.online,
            boot_epoch=camera.boot_epoch, changed_at_ns=self._clock.now_ns(),
            detail=camera.reason[:_TEXT_MAX],
        )  # fmt: skip
        self._told_of_cameras[camera.camera_id] = encode(status)
        self._tell_device(camera.camera_id, self._told_of_cameras[camera.camera_id])

    def _fly(self, command: FlyMission) -> None:
        self._mission_lane.post(partial(self._missions.fly, command))

    def _look(self, command: LookAtBins) -> None:
        self._vision_lane.post(partial(self._vision.look, command))

    def _take_events(self, events: Sequence[StockEvent]) -> None:
        for event in events:
            self._event_inbox.put(event)


def other_devices(config: EdgeConfig) -> tuple[str, ...]:
    """Return the devices of an edge that do not scan over MQTT."""
    return (
        *(row.device_id for row in config.scanners if row.path),
        *(row.camera_id for row in config.cameras),
        *(row.camera_id for row in config.smart_cameras),
        *(row.drone_id for row in config.drones),
    )


def check_people(config: EdgeConfig, site: Site) -> None:
    """Raise ConfigError where nobody of people.csv, if there is one, holds a scanner."""
    for index, scanner in enumerate(config.scanners):
        if site.people and scanner.person_id not in site.people:
            raise ConfigError(
                f"scanners[{index}].person_id = {scanner.person_id!r}: expected somebody of"
                f" people.csv in {config.site_dir}: {', '.join(sorted(site.people)[:NAMES_SHOWN])}"
            )


def build_edge(runtime: Runtime, metrics: Metrics, config: EdgeConfig) -> EdgeAgent:
    """Return the edge agent of this configuration.

    Raises ConfigError, SiteError or StoreError where configuration, site or database are wrong.
    """
    expected = gs1_check_digit(config.gln[:-1])
    if int(config.gln[-1]) != expected:
        raise ConfigError(f"gln = {config.gln!r}: expected check digit {expected} at its end")
    site = read_site(Path(config.site_dir))
    check_people(config, site)
    path = Path(config.data_dir) / FILE_NAME
    new_epoch = runtime.clock.now_ns() // _NS_PER_US
    store = open_store(path, edge_id=config.edge_id, new_epoch=new_epoch)
    return EdgeAgent(runtime, metrics, config, site, store)
