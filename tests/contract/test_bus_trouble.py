"""What the broker in memory does to messages when somebody asks for trouble, and only then."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from runtime.bus import BusOptions, Incoming, Will
from runtime.clock import NS_PER_S
from runtime.memory_bus import MemoryBus
from runtime.memory_wire import Trouble
from runtime.virtual import VirtualRuntime

KEEPALIVE_S = 20


class Site:
    """A writer, a reader whose session lasts, and a watcher of wills, each a process of its own."""

    def __init__(self) -> None:
        self.runtime = VirtualRuntime(1)
        self.broker = self.runtime.broker
        self.got: list[Incoming] = []
        self.wills: list[bytes] = []
        self.edge = VirtualRuntime(1, shared=self.runtime)
        self.central = VirtualRuntime(1, shared=self.runtime)
        self.writer = self.bus(
            self.edge, "edge-a", will=Will(topic="wills/edge-a", payload=b"edge-a is gone")
        )
        self.reader = self.bus(self.central, "central", clean_session=False)
        self.reader.subscribe("t/#", self.central.lane("central"), self.got.extend)
        watcher = self.bus(self.runtime, "watcher")
        watcher.subscribe(
            "wills/#",
            self.runtime.lane("watcher"),
            lambda b: self.wills.extend(m.payload for m in b),
        )
        for bus in (self.writer, self.reader, watcher):
            bus.start()
        self.runtime.run_for(1)

    def bus(self, runtime: VirtualRuntime, client_id: str, **options: object) -> MemoryBus:
        bus = runtime.bus(
            BusOptions(client_id=client_id, keepalive_s=KEEPALIVE_S, **options)  # type: ignore[arg-type]
        )
        assert isinstance(bus, MemoryBus)
        return bus

    def send(self, count: int, *, qos: int = 1, first: int = 0, topic: str = "t/x") -> list[bool]:
        return [
            self.writer.publish(topic, b"%d" % number, qos=qos)
            for number in range(first, first + count)
        ]

    @property
    def numbers(self) -> list[int]:
        return [int(message.payload) for message in self.got]


@pytest.fixture
def site() -> Site:
    return Site()


# --- cut and heal -------------------------------------------------------------------------------


def test_a_short_cut_loses_nothing_not_even_quality_0(site: Site) -> None:
    site.broker.cut("edge-")
    site.send(3)
    site.send(3, qos=0, first=3)
    site.runtime.run_for(KEEPALIVE_S)
    assert site.numbers == []
    assert site.writer.connected, "nobody has noticed yet"
    site.broker.heal("edge-")
    site.send(1, first=6)
    site.runtime.run_for(1)
    assert site.numbers == [0, 1, 2, 3, 4, 5, 6]
    assert site.wills == []


def test_a_long_cut_is_noticed_first_by_the_broker_then_by_the_client(site: Site) -> None:
    begun_ns = site.runtime.clock.now_ns()
    site.broker.cut("edge-a")
    site.runtime.run_for(1.5 * KEEPALIVE_S - 1)
    assert site.wills == []
    site.runtime.run_for(2)
    assert site.wills == [b"edge-a is gone"]
    assert site.runtime.run_until(lambda: not site.writer.connected, 0.5 * KEEPALIVE_S)
    assert site.runtime.clock.now_ns() - begun_ns == 2 * KEEPALIVE_S * NS_PER_S
    site.runtime.run_for(600)
    site.broker.heal("edge-a")
    assert site.runtime.run_until(lambda: site.writer.connected, 11)
    assert site.wills == [b"edge-a is gone"], "said once"


def test_after_a_long_cut_quality_1_is_sent_again_in_order_and_quality_0_is_gone(
    site: Site,
) -> None:
    site.broker.cut("edge-a")
    assert all(site.send(3))
    assert all(site.send(3, qos=0, first=100))
    site.runtime.run_for(3 * KEEPALIVE_S)
    assert all(site.send(3, first=3))
    assert not any(site.send(1, qos=0, first=200))
    site.broker.heal("edge-a")
    site.runtime.run_for(30)
    assert site.numbers == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut_s", [1.0, 1.6 * KEEPALIVE_S, 5.0 * KEEPALIVE_S])
def test_the_broker_keeps_for_a_lasting_session_what_the_cut_held_back(
    site: Site, cut_s: float
) -> None:
    site.send(2)
    site.runtime.run_for(1)
    site.broker.cut("central")
    site.send(3, first=2)
    site.runtime.run_for(cut_s)
    site.send(3, first=5)
    site.broker.heal("central")
    site.runtime.run_for(30)
    assert site.numbers == list(range(8))


def test_a_clean_session_loses_what_a_long_cut_held_back(site: Site) -> None:
    got: list[bytes] = []
    bus = site.bus(site.runtime, "screen")
    bus.subscribe("t/#", site.runtime.lane("s"), lambda b: got.extend(m.payload for m in b))
    bus.start()
    site.broker.cut("screen")
    site.send(3)
    site.runtime.run_for(3 * KEEPALIVE_S)
    site.broker.heal("screen")
    site.runtime.run_for(30)
    site.send(1, first=3)
    site.runtime.run_for(1)
    assert got == [b"3"]


def test_a_cut_clients_queue_is_as_bounded_as_that_of_one_that_is_away(site: Site) -> None:
    bus = site.bus(site.runtime, "small", queued_messages_max=3)
    bus.start()
    site.broker.cut("small")
    assert [bus.publish("t/x", b"%d" % n) for n in range(5)] == [True] * 3 + [False] * 2
    site.runtime.run_for(10 * KEEPALIVE_S)
    assert bus.publish("t/x", b"9") is False
    site.broker.heal("small")
    site.runtime.run_for(30)
    assert site.numbers == [0, 1, 2]


def test_a_subscription_made_during_a_cut_stands_after_it(site: Site) -> None:
    got: list[bytes] = []
    site.writer.publish("other", b"kept", retain=True)
    site.broker.cut("central")
    site.reader.subscribe(
        "other", site.central.lane("late"), lambda b: got.extend(m.payload for m in b)
    )
    site.runtime.run_for(5)
    assert got == []
    site.broker.heal("central")
    site.runtime.run_for(1)
    assert got == [b"kept"]


def test_a_client_that_stops_during_a_cut_is_taken_for_dead(site: Site) -> None:
    site.broker.cut("edge-a")
    site.writer.stop()
    site.runtime.run_for(1.5 * KEEPALIVE_S + 1)
    assert site.wills == [b"edge-a is gone"]
    site.broker.heal("edge-a")
    site.runtime.run_for(60)
    assert not site.writer.connected


def test_a_goodbye_held_back_by_a_short_cut_is_still_a_goodbye(site: Site) -> None:
    site.broker.cut("edge-a")
    site.send(2)
    site.writer.stop()
    site.runtime.run_for(5)
    site.broker.heal("edge-a")
    site.runtime.run_for(10 * KEEPALIVE_S)
    assert site.numbers == [0, 1]
    assert site.wills == []


def test_a_broker_that_dies_during_a_cut_is_noticed_after_it(site: Site) -> None:
    site.broker.cut("edge-a")
    site.send(1)
    site.broker.fail()
    site.broker.recover()
    site.runtime.run_for(5)
    assert site.writer.connected
    assert site.reader.connected
    site.broker.heal("edge-a")
    assert site.runtime.run_until(lambda: not site.writer.connected, 1)
    site.runtime.run_for(5)
    assert site.numbers == [0]
    assert site.wills == []


def test_cuts_add_up_and_only_a_cut_is_healed(site: Site) -> None:
    site.broker.cut("edge-")
    site.broker.cut("edge-a")
    site.edge.cut()
    site.send(1)
    site.broker.heal("edge-")
    site.broker.heal("edge-a")
    site.runtime.run_for(1)
    assert site.numbers == [], "its process is cut off still"
    site.edge.heal()
    site.runtime.run_for(1)
    assert site.numbers == [0]
    with pytest.raises(ValueError, match="heal 'edge-a'"):
        site.broker.heal("edge-a")


def test_a_process_that_is_cut_off_cannot_connect_anew(site: Site) -> None:
    site.edge.cut()
    late = site.bus(site.edge, "edge-a-late")
    late.start()
    site.runtime.run_for(60)
    assert not late.connected
    site.edge.heal()
    assert site.runtime.run_until(lambda: late.connected, 11)


def test_a_killed_process_says_its_will_and_what_it_sent_arrives(site: Site) -> None:
    end = site.broker.disturb(Trouble(client="edge-", latency_s=2), Random(1))
    site.send(2)
    site.edge.kill()
    assert site.writer.publish("t/x", b"9") is True, "it may queue what it likes"
    site.runtime.run_for(3)
    end()
    site.runtime.run_for(60)
    assert site.numbers == [0, 1]
    assert site.wills == [b"edge-a is gone"]


# --- slow, doubled, overtaken, lost -------------------------------------------------------------


def arrivals(
    trouble: Trouble, *, qos: int = 1, count: int = 200, seed: int = 5
) -> list[tuple[float, int]]:
    """Return when (after its sending, in s) each message came, one being sent every 10 ms."""
    site = Site()
    end = site.broker.disturb(trouble, Random(seed))
    begun_ns = site.runtime.clock.now_ns()
    for number in range(count):
        site.send(1, qos=qos, first=number)
        site.runtime.run_for(0.01)
    site.runtime.run_for(60)
    end()
    site.send(1, first=count)
    site.runtime.run_for(0)
    assert site.numbers[-1] == count, "after its end there is no trouble"
    return [
        ((m.received_at_ns - begun_ns) / NS_PER_S - int(m.payload) * 0.01, int(m.payload))
        for m in site.got[:-1]
    ]


def test_latency_and_jitter_delay_within_their_bounds_and_keep_the_order() -> None:
    came = arrivals(Trouble(client="edge-", latency_s=0.5, jitter_s=0.2))
    assert [number for _, number in came] == list(range(200))
    assert all(0.5 <= late_s <= 0.7 + 1e-6 for late_s, _ in came)
    assert len({round(late_s, 6) for late_s, _ in came}) > 50


def test_both_ways_delay_twice() -> None:
    both, down, up = (
        [late_s for late_s, _ in arrivals(trouble)]
        for trouble in (
            Trouble(latency_s=0.5),
            Trouble(client="central", latency_s=0.5, way="down"),
            Trouble(client="central", latency_s=0.5, way="up"),
        )
    )
    assert min(both) == pytest.approx(1.0)
    assert min(down) == pytest.approx(0.5)
    assert max(up) == pytest.approx(0.0)


def test_doubled_messages_come_twice_and_nothing_is_lost() -> None:
    numbers = [n for _, n in arrivals(Trouble(client="edge-", duplicate_share=0.3))]
    assert set(numbers) == set(range(200))
    assert 20 < len(numbers) - 200 < 100
    assert numbers == sorted(numbers)


def test_overtaken_messages_come_later_and_nothing_is_lost() -> None:
    numbers = [n for _, n in arrivals(Trouble(client="edge-", reorder_share=0.2, reorder_s=0.1))]
    assert sorted(numbers) == list(range(200))
    assert sum(later < earlier for earlier, later in pairwise(numbers)) > 10


def test_only_quality_0_is_lost() -> None:
    trouble = Trouble(client="edge-", lose_share=0.5)
    assert 50 < len(arrivals(trouble, qos=0)) < 150
    assert len(arrivals(trouble, qos=1)) == 200


def test_the_same_random_stream_gives_the_same_trouble() -> None:
    trouble = Trouble(
        jitter_s=0.3, duplicate_share=0.2, reorder_share=0.2, lose_share=0.1, latency_s=0.1
    )
    assert arrivals(trouble, qos=0) == arrivals(trouble, qos=0)
    assert arrivals(trouble, qos=0) != arrivals(trouble, qos=0, seed=6)


def test_a_trouble_touches_only_its_clients_topics_and_way(site: Site) -> None:
    site.broker.disturb(Trouble(client="edge-b", latency_s=9), Random(1))
    site.broker.disturb(Trouble(topic_filter="u/#", latency_s=9), Random(1))
    site.broker.disturb(Trouble(client="edge-a", way="down", latency_s=9), Random(1))
    site.send(2)
    site.runtime.run_for(0)
    assert site.numbers == [0, 1]


def test_a_connection_lost_while_messages_travel_sends_them_again(site: Site) -> None:
    site.broker.disturb(Trouble(client="edge-", latency_s=5), Random(1))
    site.send(3)
    site.send(3, qos=0, first=3)
    site.runtime.run_for(1)
    site.broker.fail()
    site.broker.recover()
    site.runtime.run_for(30)
    assert site.numbers == [0, 1, 2]


@pytest.mark.parametrize(
    "values",
    [{"lose_share": 1.1}, {"duplicate_share": -0.1}, {"latency_s": -1.0}, {"jitter_s": 1e9}],
)
def test_impossible_trouble_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))}: expected"):
        Trouble(**values)  # type: ignore[arg-type]
