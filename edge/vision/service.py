"""Fixed cameras: a picture each period, what is read in it, and what of that is news."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from edge.config import CameraConfig, EdgeConfig
from edge.vision.core import News, Sighting
from edge.vision.decode import WAREHOUSE_FORMATS, Decoder, PictureError, open_picture
from edge.vision.reading import Reader
from edge.vision.rounds import CameraRounds
from runtime.clock import NS_PER_S
from runtime.lanes import Lane, Timer
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.messages import BinSighted, LookAtBins, SeenArticle
from wire.site import Site

RETRY_S_MAX: Final = 30.0
SETTLE_LOOKS: Final = 2
_NS_PER_MS: Final = 1_000_000
_NS_PER_US: Final = 1_000
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus:
    """How one camera does; `reason` says why it gives no picture."""

    camera_id: str
    online: bool
    reason: str
    boot_epoch: int
    """As in the ids of its events; 0 where it has never been heard of."""
    pictures: int = 0
    errors: int = 0


OnStatus = Callable[[CameraStatus], None]


class VisionService:
    """All fixed cameras of one edge agent. Everything happens on `lane`, what is told too.

    `on_status` hears of a camera's first picture, of the first one that fails, and of the end.

    Decoding a picture takes tens of milliseconds: `lane` is to be nobody's who is in a hurry.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: EdgeConfig,
        site: Site,
        lane: Lane,
        on_sightings: Callable[[list[BinSighted]], None],
        on_status: OnStatus = lambda _status: None,
        rounds: CameraRounds | None = None,
    ) -> None:
        self._cameras: list[_Camera] = []
        self._rounds = rounds
        if not config.cameras:
            return
        decoder = Decoder(formats=WAREHOUSE_FORMATS)
        log.info("cameras are read", by=decoder.note)
        reader = Reader(gln=config.gln, bins=site.edge_bins(config.edge_id), articles=site.articles)
        self._cameras = [
            _Camera(
                runtime, metrics, camera, lane, decoder, reader, on_sightings,
                on_status=on_status, rounds=rounds,
            )
            for camera in config.cameras
        ]  # fmt: skip

    def start(self) -> None:
        """Begin to take pictures."""
        for camera in self._cameras:
            camera.start()

    def stop(self) -> None:
        """Take no more pictures."""
        for camera in self._cameras:
            camera.stop()

    def look(self, command: LookAtBins) -> None:
        """Let a camera look at some bins now; one that sends its looks itself does so in time."""
        if self._rounds is None or not self._rounds.begin(command):
            return
        for camera in self._cameras:
            camera.look_now(command.camera_id)

    def status(self) -> list[CameraStatus]:
        """Return how each camera does; may be called on any lane."""
        return [camera.status() for camera in self._cameras]


class _Camera:
    """One camera: asks for a picture, reads it, waits, asks again; never gives up."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: CameraConfig,
        lane: Lane,
        decoder: Decoder,
        reader: Reader,
        tell: Callable[[list[BinSighted]], None],
        *,
        on_status: OnStatus,
        rounds: CameraRounds | None,
    ) -> None:
        self._rounds = rounds
        self._timer: Timer | None = None
        self._config = config
        self._clock = runtime.clock
        self._metrics = metrics
        self._lane = lane
        self._decoder = decoder
        self._reader = reader
        self._tell = tell
        self._on_status = on_status
        self._news = News(repeat_ns=round(config.repeat_s * NS_PER_S), settle_looks=SETTLE_LOOKS)
        self._source = runtime.frames.open(config.url, lane)
        self._boot_epoch = runtime.clock.now_ns() // _NS_PER_US
        self._seq = 0
        self._asked_at_ns = 0
        self._retry_s = config.period_s
        self._reason = "no picture yet"
        self._told_online: bool | None = None
        self._pictures = 0
        self._errors = 0
        self._stopped = True

    def start(self) -> None:
        """Ask for the first picture."""
        self._stopped = False
        self._ask()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        self._source.close()
        self._set("its edge agent ended")

    def look_now(self, camera_id: str) -> None:
        """Ask for the next picture at once, unless one is on its way; if this is the camera."""
        if camera_id == self._config.camera_id and self._timer is not None:
            self._timer.cancel()
            self._ask()

    def status(self) -> CameraStatus:
        """Return how the camera does."""
        return CameraStatus(
            camera_id=self._config.camera_id,
            online=not self._reason,
            reason=self._reason,
            boot_epoch=self._boot_epoch,
            pictures=self._pictures,
            errors=self._errors,
        )

    def _set(self, reason: str) -> None:
        """Keep why there is no picture (empty: there is), and tell where that is news."""
        self._reason = reason
        online = not reason
        if online is self._told_online:
            return
        self._told_online = online
        if online:
            log.info("camera reached", camera=self._config.camera_id)
        else:
            log.warning("camera gives no picture", camera=self._config.camera_id, reason=reason)
        self._on_status(self.status())

    def _ask(self) -> None:
        self._timer = None
        if self._stopped:
            return
        self._asked_at_ns = self._clock.monotonic_ns()
        if not self._source.request(self._on_picture, self._on_error):
            self._on_error("the picture before is still on its way")

    def _on_picture(self, data: bytes, at_ns: int) -> None:
        if self._stopped:
            return
        began_ns = self._clock.monotonic_ns()
        try:
            codes = self._decoder.decode(open_picture(data))
        except PictureError as error:
            self._on_error(str(error))
            return
        took_ns = self._clock.monotonic_ns() - began_ns
        self._metrics.latency("vision_decode_ms", took_ns / _NS_PER_MS)
        self._metrics.count("vision_pictures", self._config.camera_id)
        self._pictures += 1
        self._retry_s = self._config.period_s
        self._set("")
        look = self._reader.look(codes)
        for reason, count in look.ignored.items():
            self._metrics.count("vision_ignored", reason, count)
        if self._rounds is not None:
            self._rounds.looked(self._config.camera_id, look.sightings, at_ns)
        told = self._news.of(look.sightings, self._clock.monotonic_ns())
        if told:
            self._metrics.count("sightings", self._config.camera_id, len(told))
            self._tell([self._event(sighting, at_ns) for sighting in told])
        spent_s = (self._clock.monotonic_ns() - self._asked_at_ns) / NS_PER_S
        waits = self._rounds is not None and self._rounds.waits(self._config.camera_id)
        again_s = 0.0 if waits else max(0.0, self._config.period_s - spent_s)
        self._timer = self._lane.call_later(again_s, self._ask)

    def _on_error(self, reason: str) -> None:
        if self._stopped:
            return
        self._errors += 1
        self._metrics.count("vision_errors", self._config.camera_id)
        self._set(reason)
        if self._rounds is not None:
            self._rounds.failed(self._config.camera_id, reason)
        self._timer = self._lane.call_later(self._retry_s, self._ask)
        self._retry_s = min(2 * self._retry_s, max(RETRY_S_MAX, self._config.period_s))

    def _event(self, sighting: Sighting, at_ns: int) -> BinSighted:
        self._seq += 1
        return sighted(
            sighting,
            event_id=f"{self._config.camera_id}/{self._boot_epoch}/{self._seq}",
            device_id=self._config.camera_id,
            observed_at_ns=at_ns,
            received_at_ns=self._clock.now_ns(),
        )


def sighted(
    sighting: Sighting,
    *,
    event_id: str,
    device_id: str,
    observed_at_ns: int,
    received_at_ns: int,
    task_id: str = "",
) -> BinSighted:
    """Return the event that tells of a sighting."""
    return BinSighted(
        event_id=event_id,
        bin_id=sighting.bin_id,
        articles=tuple(SeenArticle(gtin=gtin, labels=labels) for gtin, labels in sighting.articles),
        device_id=device_id,
        observed_at_ns=observed_at_ns,
        received_at_ns=received_at_ns,
        task_id=task_id,
    )
