"""Barcode scanners that send one line per scan: `]C10104006381333931` + CR, LF or both.

The answer to the device is one byte for a good scan (ACK, 0x06) and BEL (0x07) + `code: text` +
CR LF for a bad one: one answer per scan, in the order of the scans.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from firmware_bridge.errors import BridgeError
from firmware_bridge.link import Chunk, SerialLink, Tap
from runtime.clock import Clock
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.ports import Ports
from wire.answers import Code
from wire.frames import DroppedLine, LineUnframer
from wire.messages import DeviceScan, ScanFeedback

ACK: Final = b"\x06"
BEL: Final = b"\x07"
ANSWER_TEXT_MAX: Final = 200
UNANSWERED_MAX: Final = 200
IDLE_S: Final = 0.3
"""A half line is given up after this long without another byte (a line at 9 600 baud takes 0.55 s
for 512 bytes, but its bytes come without a pause)."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ArrivedScan:
    """One scan and when its last byte arrived here."""

    scan: DeviceScan
    received_at_ns: int


@dataclass(frozen=True, slots=True)
class LineStatus:
    """Whether the device is reached; since when (its boot epoch) and, where not, why."""

    online: bool
    boot_epoch: int
    detail: str


@dataclass(slots=True)
class _Answer:
    """An answer that waits for its turn: `data` is empty while it is not known."""

    seq: int
    data: bytes = b""
    text: str = ""
    """The line it answers; empty for one that was refused here."""


class AimLineScanner:
    """One serial scanner on one lane: bytes in, scans out; answers go back in the scans' order.

    At most UNANSWERED_MAX scans wait for their answer; one more is refused at once with `busy`. A
    scan that is the same as one which still waits is refused with `repeated`.
    """

    def __init__(
        self,
        device_id: str,
        path: str,
        baud: int,
        *,
        ports: Ports,
        clock: Clock,
        lane: Lane,
        metrics: Metrics,
        on_scan: Callable[[ArrivedScan], None],
        on_status: Callable[[LineStatus], None] = lambda _status: None,
        tap: Tap | None = None,
    ) -> None:
        self.device_id = device_id
        self._lane = lane
        self._metrics = metrics
        self._on_scan = on_scan
        self._on_status = on_status
        self._unframer = LineUnframer()
        self._idle: Timer | None = None
        self._epoch = 0
        self._seq = 0
        self._answers: deque[_Answer] = deque()
        self.link = SerialLink(
            device_id, path, baud, ports=ports, clock=clock, lane=lane,
            on_bytes=self._receive, on_up=self._up, on_down=self._down, tap=tap,
        )  # fmt: skip

    def start(self) -> None:
        """Open the line now or as soon as the device is there."""
        self.link.start()

    def stop(self) -> None:
        """Close the line; to be called on the driver's lane."""
        self.link.stop()

    def answer(self, feedback: ScanFeedback) -> None:
        """Send the answer to a scan once all earlier ones are answered; on the driver's lane."""
        if feedback.boot_epoch != self._epoch:
            return  # the line was lost in between: the device forgot that it asked
        for waiting in self._answers:
            if waiting.seq == feedback.seq:
                waiting.data = answer_bytes(feedback)
                break
        self._send_answers()

    def _receive(self, chunks: list[Chunk]) -> None:
        for data, at_ns in chunks:
            for line in self._unframer.feed(data):
                if isinstance(line, DroppedLine):
                    self._refuse(line.reason, line.text)
                else:
                    self._take(line, at_ns)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._unframer.pending:
            self._idle = self._lane.call_later(IDLE_S, self._give_up)

    def _take(self, text: str, at_ns: int) -> None:
        if len(self._answers) >= UNANSWERED_MAX:
            self._count_refused(Code.BUSY)
            self._write(
                _bad(Code.BUSY, f"{UNANSWERED_MAX} scans wait for their answer: scan it again")
            )
            return
        if any(waiting.text == text and not waiting.data for waiting in self._answers):
            # Nobody scans faster than the beep comes: the line held the first one back, and its
            # person tried again. Booked twice, the second could count for another task.
            self._refuse(Code.REPEATED, "the same scan came again before its answer; one counts")
            return
        self._seq += 1
        self._answers.append(_Answer(self._seq, text=text))
        scan = DeviceScan(
            device_id=self.device_id, boot_epoch=self._epoch, seq=self._seq, text=text,
            scanned_at_ns=at_ns,
        )  # fmt: skip
        self._on_scan(ArrivedScan(scan, at_ns))

    def _give_up(self) -> None:
        self._idle = None
        half = self._unframer.give_up()
        if half is not None:
            self._refuse(half.reason, half.text)

    def _refuse(self, code: Code, text: str) -> None:
        self._count_refused(code)
        if len(self._answers) >= UNANSWERED_MAX:
            self._write(_bad(code, text))
            return
        self._answers.append(_Answer(0, _bad(code, text)))
        self._send_answers()

    def _count_refused(self, code: Code) -> None:
        self._metrics.count("scans_refused", code)

    def _send_answers(self) -> None:
        ready = b""
        while self._answers and self._answers[0].data:
            ready += self._answers.popleft().data
        if ready:
            self._write(ready)

    def _write(self, data: bytes) -> None:
        try:
            self.link.write(data)
        except BridgeError as error:
            self._metrics.count("answers_lost", self.device_id)
            log.warning("answer not sent", device=self.device_id, reason=str(error))

    def _up(self, epoch: int) -> None:
        self._epoch, self._seq = epoch, 0
        self._on_status(LineStatus(online=True, boot_epoch=epoch, detail=""))

    def _down(self, reason: str) -> None:
        self._unframer.give_up()
        self._answers.clear()
        self._on_status(LineStatus(online=False, boot_epoch=self._epoch, detail=reason))


def answer_bytes(feedback: ScanFeedback) -> bytes:
    """Return what goes to the device for this answer."""
    return ACK if feedback.ok else _bad(feedback.code, feedback.text)


def _bad(code: str, text: str) -> bytes:
    line = f"{code}: {text}"[:ANSWER_TEXT_MAX]
    clean = "".join(char if " " <= char <= "~" else "?" for char in line)
    return BEL + clean.encode("ascii") + b"\r\n"
