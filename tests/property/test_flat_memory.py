"""Bad messages without end: what a process keeps of them has limits, and they hold.

Everything that holds many things in the memory of this process is counted before and after. What
grew with the number of messages is a leak, unless a limit is stated for it here, and kept.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import psutil
import pytest

from central.desk.floor import DEVICES_MAX, ROBOTS_MAX
from central.fleet.ears import STRANGERS_MAX
from edge.commands import HANDLED_MAX
from edge.missions import RESULTS_KEPT_MAX
from edge.robot_moves import IDS_REMEMBERED_MAX
from edge.scanning.strangers import EDGES_MAX, NAMED_MAX
from runtime.metrics import LABELS_MAX, SAMPLES_MAX
from runtime.topic_tree import TOPICS_REMEMBERED_MAX
from tests.bad_input import bend, bent_payloads, valid_values
from tests.bad_input_site import BadInputSite, Subscribed
from tests.property.test_bad_topics import different
from wire.messages import CustomerOrder
from wire.vda5050.messages import Order

LOOKED_AT_MIN: Final = 20
FEW: Final = 100
MANY: Final = 10_000  # before and once more after the first look
PER_STEP: Final = 100
BENT: Final = 200
GROWN_MB_MAX: Final = 64
SHORT_BYTES_MAX: Final = 8_000
KINDS: Final = (dict, list, set, deque)
OURS: Final = ("wire", "runtime", "firmware_bridge", "edge", "central", "sim_hardware", "stockhelm")
STATED: Final = {
    "Commands._handled": HANDLED_MAX,
    "Ears._strangers": STRANGERS_MAX,
    "Floor._devices": DEVICES_MAX,
    "Floor._robots": ROBOTS_MAX,
    "MissionService._results": RESULTS_KEPT_MAX,
    "Metrics._counters": 20 * LABELS_MAX,
    "Metrics._samples": SAMPLES_MAX,
    "RobotMoves._handed_over": IDS_REMEMBERED_MAX,
    "Strangers._devices": EDGES_MAX,
    "Strangers._named": NAMED_MAX,
    "TopicTree._found": TOPICS_REMEMBERED_MAX,
}
"""What may hold many things, and how many at most."""
IN_MESSAGES: Final = ("RobotState", "State", "Order")
"""The newest message of each robot is kept; 64 KiB bound it."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BadInputSite]:
    site = BadInputSite(tmp_path)
    yield site
    site.close()


def renamed(value: Any, number: int) -> Any:
    """Return a message with names that nobody ever had: `..._id` and what is like it."""
    if isinstance(value, dict):
        return {
            key: f"N-{number}"
            if key.lower().endswith("id") and isinstance(item, str)
            else renamed(item, number)
            for key, item in value.items()
        }
    return [renamed(item, number) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is said on one topic."""

    topic_filter: str
    real: list[Any]
    rubbish: list[bytes]
    is_work: bool
    """Under a new name it is an order as good as any: it would be worked on."""


def prepared(site: BadInputSite, one: Subscribed, chance: Random) -> Prepared:
    """Return what is said to one subscription: made before anything is counted."""
    drawn = [value for kind in one.kinds for value in valid_values(kind)]
    values = [msgspec.json.decode(msgspec.json.encode(value)) for value in drawn]
    rubbish = [payload for kind in one.kinds for payload in bent_payloads(kind, 60, chance)]
    real = site.real(one.kinds) or values
    rubbish += [bend(chance.choice(real), chance) for _ in range(BENT)]
    rubbish = [payload for payload in rubbish if len(payload) < SHORT_BYTES_MAX]
    return Prepared(one.topic_filter, real, rubbish, one.kinds[0] in (CustomerOrder, Order))


def flood(site: BadInputSite, floods: list[Prepared], numbers: range, chance: Random) -> None:
    """Say so many bad messages on every topic: no messages at all, bent ones, and strangers'."""
    for one in floods:
        for n in numbers:
            if n % 5 == 0 and not one.is_work:
                payload = msgspec.json.encode(renamed(chance.choice(one.real), n))
            else:
                payload = chance.choice(one.rubbish)
            site.rogue.publish(one.topic_filter.replace("+", f"s-{n}"), payload)
            if n % PER_STEP == 0:
                site.runtime.run_for(0.0)
        site.runtime.run_for(0.5)


def census() -> dict[int, tuple[Any, int]]:
    """Return everything in memory that holds many things, with how many."""
    gc.collect()
    return {
        id(found): (found, len(found))
        for found in gc.get_objects()
        if isinstance(found, KINDS) and len(found) >= LOOKED_AT_MIN
    }


def held() -> dict[int, str]:
    """Return `Class.attribute` by the number of each container that an object of ours holds.

    What lies in such a container is held by the same attribute.
    """
    found: dict[int, str] = {}
    for holder in gc.get_objects():
        kind = type(holder)
        if kind.__module__.partition(".")[0] not in OURS:
            continue
        for name in [*getattr(holder, "__dict__", ()), *getattr(kind, "__slots__", ())]:
            value = getattr(holder, name, None)
            if isinstance(value, KINDS):
                found[id(value)] = f"{kind.__name__}.{name}"
                inner = list(value.values()) if isinstance(value, dict) else list(value)
                found |= {id(i): f"{kind.__name__}.{name}" for i in inner if isinstance(i, KINDS)}
    return found


@pytest.mark.timeout(1_200)
@pytest.mark.soak
@pytest.mark.parametrize("count", [FEW, MANY])
def test_what_is_kept_of_bad_messages_is_bounded(site: BadInputSite, count: int) -> None:
    chance = Random(1)
    site.warm_up(6.0)
    floods = [prepared(site, one, chance) for one in different(site.subscriptions())]
    flood(site, floods, range(count), chance)
    rss_before = psutil.Process().memory_info().rss
    before = census()  # kept: nothing new gets the number of something that is gone
    flood(site, floods, range(count, 2 * count), chance)
    names = held()
    over = [
        f"{names[key]}: {size_before(before, key)}, then {size}"
        for key, (_, size) in census().items()
        if key in names
        and size - size_before(before, key) >= count // 4
        and size > STATED.get(names[key], 0)
        and not names[key].startswith(IN_MESSAGES)
    ]
    assert over == []
    grown_mb = (psutil.Process().memory_info().rss - rss_before) / 2**20
    assert grown_mb < GROWN_MB_MAX


def size_before(before: dict[int, tuple[Any, int]], key: int) -> int:
    return before[key][1] if key in before else 0
