"""The file of a recording: whole, torn, damaged, full; errors say where and what was expected."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from runtime.clock import VirtualClock
from runtime.recorder import Recorder
from runtime.recording import (
    FRAME_HEAD,
    MAGIC,
    AnyRecord,
    Chunks,
    Counts,
    End,
    Header,
    Messages,
    Recording,
    RecordingError,
    RecordingFile,
)
from stockhelm.sim_replay_world import bursts, read_contents

HEADER = Header(
    kind="edge", name="edge-A", life=1, stockhelm="0", config="x = 1\n", files={"a.csv": "b\n"},
    database="", seed=7, utc_ns=5, monotonic_ns=3,
)  # fmt: skip


def messages(number: int, *, queued: int = 0) -> Messages:
    order = 10 * number
    item = ("stockhelm/v1/x", b"\x00\xff", True, 9)
    return Messages(number, 5 + number, queued or order, order, number, [item])


def written(path: Path, *records: AnyRecord) -> bytes:
    file = RecordingFile(path, HEADER)
    for record in records:
        file.add(record)
    file.close()
    return path.read_bytes()


def read(path: Path) -> tuple[list[AnyRecord], str]:
    recording = Recording(path)
    records = [record for _, record in recording.records()]
    return records, recording.torn


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    wrote: list[AnyRecord] = [
        messages(1),
        Chunks(2, 3, 4, 5, 0, [(b"\r\n", 1)]),
        End(3, 4, 5, 6, 0),
    ]
    written(path, *wrote)
    assert Recording(path).header == HEADER
    assert read(path) == (wrote, "")


def test_a_torn_tail_is_cut_and_said_wherever_it_tore(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.rec", messages(1))
    longer = written(tmp_path / "longer.rec", messages(1), messages(2))
    for end in range(len(whole) + 1, len(longer)):
        path = tmp_path / "torn.rec"
        path.write_bytes(longer[:end])
        records, torn = read(path)
        assert records == [messages(1)]
        assert torn.startswith(f"offset {len(whole)}: expected ")
    path.write_bytes(longer[:-1] + b"\x00")  # the size is there, the end of the data is not
    assert read(path)[0] == [messages(1)]
    assert "CRC" in read(path)[1]


def test_a_damaged_middle_is_an_error_with_file_and_offset(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.rec", messages(1))
    longer = bytearray(written(tmp_path / "a.rec", messages(1), messages(2)))
    longer[len(whole) - 2] ^= 0x10
    path = tmp_path / "a.rec"
    path.write_bytes(longer)
    with pytest.raises(RecordingError, match=r"a\.rec: offset \d+: expected CRC [0-9a-f]{8}"):
        read(path)
    path.write_bytes(whole + FRAME_HEAD.pack(0xFFFFFFFF, 0))
    with pytest.raises(RecordingError, match=f"offset {len(whole)}: expected a frame of at most"):
        read(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"offset 0: expected .*stockhelm recording 1"),
        (b"stockhelm recording 2\n....", r"offset 0: .*of another version"),
        (MAGIC, r"offset 22: expected a header, found the end"),
        (MAGIC + FRAME_HEAD.pack(1, 0xD202EF8D)[:5], r"expected a header.*expected 8 bytes"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=says):
        Recording(path)


def test_a_recording_that_would_grow_too_long_ends_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    file = RecordingFile(path, HEADER, bytes_max=2_000)
    for number in range(100):
        file.add(messages(number))
    assert file.ended_by == "it would be over 2000 bytes long"
    file.close()
    records, torn = read(path)
    assert 10 < len(records) < 100
    assert records == [messages(number) for number in range(len(records))]
    assert torn == ""


def test_a_full_disk_ends_the_recording_and_not_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    file = RecordingFile(path, HEADER)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, before[1]))
        for number in range(10):
            file.add(messages(number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "bytes could be written" in file.ended_by
    file.close()
    records, torn = read(path)
    assert records == [messages(0), messages(1)]
    assert "cut off" in torn


def test_a_recording_never_overwrites_another(tmp_path: Path) -> None:
    written(tmp_path / "a.rec")
    with pytest.raises(RecordingError, match=r"a\.rec: expected a file that can be made"):
        RecordingFile(tmp_path / "a.rec", HEADER)


def test_counts_of_any_number_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    recorder = Recorder(RecordingFile(path, HEADER), VirtualClock(), 0)
    rows = [(f"bin:{number}", "04006381333931", number) for number in range(25_001)]
    recorder.end(rows)
    contents = read_contents(Recording(path))
    assert contents.ended
    assert contents.counts == {(place, gtin): units for place, gtin, units in rows}
    assert sum(isinstance(record, Counts) for record in read(path)[0]) == 3


def test_what_waited_already_is_handed_on_together() -> None:
    records: list[AnyRecord] = [
        messages(1),  # in the order of all: 10
        messages(2, queued=7),
        messages(3, queued=15),  # waited when the second was handed on, not when the first was
        messages(4, queued=29),
        messages(5),
    ]
    numbered = ((0, record) for record in records)
    assert [[record.order for record in burst] for burst in bursts(numbered)] == [
        [10, 20],
        [30, 40],
        [50],
    ]
