"""A person who scans without end, by the rule of docs/protocol.md: again until it is answered."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

from runtime.bus import BusOptions, Incoming
from runtime.lanes import Timer
from runtime.runtime import Runtime
from tests.edge_world import MUG, SITE, article_label
from tests.faults.site import FIRST_SCANS
from wire.answers import Code
from wire.codec import decode, encode
from wire.messages import DeviceScan, ScanFeedback
from wire.topics import DEVICE_FEEDBACK, DEVICE_SCAN

UNITS_MAX: Final = 9
REPEAT_S: Final = 0.5
THINK_S_MAX: Final = 0.05


class Scanner:
    """A scanner over MQTT; `accepted` is what it was told is booked: event id to units.

    A scan without an answer, or one that could not be written, is said again under its number; one
    that was refused because the edge did not know its tasks yet is scanned again.
    """

    def __init__(
        self, runtime: Runtime, name: str, chance: Random, *, port: int = 1883,
        repeat_s: float = REPEAT_S, think_s_max: float = THINK_S_MAX,
    ) -> None:  # fmt: skip
        self.name = name
        self.accepted: dict[str, int] = {}
        self.codes: Counter[str] = Counter()
        self.rests = False
        """Whether no new scan is begun."""
        self.session_may_be_lost = False
        """Whether mode and bin are scanned anew where the edge does not know them any more."""
        self.is_waiting = False
        """Whether a scan has no answer yet."""
        self.wrong: list[str] = []
        """Answers that a scan should not get."""
        self._clock = runtime.clock
        self._chance = chance
        self._repeat_s = repeat_s
        self._think_s_max = think_s_max
        self._seq = self._step = self._units = 0
        self._repeat: Timer | None = None
        self._lane = runtime.lane(name)
        self._bus = runtime.bus(BusOptions(client_id=name, port=port))
        topic = DEVICE_FEEDBACK.of(site=SITE, device=name)
        self._bus.subscribe(topic, self._lane, self._hear)
        self._bus.start()
        self._lane.call_later(chance.random() * think_s_max, self._next)

    def _next(self) -> None:
        """Begin the next scan."""
        if self.rests:
            self._lane.call_later(self._think_s_max, self._next)
            return
        self._units = self._chance.randint(1, UNITS_MAX)
        self._begin()

    def _begin(self) -> None:
        self._seq += 1
        self._say()

    def _say(self) -> None:
        first = self._step < len(FIRST_SCANS)
        text = FIRST_SCANS[self._step] if first else article_label(MUG, self._units)
        scan = DeviceScan(
            device_id=self.name, boot_epoch=1, seq=self._seq, text=text,
            scanned_at_ns=max(self._clock.now_ns(), 0),
        )  # fmt: skip
        self._bus.publish(DEVICE_SCAN.of(site=SITE, device=self.name), encode(scan))
        self.is_waiting = True
        self._repeat = self._lane.call_later(self._repeat_s, self._say)

    def _hear(self, messages: list[Incoming]) -> None:
        for message in messages:
            answer = decode(message.payload, ScanFeedback)
            self.codes[answer.code] += 1
            if answer.seq == self._seq and self.is_waiting:
                self._take(answer)

    def _take(self, answer: ScanFeedback) -> None:
        assert self._repeat is not None
        self._repeat.cancel()
        wait_s = self._chance.random() * self._think_s_max
        if answer.code == Code.STORE_FAILED:
            self._repeat = self._lane.call_later(wait_s + 0.1, self._say)
            return
        self.is_waiting = False
        if answer.code == Code.BOOKED:
            self.accepted[f"{self.name}/1/{self._seq}"] = self._units
        if answer.ok:
            self._step += 1
            self._lane.call_later(wait_s, self._next)
            return
        if self.session_may_be_lost and answer.code in {Code.WRONG_MODE, Code.NO_BIN}:
            self._step = 0
        elif answer.code != Code.NO_TASK:
            self.wrong.append(f"{self.name}/{self._seq}: {answer.code}: {answer.text}")
        self.is_waiting = True
        self._repeat = self._lane.call_later(wait_s + 0.05, self._begin)
