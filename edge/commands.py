"""Central's commands to an edge: write a movement, let a drone fly. Repeats change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import structlog

from edge.writer import Writer
from runtime.bus import Incoming
from runtime.clock import Clock
from runtime.metrics import Metrics
from wire.codec import WireError, decode
from wire.ids import bin_of
from wire.messages import EdgeCommand, FlyMission, RecordMove

log = structlog.get_logger()


class Commands:
    """The commands of one edge, on the store lane. `fly` hands a mission to whoever flies."""

    def __init__(
        self,
        *,
        edge_id: str,
        bin_owner: Mapping[str, str],
        writer: Writer,
        clock: Clock,
        metrics: Metrics,
        fly: Callable[[FlyMission], None],
    ) -> None:
        self._edge_id = edge_id
        self._bin_owner = bin_owner
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._fly = fly

    def handle(self, messages: list[Incoming]) -> None:
        """Do what is asked, unless it is too late or not for us."""
        for message in messages:
            try:
                command = decode(message.payload, cast("type[EdgeCommand]", EdgeCommand))
            except WireError as error:
                self._refuse("malformed", str(error))
                continue
            if self._clock.now_ns() > command.expires_at_ns:
                self._refuse("expired", f"{command.command_id} came too late")
            elif isinstance(command, FlyMission):
                self._fly(command)
            else:
                self._record(command)

    def _record(self, command: RecordMove) -> None:
        movement = command.movement
        for place in (movement.from_place, movement.to_place):
            bin_id = bin_of(place)
            if bin_id is not None and self._bin_owner.get(bin_id) != self._edge_id:
                self._refuse("foreign_bin", f"{command.command_id}: {place} is not ours to write")
                return
        self._writer.submit_facts([movement])

    def _refuse(self, code: str, text: str) -> None:
        self._metrics.count("commands_refused", code)
        log.warning("command refused", code=code, reason=text)
