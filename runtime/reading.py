"""What a handler does with each message that came: read it, or refuse, count and go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import structlog

from runtime.bus import Incoming
from runtime.metrics import Metrics
from wire.codec import WireError, decode

T = TypeVar("T")
TOPIC_SHOWN_MAX = 200
REASON_SHOWN_MAX = 300
log = structlog.get_logger()


def readable(
    messages: Iterable[Incoming], kind: type[T], metrics: Metrics, label: str
) -> Iterator[tuple[Incoming, T]]:
    """Yield each message that is one of `kind`, with what came; the others are refused.

    The counter `wire_refused` gets `label`.
    """
    for incoming in messages:
        try:
            yield incoming, decode(incoming.payload, kind)
        except WireError as error:
            refuse(incoming.topic, str(error), metrics, label)


def refuse(topic: str, reason: str, metrics: Metrics, label: str) -> None:
    """Count and log a message that is not taken."""
    metrics.count("wire_refused", label)
    log.warning("message refused", topic=topic[:TOPIC_SHOWN_MAX], reason=reason[:REASON_SHOWN_MAX])
