"""A camera that decodes by itself: it says over MQTT which labels it sees, for big simulations."""

from __future__ import annotations

from collections import Counter
from typing import Final

from runtime.lanes import Lane, Timer
from runtime.runtime import Runtime
from sim_hardware.config import SimCamera, SimConfig
from sim_hardware.devices.device_clock import DeviceClock
from sim_hardware.devices.uplink import Uplink
from sim_hardware.devices.view import WorldView, cartons_in_view
from wire import topics
from wire.codec import encode
from wire.messages import BINS_PER_LOOK_MAX, BinLook, CameraLook, SeenArticle

NS_PER_US: Final = 1_000


class SmartCamera:
    """Looks at its bins once in a period. Reads the world on `lane`."""

    def __init__(
        self, runtime: Runtime, lane: Lane, view: WorldView, config: SimConfig, own: SimCamera
    ) -> None:
        unknown = [bin_id for bin_id in own.bins if bin_id not in view.bins]
        if unknown or len(own.bins) > BINS_PER_LOOK_MAX:
            raise ValueError(
                f"camera {own.camera_id}: expected at most {BINS_PER_LOOK_MAX} bins of the site, "
                f"got {len(own.bins)}, unknown: {', '.join(unknown) or 'none'}"
            )
        self.miss_share = own.miss_share
        """Share of the labels in view that one look misses; may be set at any time."""
        self.looks = 0
        self.clock = DeviceClock(runtime.clock)
        self.uplink = Uplink(
            runtime,
            lane,
            config.broker.options(own.camera_id, f"{config.site_id}-{own.camera_id}"),
        )
        self._lane = lane
        self._view = view
        self._own = own
        self._rng = runtime.random(f"camera {own.camera_id}")
        self._topic = topics.CAMERA_LOOK.of(site=config.site_id, device=own.camera_id)
        self._epoch = self.clock.now_ns() // NS_PER_US
        self._seq = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Join the network; begin to look."""
        self.uplink.start()
        self.power_on()

    def stop(self) -> None:
        """Look no more."""
        self.power_off()
        self.uplink.stop()

    def power_off(self) -> None:
        """Go dark."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def power_on(self) -> None:
        """Look again; looks are numbered anew."""
        if self._timer is None:
            self._epoch, self._seq = max(self._epoch + 1, self.clock.now_ns() // NS_PER_US), 0
            self._timer = self._lane.call_every(self._own.period_s, self._look)

    def _look(self) -> None:
        self._seq += 1
        self.looks += 1
        seen = (self._see(bin_id) for bin_id in self._own.bins)
        look = CameraLook(
            device_id=self._own.camera_id, boot_epoch=self._epoch, seq=self._seq,
            bins=tuple(found for found in seen if found is not None),
            taken_at_ns=self.clock.now_ns(),
        )  # fmt: skip
        self.uplink.publish(self._topic, encode(look))

    def _see(self, bin_id: str) -> BinLook | None:
        """Return what is decoded of a bin; None where its own label is not."""
        if self._misses() or not self._view.is_readable(bin_id):
            return None
        cartons = Counter(g for g in cartons_in_view(self._view, bin_id) if not self._misses())
        return BinLook(
            bin_id=self._view.label_of(bin_id),
            articles=tuple(
                SeenArticle(gtin=gtin, labels=labels) for gtin, labels in sorted(cartons.items())
            ),
        )

    def _misses(self) -> bool:
        return self.miss_share > 0.0 and self._rng.random() < self.miss_share
