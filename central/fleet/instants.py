"""Instant actions of one vehicle: said again in the same bytes until it answers, with an end. Pure.

An answer is a state that shows the action as FINISHED or FAILED, or that shows its effect: some
vehicles do what they are told and never say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from runtime.clock import NS_PER_S
from wire.vda5050.messages import ActionState, State

CANCEL: Final = "cancelOrder"
PAUSE: Final = "startPause"
RESUME: Final = "stopPause"
RETRY: Final = "retry"
SKIP: Final = "skipRetry"
STATE_REQUEST: Final = "stateRequest"
ANSWERED: Final = frozenset({CANCEL, PAUSE, RESUME, RETRY, SKIP})
"""Only these change what a vehicle does: they are followed to their end."""
TYPES: Final = ANSWERED | {STATE_REQUEST, "factsheetRequest"}
WAITING_MAX: Final = 16
"""More are not said to one vehicle before it answered the first ones."""
BACK_OFF_MAX: Final = 4
DONE_AGAIN_S: Final = 2.0
"""What a vehicle says it has done, and did not, is not said again sooner."""
OPPOSITE: Final = {PAUSE: RESUME, RESUME: PAUSE}
_ENDED: Final = frozenset({"FINISHED", "FAILED"})


def wait_s(first_s: float, sends: int) -> float:
    """Return how long to wait for an answer to what was sent so often: 1, 1, 2, 2, 4, 4 ..."""
    return first_s * min(1 << (max(0, sends - 1) // 2), BACK_OFF_MAX)


@dataclass(slots=True)
class Instant:
    """One instant action on its way."""

    kind: str
    number: int
    """Header id of its message."""
    about: str = ""
    """The id of the action that it is about; empty: of none."""
    payloads: tuple[tuple[str, bytes], ...] = ()
    """What was sent, with the topic's version of each; empty: it was not sent yet."""
    sends: int = 0
    sent_at_ns: int = 0

    def action_id(self, serial: str) -> str:
        """Return its id: unique as its number is."""
        return f"{self.kind}.{serial}.{self.number}"


@dataclass(slots=True)
class Instants:
    """What was said to one vehicle and is not answered yet."""

    waiting: list[Instant] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """When a kind of action failed last, or was given up; monotonic."""
    done: dict[str, int] = field(default_factory=dict)
    """When a kind of action was finished last; monotonic."""

    def add(self, kind: str, number: int, about: str = "") -> bool:
        """Take an action to be said; False where one of its kind waits, or too many do."""
        if len(self.waiting) >= WAITING_MAX or self.has(kind):
            return False
        self.waiting.append(Instant(kind=kind, number=number, about=about))
        return True

    def has(self, kind: str) -> bool:
        """Return whether an action of this kind is not answered yet."""
        return any(one.kind == kind for one in self.waiting)

    def drop(self, kind: str) -> None:
        """Say an action of this kind no more where it was said already."""
        if self.has(kind):  # it may be done all the same: its opposite is said at once
            self.done.clear()
        self.waiting = [one for one in self.waiting if one.kind != kind or not one.sends]

    def unsent(self) -> Iterator[Instant]:
        """Yield what is to be said for the first time."""
        return (one for one in self.waiting if not one.sends)

    def sent(self, instant: Instant, now_ns: int) -> None:
        """Note that it was said; what needs no answer is over by that."""
        instant.sends += 1
        instant.sent_at_ns = now_ns
        if instant.kind not in ANSWERED:
            self.waiting.remove(instant)

    def answered(self, state: State, serial: str, now_ns: int) -> list[tuple[Instant, str]]:
        """Return what `state` answers, with how it ended; it waits no longer."""
        found = []
        for one in [one for one in self.waiting if one.sends]:
            ended = _ended(state, one, serial)
            if ended:
                self.waiting.remove(one)
                found.append((one, ended))
                if ended == "FAILED":
                    self.refused[one.kind] = now_ns
                    continue
                self.done[one.kind] = now_ns
                if one.kind in OPPOSITE:
                    self.done.pop(OPPOSITE[one.kind], None)
        return found

    def due(self, now_ns: int, first_s: float) -> list[Instant]:
        """Return what is to be said again now."""
        return [
            one
            for one in self.waiting
            if one.sends and now_ns - one.sent_at_ns >= wait_s(first_s, one.sends) * NS_PER_S
        ]

    def give_up(self, instant: Instant, now_ns: int) -> None:
        """Stop saying it: the vehicle does not answer."""
        self.waiting.remove(instant)
        self.refused[instant.kind] = now_ns

    def rests(self, kind: str, now_ns: int, for_s: float) -> bool:
        """Return whether a kind of action failed lately, so that it is not said again yet.

        One that was finished and made no difference is not said again with every state either.
        """
        at_ns, done_ns = self.refused.get(kind), self.done.get(kind)
        if done_ns is not None and now_ns - done_ns < DONE_AGAIN_S * NS_PER_S:
            return True
        return at_ns is not None and now_ns - at_ns < for_s * NS_PER_S


def shown_actions(state: State) -> tuple[ActionState, ...]:
    """Return the states of all actions: instant ones stand apart since 3.0.0."""
    return (*state.action_states, *(state.instant_action_states or ()))


def _ended(state: State, instant: Instant, serial: str) -> str:
    """Return FINISHED or FAILED where the state tells that the action is over."""
    wanted = instant.action_id(serial)
    for found in shown_actions(state):
        if found.action_id == wanted:
            return found.action_status if found.action_status in _ENDED else ""
    if instant.kind == PAUSE and state.paused is True:
        return "FINISHED"
    if instant.kind == RESUME and state.paused is False:
        return "FINISHED"
    for error in state.errors:
        for reference in error.error_references or ():
            if reference.reference_value == wanted:
                return "FAILED"
    return ""
