"""Drone missions: one at a time per drone, each started once, its result told again when asked again."""

from __future__ import annotations

from collections.abc import Callable

from edge.config import EdgeConfig
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from wire.messages import FlyMission, StockEvent
from wire.site import Site


class MissionService:
    """All drones of one edge agent. `on_events` is called on `lane`, as is everything else."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: EdgeConfig,
        site: Site,
        lane: Lane,
        on_events: Callable[[list[StockEvent]], None],
    ) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._config = config
        self._site = site
        self._lane = lane
        self._on_events = on_events

    def start(self) -> None:
        """Open the radios."""

    def stop(self) -> None:
        """Bring drones home and close the radios."""

    def fly(self, command: FlyMission) -> None:
        """Fly a mission, unless it was asked for before. Call on `lane`."""
