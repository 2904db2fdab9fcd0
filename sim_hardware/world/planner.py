"""The planner at the desk: looks at what waits, thinks, and approves or rejects it.

They decide over the same message as the desk does. What waits they are told by whoever runs the
simulation, since only the product's books know it. Asleep they decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.seeds import Random
from sim_hardware.config import SimPlanner
from sim_hardware.world.schedule import WorldCall, WorldTime
from wire import topics
from wire.codec import WireError, decode, encode
from wire.messages import DecideProposal, DecisionResult

LOOK_S: Final = 2.0
"""Seconds of the product's clock between two looks at the list."""
REPEAT_S: Final = 4.0
SAYS_MAX: Final = 10
"""A decision that nobody answers is said so often."""
PENDING_MAX: Final = 10_000
Waiting = Callable[[], list[str]]
"""Returns the ids of the proposals that wait for a decision, oldest first."""
log = structlog.get_logger()


@dataclass(slots=True)
class _Decision:
    """What the planner thinks of a proposal, and how often it was said."""

    approve: bool
    command_id: str = ""
    said: int = 0
    next: WorldCall | None = None


class Planner:
    """One person at the desk. Lives on the floor's lane; their time stands still with the world."""

    def __init__(
        self,
        time: WorldTime,
        bus: Bus,
        lane: Lane,
        *,
        site_id: str,
        config: SimPlanner,
        waiting: Waiting,
        rng: Random,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.approved = 0
        self.rejected = 0
        self.asleep = config.asleep
        self.reject_share = config.reject_share
        self._time = time
        self._bus = bus
        self._config = config
        self._waiting = waiting
        self._rng = rng
        self._metrics = metrics
        self._topic = topics.DESK_COMMAND.of(site=site_id)
        self._pending: dict[str, _Decision] = {}
        self._commands: dict[str, str] = {}
        self._decided = 0
        # Central keeps answers for ever: ids of an earlier run must not come again.
        self._prefix = f"{config.person_id[:16]}-{clock.now_ns() // NS_PER_S:x}"
        bus.subscribe(topics.DESK_RESULT.of(site=site_id), lane, self._handle_results)

    def start(self) -> None:
        """Sit down and look."""
        self._time.after_real(LOOK_S, self._look)

    def sleep(self) -> None:
        """Fall asleep: nothing is decided any more, not even what was thought through."""
        self.asleep = True
        for proposal_id in list(self._pending):
            self._forget(proposal_id)

    def wake(self) -> None:
        """Wake up and go on."""
        self.asleep = False

    def _look(self) -> None:
        self._time.after_real(LOOK_S, self._look)
        if self.asleep:
            return
        waiting = self._waiting()
        for gone in sorted(self._pending.keys() - set(waiting)):
            self._forget(gone)
        for proposal_id in waiting:
            if proposal_id not in self._pending and len(self._pending) < PENDING_MAX:
                decision = _Decision(approve=self._rng.random() >= self.reject_share)
                self._pending[proposal_id] = decision
                think_s = self._config.delay_s * 2.0 * self._rng.random()
                self._say_later(think_s, proposal_id, decision)

    def _say_later(self, delay_s: float, proposal_id: str, decision: _Decision) -> None:
        decision.next = self._time.after_real(delay_s, lambda: self._say(proposal_id, decision))

    def _say(self, proposal_id: str, decision: _Decision) -> None:
        """Say a decision, again and again until it is answered, for a limited time."""
        if decision.said >= SAYS_MAX:
            self._metrics.count("decisions_given_up")
            log.warning("central never answered a decision", proposal=proposal_id)
            self._forget(proposal_id)
            return
        if not decision.command_id:
            self._decided += 1
            decision.command_id = f"{self._prefix}-{self._decided}"
            self._commands[decision.command_id] = proposal_id
        decision.said += 1
        command = DecideProposal(
            command_id=decision.command_id, proposal_id=proposal_id, approve=decision.approve,
            person_id=self._config.person_id,
            reason="looks right" if decision.approve else "not now",
        )  # fmt: skip
        self._bus.publish(self._topic, encode(command))
        self._say_later(REPEAT_S, proposal_id, decision)

    def _handle_results(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            try:
                result = decode(incoming.payload, DecisionResult)
            except WireError as error:
                self._metrics.count("wire_refused", "DecisionResult")
                log.warning("a decision's answer was refused", error=str(error))
                continue
            proposal_id = self._commands.get(result.command_id, "")
            decision = self._pending.get(proposal_id)
            if decision is None:
                continue
            if result.ok:
                self.approved += decision.approve
                self.rejected += not decision.approve
            self._forget(proposal_id)

    def _forget(self, proposal_id: str) -> None:
        decision = self._pending.pop(proposal_id)
        if decision.next is not None:
            decision.next.cancel()
        self._commands.pop(decision.command_id, None)
