"""The message bus: MQTT 3.1.1 semantics behind one small interface.

Delivery is at least once for QoS 1, in order per publisher, and a broker's acknowledgement says
nothing about durability: whoever needs to know asks the receiver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from runtime.lanes import Lane, WhenFull


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that arrived."""

    topic: str
    payload: bytes
    retained: bool
    received_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says in our name when we are gone without a word."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS to the broker; none of it: no TLS. Version 1.2 at least, its host name is checked."""

    ca: str = ""
    """Certificate of the CA that signed the broker's (`ca.crt`); empty: no TLS."""
    certificate: str = ""
    """Our own, where the broker wants one (`issued/NAME.crt`)."""
    key: str = ""
    """Its private key (`issued/NAME.key`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """How to reach the broker, and as whom."""

    client_id: str
    host: str = "127.0.0.1"
    port: int = 1883
    clean_session: bool = True
    keepalive_s: int = 20
    will: Will | None = None
    queued_messages_max: int = 5_000
    username: str = ""
    password: str = ""
    tls: TlsFiles | None = None


class Bus(Protocol):
    """One connection to the broker. It reconnects by itself, for ever, with a growing delay."""

    @property
    def connected(self) -> bool:
        """Return whether the broker is reached at this moment."""

    def subscribe(
        self,
        topic_filter: str,
        lane: Lane,
        handler: Callable[[list[Incoming]], None],
        *,
        qos: int = 1,
        size_max: int = 10_000,
        when_full: WhenFull = WhenFull.WAIT,
    ) -> None:
        """Call `handler` on `lane` with what matches; subscribed again after each reconnect."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        """Hand over a message; False where nothing was queued.

        That is where the outgoing queue is full, and at QoS 0 while the broker is not reached.
        """

    def on_connect(self, lane: Lane, call: Callable[[], None]) -> None:
        """Run `call` on `lane` after each (re)connect, once subscriptions are sent."""

    def start(self) -> None:
        """Connect in the background; never fails because the broker is absent."""

    def stop(self) -> None:
        """Send what is queued (for a bounded time), say goodbye, free everything."""

    def lose(self) -> None:
        """Lose the connection without a goodbye and stay away until `start`; QoS 1 waits."""


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Return whether `topic` matches `topic_filter`. Source: MQTT 3.1.1, section 4.7."""
    wants, has = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") != topic_filter.startswith("$"):
        return False
    for i, want in enumerate(wants):
        if want == "#":
            return True
        if i >= len(has) or (want not in {"+", has[i]}):
            return False
    return len(wants) == len(has)
