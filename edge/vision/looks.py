"""Cameras that decode by themselves: their looks come over MQTT, and what is news is told on.

Who gives no look for too long counts as gone: such a camera has no other sign of life.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from edge.config import EdgeConfig
from edge.vision.core import News, Sighting
from edge.vision.rounds import CameraRounds
from edge.vision.service import SETTLE_LOOKS, CameraStatus, OnStatus, sighted
from runtime.bus import Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.metrics import Metrics
from runtime.reading import readable
from wire.messages import BinLook, BinSighted, CameraLook
from wire.site import Site
from wire.topics import CAMERA_LOOK

NEVER: Final = (-1, 0)
WATCH_S: Final = 1.0
log = structlog.get_logger()


@dataclass(slots=True)
class _Heard:
    """When a camera was heard, and what was told of it."""

    silent_after_ns: int
    at_ns: int
    told_online: bool | None = None


class Looks:
    """The smart cameras of one edge agent. Everything happens on its vision lane."""

    def __init__(
        self,
        metrics: Metrics,
        config: EdgeConfig,
        site: Site,
        clock: Clock,
        on_sightings: Callable[[list[BinSighted]], None],
        on_status: OnStatus = lambda _status: None,
        rounds: CameraRounds | None = None,
    ) -> None:
        self._rounds = rounds
        self._metrics = metrics
        self._clock = clock
        self._tell = on_sightings
        self._on_status = on_status
        self._bins = site.edge_bins(config.edge_id)
        self._articles = site.articles
        self._last = {row.camera_id: NEVER for row in config.smart_cameras}
        self._news = {
            row.camera_id: News(repeat_ns=round(row.repeat_s * NS_PER_S), settle_looks=SETTLE_LOOKS)
            for row in config.smart_cameras
        }
        now_ns = clock.monotonic_ns()
        self._heard = {
            row.camera_id: _Heard(round(row.silent_after_s * NS_PER_S), now_ns)
            for row in config.smart_cameras
        }

    def watch(self) -> None:
        """Tell of each camera that is silent for too long; to be called every `WATCH_S`."""
        now_ns = self._clock.monotonic_ns()
        for camera, heard in self._heard.items():
            silent_ns = now_ns - heard.at_ns
            if silent_ns >= heard.silent_after_ns:
                self._set(camera, f"no look for {silent_ns // NS_PER_S} s")

    def stop(self) -> None:
        """Tell that nobody looks after these cameras any more."""
        for camera in self._heard:
            self._set(camera, "its edge agent ended")

    def handle(self, messages: list[Incoming]) -> None:
        """Tell what is news in these looks."""
        told: list[BinSighted] = []
        for message, look in readable(messages, CameraLook, self._metrics, "CameraLook"):
            if (CAMERA_LOOK.parts(message.topic) or {}).get("device") != look.device_id:
                self._metrics.count("vision_ignored", "foreign_camera")
                log.warning("a look on another camera's topic", topic=message.topic)
                continue
            told += self._sightings(look, message.received_at_ns)
        if told:
            self._tell(told)

    def _sightings(self, look: CameraLook, received_at_ns: int) -> list[BinSighted]:
        camera, number = look.device_id, (look.boot_epoch, look.seq)
        if camera not in self._last or number <= self._last[camera]:
            reason = "look_repeated" if camera in self._last else "foreign_camera"
            self._metrics.count("vision_ignored", reason)
            return []
        self._last[camera] = number
        self._heard[camera].at_ns = self._clock.monotonic_ns()
        self._set(camera, "")
        self._metrics.count("vision_looks", camera)
        seen = [self._sighting(one) for one in look.bins if one.bin_id in self._bins]
        if len(seen) < len(look.bins):
            self._metrics.count("vision_ignored", "foreign_bin", len(look.bins) - len(seen))
        if self._rounds is not None:
            self._rounds.looked(camera, seen, look.taken_at_ns)
        news = self._news[camera].of(seen, self._clock.monotonic_ns())
        if news:
            self._metrics.count("sightings", camera, len(news))
        return [
            sighted(
                sighting,
                event_id=f"{camera}/{look.boot_epoch}/{look.seq}/{sighting.bin_id}",
                device_id=camera,
                observed_at_ns=look.taken_at_ns,
                received_at_ns=received_at_ns,
            )
            for sighting in news
        ]

    def _set(self, camera: str, reason: str) -> None:
        """Tell that a camera is there (no reason) or gone, where that is news."""
        heard, online = self._heard[camera], not reason
        if online is heard.told_online:
            return
        heard.told_online = online
        if online:
            log.info("camera reached", camera=camera)
        else:
            log.warning("camera is silent", camera=camera, reason=reason)
        epoch = max(self._last[camera][0], 0)
        self._on_status(
            CameraStatus(camera_id=camera, online=online, reason=reason, boot_epoch=epoch)
        )

    def _sighting(self, look: BinLook) -> Sighting:
        """Return what stands in a bin, without articles that are none of ours."""
        known = {row.gtin: row.labels for row in look.articles if row.gtin in self._articles}
        if len(known) < len(look.articles):
            self._metrics.count("vision_ignored", "unknown_article")
        return Sighting(bin_id=look.bin_id, articles=tuple(sorted(known.items())))
