"""Everybody who hears something, on one broker with somebody who says whatever it wants there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest

from central.desk import floor as desk
from tests.bad_input import bend, bent_payloads, cross, valid_values
from tests.bad_input_site import BadInputSite, Subscribed, kinds_of
from wire.codec import WireError, decode_part
from wire.messages import DeviceScan
from wire.topics import TOPICS, Party
from wire.vda5050 import messages as v

REFUSED: Final = ("wire_refused", "scans_refused", "commands_refused")
PARTS: Final[dict[Any, tuple[Any, ...]]] = {
    v.State: (v.ActionsOfState, desk.RobotState),
    v.Visualization: (desk.RobotState,),
    v.Connection: (desk.RobotConnection,),
}
"""Who reads only a part takes what is wrong elsewhere."""
RUBBISH: Final = 35
NEARLY: Final = 6
ALIKE_MAX: Final = 2


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BadInputSite]:
    site = BadInputSite(tmp_path)
    yield site
    site.close()


def different(found: list[Subscribed]) -> list[Subscribed]:
    """Return the subscriptions without most of those that differ by a device's name alone."""
    kept: list[Subscribed] = []
    for one in found:
        alike = [o for o in kept if o.kinds == one.kinds and o.client[:10] == one.client[:10]]
        if len(alike) < ALIKE_MAX:
            kept.append(one)
    return kept


def is_refused(payload: bytes, kinds: tuple[Any, ...]) -> bool:
    """Return whether nobody can take `payload` for one of these, however leniently it reads."""
    read_by = (*kinds, *(part for kind in kinds for part in PARTS.get(kind, ())))
    for kind in read_by:
        try:
            decode_part(payload, kind)
        except WireError:
            continue
        return False
    return True


def test_every_topic_of_the_table_is_heard_by_whom_it_says(site: BadInputSite) -> None:
    site.warm_up(3.0)
    heard = {one.kinds for one in site.subscriptions()}
    outside = {Party.PERSON, Party.SHOP, Party.SUPPLIER, Party.DEVICE, Party.ROBOT}
    silent = [
        t.pattern for t in TOPICS if t.messages not in heard and not outside & {*t.subscribers}
    ]
    assert silent == []


@pytest.mark.timeout(300)
def test_rubbish_on_every_topic_is_counted_and_the_books_stay_true(site: BadInputSite) -> None:
    chance = Random(1)
    site.warm_up(6.0)
    for one in different(site.subscriptions()):
        refused = [p for k in one.kinds for p in bent_payloads(k, RUBBISH, chance)]
        refused = [p for p in refused if p and is_refused(p, one.kinds)]
        topic, process = site.topics_of(one.topic_filter)[0], site.process_of(one.client)
        before = site.counted(*REFUSED)
        site.say(topic, refused)
        site.runtime.run_for(0.5)
        after = site.counted(*REFUSED)
        # An edge that hears all scans leaves those of another edge's scanner to that edge.
        by = "edge B" if one.kinds == (DeviceScan,) else process
        assert after[by] - before[by] >= len(refused), (topic, process)
    before_rest = site.counted("events_applied")["central"]
    truth = site.run(8.0)
    assert site.counted("events_applied")["central"] > before_rest
    assert site.books.bins(truth.stock, truth.in_flight_bins)[1] == []
    assert site.books.not_whole() == []
    assert site.good <= site.accepted()
    assert site.edge_movements() == site.central_movements()


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in (2, 3, 4))])
@pytest.mark.timeout(300)
def test_messages_that_are_nearly_right_stop_nobody(site: BadInputSite, seed: int) -> None:
    site.warm_up(6.0)
    count = NEARLY if seed == 1 else 20 * NEARLY
    for one in different(site.subscriptions()):
        chance = Random(f"{seed} {one.topic_filter}")
        drawn = [value for kind in one.kinds for value in valid_values(kind)]
        values = [msgspec.json.decode(msgspec.json.encode(value)) for value in drawn]
        real = site.real(one.kinds) or values
        for topic in site.topics_of(one.topic_filter):
            assert kinds_of(topic) == one.kinds
            for _ in range(count):
                mixed = cross(chance.choice(real), chance.choice(values), chance)
                whole = msgspec.json.encode(mixed)
                site.say(topic, [whole, bend(chance.choice(real), chance)], pause_s=0.01)
    site.runtime.run_for(5.0)
    assert all(site.plant.is_up(process) for process in site.plant.processes)
