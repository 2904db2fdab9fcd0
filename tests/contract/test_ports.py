"""Serial lines keep one contract: in memory, on pseudo-terminals in virtual time, and live."""

from __future__ import annotations

import contextlib
import os
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from runtime.ports import Port, PortLostError, PortOpenError
from runtime.pty_lines import PtyCarrier, PtyError
from runtime.serial_ports import SELECT_HANDLES_MAX, TooManyHandlesError, open_serial
from runtime.virtual import VirtualRuntime
from runtime.virtual_ports import UNREAD_BYTES_MAX
from tests.contract.worlds import KINDS, LiveWorld, VirtualWorld, make_world

World = LiveWorld | VirtualWorld


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = make_world(request.param)
    yield world
    world.close()


class End:
    """What one end of a line heard."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.times_ns: list[int] = []
        self.lost: list[str] = []

    @property
    def heard(self) -> bytes:
        return b"".join(self.chunks)

    def hear(self, chunks: list[tuple[bytes, int]]) -> None:
        self.chunks += [data for data, _ in chunks]
        self.times_ns += [at_ns for _, at_ns in chunks]


class Cable:
    """A device, and hosts of it."""

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self.path = str(path)
        self.lane = world.runtime.lane("ports")
        self.device_end = End()
        self.device = self.plug()

    def plug(self) -> Port:
        self.device = self.world.runtime.ports.create(self.path, self.lane, self.device_end.hear)
        return self.device

    def open(self) -> tuple[Port, End]:
        end = End()
        ports = self.world.runtime.ports
        return ports.open(self.path, 115_200, self.lane, end.hear, end.lost.append), end


@pytest.fixture
def cable(world: World, tmp_path: Path) -> Cable:
    return Cable(world, tmp_path / "scanner")


def test_what_either_end_of_a_port_writes_arrives(world: World, cable: Cable) -> None:
    host, host_end = cable.open()
    cable.device.write(b"]C10104006381333931\r\n")
    host.write(b"\x06")
    assert world.until(lambda: host_end.heard == b"]C10104006381333931\r\n")
    assert world.until(lambda: cable.device_end.heard == b"\x06")
    assert all(0 < at_ns <= world.runtime.clock.now_ns() for at_ns in host_end.times_ns)


def test_every_byte_value_passes_unchanged_both_ways(world: World, cable: Cable) -> None:
    # A terminal that is not raw would turn CR into LF, take 0x03 for Ctrl-C, 0x11 and 0x13 for
    # flow control, 0x04 for the end, and echo all of it.
    everything = bytes(range(256)) * 3
    host, host_end = cable.open()
    cable.device.write(everything)
    host.write(everything)
    assert world.until(lambda: host_end.heard == everything)
    assert world.until(lambda: cable.device_end.heard == everything)
    world.settle(0.1)
    assert (host_end.heard, cable.device_end.heard) == (everything, everything)


def test_more_than_the_kernel_holds_passes_whole_and_in_order(world: World, cable: Cable) -> None:
    host, host_end = cable.open()
    much = b"".join(b"%07d " % number for number in range(8_000))  # 64 000 bytes
    cable.device.write(much)
    assert world.until(lambda: host_end.heard == much)
    host.write(much)
    assert world.until(lambda: cable.device_end.heard == much)


def test_a_pulled_cable_is_told_once_and_writing_fails(world: World, cable: Cable) -> None:
    host, host_end = cable.open()
    cable.device.close()
    assert world.until(lambda: len(host_end.lost) == 1)
    assert "read failed" in host_end.lost[0]
    with pytest.raises(PortLostError):
        host.write(b"\x06")
    with pytest.raises(PortLostError):
        cable.device.write(b"x")
    world.settle(0.3)
    assert len(host_end.lost) == 1
    host.close()
    with pytest.raises(PortOpenError, match="cannot be opened"):
        cable.open()


def test_what_was_written_before_the_cable_was_pulled_is_not_called_after_the_close(
    world: World, cable: Cable
) -> None:
    host, host_end = cable.open()
    closed: list[int] = []

    def close() -> None:
        host.close()
        closed.append(len(host_end.chunks))

    def write_and_close() -> None:
        cable.device.write(b"late")
        close()

    cable.lane.post(write_and_close)
    assert world.until(lambda: bool(closed))
    world.settle(0.3)
    assert len(host_end.chunks) == closed[0]
    assert host_end.lost == []


def test_a_cable_may_be_pulled_and_plugged_in_again(world: World, cable: Cable) -> None:
    for number in range(5):
        host, host_end = cable.open()
        cable.device.write(b"%d" % number)
        assert world.until(lambda e=host_end, n=number: e.heard == b"%d" % n)  # type: ignore[misc]
        cable.device.close()
        assert world.until(lambda e=host_end: len(e.lost) == 1)  # type: ignore[misc]
        host.close()
        cable.plug()


def test_a_newer_device_at_a_path_outlives_the_older_one(world: World, cable: Cable) -> None:
    older = cable.device
    cable.plug()
    older.close()
    host, host_end = cable.open()
    cable.device.write(b"new")
    assert world.until(lambda: host_end.heard == b"new")
    host.close()


def test_an_absent_port_cannot_be_opened(world: World, tmp_path: Path) -> None:
    end = End()
    lane = world.runtime.lane("ports")
    with pytest.raises(PortOpenError, match="nothing: cannot be opened"):
        world.runtime.ports.open(str(tmp_path / "nothing"), 9_600, lane, end.hear, end.lost.append)


def test_a_port_is_opened_by_one_only_and_by_the_next_after_that(
    world: World, cable: Cable
) -> None:
    host, host_end = cable.open()
    with pytest.raises(PortOpenError):
        cable.open()
    cable.device.write(b"first")
    assert world.until(lambda: host_end.heard == b"first")
    host.close()
    again, again_end = cable.open()
    cable.device.write(b"second")
    assert world.until(lambda: again_end.heard == b"second")
    again.write(b"\x06")
    assert world.until(lambda: cable.device_end.heard == b"\x06")
    assert host_end.heard == b"first"
    assert host_end.lost == []


def test_a_host_that_closes_is_not_noticed_by_the_device_and_closing_twice_is_nothing(
    world: World, cable: Cable
) -> None:
    host, _ = cable.open()
    host.write(b"bye")
    host.close()
    host.close()
    with pytest.raises(PortLostError):
        host.write(b"more")
    cable.device.write(b"to nobody")
    assert world.until(lambda: cable.device_end.heard == b"bye")


def test_a_device_whose_host_never_reads_is_told_and_the_next_host_begins_anew(
    world: World, cable: Cable
) -> None:
    line = b"x" * 98 + b"\r\n"
    written: list[int] = []

    def write_on() -> None:
        while len(written) < 10_000:
            cable.device.write(line)
            written.append(len(line))

    with pytest.raises(PortLostError, match="does not read"):
        write_on()
    assert sum(written) + len(line) > UNREAD_BYTES_MAX
    host, host_end = cable.open()
    world.settle(0.2)
    assert host_end.heard == b""
    cable.device.write(b"new\r\n")
    assert world.until(lambda: host_end.heard == b"new\r\n")
    host.close()


# --- pseudo-terminals under the virtual clock ---------------------------------------------------


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[Cable]:
    world = make_world("pty")
    yield Cable(world, tmp_path / "scanner")
    world.close()


def carrier_of(cable: Cable) -> PtyCarrier:
    carrier = cable.world.runtime.ports._lines[cable.path].carrier  # type: ignore[attr-defined]
    assert isinstance(carrier, PtyCarrier)
    return carrier


def test_the_path_is_a_real_terminal_that_other_programs_see_as_busy(pty: Cable) -> None:
    assert os.path.realpath(pty.path).startswith("/dev/pts/")
    with serial.Serial(pty.path, exclusive=True), pytest.raises(PortOpenError, match="lock"):
        pty.open()
    host, _ = pty.open()
    with pytest.raises(serial.SerialException, match="lock"):
        serial.Serial(pty.path, exclusive=True)
    host.close()


def test_no_time_passes_and_nothing_happens_between_a_write_and_its_arrival(pty: Cable) -> None:
    _, host_end = pty.open()
    seen: list[str] = []
    loop = pty.world.runtime
    assert isinstance(loop, VirtualRuntime)
    begun_ns = loop.clock.now_ns()
    pty.device.write(b"1")
    loop.lane("other").post(lambda: seen.append(f"event after {host_end.heard!r}"))
    loop.run_for(1)
    assert seen == ["event after b'1'"]
    assert host_end.times_ns == [begun_ns]


@pytest.mark.parametrize("kind", ["memory", "pty"])
def test_lines_written_at_one_instant_arrive_in_the_order_and_pieces_of_writing(
    kind: str, tmp_path: Path
) -> None:
    world = make_world(kind)
    heard: list[tuple[int, bytes]] = []
    devices: list[Port] = []
    lane = world.runtime.lane("hosts")
    for number in range(20):
        path = str(tmp_path / f"line-{number}")
        devices.append(world.runtime.ports.create(path, lane, lambda _: None))
        world.runtime.ports.open(
            path, 9_600, lane, lambda got, n=number: heard.extend((n, d) for d, _ in got),  # type: ignore[misc]
            lambda _: None,
        )  # fmt: skip
    order = [7, 3, 19, 0, 12, 5]
    for number in order:
        devices[number].write(b"a%d" % number)
        devices[number].write(b"b%d" % number)
    world.settle(0.1)
    assert heard == [(n, piece % n) for n in order for piece in (b"a%d", b"b%d")]
    world.close()


def test_bytes_that_do_not_arrive_end_the_run_with_the_line_and_their_number(pty: Cable) -> None:
    _host, _ = pty.open()
    carrier = carrier_of(pty)
    carrier._timeout_s = 0.05
    assert carrier._serial is not None
    carrier._serial.timeout = 0.05
    settings = termios.tcgetattr(carrier._slave)
    settings[3] |= termios.ICANON  # a terminal that waits for the end of the line
    termios.tcsetattr(carrier._slave, termios.TCSANOW, settings)
    with pytest.raises(PtyError, match=r"scanner: 3 of 3 bytes that the device wrote .* the host"):
        pty.device.write(b"abc")
    tty.setraw(carrier._slave)
    termios.tcflow(carrier._master, termios.TCOOFF)
    with pytest.raises(PtyError, match="4 of 4 bytes that the device wrote did not reach the line"):
        pty.device.write(b"abcd")
    termios.tcflow(carrier._master, termios.TCOON)


def test_a_real_device_is_refused_under_a_virtual_clock(pty: Cable) -> None:
    master, slave = os.openpty()
    end = End()
    with pytest.raises(PortOpenError, match="expected a simulated device"):
        pty.world.runtime.ports.open(os.ttyname(slave), 9_600, pty.lane, end.hear, end.lost.append)
    os.close(master)
    os.close(slave)


def test_a_killed_process_leaves_its_lines_and_no_handles(tmp_path: Path) -> None:
    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = handles()
    floor = VirtualRuntime(lines="pty")
    edge = VirtualRuntime(shared=floor)
    end, device_end = End(), End()
    lane = edge.lane("edge")
    device = floor.ports.create(str(tmp_path / "tty"), floor.lane("floor"), device_end.hear)
    edge.ports.open(str(tmp_path / "tty"), 9_600, lane, end.hear, end.lost.append)
    device.write(b"heard by nobody: the process ends before it looks")
    edge.kill()
    floor.run_for(1)
    assert end.heard == b""
    again = VirtualRuntime(shared=floor)
    host = again.ports.open(
        str(tmp_path / "tty"), 9_600, again.lane("edge"), end.hear, end.lost.append
    )
    device.write(b"after")
    host.write(b"\x06")
    floor.run_for(1)
    assert (end.heard, device_end.heard) == (b"after", b"\x06")
    again.kill()
    floor.close()
    assert handles() == before
    assert not (tmp_path / "tty").exists()


@pytest.mark.parametrize("spare", [84, 85, 86, 87, 88, 89])
def test_too_many_lines_for_one_process_are_refused_with_the_limit(
    tmp_path: Path, spare: int
) -> None:
    # Each line takes several handles, so the limit falls on another one of them each time.
    world = make_world("pty")
    lane = world.runtime.lane("many")
    opened: list[str] = []

    def open_on() -> None:
        for number in range(200):
            path = str(tmp_path / f"line-{number}")
            world.runtime.ports.create(path, lane, lambda _: None)
            world.runtime.ports.open(path, 9_600, lane, lambda _: None, lambda _: None)
            opened.append(path)

    with contextlib.ExitStack() as held:
        while True:  # as if much else were open in this process
            handle = os.open("/dev/null", os.O_RDONLY)
            held.callback(os.close, handle)
            if handle >= SELECT_HANDLES_MAX - spare:
                break
        with pytest.raises(PtyError, match="fit into one process"):
            open_on()
    assert len(opened) >= 5
    world.close()


def test_a_port_that_pyserial_could_not_wait_for_is_refused_at_once() -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)
    with contextlib.ExitStack() as held:
        held.callback(os.close, master)
        held.callback(os.close, slave)
        while True:
            handle = os.open("/dev/null", os.O_RDONLY)
            held.callback(os.close, handle)
            if handle >= SELECT_HANDLES_MAX - 3:  # room for the port, not for its two pipes
                break
        with pytest.raises(TooManyHandlesError, match="pyserial can wait for those below 1024"):
            open_serial(name, 9_600, 1.0, 1.0)
        open_now = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(TooManyHandlesError):
            open_serial(name, 9_600, 1.0, 1.0)
        assert len(list(Path("/proc/self/fd").iterdir())) == open_now
