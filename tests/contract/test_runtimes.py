"""Lanes and pictures keep one contract, live and in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from runtime.lanes import WhenFull
from stockhelm.broker import free_port
from tests.contract.worlds import LiveWorld, VirtualWorld, make_world


@pytest.fixture(params=["live", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator[LiveWorld | VirtualWorld]:
    world = make_world(request.param)
    yield world
    world.close()


def test_an_inbox_keeps_the_order_and_loses_nothing(world: LiveWorld | VirtualWorld) -> None:
    got: list[int] = []
    inbox = world.runtime.lane("one").inbox("numbers", got.extend, size_max=50, batch_max=7)
    putter = threading.Thread(target=lambda: [inbox.put(i) for i in range(1_000)])
    putter.start()
    if isinstance(world, VirtualWorld):
        putter.join()  # nobody else runs in virtual time
    assert world.until(lambda: len(got) == 1_000)
    putter.join()
    assert got == list(range(1_000))


def test_a_full_inbox_of_positions_keeps_the_newest(world: LiveWorld | VirtualWorld) -> None:
    got: list[int] = []
    go = threading.Event()
    lane = world.runtime.lane("slow")
    if isinstance(world, LiveWorld):

        def block() -> None:
            go.wait(5)

        lane.post(block)
    inbox = lane.inbox("positions", got.extend, size_max=3, when_full=WhenFull.DROP_OLDEST)
    for i in range(10):
        inbox.put(i)
    go.set()
    assert world.until(lambda: bool(got) and got[-1] == 9)
    assert got == [7, 8, 9]
    assert inbox.dropped == 7


def test_timers_run_on_their_lane_and_can_be_cancelled(world: LiveWorld | VirtualWorld) -> None:
    ran: list[str] = []
    lane = world.runtime.lane("timers")
    lane.call_later(0.05, lambda: ran.append("later"))
    lane.call_later(0.05, lambda: ran.append("never")).cancel()
    every = lane.call_every(0.02, lambda: ran.append("every"))
    assert world.until(lambda: ran.count("every") >= 3 and "later" in ran)
    every.cancel()
    world.settle(0.05)
    count = len(ran)
    world.settle(0.1)
    assert len(ran) == count
    assert "never" not in ran


def test_the_same_seed_and_name_give_the_same_random_stream() -> None:
    first, second = VirtualWorld(seed=5).runtime, VirtualWorld(seed=5).runtime
    assert first.random("people").random() == second.random("people").random()
    assert first.random("people").random() != first.random("robots").random()


def test_a_picture_comes_from_its_camera_and_a_dark_one_is_an_error(
    world: LiveWorld | VirtualWorld,
) -> None:
    lane = world.runtime.lane("pictures")
    base = f"http://127.0.0.1:{free_port()}"
    world.runtime.frames.serve(f"{base}/good.jpg", lane, lambda: b"\xff\xd8picture")
    world.runtime.frames.serve(f"{base}/dark.jpg", lane, lambda: b"")
    pictures: list[bytes] = []
    errors: list[str] = []
    for name in ("good", "dark", "absent"):
        source = world.runtime.frames.open(f"{base}/{name}.jpg", lane)
        assert source.request(lambda data, _at_ns: pictures.append(data), errors.append)
    assert world.until(lambda: len(pictures) == 1 and len(errors) == 2)
    assert pictures == [b"\xff\xd8picture"]
    assert all("no picture" in text for text in errors)
