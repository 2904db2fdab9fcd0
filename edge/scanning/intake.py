"""Scans in, answers out: each scan once, its session and its event in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edge.counting.store import Transaction
from edge.scanning.core import Arrival, Floor, Work, step
from edge.scanning.gs1 import read_label
from edge.writer import WORKS_WAITING_MAX, Writer
from runtime.metrics import Metrics
from wire.answers import Code, Sound
from wire.messages import PersonTasks, ScanFeedback

_TEXT_MAX = 400
_NS_PER_MS = 1_000_000
Answer = Callable[[ScanFeedback], None]


class ScanIntake:
    """All scanners of one edge agent, on the store lane."""

    def __init__(
        self,
        floor: Floor,
        *,
        person_of: Mapping[str, str],
        writer: Writer,
        metrics: Metrics,
        journal_rows_max: int,
    ) -> None:
        self.floor = floor
        self.metrics = metrics
        self._person_of = person_of
        self._writer = writer
        self._journal_rows_max = journal_rows_max
        self._told: dict[str, PersonTasks] = {}

    def set_tasks(self, told: PersonTasks) -> None:
        """Replace a person's open tasks."""
        self._told[told.person_id] = told

    def take(self, arrival: Arrival, answer: Answer) -> None:
        """Handle one scan; `answer` is called on the store lane once it is durable or refused."""
        if self._writer.store.last_seq >= self._journal_rows_max:
            text = f"the journal holds {self._journal_rows_max} rows: begin a new database"
            self.refuse(arrival, Code.STORE_FULL, text, answer)
            return
        if self._writer.is_full:
            text = f"{WORKS_WAITING_MAX} scans wait to be written: wait, then scan it again"
            self.refuse(arrival, Code.BUSY, text, answer)
            return
        self._writer.submit(_ScanWork(arrival, answer, self))

    def refuse(self, arrival: Arrival, code: Code, text: str, answer: Answer) -> None:
        """Answer a scan that was not handled: it may come again."""
        self.metrics.count("scans_refused", code)
        answer(feedback_to(arrival, ok=False, code=code, text=text, sound=Sound.BAD))

    def work_for(self, device_id: str, tx: Transaction) -> Work:
        """Return what a scan of this device is checked against inside `tx`."""
        person_id = self._person_of[device_id]
        told = self._told.get(person_id)
        return Work(
            person_id=person_id, tasks=told.tasks if told else (),
            handed_on=told.handed_on if told else (),
            done_units=tx.done_units, book_units=tx.book_units, details=tx,
        )  # fmt: skip


class _ScanWork:
    """One scan on its way through a transaction."""

    def __init__(self, arrival: Arrival, answer: Answer, intake: ScanIntake) -> None:
        self._arrival = arrival
        self._answer = answer
        self._intake = intake
        self._repeated = False
        self._feedback: ScanFeedback | None = None

    def apply(self, tx: Transaction) -> None:
        """Decide and write; a scan that was handled before changes nothing."""
        scan = self._arrival.scan
        last_seq = tx.last_scan(scan.device_id, scan.boot_epoch)
        if scan.seq <= last_seq:
            self._repeated = True
            self._feedback = tx.answer(scan.device_id, scan.boot_epoch, scan.seq)
            if self._feedback is None:
                text = f"scan {scan.seq} came after scan {last_seq}: scan it again"
                self._feedback = self._say(ok=False, code=Code.OUT_OF_ORDER, text=text)
            return
        session = tx.session(scan.device_id)
        work = self._intake.work_for(scan.device_id, tx)
        after, outcome = step(
            session, read_label(scan.text), self._arrival, self._intake.floor, work
        )
        self._feedback = self._say(
            ok=outcome.ok, code=outcome.code, text=outcome.text, sound=outcome.sound
        )
        first, *others = outcome.events or (None,)
        if first is not None and not tx.append(first):
            self._repeated = True
            self._feedback = self._say(
                ok=True, code=Code.BOOKED, text="this scan is in the journal already"
            )
        else:
            for event in others:
                tx.append(event)
            if after != session:
                tx.put_session(scan.device_id, after)
        tx.put_answer(self._feedback, last_seq)

    def committed(self, at_ns: int) -> None:
        """Answer: what was accepted is durable now."""
        assert self._feedback is not None
        metrics = self._intake.metrics
        if self._repeated:
            metrics.count("scans_repeated")
        elif self._feedback.ok:
            metrics.count("scans_accepted")
            waited_ns = at_ns - self._arrival.received_at_ns
            metrics.latency("scan_to_durable_ms", waited_ns / _NS_PER_MS)
        else:
            metrics.count("scans_refused", self._feedback.code)
        self._answer(self._feedback)

    def failed(self, reason: str) -> None:
        """Answer that nothing was written."""
        text = f"not written, scan it again: {reason}"
        self._intake.refuse(self._arrival, Code.STORE_FAILED, text, self._answer)

    @property
    def _say(self) -> Callable[..., ScanFeedback]:
        return partial(feedback_to, self._arrival)


def feedback_to(
    arrival: Arrival, *, ok: bool, code: Code, text: str, sound: Sound = Sound.BAD
) -> ScanFeedback:
    """Return the answer to one scan."""
    scan = arrival.scan
    return ScanFeedback(
        device_id=scan.device_id, boot_epoch=scan.boot_epoch, seq=scan.seq, ok=ok, code=code,
        text=text[:_TEXT_MAX], sound=sound,
    )  # fmt: skip
