"""Faults of serial lines show on the wire while they last, and are over after their end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from runtime.ports import PortOpenError
from sim_hardware.devices.scanner import ANSWER_S
from tests.fault_stage import Faulty, Host, Trigger, make_stage

SCANNER = "scanner-p1"
TEXT = "]C10109521321000010"
LINE = TEXT.encode() + b"\r\n"
SCANS = 12


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return make_stage(tmp_path)


@pytest.fixture
def host(faulty: Faulty) -> Host:
    return Host(faulty, "port-p1")


@pytest.fixture
def trigger(faulty: Faulty) -> Trigger:
    return Trigger(faulty, SCANNER)


def scan_often(faulty: Faulty, trigger: Trigger, host: Host) -> bytes:
    """Return what the host hears of some scans that are each answered well at once."""
    host.heard.clear()
    for _ in range(SCANS):
        trigger.pull(TEXT)
        faulty.run(0.1)
        host.port.write(b"\x06")
        faulty.run(ANSWER_S + 0.1)
    return host.bytes


def test_a_line_without_trouble_says_what_the_scanner_says(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    assert scan_often(faulty, trigger, host) == LINE * SCANS
    assert [a is not None and a.ok for a in trigger.answers] == [True] * SCANS


@pytest.mark.parametrize("kind", ["serial-drop", "serial-flip", "serial-duplicate", "half-line"])
def test_bytes_are_wrong_from_the_device_only_while_the_fault_lasts(
    faulty: Faulty, host: Host, trigger: Trigger, kind: str
) -> None:
    end = faulty.begin(kind, SCANNER, share="10 %", direction="from-device")
    heard = scan_often(faulty, trigger, host)
    whole = LINE * SCANS
    expected = {
        "serial-drop": len(heard) < len(whole) * 0.97,
        "serial-flip": len(heard) == len(whole) and heard != whole,
        "serial-duplicate": len(heard) > len(whole) * 1.03,
        "half-line": heard != whole and all(LINE.startswith(data) for _, data in host.heard),
    }
    assert expected[kind]
    assert [a is not None and a.ok for a in trigger.answers] == [True] * SCANS
    end()
    assert scan_often(faulty, trigger, host) == whole


def test_a_flipped_byte_differs_in_one_bit(faulty: Faulty, host: Host, trigger: Trigger) -> None:
    faulty.begin("serial-flip", SCANNER, share=0.3, direction="from-device")
    heard = scan_often(faulty, trigger, host)
    changed = [a ^ b for a, b in zip(heard, LINE * SCANS, strict=True) if a != b]
    assert changed
    assert all(difference.bit_count() == 1 for difference in changed)


def test_bytes_to_the_device_are_lost_too(faulty: Faulty, host: Host, trigger: Trigger) -> None:
    end = faulty.begin("serial-drop", SCANNER, share=1, direction="to-device")
    assert scan_often(faulty, trigger, host) == LINE * SCANS
    assert trigger.answers == [None] * SCANS
    end()
    trigger.answers.clear()
    scan_often(faulty, trigger, host)
    assert None not in trigger.answers


def test_a_delayed_line_comes_late_and_whole(faulty: Faulty, host: Host, trigger: Trigger) -> None:
    end = faulty.begin("serial-delay", SCANNER, delay="3 s", direction="from-device")
    begun_s = faulty.bench.runtime.clock.monotonic_ns() / 1e9
    trigger.pull(TEXT)
    faulty.run(3.1)
    [(at_s, data)] = host.heard
    assert data == LINE
    assert 0.1 < at_s - begun_s <= 3.0
    end()
    host.heard.clear()
    faulty.run(ANSWER_S)
    trigger.pull(TEXT)
    faulty.run(0.01)
    assert host.bytes == LINE


def test_a_split_line_comes_in_pieces_with_pauses(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    end = faulty.begin("serial-split", SCANNER, pause="200 ms")
    trigger.pull(TEXT)
    faulty.run(1)
    times = [at_s for at_s, _ in host.heard]
    assert host.bytes == LINE
    assert len(times) >= 2
    assert all(b - a == pytest.approx(0.2) for a, b in pairwise(times))
    end()
    faulty.run(ANSWER_S)
    host.heard.clear()
    trigger.pull(TEXT)
    faulty.run(1)
    assert [data for _, data in host.heard] == [LINE]


def test_a_stalled_line_gives_all_at_once_at_the_end(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    end = faulty.begin("serial-stall", SCANNER)
    trigger.pull(TEXT)
    faulty.run(ANSWER_S + 1)
    assert host.heard == []
    assert trigger.answers == [None]
    trigger.pull(TEXT)
    host.port.write(b"\x06")
    faulty.run(1)
    end()
    faulty.run(0.01)
    assert host.bytes == LINE * 2
    assert trigger.answers[1] is not None


def test_noise_comes_between_lines_only(faulty: Faulty, host: Host, trigger: Trigger) -> None:
    end = faulty.begin("serial-noise", SCANNER, rate="5 /s", direction="from-device")
    heard = scan_often(faulty, trigger, host)
    assert heard.count(LINE) == SCANS
    assert len(heard) > len(LINE) * SCANS + 50
    end()
    assert scan_often(faulty, trigger, host) == LINE * SCANS


def test_two_speeds_understand_nothing_of_each_other(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    end = faulty.begin("baud-mismatch", SCANNER)
    heard = scan_often(faulty, trigger, host)
    assert heard
    assert not set(heard) & set(LINE)
    assert trigger.answers == [None] * SCANS
    end()
    assert scan_often(faulty, trigger, host) == LINE * SCANS


def test_a_pulled_cable_is_lost_at_the_host_until_it_is_plugged_in(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    end = faulty.begin("unplug", SCANNER)
    faulty.run(0.1)
    assert host.lost == 1
    with pytest.raises(PortOpenError):
        host.open()
    trigger.pull(TEXT)
    faulty.run(ANSWER_S + 0.1)
    assert trigger.answers == [None]
    end()
    host.open()
    assert scan_often(faulty, trigger, host) == LINE * SCANS


def test_a_cable_pulled_twice_is_plugged_twice(faulty: Faulty, host: Host) -> None:
    ends = [faulty.begin("unplug", SCANNER), faulty.begin("unplug", SCANNER)]
    ends[0]()
    ends[0]()
    with pytest.raises(PortOpenError):
        host.open()
    ends[1]()
    host.open()


def test_a_scanner_browns_out_in_the_middle_of_a_line(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    end = faulty.begin("brown-out", SCANNER)
    faulty.run(1)
    assert host.lost == 0
    trigger.pull(TEXT)
    faulty.run(ANSWER_S + 0.1)
    assert host.lost == 1
    assert len(host.bytes) < len(LINE)
    assert LINE.startswith(host.bytes)
    assert trigger.answers == [None]
    end()
    host.open()
    assert scan_often(faulty, trigger, host) == LINE * SCANS


def test_a_drone_browns_out_and_its_heartbeat_comes_back(faulty: Faulty) -> None:
    host = Host(faulty, "radio")
    faulty.run(1)
    assert host.heard
    end = faulty.begin("brown-out", "drone-1")
    faulty.run(1.5)
    assert host.lost == 1
    assert faulty.bench.floor.drones["drone-1"].picture() == b""
    end()
    host.open()
    host.heard.clear()
    faulty.run(1.5)
    assert host.heard


def test_faults_that_last_together_end_one_by_one(
    faulty: Faulty, host: Host, trigger: Trigger
) -> None:
    stalled = faulty.begin("serial-stall", SCANNER)
    delayed = faulty.begin("serial-delay", SCANNER, delay=1.0)
    trigger.pull(TEXT)
    faulty.run(ANSWER_S + 1)
    delayed()
    assert host.heard == []
    stalled()
    faulty.run(0.01)
    assert host.bytes == LINE
