"""A desk that really runs: on a real broker, over a DeskWorld's books, with robots that speak."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx
from sqlalchemy import update

from central import tables as t
from central.config import DeskConfig
from central.desk.service import DeskService, build_desk
from central.stop_zones import Wanted, close_zone, lift_zone
from runtime.broker_link import BrokerConfig
from runtime.bus import BusOptions, Incoming
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from stockhelm.broker import free_port
from tests.desk_world import DeskWorld
from wire import topics
from wire.codec import decode, encode
from wire.messages import (
    AdjustResult,
    AdjustStock,
    Changed,
    DecideProposal,
    DecisionResult,
    DeviceStatus,
    PinResult,
    PinTask,
    StopZone,
    StopZoneResult,
)

WAIT_S = 10.0
BEAT_S = 1.0


class DeskProcess:
    """The desk, and a client on the bus that stands for robots and central."""

    def __init__(self, world: DeskWorld, broker_port: int, port: int = 0) -> None:
        self.world = world
        self.metrics = Metrics()
        self.port = port or free_port()
        self.runtime = LiveRuntime()
        self.peer_runtime = LiveRuntime()
        self.service: DeskService = build_desk(
            self.runtime,
            self.metrics,
            DeskConfig(
                site_id="FC1",
                site_dir=str(world.site_dir),
                data_dir=str(world.directory),
                database_url=world.url,
                port=self.port,
                broker=BrokerConfig(port=broker_port),
            ),
        )
        self.peer = self.peer_runtime.bus(BusOptions(client_id="peer", port=broker_port))
        self.peer_lane = self.peer_runtime.lane("peer")
        self._connected = threading.Event()
        self.central_is_up = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.service.start()
        self.peer.on_connect(self.peer_lane, self._connected.set)
        self.peer.start()
        assert self._connected.wait(WAIT_S)
        self.peer_lane.call_every(BEAT_S, self._beat)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.service.stop()
        self.runtime.close()
        self.peer_runtime.close()
        assert self.runtime.crash is None
        assert self.peer_runtime.crash is None

    def robots_speak(self, at_s: float = 0.0) -> None:
        for number, robot in enumerate(self.world.site.robots):
            self.peer.publish(
                f"uagv/v2/{robot.manufacturer}/{robot.serial}/state",
                self.world.robot_state(number, at_s),
            )

    def edges_speak(self) -> None:
        for edge in ("A", "B"):
            said = DeviceStatus(
                device_id=edge, kind="edge", online=True, boot_epoch=1, changed_at_ns=1
            )
            topic = topics.EDGE_STATUS.of(site="FC1", edge=edge)
            self.peer.publish(topic, encode(said), retain=True)
        for device in ("scanner-1", "scanner-2", "camera-1", "drone-1"):
            said = DeviceStatus(
                device_id=device,
                kind=device.partition("-")[0],
                online=device != "scanner-2",
                boot_epoch=1,
                changed_at_ns=1,
            )
            topic = topics.DEVICE_STATUS.of(site="FC1", device=device)
            self.peer.publish(topic, encode(said), retain=True)

    def say_changed(self, *tables: str) -> None:
        said = Changed(tables=tables, at_ns=time.time_ns())
        self.peer.publish(topics.CHANGED.of(site="FC1"), encode(said), qos=0)

    def _beat(self) -> None:
        """Say that central is there, as it does."""
        if self.central_is_up:
            self.say_changed()

    def answer_as_central(self, decide: Callable[[DecideProposal], tuple[bool, str]]) -> None:
        """Answer each decision as central does: `decide` says whether and why."""

        def came(batch: list[Incoming]) -> None:
            for message in batch:
                command = decode(message.payload, DecideProposal)
                ok, text = decide(command)
                result = DecisionResult(
                    command_id=command.command_id,
                    proposal_id=command.proposal_id,
                    ok=ok,
                    text=text,
                )
                self.peer.publish(topics.DESK_RESULT.of(site="FC1"), encode(result))

        self.peer.subscribe(topics.DESK_COMMAND.of(site="FC1"), self.peer_lane, came)
        self._wait_until_heard()

    def pin_as_central(self, take: Callable[[PinTask], tuple[bool, str]]) -> None:
        """Answer each pin as central does: `take` says whether and why."""

        def came(batch: list[Incoming]) -> None:
            for message in batch:
                command = decode(message.payload, PinTask)
                ok, text = take(command)
                result = PinResult(command_id=command.command_id, ok=ok, text=text)
                self.peer.publish(topics.DESK_PINNED.of(site="FC1"), encode(result))

        self.peer.subscribe(topics.DESK_PIN.of(site="FC1"), self.peer_lane, came)
        self._wait_until_heard()

    def adjust_as_central(self, adjust: Callable[[AdjustStock], tuple[bool, str]]) -> None:
        """Answer each adjustment as central does: `adjust` says whether and why."""

        def came(batch: list[Incoming]) -> None:
            for message in batch:
                command = decode(message.payload, AdjustStock)
                ok, text = adjust(command)
                result = AdjustResult(command_id=command.command_id, ok=ok, text=text)
                self.peer.publish(topics.DESK_ADJUSTED.of(site="FC1"), encode(result))

        self.peer.subscribe(topics.DESK_ADJUST.of(site="FC1"), self.peer_lane, came)
        self._wait_until_heard()

    def zone_as_central(self) -> None:
        """Close and lift stop zones as central does: in the books, then an answer."""

        def came(batch: list[Incoming]) -> None:
            for message in batch:
                command = decode(message.payload, StopZone)
                with self.world.engine().begin() as books:
                    if command.lifts:
                        answer = lift_zone(books, command.lifts, command.person_id, time.time_ns())
                    else:
                        wanted = Wanted(
                            zone_id=command.command_id, person_id=command.person_id,
                            reason=command.reason, lasts_s=command.lasts_s,
                            nodes=command.nodes, box_m=command.box_m,
                        )  # fmt: skip
                        answer = close_zone(books, self.world.site, wanted, time.time_ns())
                result = StopZoneResult(
                    command_id=command.command_id, ok=answer.ok, text=answer.text
                )
                self.peer.publish(topics.DESK_ZONED.of(site="FC1"), encode(result))
            self.say_changed("stop_zone")

        self.peer.subscribe(topics.DESK_ZONE.of(site="FC1"), self.peer_lane, came)
        self._wait_until_heard()

    def _wait_until_heard(self) -> None:
        """Wait until the broker knows the peer's subscriptions, and the desk its broker.

        A broker takes what one client sends in order: who hears itself has subscribed before.
        """
        heard = threading.Event()
        self.peer.subscribe("test/echo", self.peer_lane, lambda _: heard.set())
        end = time.monotonic() + WAIT_S
        while not heard.wait(0.05):
            self.peer.publish("test/echo", b"", qos=0)
            assert time.monotonic() < end, "the broker does not answer"
        while not httpx.get(f"{self.url}/healthz").json()["broker_connected"]:
            time.sleep(0.05)
            assert time.monotonic() < end, "the desk does not find its broker"


def decide(world: DeskWorld, proposal_id: str, status: str, person: str) -> None:
    """Write a decision into the books as central does."""
    engine = world.engine()
    with engine.begin() as books:
        books.execute(
            update(t.proposal)
            .where(t.proposal.c.proposal_id == proposal_id)
            .values(status=status, decided_by=person, decided_at_ns=time.time_ns())
        )
    engine.dispose()


def eventually(what: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Wait until `what` is so; fail where it does not become so in time."""
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, f"did not happen within {timeout_s} s"
        time.sleep(0.02)
