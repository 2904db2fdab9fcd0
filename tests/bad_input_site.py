"""A whole site in virtual time with somebody on its broker who publishes whatever it wants."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from runtime.bus import BusOptions, Incoming, topic_matches
from stockhelm.demo_site import SITE_ID, Shape
from tests.faulty_site import FaultySite
from wire import topics
from wire.vda5050 import messages as v
from wire.vda5050 import topics as vda

ROGUE: Final = "rogue"
OURSELVES: Final = (ROGUE, "listener")
VDA_KINDS: Final[dict[str, Any]] = {
    vda.ORDER: v.Order,
    vda.INSTANT_ACTIONS: v.InstantActions,
    vda.STATE: v.State,
    vda.VISUALIZATION: v.Visualization,
    vda.CONNECTION: v.Connection,
    vda.FACTSHEET: v.Factsheet,
}
HEARD_MAX: Final = 5
STRANGER: Final = "nobody-1"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """One subscription of the site, and what may stand on it."""

    client: str
    topic_filter: str
    kinds: tuple[Any, ...]


class BadInputSite(FaultySite):
    """Edges, central, desk and every simulated device of the demo, on one broker."""

    def __init__(self, directory: Path, seed: int = 3) -> None:
        shape = Shape(cameras=0, smart_cameras=1)
        super().__init__(directory, seed, (), shape=shape, has_desk=True)
        self._listens = False
        self.heard: dict[str, deque[bytes]] = {}
        """The last real messages of each topic."""
        self.rogue = self.runtime.bus(BusOptions(client_id=ROGUE))
        self.rogue.subscribe("#", self.runtime.lane(ROGUE), self._hear)
        self.rogue.start()

    def _hear(self, batch: list[Incoming]) -> None:
        for message in batch:
            if self._listens:
                kept = self.heard.setdefault(message.topic, deque(maxlen=HEARD_MAX))
                kept.append(message.payload)

    def warm_up(self, seconds: float) -> None:
        """Let the site work, and note what is said there."""
        self._listens = True
        self.runtime.run_for(seconds)
        self._listens = False

    def real(self, kinds: tuple[Any, ...]) -> list[Any]:
        """Return what was really said of these kinds, as plain JSON values."""
        return [
            msgspec.json.decode(payload)
            for topic, payloads in sorted(self.heard.items())
            if kinds_of(topic) == kinds
            for payload in payloads
        ]

    def subscriptions(self) -> list[Subscribed]:
        """Return every subscription that somebody has at the broker now."""
        return [
            Subscribed(client, topic_filter, kinds_of(topic_filter))
            for client, session in sorted(self.runtime.broker._sessions.items())
            for topic_filter in session.filters
            if client not in OURSELVES
        ]

    def topics_of(self, topic_filter: str) -> list[str]:
        """Return topics that match: those of devices that there are, and a stranger's."""
        if "+" not in topic_filter:
            return [topic_filter]
        known = {*self.heard, *(one.topic_filter for one in self.subscriptions())}
        known = {topic for topic in known if "+" not in topic}
        known |= {topic.replace("/v2/", "/v3/") for topic in known}  # a robot may speak either
        found = [topic for topic in sorted(known) if topic_matches(topic_filter, topic)]
        return [*found[:2], topic_filter.replace("+", STRANGER)]

    def say(self, topic: str, payloads: Iterable[bytes], pause_s: float = 0.0) -> None:
        """Publish; where anything but an answer comes of one, fail with a line that shows it."""
        for payload in payloads:
            try:
                self.rogue.publish(topic, payload)
                self.runtime.run_for(pause_s)
            except Exception as error:
                raise AssertionError(
                    f"{type(error).__name__}: {error}; on {topic!r} came {payload[:3_000]!r}"
                ) from error

    def process_of(self, client: str) -> str:
        """Return the name of the process that a client of the broker belongs to."""
        for process in self.plant.processes:
            if client.startswith(process.replace(" ", f"-{SITE_ID}-")):
                return process
        return "sim"

    def counted(self, *names: str) -> Counter[str]:
        """Return per process how often something was counted under these, whatever the label."""
        everybody = {**self.plant.metrics, "sim": self.sim_metrics}
        return Counter(
            {
                process: sum(
                    count
                    for key, count in metrics.snapshot().counters.items()
                    if key.partition("{")[0] in names
                )
                for process, metrics in everybody.items()
            }
        )


def kinds_of(topic_filter: str) -> tuple[Any, ...]:
    """Return the types of the messages that may come by a subscription."""
    for row in topics.TOPICS:
        if row.parts(topic_filter) is not None:
            return row.messages
    name = topic_filter.rpartition("/")[2]
    if topic_matches("+/+/+/+/+", topic_filter) and name in VDA_KINDS:
        return (VDA_KINDS[name],)
    pytest.fail(f"{topic_filter!r} is in no table: say here what comes by it")
