"""Central's commands to an edge: write a movement, let a drone or camera look; each once.

A command is repeated as it was: same id, same nonce, same content; only its expiry moves on. What
comes under a known id with another nonce or content is somebody else's, and refused. What was
handled is written down with the movement that it asked for, so a restart forgets nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import structlog

from edge.counting.facts import append_facts
from edge.counting.store import Transaction
from edge.writer import Writer
from runtime.bus import Incoming
from runtime.clock import Clock
from runtime.metrics import Metrics
from wire.codec import WireError, decode
from wire.ids import bin_of
from wire.messages import EdgeCommand, FlyMission, LookAtBins, RecordMove

HANDLED_MAX: Final = 10_000
"""Commands that are remembered. Beyond, the expired ones are forgotten (their expiry refuses them);
where there is none a new command is refused, and central sends it again."""
_DIGEST_BYTES: Final = 16
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Handled:
    mark: str
    expires_at_ns: int


class Commands:
    """The commands of one edge, on the store lane. `fly` and `look` hand missions and rounds on."""

    def __init__(
        self,
        *,
        edge_id: str,
        bin_owner: Mapping[str, str],
        writer: Writer,
        clock: Clock,
        metrics: Metrics,
        fly: Callable[[FlyMission], None],
        look: Callable[[LookAtBins], None],
    ) -> None:
        self._edge_id = edge_id
        self._bin_owner = bin_owner
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._fly = fly
        self._look = look
        self._handled = {
            name: _Handled(mark, expires_at_ns)
            for name, mark, expires_at_ns in writer.store.commands()
        }
        self._forget_before_ns = 0
        """What expired before is forgotten in memory, and in the database with the next commit."""

    def handle(self, messages: list[Incoming]) -> None:
        """Do what is asked, unless it is too late or not for us."""
        for message in messages:
            try:
                command = decode(message.payload, cast("type[EdgeCommand]", EdgeCommand))
            except WireError as error:
                self._refuse("malformed", str(error))
                continue
            reason = self._why_not(command)
            if reason is not None:
                self._refuse(*reason)
            elif command.nonce:
                self._do(command)
            elif isinstance(command, RecordMove):  # of an older central: its ids are all there is
                self._writer.submit_facts([command.movement])
            else:
                self._send(command)

    def _why_not(self, command: EdgeCommand) -> tuple[str, str] | None:
        """Return code and text of why a command is refused, or None."""
        name, now_ns = command.command_id, self._clock.now_ns()
        if now_ns > command.expires_at_ns:
            return "expired", f"{name} came too late"
        known = self._handled.get(name)
        if known is not None and known.mark != _mark(command):
            return "command_reused", f"{name} came before with another nonce or content"
        if isinstance(command, RecordMove):
            for place in (command.movement.from_place, command.movement.to_place):
                bin_id = bin_of(place)
                if bin_id is not None and self._bin_owner.get(bin_id) != self._edge_id:
                    return "foreign_bin", f"{name}: {place} is not ours to write"
        if command.nonce and self._writer.is_full:
            return "busy", f"{name}: too much waits to be written; central sends it again"
        if command.nonce and known is None and not self._has_room(now_ns):
            return "full", (
                f"{name}: {HANDLED_MAX} commands that are not expired are remembered, at most;"
                " central sends it again"
            )
        return None

    def _has_room(self, now_ns: int) -> bool:
        if len(self._handled) >= HANDLED_MAX:
            self._handled = {
                key: known for key, known in self._handled.items() if known.expires_at_ns >= now_ns
            }
            self._forget_before_ns = now_ns
        return len(self._handled) < HANDLED_MAX

    def _do(self, command: EdgeCommand) -> None:
        if isinstance(command, RecordMove) and not self._writer.to_be_kept([command.movement]):
            return
        is_new = command.command_id not in self._handled
        self.remember(command)
        self._writer.submit(_Doing(self, command, is_new=is_new))

    # --- what is written -------------------------------------------------------------------------

    def write(self, tx: Transaction, command: EdgeCommand) -> None:
        """Write that a command is handled, and the movement that it asks for."""
        if self._forget_before_ns:
            tx.forget_commands(self._forget_before_ns)
        mission_id = "" if isinstance(command, RecordMove) else _mission_of(command)
        tx.put_command(
            command.command_id, _mark(command),
            mission_id=mission_id, expires_at_ns=command.expires_at_ns,
        )  # fmt: skip
        if isinstance(command, RecordMove):
            append_facts(tx, [command.movement])

    def written(self, command: EdgeCommand) -> None:
        """Go on with a command that is durable: a mission flies, unless it is over already."""
        self._forget_before_ns = 0
        self.remember(command)
        if isinstance(command, RecordMove):
            return
        if self._writer.store.mission_is_over(command.command_id):
            log.info("mission is over, its end is in the journal", mission=_mission_of(command))
        else:
            self._send(command)

    def _send(self, command: FlyMission | LookAtBins) -> None:
        if isinstance(command, FlyMission):
            self._fly(command)
        else:
            self._look(command)

    def remember(self, command: EdgeCommand) -> None:
        """Remember what must stay the same in repetitions."""
        known = self._handled.get(command.command_id)
        expires_at_ns = max(command.expires_at_ns, known.expires_at_ns if known else 0)
        self._handled[command.command_id] = _Handled(_mark(command), expires_at_ns)

    def forget(self, command: EdgeCommand) -> None:
        """Forget a command of which nothing was written; central sends it again."""
        self._handled.pop(command.command_id, None)

    def _refuse(self, code: str, text: str) -> None:
        self._metrics.count("commands_refused", code)
        log.warning("command refused", code=code, reason=text)


class _Doing:
    """One command on its way into the database."""

    def __init__(self, commands: Commands, command: EdgeCommand, *, is_new: bool) -> None:
        self._commands = commands
        self._command = command
        self._is_new = is_new

    def apply(self, tx: Transaction) -> None:
        """Write it in this transaction."""
        self._commands.write(tx, self._command)

    def committed(self, at_ns: int) -> None:  # noqa: ARG002 - part of the interface
        """Go on with it."""
        self._commands.written(self._command)

    def failed(self, reason: str) -> None:  # noqa: ARG002 - part of the interface
        """Let it come again."""
        if self._is_new:
            self._commands.forget(self._command)


def _mission_of(command: FlyMission | LookAtBins) -> str:
    """Return the id that its `MissionEnded` carries."""
    return command.mission_id if isinstance(command, FlyMission) else command.round_id


def _mark(command: EdgeCommand) -> str:
    """Return what stays the same in each repetition of a command."""
    lasting = msgspec.structs.replace(command, expires_at_ns=0)
    return hashlib.blake2b(msgspec.json.encode(lasting), digest_size=_DIGEST_BYTES).hexdigest()
