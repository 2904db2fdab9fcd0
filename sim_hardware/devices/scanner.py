"""Handheld scanners: their firmware, on a serial line or over MQTT.

A scanner reads one barcode, says it, and waits for one answer. How the two kinds deal with silence:

* MQTT: each scan has a sequence number, so the firmware says the same message again until it is
  answered, and takes no other before: what it said may lie in a queue, and be counted when its
  person has long put the goods back. Counting it once is the reader's work.
* Serial: a line has no numbers, so the firmware never repeats. It tells its person that there was
  no beep; the person looks at the screen and decides (see world/people.py). An answer that comes
  when nothing is outstanding is ignored and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from runtime.bus import BusOptions, Incoming, Will
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.ports import PortLostError
from runtime.runtime import Runtime
from sim_hardware.config import SimConfig, SimScanner
from sim_hardware.devices.device_clock import DeviceClock
from sim_hardware.devices.line import Line
from sim_hardware.devices.uplink import Uplink
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import DeviceScan, DeviceStatus, ScanFeedback

ACK: Final = 0x06
BEL: Final = 0x07
ANSWER_S: Final = 4.0
"""A serial scanner's person hears no beep for so long before looking at the screen."""
RESEND_S: Final = 2.0
GIVE_UP_S: Final = 24 * 3_600.0
"""A scan over MQTT that nobody answers for so long is given up."""
ANSWER_BYTES_MAX: Final = 1_024
NS_PER_US: Final = 1_000
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """A beep: good, or bad with a code and words."""

    ok: bool
    code: str
    text: str


OnAnswer = Callable[[Answer | None], None]
"""Called once per scan: with the answer, or with None where none came."""


class Scanner(Protocol):
    """What a person holds in their hand."""

    @property
    def scans(self) -> int:
        """Return how many barcodes were read."""

    def start(self) -> None:
        """Switch on."""

    def stop(self) -> None:
        """Switch off."""

    def scan(self, text: str, on_answer: OnAnswer) -> None:
        """Read one barcode; one at a time."""


def make_scanner(
    runtime: Runtime, lane: Lane, config: SimConfig, own: SimScanner, metrics: Metrics
) -> Scanner:
    """Return the scanner of this configuration."""
    if own.path:
        return SerialScanner(runtime, lane, own, metrics)
    return MqttScanner(runtime, lane, config, own, metrics)


class SerialScanner:
    """Says `]C1...` CR LF; hears 0x06, or 0x07 with `code: text` CR LF."""

    def __init__(self, runtime: Runtime, lane: Lane, own: SimScanner, metrics: Metrics) -> None:
        self.scans = 0
        self.line = Line(runtime, lane, own.path, self._handle_bytes)
        self._lane = lane
        self._own = own
        self._metrics = metrics
        self._heard = bytearray()
        self._waiting: OnAnswer | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        """Plug in: the line appears at its path."""
        self.line.open()

    def stop(self) -> None:
        """Unplug."""
        self._give_up()
        self.line.close()

    def power_off(self) -> None:
        """Go dark and forget everything; whoever waits for a beep hears none."""
        self._heard.clear()
        self.line.close()

    def power_on(self) -> None:
        """Boot: the line is there again."""
        self.line.open()

    def scan(self, text: str, on_answer: OnAnswer) -> None:
        """Read one barcode."""
        assert self._waiting is None, f"{self._own.device_id}: the last scan has no answer yet"
        self._waiting = on_answer
        self.scans += 1
        self._timer = self._lane.call_later(ANSWER_S, self._hear_nothing)
        self._metrics.count("scans_sent", self._own.device_id)
        try:
            self.line.write(text.encode("ascii") + b"\r\n")
        except PortLostError as error:
            self._metrics.count("scans_lost", self._own.device_id)
            log.warning("a scan was lost on its line", error=str(error))

    def _handle_bytes(self, chunks: list[tuple[bytes, int]]) -> None:
        for data, _at_ns in chunks:
            self._heard += data
        while answer := self._next_answer():
            self._answer(answer)

    def _next_answer(self) -> Answer | None:
        """Return the next whole answer in what was heard; noise between answers is skipped."""
        while self._heard:
            if self._heard[0] == ACK:
                del self._heard[:1]
                return Answer(ok=True, code="ok", text="")
            if self._heard[0] == BEL:
                end = self._heard.find(b"\r\n")
                if end < 0 and len(self._heard) < ANSWER_BYTES_MAX:
                    return None
                line = bytes(self._heard[1:end] if end >= 0 else self._heard[1:])
                del self._heard[: end + 2 if end >= 0 else len(self._heard)]
                code, _, text = line.decode("ascii", "replace").partition(": ")
                return Answer(ok=False, code=code, text=text)
            del self._heard[:1]
            self._metrics.count("scanner_noise_bytes", self._own.device_id)
        return None

    def _answer(self, answer: Answer) -> None:
        if self._waiting is None:
            self._metrics.count("late_beeps", self._own.device_id)
            return
        on_answer = self._waiting
        self._give_up()
        on_answer(answer)

    def _hear_nothing(self) -> None:
        on_answer = self._waiting
        self._give_up()
        self._metrics.count("scans_unanswered", self._own.device_id)
        if on_answer is not None:
            on_answer(None)

    def _give_up(self) -> None:
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class MqttScanner:
    """Publishes DeviceScan and waits for the ScanFeedback of the same boot epoch and sequence."""

    def __init__(
        self, runtime: Runtime, lane: Lane, config: SimConfig, own: SimScanner, metrics: Metrics
    ) -> None:
        self.scans = 0
        self.clock = DeviceClock(runtime.clock)
        self._lane = lane
        self._own = own
        self._metrics = metrics
        parts = {"site": config.site_id, "device": own.device_id}
        self._scan_topic = topics.DEVICE_SCAN.of(**parts)
        self._status_topic = topics.DEVICE_STATUS.of(**parts)
        self._config = config
        self._epoch = self._boot_epoch()
        self._seq = 0
        self._payload = b""
        self._waits = 0
        self._waiting: OnAnswer | None = None
        self._timer: Timer | None = None
        self._dark = False
        self.uplink = Uplink(runtime, lane, self._bus_options())
        self.uplink.subscribe(topics.DEVICE_FEEDBACK.of(**parts), lane, self._handle_feedback)
        self.uplink.on_connect(lane, self._say_birth)

    def start(self) -> None:
        """Switch on and join the network."""
        self.uplink.start()

    def stop(self) -> None:
        """Say goodbye and switch off."""
        self._give_up()
        self.uplink.publish(self._status_topic, self._status(online=False), retain=True)
        self.uplink.stop()

    def power_off(self) -> None:
        """Go dark and forget everything; whoever waits for a beep hears none."""
        self._dark = True
        self._payload = b""
        self.uplink.lose()
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting is not None:
            self._timer = self._lane.call_later(ANSWER_S, self._hear_nothing)

    def power_on(self) -> None:
        """Boot: with a new epoch, and sequence numbers from 1 again."""
        self._dark = False
        self._epoch, self._seq = self._boot_epoch(), 0
        self.uplink.boot(self._bus_options())

    def scan(self, text: str, on_answer: OnAnswer) -> None:
        """Read one barcode."""
        assert self._waiting is None, f"{self._own.device_id}: the last scan has no answer yet"
        self._waiting = on_answer
        self.scans += 1
        if self._dark:
            self._timer = self._lane.call_later(ANSWER_S, self._hear_nothing)
            return
        self._seq += 1
        self._waits = 0
        self._payload = encode(
            DeviceScan(
                device_id=self._own.device_id,
                boot_epoch=self._epoch,
                seq=self._seq,
                text=text,
                scanned_at_ns=self.clock.now_ns(),
            )
        )
        self._metrics.count("scans_sent", self._own.device_id)
        self._send()

    def _send(self) -> None:
        self.uplink.publish(self._scan_topic, self._payload)
        self._timer = self._lane.call_later(RESEND_S, self._send_again)

    def _send_again(self) -> None:
        """Say it again; while the broker is away the first message waits for it, and is enough."""
        self._waits += 1
        if self._waits * RESEND_S > GIVE_UP_S:
            self._hear_nothing()
        elif self.uplink.connected:
            self._metrics.count("scans_resent", self._own.device_id)
            self._send()
        else:
            self._timer = self._lane.call_later(RESEND_S, self._send_again)

    def _hear_nothing(self) -> None:
        on_answer = self._waiting
        self._give_up()
        self._metrics.count("scans_unanswered", self._own.device_id)
        if on_answer is not None:
            on_answer(None)

    def _handle_feedback(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                feedback = decode(incoming.payload, ScanFeedback)
            except WireError as error:
                self._metrics.count("wire_refused", "ScanFeedback")
                log.warning("feedback refused", device=self._own.device_id, error=str(error))
                continue
            own = (self._epoch, self._seq)
            if (feedback.boot_epoch, feedback.seq) != own or self._waiting is None:
                self._metrics.count("late_beeps", self._own.device_id)
                continue
            on_answer = self._waiting
            self._give_up()
            on_answer(Answer(ok=feedback.ok, code=feedback.code, text=feedback.text))

    def _give_up(self) -> None:
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_birth(self) -> None:
        self.uplink.publish(self._status_topic, self._status(online=True), retain=True)

    def _status(self, *, online: bool) -> bytes:
        return encode(
            DeviceStatus(
                device_id=self._own.device_id,
                kind="scanner",
                online=online,
                boot_epoch=self._epoch,
                changed_at_ns=self.clock.now_ns(),
            )
        )

    def _boot_epoch(self) -> int:
        """Return an epoch that no earlier boot had: microseconds, to fit into its 53 bits."""
        return self.clock.now_ns() // NS_PER_US

    def _bus_options(self) -> BusOptions:
        config = self._config
        return config.broker.options(
            self._own.device_id,
            f"{config.site_id}-{self._own.device_id}",
            Will(topic=self._status_topic, payload=self._status(online=False)),
        )
