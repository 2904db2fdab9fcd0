"""A fixed camera over some bins: its picture shows the physical truth as printed labels."""

from __future__ import annotations

from runtime.lanes import Lane
from runtime.runtime import Runtime
from sim_hardware.config import SimCamera
from sim_hardware.devices.lens import Lens, Optics
from sim_hardware.devices.picture import BINS_MAX, bin_front
from sim_hardware.devices.view import WorldView


class FixedCamera:
    """Serves a JPEG of its bins at its address. Reads the world on `lane`."""

    def __init__(
        self,
        runtime: Runtime,
        lane: Lane,
        view: WorldView,
        config: SimCamera,
        gln: str,
        optics: Optics | None = None,
    ) -> None:
        unknown = [bin_id for bin_id in config.bins if bin_id not in view.bins]
        if unknown or len(config.bins) > BINS_MAX:
            raise ValueError(
                f"camera {config.camera_id}: expected at most {BINS_MAX} bins of the site, "
                f"got {len(config.bins)}, unknown: {', '.join(unknown) or 'none'}"
            )
        self._runtime = runtime
        self._lane = lane
        self._view = view
        self._config = config
        self._gln = gln
        self.lens = Lens(runtime.random(f"camera {config.camera_id}"), optics)
        self._dark = True
        self.pictures = 0

    def start(self) -> None:
        """Begin to serve pictures."""
        self._dark = False
        self._runtime.frames.serve(self._config.url, self._lane, self.picture)

    def stop(self) -> None:
        """Go dark: whoever asks for a picture is told so."""
        self._dark = True

    def power_off(self) -> None:
        """Go dark."""
        self._dark = True

    def power_on(self) -> None:
        """Give pictures again."""
        self._dark = False

    def picture(self) -> bytes:
        """Return a JPEG of what stands in the bins now; empty while the camera is dark."""
        if self._dark:
            return b""
        self.pictures += 1
        fronts = tuple(bin_front(self._view, bin_id, self._gln) for bin_id in self._config.bins)
        return self.lens.photograph(fronts)
