"""The outbox: the journal's rows to central, in order, until central says that it has them.

A window of batches is on its way at a time. Central's acknowledgement is the highest row up to
which it has committed all: rows up to there are done. Central repeats it where a batch begins
beyond it; then, and where no acknowledgement comes, the edge goes back and sends again from there:
one batch only where nothing was heard, since central may be away and scans wait meanwhile.
Rows are read from the journal when they are sent, so that nothing is held in memory, however long
central is away.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
import structlog

from edge.counting.store import CommitError, EdgeStore, decode_event
from edge.counting.tables import AWAY, file_of
from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.reading import readable
from runtime.store import StoreError
from wire.codec import encode
from wire.messages import (
    EVENTS_PER_BATCH_MAX,
    PAYLOAD_BYTES_MAX,
    JournalAck,
    JournalBatch,
    StockEvent,
)
from wire.topics import JOURNAL

BATCHES_IN_FLIGHT_MAX: Final = 8
BATCH_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 1_024
RESEND_S_MAX: Final = 60.0
GO_BACK_S_MIN: Final = 0.2
"""A gap makes central repeat its acknowledgement for each batch beyond: one answer will do."""
TICK_S: Final = 0.1
ACKED_WRITTEN_S: Final = 2.0
_NS_PER_US: Final = 1_000
log = structlog.get_logger()


class Outbox:
    """What central does not have yet. All calls are made on the store lane."""

    def __init__(
        self,
        store: EdgeStore,
        bus: Bus,
        *,
        site_id: str,
        edge_id: str,
        lane: Lane,
        clock: Clock,
        metrics: Metrics,
        resend_s: float,
    ) -> None:
        self._store = store
        self._bus = bus
        self._edge_id = edge_id
        self._topic = JOURNAL.of(site=site_id, edge=edge_id)
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._resend_s = resend_s
        self._wait_s = resend_s
        self._sent_seq = store.acked_seq
        self._in_flight: deque[int] = deque()
        self._window = BATCHES_IN_FLIGHT_MAX
        self._progress_ns = 0
        self._asked_back_ns = -NS_PER_S

    @property
    def unacknowledged(self) -> int:
        """Return how many journal rows central has not acknowledged."""
        return self._store.last_seq - self._store.acked_seq

    def start(self) -> None:
        """Begin to watch what is on its way; sending begins when the broker is reached."""
        self._lane.call_every(TICK_S, self._tick)
        self._lane.call_every(ACKED_WRITTEN_S, self.write_acked)

    def send(self) -> None:
        """Send rows while the window has room."""
        if not self._bus.connected:
            return
        while self._sent_seq < self._store.last_seq:
            if len(self._in_flight) >= self._window or not self._send_batch():
                return

    def connected(self) -> None:
        """Send again what was on its way: the broker is reached (again) and may have lost it."""
        self._wait_s = self._resend_s
        self._window = BATCHES_IN_FLIGHT_MAX
        self._go_back(self._store.acked_seq)

    def acknowledged(self, messages: list[Incoming]) -> None:
        """Take central's acknowledgements."""
        for _, ack in readable(messages, JournalAck, self._metrics, "journal-ack"):
            if ack.edge_id == self._edge_id and ack.epoch == self._store.epoch:
                self._take(ack.watermark_seq)
        self.send()

    def write_acked(self) -> None:
        """Write down what central has, where nothing else was committed since it said so."""
        try:
            self._store.write_acked()
        except CommitError as error:
            self._metrics.count("commits_failed")
            log.warning("watermark not written; it is asked again", reason=str(error))

    def _take(self, watermark: int) -> None:
        store = self._store
        self._window = BATCHES_IN_FLIGHT_MAX
        now_ns = self._clock.monotonic_ns()
        if watermark > store.last_seq:
            # Central has rows of this epoch that we do not: this file is an older copy of ours.
            # Under a new epoch every row goes again; central knows the old ones by their event ids.
            log.error("central has more rows than this journal; a new epoch begins")
            self._metrics.count("epochs_renewed")
            try:
                store.renew_epoch(max(self._clock.now_ns() // _NS_PER_US, store.epoch + 1))
            except CommitError as error:
                log.warning("no new epoch yet; central says it again", reason=str(error))
                return
            self._go_back(0)
        elif watermark > store.acked_seq:
            self._metrics.count("events_acknowledged", by=watermark - store.acked_seq)
            store.acked_seq = watermark
            self._sent_seq = max(self._sent_seq, watermark)
            while self._in_flight and self._in_flight[0] <= watermark:
                self._in_flight.popleft()
            self._progress_ns = now_ns
            self._wait_s = self._resend_s
        elif self._in_flight and now_ns - self._asked_back_ns >= GO_BACK_S_MIN * NS_PER_S:
            # The same watermark again, or a lower one (central's database is an older copy).
            self._asked_back_ns = now_ns
            self._go_back(watermark)

    def _go_back(self, seq: int) -> None:
        if self._in_flight:
            self._metrics.count("batches_resent", by=len(self._in_flight))
        self._in_flight.clear()
        self._sent_seq = self._store.acked_seq = seq
        self._progress_ns = self._clock.monotonic_ns()
        self.send()

    def _tick(self) -> None:
        waited_ns = self._clock.monotonic_ns() - self._progress_ns
        if self._in_flight and self._bus.connected and waited_ns >= self._wait_s * NS_PER_S:
            self._wait_s = min(self._wait_s * 2, RESEND_S_MAX)
            self._window = 1
            self._go_back(self._store.acked_seq)
        self.send()

    def _event(self, seq: int, payload: bytes) -> StockEvent:
        """Return the event of a row. Raises StoreError: what is after it must not overtake it."""
        try:
            return decode_event(payload)
        except msgspec.MsgspecError as error:
            file = file_of(self._store.db)
            raise StoreError(f"{file}: journal row {seq} is damaged ({error}): {AWAY}") from error

    def _send_batch(self) -> bool:
        rows = self._store.rows_after(self._sent_seq, EVENTS_PER_BATCH_MAX)
        payload_bytes = 0
        events: list[StockEvent] = []
        for seq, payload in rows:
            payload_bytes += len(payload) + 1
            if payload_bytes > BATCH_BYTES_MAX and events:
                break
            events.append(self._event(seq, payload))
        first_seq = rows[0][0]
        batch = JournalBatch(
            edge_id=self._edge_id, epoch=self._store.epoch, first_seq=first_seq,
            events=tuple(events),
        )  # fmt: skip
        if not self._bus.publish(self._topic, encode(batch)):
            self._metrics.count("publishes_refused")
            return False
        if not self._in_flight:
            self._progress_ns = self._clock.monotonic_ns()
        self._sent_seq = first_seq + len(events) - 1
        self._in_flight.append(self._sent_seq)
        return True
