"""A planner's word on its way: published to central, answered within a bounded time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from runtime.bus import Bus, Incoming
from runtime.clock import NS_PER_S, Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics
from runtime.reading import readable
from wire import topics
from wire.codec import encode
from wire.messages import (
    AdjustResult,
    AdjustStock,
    DecideProposal,
    DecisionResult,
    PinResult,
    PinTask,
    StopZone,
    StopZoneResult,
)
from wire.topics import Topic

ANSWER_S_MAX: Final = 5.0
ADJUST_LIFE_S: Final = 30.0
"""Central does not take an adjustment that comes later: the bin may hold something else by then."""
WAITING_MAX: Final = 200
log = structlog.get_logger()


class DecisionUnansweredError(Exception):
    """Nobody answered; the text says who is missing and what to do."""


class Decisions:
    """Sends decisions and gives each asker central's answer. `decide` runs on the server's loop."""

    def __init__(
        self,
        lane: Lane,
        clock: Clock,
        metrics: Metrics,
        *,
        bus: Bus,
        site_id: str,
        post: Callable[[Callable[[], None]], bool],
    ) -> None:
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._bus = bus
        self._site_id = site_id
        self._post = post
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        # Central answers a repeated command id with its first answer: no two starts share one.
        self._epoch = clock.now_ns()
        self._asked = 0

    def listen(self) -> None:
        """Subscribe to central's answers."""
        for topic, came in (
            (topics.DESK_RESULT, self._answers_came),
            (topics.DESK_ADJUSTED, self._adjusted),
            (topics.DESK_ZONED, self._zoned),
            (topics.DESK_PINNED, self._pinned),
        ):
            self._bus.subscribe(topic.of(site=self._site_id), self._lane, came)

    async def decide(
        self, proposal_id: str, *, approve: bool, units: int, reason: str, person_id: str
    ) -> DecisionResult:
        """Return central's answer. Raises DecisionUnansweredError where none comes in time."""
        command = DecideProposal(
            command_id=self._next_id(),
            proposal_id=proposal_id,
            approve=approve,
            person_id=person_id,
            reason=reason,
            units=units,
        )
        result: DecisionResult = await self._ask(
            topics.DESK_COMMAND,
            command,
            "The decision is with the broker and may still be taken; look at the proposal's status"
            " before deciding again",
        )
        self._metrics.count("desk_decisions", "taken" if result.ok else "refused")
        return result

    async def adjust(
        self,
        bin_id: str,
        *,
        gtin: str,
        units: int,
        is_difference: bool,
        reason: str,
        person_id: str,
        lot: str,
        quarantine: bool = False,
    ) -> AdjustResult:
        """Return central's answer. Raises DecisionUnansweredError where none comes in time."""
        command = AdjustStock(
            command_id=self._next_id(),
            bin_id=bin_id,
            gtin=gtin,
            units=units,
            is_difference=is_difference,
            reason=reason,
            person_id=person_id,
            lot=lot,
            quarantine=quarantine,
            expires_at_ns=self._clock.now_ns() + round(ADJUST_LIFE_S * NS_PER_S),
        )
        result: AdjustResult = await self._ask(
            topics.DESK_ADJUST,
            command,
            f"The adjustment is with the broker, where central takes it for {ADJUST_LIFE_S:.0f} s;"
            " look at the history of the bin before asking again",
        )
        self._metrics.count("desk_adjustments", "taken" if result.ok else "refused")
        return result

    async def zone(
        self,
        person_id: str,
        *,
        lifts: str = "",
        nodes: Sequence[str] = (),
        box_m: Sequence[float] = (),
        reason: str = "",
        lasts_s: float = 0.0,
    ) -> StopZoneResult:
        """Return central's answer. Raises DecisionUnansweredError where none comes in time."""
        command = StopZone(
            command_id=self._next_id(),
            person_id=person_id,
            lifts=lifts,
            nodes=tuple(nodes),
            box_m=tuple(box_m),
            reason=reason,
            lasts_s=lasts_s,
            expires_at_ns=self._clock.now_ns() + round(ADJUST_LIFE_S * NS_PER_S),
        )
        result: StopZoneResult = await self._ask(
            topics.DESK_ZONE,
            command,
            f"What was asked is with the broker, where central takes it for {ADJUST_LIFE_S:.0f} s:"
            " nobody may rely on it; look at the zones before asking again",
        )
        self._metrics.count("desk_zones", "taken" if result.ok else "refused")
        return result

    async def pin(self, task_id: str, *, robot_id: str, reason: str, person_id: str) -> PinResult:
        """Return central's answer. Raises DecisionUnansweredError where none comes in time."""
        command = PinTask(
            command_id=self._next_id(),
            task_id=task_id,
            robot_id=robot_id,
            reason=reason,
            person_id=person_id,
        )
        result: PinResult = await self._ask(
            topics.DESK_PIN,
            command,
            "The pin is with the broker and may still be taken; look at the task before asking"
            " again",
        )
        self._metrics.count("desk_pins", "taken" if result.ok else "refused")
        return result

    def _next_id(self) -> str:
        self._asked += 1
        return f"desk-{self._epoch:x}-{self._asked}"

    async def _ask(
        self, topic: Topic, command: DecideProposal | AdjustStock | StopZone | PinTask, then: str
    ) -> Any:
        """Return the message that answers `command`; `then`: what to do where none comes."""
        if not self._bus.connected:
            raise DecisionUnansweredError(
                "the message broker is not reached, so nothing was sent: start it and try again"
            )
        if len(self._waiting) >= WAITING_MAX:
            raise DecisionUnansweredError(
                f"{WAITING_MAX} decisions wait for central's answer, so this one was not sent:"
                " try again when they are through"
            )
        answer = asyncio.get_running_loop().create_future()
        self._waiting[command.command_id] = answer
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                if not self._bus.publish(topic.of(site=self._site_id), encode(command)):
                    raise DecisionUnansweredError(
                        "the outgoing queue is full, so nothing was sent: try again"
                    )
                return await answer
        except TimeoutError:
            self._metrics.count("desk_decisions_unanswered")
            raise DecisionUnansweredError(
                f"central did not answer within {ANSWER_S_MAX:.0f} s: is it running? {then}"
            ) from None
        finally:
            del self._waiting[command.command_id]

    def give_up(self) -> None:
        """Tell everybody who waits that the desk ends. Any thread may call."""

        def tell() -> None:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(
                        DecisionUnansweredError(
                            "the desk ends: what was asked is with the broker and may still be"
                            " taken; look at the proposal or the bin before asking again"
                        )
                    )

        self._post(tell)

    def _answers_came(self, batch: list[Incoming]) -> None:
        for _, result in readable(batch, DecisionResult, self._metrics, "decision"):
            self._post(functools.partial(self._resolve, result))

    def _adjusted(self, batch: list[Incoming]) -> None:
        for _, result in readable(batch, AdjustResult, self._metrics, "adjustment"):
            self._post(functools.partial(self._resolve, result))

    def _zoned(self, batch: list[Incoming]) -> None:
        for _, result in readable(batch, StopZoneResult, self._metrics, "stop zone"):
            self._post(functools.partial(self._resolve, result))

    def _pinned(self, batch: list[Incoming]) -> None:
        for _, result in readable(batch, PinResult, self._metrics, "pin"):
            self._post(functools.partial(self._resolve, result))

    def _resolve(self, result: DecisionResult | AdjustResult | StopZoneResult | PinResult) -> None:
        answer = self._waiting.get(result.command_id)
        if answer is not None and not answer.done():
            answer.set_result(result)
