"""Scans of devices that no edge takes: one edge of the site refuses them, after a moment.

Every edge keeps a retained list of the MQTT devices it takes (`EdgeDevices`), sent before it
subscribes to their scans. The first edge of the site by name hears all scans. It refuses one only
where every edge of the site has told its list and none has the device, then as now: so it never
refuses what another edge accepts. Where a list is missing it stays silent, and counts that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.lanes import Lane
from runtime.metrics import Metrics
from wire.answers import Code, Sound
from wire.codec import WireError, decode, encode
from wire.ids import IdError, parse_name
from wire.messages import DeviceScan, EdgeDevices, ScanFeedback
from wire.site import Site
from wire.topics import DEVICE_FEEDBACK, EDGE_DEVICES

WAIT_S: Final = 1.0
"""How long a list that is on its way may take."""
WAITING_MAX: Final = 100
"""Scans of strangers under way, so also answers per WAIT_S; more get none."""
EDGES_MAX: Final = 1_000
"""Lists kept; with more of them nobody is refused."""
NAMED_MAX: Final = 1_000
"""Strangers named in the log, once each."""
log = structlog.get_logger()


def answering_edge(site: Site) -> str:
    """Return the edge that answers for devices that nobody knows."""
    return min(row.edge_id for row in site.bins.values())


class Strangers:
    """The strangers of a site, on the store lane of its answering edge."""

    def __init__(
        self, *, site_id: str, edges: Iterable[str], bus: Bus, lane: Lane, metrics: Metrics
    ) -> None:
        self._site_id = site_id
        self._edges = frozenset(edges)
        self._bus = bus
        self._lane = lane
        self._metrics = metrics
        self._devices: dict[str, frozenset[str]] = {}
        self._waiting = 0
        self._named: set[str] = set()

    def told(self, messages: list[Incoming]) -> None:
        """Keep what edges say of their devices."""
        for message in messages:
            edge_id = (EDGE_DEVICES.parts(message.topic) or {}).get("edge", "")
            if not message.payload:
                self._devices.pop(edge_id, None)  # an edge that is gone for good
                continue
            try:
                told = decode(message.payload, EdgeDevices)
            except WireError as error:
                self._devices.pop(edge_id, None)
                self._metrics.count("wire_refused", "edge-devices")
                log.warning("devices refused", topic=message.topic, reason=str(error))
                continue
            if len(self._devices) < EDGES_MAX or edge_id in self._devices:
                self._devices[edge_id] = frozenset(told.devices)

    def take(self, device_id: str, message: Incoming) -> None:
        """Answer this scan in a moment, if nobody has said by then that it takes this device."""
        if self._is_known(device_id):
            return
        if self._waiting >= WAITING_MAX:
            self._metrics.count("scans_unanswered", "too_many_strangers")
            return
        self._waiting += 1
        self._lane.call_later(WAIT_S, partial(self._decide, device_id, message.payload))

    def _decide(self, device_id: str, payload: bytes) -> None:
        self._waiting -= 1
        if self._is_known(device_id):
            return
        missing = self._edges - self._devices.keys()
        if missing or len(self._devices) >= EDGES_MAX:
            self._metrics.count("scans_unanswered", Code.UNKNOWN_DEVICE)
            self._name(device_id, f"edges that did not tell their devices: {sorted(missing)}")
            return
        self._metrics.count("scans_refused", Code.UNKNOWN_DEVICE)
        text = (
            f"no edge of site {self._site_id} takes scans of {device_id[:40]} over MQTT: add it to"
            " [[scanners]], without a path, in the configuration of the edge where it works"
        )
        self._name(device_id, text)
        try:
            parse_name(device_id, "device")
        except IdError:
            return  # a name that no device can have: nobody would hear the answer
        self._bus.publish(
            DEVICE_FEEDBACK.of(site=self._site_id, device=device_id),
            encode(_refusal(device_id, payload, text)),
        )

    def _is_known(self, device_id: str) -> bool:
        return any(device_id in devices for devices in self._devices.values())

    def _name(self, device_id: str, text: str) -> None:
        if device_id not in self._named and len(self._named) < NAMED_MAX:
            self._named.add(device_id)
            log.warning("scan of an unknown device", device=device_id[:40], reason=text)


def _refusal(device_id: str, payload: bytes, text: str) -> ScanFeedback:
    """Return the refusal, with the scan's numbers where it has them."""
    epoch, seq = 0, 0
    try:
        scan = decode(payload, DeviceScan)
    except WireError:
        pass
    else:
        epoch, seq = scan.boot_epoch, scan.seq
    return ScanFeedback(
        device_id=device_id, boot_epoch=epoch, seq=seq, ok=False, code=Code.UNKNOWN_DEVICE,
        text=text, sound=Sound.BAD,
    )  # fmt: skip
