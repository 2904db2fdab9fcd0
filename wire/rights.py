"""Who may publish and hear what: made from the topic table, one set of rights per enrolled name.

Default is deny. A device has its own topics and nobody else's; only central publishes commands.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wire import topics
from wire.topics import Party, Topic
from wire.vda5050 import topics as vda


class Kind(enum.StrEnum):
    """What an enrolled name is."""

    SCANNER = "scanner"
    CAMERA = "camera"
    ROBOT = "robot"
    EDGE = "edge"
    CENTRAL = "central"
    DESK = "desk"
    SHOP = "shop"
    SUPPLIER = "supplier"
    FLOOR = "floor"
    """The simulated floor's customers, suppliers, planner and people's lists; for trials alone."""
    BROKER = "broker"
    """The broker's own certificate; it has no topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who is enrolled."""

    name: str
    kind: Kind
    person: str = ""
    """Scanner with a screen: whose tasks it may read."""
    manufacturer: str = ""
    """Robot: the first half of who it is in VDA 5050."""
    serial: str = ""
    """Robot: the second half; empty: its name."""
    devices: tuple[str, ...] = ()
    """Edge: the devices that it answers and speaks for; none: all of the site."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters: what is in none of them is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_PARTY: Final = {
    Kind.SCANNER: Party.DEVICE,
    Kind.CAMERA: Party.DEVICE,
    Kind.EDGE: Party.EDGE,
    Kind.CENTRAL: Party.CENTRAL,
    Kind.DESK: Party.DESK,
    Kind.SHOP: Party.SHOP,
    Kind.SUPPLIER: Party.SUPPLIER,
}
_OWN_PART: Final = {Party.DEVICE: "device", Party.EDGE: "edge", Party.SUPPLIER: "supplier"}
_NOT_OF: Final = {
    Kind.SCANNER: (topics.CAMERA_LOOK,),
    Kind.CAMERA: (topics.DEVICE_SCAN, topics.DEVICE_FEEDBACK),
}
_VDA_PUBLISH: Final = {
    Kind.ROBOT: (vda.STATE, vda.VISUALIZATION, vda.CONNECTION, vda.FACTSHEET),
    Kind.CENTRAL: (vda.ORDER, vda.INSTANT_ACTIONS, vda.RESPONSES, vda.ZONE_SET),
}
_VDA_SUBSCRIBE: Final = {
    Kind.ROBOT: (vda.ORDER, vda.INSTANT_ACTIONS, vda.RESPONSES, vda.ZONE_SET),
    Kind.CENTRAL: (vda.STATE, vda.VISUALIZATION, vda.CONNECTION, vda.FACTSHEET),
    Kind.EDGE: (vda.STATE,),
    Kind.DESK: (vda.STATE, vda.VISUALIZATION, vda.CONNECTION),
}


def rights_of(who: Identity, *, site: str, interface: str) -> Rights:
    """Return what `who` may publish and subscribe to on the broker of `site`."""
    return Rights(
        publish=tuple(sorted(_publishes(who, site, interface))),
        subscribe=tuple(sorted(_subscribes(who, site, interface))),
    )


def _publishes(who: Identity, site: str, interface: str) -> Iterator[str]:
    party = _PARTY.get(who.kind)
    for topic in _own_topics(who.kind):
        if topic.publisher is party and topic is not topics.DEVICE_FEEDBACK:
            yield topic.any(site=site, **_own(who, topic))
    if who.kind is Kind.EDGE:
        # The state, too, of what does not speak for itself: serial scanners, cameras.
        for topic in (topics.DEVICE_FEEDBACK, topics.DEVICE_STATUS):
            if not who.devices:
                yield topic.any(site=site)
            yield from (topic.of(site=site, device=name) for name in who.devices)
    if who.kind is Kind.FLOOR:
        yield from (topic.any(site=site) for topic in _of_floor(publishes=True))
    for name in _VDA_PUBLISH.get(who.kind, ()):
        yield from _vda(who, interface, name)


def _subscribes(who: Identity, site: str, interface: str) -> Iterator[str]:
    party = _PARTY.get(who.kind)
    for topic in _own_topics(who.kind):
        if party in topic.subscribers:
            # What a kind tells its own kind is heard of all of them.
            own = {} if topic.publisher is party else _own(who, topic)
            yield topic.any(site=site, **own)
    if who.kind is Kind.FLOOR:
        yield from (topic.any(site=site) for topic in _of_floor(publishes=False))
    if who.person:
        yield topics.PERSON_TASKS.of(site=site, person=who.person)
    for name in _VDA_SUBSCRIBE.get(who.kind, ()):
        yield from _vda(who, interface, name)


def _of_floor(*, publishes: bool) -> Iterator[Topic]:
    outside = {Party.SHOP, Party.SUPPLIER, Party.DESK}
    for topic in topics.TOPICS:
        if publishes and topic.publisher in outside:
            yield topic
        elif not publishes and topic.publisher is Party.CENTRAL and topic is not topics.CHANGED:
            heard = outside | {Party.PERSON}
            if heard & set(topic.subscribers):
                yield topic


def _own_topics(kind: Kind) -> Iterator[Topic]:
    without = _NOT_OF.get(kind, ())
    return (topic for topic in topics.TOPICS if topic not in without)


def _own(who: Identity, topic: Topic) -> dict[str, str]:
    """Return the part of the topic that names its owner, where it is one of this kind."""
    party = _PARTY.get(who.kind)
    part = _OWN_PART.get(party) if party else None
    return {part: who.name} if part and "{" + part + "}" in topic.pattern else {}


def _vda(who: Identity, interface: str, name: str) -> Iterator[str]:
    for major in vda.MAJORS:
        if name in vda.SINCE_V3 and major == vda.MAJOR:
            continue
        if who.kind is Kind.ROBOT:
            yield vda.topic(interface, who.manufacturer, who.serial or who.name, name, major)
        else:
            yield vda.any_vehicle(interface, name, major)


def rights_markdown() -> str:
    """Return the table of rights as Markdown, as it stands in docs/protocol.md."""
    lines = ["| kind | may publish | may hear |", "|---|---|---|"]
    for kind in Kind:
        if kind is Kind.BROKER:
            continue
        who = Identity(
            name="{name}",
            kind=kind,
            person="{person}" if kind is Kind.SCANNER else "",
            manufacturer="{manufacturer}",
        )
        rights = rights_of(who, site="{site}", interface="{interface}")
        lines.append(f"| {kind} | {_cell(rights.publish)} | {_cell(rights.subscribe)} |")
    return "\n".join(lines) + "\n"


def _cell(filters: tuple[str, ...]) -> str:
    short = (text.replace(topics.SITE.format(site="{site}") + "/", "") for text in filters)
    return ", ".join(f"`{text}`" for text in short) or "nothing"
