"""Faults of the network between a device and the broker, and of what devices make of it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runtime.clock import NS_PER_S
from runtime.seeds import Random
from sim_hardware.devices.uplink import Message, MessageEffect, MessageWay, Passing
from sim_hardware.faults.lines import BOTH, share
from sim_hardware.faults.model import Begin, End, FaultKind, Parameter, Stage, Values, word
from sim_hardware.faults.reach import clock_of, uplink_of

INCOMING: Final = "to-device"
OUTGOING: Final = "from-device"
DIRECTION: Final = word(
    BOTH, (BOTH, OUTGOING, INCOMING), "which way the messages go that it happens to"
)
REPEAT_S_MAX: Final = 2.0
"""A client repeats a QoS 1 message that was not acknowledged after up to so long."""
OLD_STATES_MAX: Final = 20
HEADER_IDS_MAX: Final = 2**32
STATE_END: Final = "/state"


@dataclass(frozen=True, slots=True)
class Repeated:
    """Messages that arrive twice: QoS 1 allows it, a bridge between brokers does it to all."""

    chance: Random
    share: float

    def apply(self, message: Message) -> list[Passing]:
        """Return the message, and now and then once more a little later."""
        if self.chance.random() >= self.share:
            return [Passing(message)]
        again = Passing(message, self.chance.uniform(0.0, REPEAT_S_MAX), overtaken=True)
        return [Passing(message), again]


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Messages that later ones overtake."""

    chance: Random
    share: float
    seconds: float

    def apply(self, message: Message) -> list[Passing]:
        """Return the message, now and then held back."""
        if self.chance.random() >= self.share:
            return [Passing(message)]
        return [Passing(message, self.chance.uniform(0.0, self.seconds), overtaken=True)]


@dataclass(frozen=True, slots=True)
class Late:
    """Messages that arrive late, in their order."""

    chance: Random
    seconds: float

    def apply(self, message: Message) -> list[Passing]:
        """Return the message, later."""
        return [Passing(message, self.chance.uniform(0.0, self.seconds))]


@dataclass(frozen=True, slots=True)
class Lossy:
    """Messages that get lost: for good at QoS 0, until they are repeated at QoS 1."""

    chance: Random
    share: float

    def apply(self, message: Message) -> list[Passing]:
        """Return the message, unless it is lost."""
        if self.chance.random() >= self.share:
            return [Passing(message)]
        if message.qos == 0:
            return []
        return [Passing(message, self.chance.uniform(0.0, REPEAT_S_MAX), overtaken=True)]


@dataclass(frozen=True, slots=True)
class Silent:
    """A device that is connected and says nothing."""

    def apply(self, message: Message) -> list[Passing]:
        """Return nothing."""
        del message
        return []


@dataclass(frozen=True, slots=True)
class WrongHeaders:
    """A robot whose header ids do not count up by one."""

    chance: Random
    how: str

    def apply(self, message: Message) -> list[Passing]:
        """Return the message with another header id."""
        body = json.loads(message.payload)
        match self.how:
            case "zero":
                body["headerId"] = 0
            case "backwards":
                body["headerId"] = HEADER_IDS_MAX - body["headerId"]
            case _:
                body["headerId"] = self.chance.randrange(HEADER_IDS_MAX)
        payload = json.dumps(body, separators=(",", ":")).encode()
        return [Passing(Message(message.topic, payload, message.qos, message.retain))]


@dataclass(frozen=True, slots=True)
class OldStates:
    """A robot that says an old state once more, after the new one."""

    chance: Random
    share: float
    said: deque[Message] = field(default_factory=lambda: deque(maxlen=OLD_STATES_MAX))

    def apply(self, message: Message) -> list[Passing]:
        """Return the message, and now and then an older one behind it."""
        if not message.topic.endswith(STATE_END):
            return [Passing(message)]
        told = [Passing(message)]
        if self.said and self.chance.random() < self.share:
            told.append(Passing(self.chance.choice(self.said)))
        self.said.append(message)
        return told


@dataclass(frozen=True, slots=True)
class NeverEmptied:
    """A robot whose nodeStates and edgeStates go on naming what it has passed."""

    seen: dict[str, dict[int, object]] = field(default_factory=dict)

    def apply(self, message: Message) -> list[Passing]:
        """Return the message; a state names every node of its order so far."""
        if not message.topic.endswith(STATE_END):
            return [Passing(message)]
        body = json.loads(message.payload)
        for name in ("nodeStates", "edgeStates"):
            key = f"{name} {body['orderId']}"
            kept = self.seen.setdefault(key, {})
            kept.update({row["sequenceId"]: row for row in body[name]})
            body[name] = [kept[number] for number in sorted(kept)]
        payload = json.dumps(body, separators=(",", ":")).encode()
        return [Passing(Message(message.topic, payload, message.qos, message.retain))]


def _put_on(ways: list[MessageWay], effect: MessageEffect) -> End:
    for way in ways:
        way.effects.append(effect)

    def end() -> None:
        for way in ways:
            way.effects.remove(effect)

    return end


def _effect(make: Callable[[Random, Values], MessageEffect]) -> Begin:
    """Return what begins a fault that is one effect on messages, in the direction asked for."""

    def begin(stage: Stage, target: str, values: Values, chance: Random) -> End:
        uplink = uplink_of(stage.floor, target)
        direction = values.word("direction")
        ways = [uplink.outgoing] if direction in (BOTH, OUTGOING) else []
        ways += [uplink.incoming] if direction in (BOTH, INCOMING) else []
        return _put_on(ways, make(chance, values))

    return begin


def _said(make: Callable[[Random, Values], MessageEffect]) -> Begin:
    """Return what begins a fault that is one effect on what the device says."""

    def begin(stage: Stage, target: str, values: Values, chance: Random) -> End:
        return _put_on([uplink_of(stage.floor, target).outgoing], make(chance, values))

    return begin


def _link_lost(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    uplink = uplink_of(stage.floor, target)
    uplink.lose()
    return uplink.find


def _silent_after_reconnect(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    """Let the device come back at once and say nothing, not even that it is here."""
    uplink = uplink_of(stage.floor, target)
    end = _put_on([uplink.outgoing], Silent())
    uplink.lose()
    uplink.find()
    return end


def _clock_jump(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    clock = clock_of(stage.floor, target)
    by_ns = round(values.number("by") * NS_PER_S)
    clock.jump(by_ns)
    return lambda: clock.jump(-by_ns)


def _clock_skew(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    clock = clock_of(stage.floor, target)
    drift = values.number("drift")
    clock.drift(drift)

    def end() -> None:
        clock.drift(-drift)
        clock.set_right()

    return end


KINDS: Final = (
    FaultKind(
        name="link-lost", group="wire", target="mqtt device",
        text="its network is gone without a goodbye; the broker says its last will",
        begin=_link_lost,
    ),
    FaultKind(
        name="message-duplicate", group="wire", target="mqtt device",
        text="messages arrive twice",
        parameters={"share": share(0.3, "of all messages"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Repeated(chance, v.number("share"))),
    ),
    FaultKind(
        name="message-reorder", group="wire", target="mqtt device",
        text="messages overtake each other",
        parameters={
            "share": share(0.3, "of all messages are held back"),
            "delay": Parameter("s", 2.0, 0.0, 60.0, "the longest"), "direction": DIRECTION,
        },
        begin=_effect(lambda chance, v: Overtaken(chance, v.number("share"), v.number("delay"))),
    ),
    FaultKind(
        name="message-delay", group="wire", target="mqtt device",
        text="messages arrive late, in their order",
        parameters={
            "delay": Parameter("s", 2.0, 0.0, 60.0, "the longest"), "direction": DIRECTION,
        },
        begin=_effect(lambda chance, v: Late(chance, v.number("delay"))),
    ),
    FaultKind(
        name="message-loss", group="wire", target="mqtt device",
        text="messages of QoS 0 are lost, those of QoS 1 come late",
        parameters={"share": share(0.2, "of all messages"), "direction": DIRECTION},
        begin=_effect(lambda chance, v: Lossy(chance, v.number("share"))),
    ),
    FaultKind(
        name="silent", group="wire", target="mqtt device",
        text="it is connected, hears everything and says nothing",
        begin=_said(lambda _chance, _v: Silent()),
    ),
    FaultKind(
        name="silent-after-reconnect", group="wire", target="mqtt device",
        text="it loses the network, comes back at once and says nothing, not even that it is here",
        begin=_silent_after_reconnect,
    ),
    FaultKind(
        name="clock-jump", group="wire", target="mqtt device",
        text="its clock jumps; at the end it is set right",
        parameters={
            "by": Parameter("s", -3_600.0, -1e9, 1e9, "how far; below 0: into the past"),
        },
        begin=_clock_jump,
    ),
    FaultKind(
        name="clock-skew", group="wire", target="mqtt device",
        text="its clock runs too fast or too slow; at the end it is set right",
        parameters={"drift": Parameter("share", 0.05, -0.9, 10.0, "how much too fast")},
        begin=_clock_skew,
    ),
    FaultKind(
        name="wrong-header-ids", group="wire", target="robot",
        text="the header ids of its messages do not count up by one",
        parameters={"how": word("random", ("random", "zero", "backwards"), "which ids")},
        begin=_said(lambda chance, v: WrongHeaders(chance, v.word("how"))),
    ),
    FaultKind(
        name="repeats-old-state", group="wire", target="robot",
        text="it says an old state once more after a new one",
        parameters={"share": share(0.2, "of all states are followed by an old one")},
        begin=_said(lambda chance, v: OldStates(chance, v.number("share"))),
    ),
    FaultKind(
        name="node-states-never-emptied", group="wire", target="robot",
        text="its states go on naming the nodes and edges it has passed",
        begin=_said(lambda _chance, _v: NeverEmptied()),
    ),
)  # fmt: skip
