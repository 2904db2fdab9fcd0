"""Central's commands to an edge: write a movement, let a drone fly. Repeats change nothing.

A command is repeated as it was: same id, same nonce, same content; only its expiry moves on. What
comes under a known id with another nonce or content is somebody else's, and refused.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, cast

import msgspec
import structlog

from edge.writer import Writer
from runtime.bus import Incoming
from runtime.clock import Clock
from runtime.metrics import Metrics
from wire.codec import WireError, decode
from wire.ids import bin_of
from wire.messages import EdgeCommand, FlyMission, RecordMove

HANDLED_MAX: Final = 10_000
"""Commands that are remembered; beyond, the oldest is forgotten, and only its expiry speaks."""
_DIGEST_BYTES: Final = 16
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
        self._handled: OrderedDict[str, bytes] = OrderedDict()

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
            elif self._is_another(command):
                text = f"{command.command_id} came before with another nonce or content"
                self._refuse("command_reused", text)
            elif isinstance(command, FlyMission):
                self._remember(command)
                self._fly(command)
            else:
                self._record(command)

    def _is_another(self, command: EdgeCommand) -> bool:
        known = self._handled.get(command.command_id)
        return known is not None and known != _mark(command)

    def _remember(self, command: EdgeCommand) -> None:
        if not command.nonce:
            return  # of an older central: its ids are all that there is
        self._handled[command.command_id] = _mark(command)
        self._handled.move_to_end(command.command_id)
        if len(self._handled) > HANDLED_MAX:
            self._handled.popitem(last=False)

    def _record(self, command: RecordMove) -> None:
        movement = command.movement
        for place in (movement.from_place, movement.to_place):
            bin_id = bin_of(place)
            if bin_id is not None and self._bin_owner.get(bin_id) != self._edge_id:
                self._refuse("foreign_bin", f"{command.command_id}: {place} is not ours to write")
                return
        self._remember(command)
        self._writer.submit_facts([movement])

    def _refuse(self, code: str, text: str) -> None:
        self._metrics.count("commands_refused", code)
        log.warning("command refused", code=code, reason=text)


def _mark(command: EdgeCommand) -> bytes:
    """Return what stays the same in each repetition of a command."""
    lasting = msgspec.structs.replace(command, expires_at_ns=0)
    return hashlib.blake2b(msgspec.json.encode(lasting), digest_size=_DIGEST_BYTES).digest()
