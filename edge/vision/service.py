"""Fixed cameras: a picture each period, what is read in it, and what of that is news."""

from __future__ import annotations

from collections.abc import Callable

from edge.config import EdgeConfig
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.messages import BinSighted
from wire.site import Site


class VisionService:
    """All fixed cameras of one edge agent. `on_sightings` is called on `lane`."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: EdgeConfig,
        site: Site,
        lane: Lane,
        on_sightings: Callable[[list[BinSighted]], None],
    ) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._config = config
        self._site = site
        self._lane = lane
        self._on_sightings = on_sightings

    def start(self) -> None:
        """Begin to take pictures."""

    def stop(self) -> None:
        """Take no more pictures."""
