"""Recordings: what one life of one process was handed from outside, in a file that only grows.

The first line names the format. Then come frames: length and CRC-32 of what follows (four bytes
each, little end first), and one value as MessagePack. The first value is the header, a map; all
others are records, arrays whose first element says which. A frame is given to the kernel in one
write before what it tells of is handed on: a killed process has at most a torn frame at the end,
and lacks nothing that it had been handed before. (A machine that loses its power lacks what the
kernel had not written to the disk yet.)
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from runtime.errors import StartError

MAGIC: Final = b"stockhelm recording 1\n"
SUFFIX: Final = ".rec"
FRAME_HEAD: Final = struct.Struct("<II")
FRAME_BYTES_MAX: Final = 256 * 1024 * 1024
"""What a header may hold: a site of a million bins is about as large."""
RECORDING_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024
"""A file that would grow beyond it ends there, without counts; the process goes on."""
T = TypeVar("T")
log = structlog.get_logger()


class RecordingError(StartError):
    """A recording cannot be made or read; the text says file, offset and what was expected."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording needs to stand alone."""

    kind: str
    """`edge` or `central`."""
    name: str
    life: int
    """1 for the first recording of this name in its folder, 2 for the next start, and so on."""
    stockhelm: str
    """The version that recorded."""
    config: str
    """The process's configuration as TOML, without its password."""
    files: dict[str, str]
    """The site's files by name."""
    database: str
    """The copy, beside the recording, of the database that the process began with; empty: none."""
    seed: int
    utc_ns: int
    monotonic_ns: int
    """When it began, by both of its clocks."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Something that came from outside, when it was handed on."""

    at_ns: int
    """Since the recording began, by the clock that never goes back."""
    utc_ns: int
    queued: int
    """Its place, when it began to wait, in the order of all that began to wait or was handed."""
    order: int
    """Its place in that order when it was handed on."""


class Begun(Record, frozen=True, tag="begun"):
    """The process looked at its clock for the first time."""


class Named(Record, frozen=True, tag="named"):
    """A number that later records use stands for this subscription or camera."""

    what: str
    number: int
    text: str


class Messages(Record, frozen=True, tag="messages"):
    """A subscription was handed messages: topic, payload, retained, UTC ns of arrival."""

    number: int
    items: list[tuple[str, bytes, bool, int]]


class Link(Record, frozen=True, tag="link"):
    """The process noticed that a connection to the broker (by number) came up or went away."""

    number: int
    up: bool


class Opened(Record, frozen=True, tag="opened"):
    """A serial line was to be opened: `reason` says why it was not, empty where it was."""

    number: int
    path: str
    reason: str


class Chunks(Record, frozen=True, tag="chunks"):
    """Bytes came on a line that was opened: bytes, UTC ns of arrival."""

    number: int
    items: list[tuple[bytes, int]]


class Lost(Record, frozen=True, tag="lost"):
    """A line went away while it was open."""

    number: int
    reason: str


class Picture(Record, frozen=True, tag="picture"):
    """A camera answered with a picture, or with the reason why there is none."""

    number: int
    data: bytes
    taken_at_ns: int
    reason: str


class Stopping(Record, frozen=True, tag="stopping"):
    """The process was asked to stop, and began to."""


class Counts(Record, frozen=True, tag="counts"):
    """Part of the final counts: place, GTIN-14, units."""

    rows: list[tuple[str, str, int]]


class End(Record, frozen=True, tag="end"):
    """The process ended well; so many counts stand before this."""

    counts: int


AnyRecord = (
    Begun | Named | Messages | Link | Opened | Chunks | Lost | Picture | Stopping | Counts | End
)
_encoder: Final = msgspec.msgpack.Encoder()
_record_decoder: Final[msgspec.msgpack.Decoder[AnyRecord]] = msgspec.msgpack.Decoder(AnyRecord)
_header_decoder: Final = msgspec.msgpack.Decoder(Header)


class RecordingFile:
    """A recording that grows. Not for several threads at once."""

    def __init__(self, path: Path, header: Header, *, bytes_max: int = RECORDING_BYTES_MAX) -> None:
        self.path = path
        self.ended_by = ""
        """Why nothing is recorded any more; empty while something is."""
        self._bytes_max = bytes_max
        self._bytes = 0
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._handle = os.open(path, flags, 0o640)
        except OSError as error:
            raise RecordingError(
                f"{path}: expected a file that can be made for a recording: {error.strerror}"
            ) from error
        self._write(MAGIC)
        self._add(_encoder.encode(header))
        if self.ended_by:
            raise RecordingError(f"{path}: the recording cannot begin: {self.ended_by}")

    def add(self, record: AnyRecord) -> None:
        """Give a record to the kernel. Where that cannot be, the recording ends, once and said."""
        if not self.ended_by and not self._add(_encoder.encode(record)):
            log.error("the recording ends here", file=str(self.path), reason=self.ended_by)

    def close(self) -> None:
        """Close the file."""
        self.ended_by = self.ended_by or "it was closed"
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _add(self, payload: bytes) -> bool:
        size = self._bytes + FRAME_HEAD.size + len(payload)
        if len(payload) > FRAME_BYTES_MAX:
            self.ended_by = f"a frame of {len(payload)} bytes, at most {FRAME_BYTES_MAX} are kept"
        elif size > self._bytes_max:
            self.ended_by = f"it would be over {self._bytes_max} bytes long"
        else:
            self._write(FRAME_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        return not self.ended_by

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            self.ended_by = f"it cannot be written: {error.strerror}"
            return
        self._bytes += written
        if written < len(data):
            self.ended_by = f"only {written} of {len(data)} bytes could be written: no room left"


class Recording:
    """A recording that is read. After `records` has ended, `torn` says what was cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = ""
        self.bytes = 0
        try:
            self.bytes = path.stat().st_size
            with path.open("rb") as file:
                begin = file.read(len(MAGIC))
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
        if begin != MAGIC:
            raise RecordingError(
                f"{path}: offset 0: expected {MAGIC!r}, found {begin!r}: it is no recording, or one"
                " of another version of stockhelm"
            )
        for offset, payload in self._frames():
            self.header = self._decode(_header_decoder, offset, payload)
            self._records_at = offset + FRAME_HEAD.size + len(payload)
            return
        raise RecordingError(
            f"{path}: offset {len(MAGIC)}: expected a header, found the end: {self.torn or 'empty'}"
        )

    def records(self) -> Iterator[tuple[int, AnyRecord]]:
        """Yield every whole record with its offset. Raises RecordingError where one is damaged."""
        self.torn = ""
        for number, (offset, payload) in enumerate(self._frames()):
            if number:
                yield offset, self._decode(_record_decoder, offset, payload)

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            offset = file.seek(len(MAGIC))
            while True:
                head = file.read(FRAME_HEAD.size)
                if not head:
                    return
                if len(head) < FRAME_HEAD.size:
                    self._cut(offset, f"{FRAME_HEAD.size} bytes of a frame's head", len(head))
                    return
                length, crc = FRAME_HEAD.unpack(head)
                if length > FRAME_BYTES_MAX:
                    raise RecordingError(
                        f"{self.path}: offset {offset}: expected a frame of at most"
                        f" {FRAME_BYTES_MAX} bytes, found one of {length}: the file is damaged"
                    )
                payload = file.read(length)
                if len(payload) < length:
                    self._cut(offset, f"a frame of {length} bytes", len(payload))
                    return
                if zlib.crc32(payload) != crc:
                    if not file.read(1):
                        self._cut(offset, f"a frame with CRC {crc:08x}", len(payload))
                        return
                    raise RecordingError(
                        f"{self.path}: offset {offset}: expected CRC {crc:08x}, found"
                        f" {zlib.crc32(payload):08x}: the file is damaged"
                    )
                yield offset, payload
                offset += FRAME_HEAD.size + length

    def _cut(self, offset: int, expected: str, found: int) -> None:
        self.torn = f"offset {offset}: expected {expected}, found {found} bytes; cut off"

    def _decode(self, decoder: msgspec.msgpack.Decoder[T], offset: int, payload: bytes) -> T:
        try:
            return decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(
                f"{self.path}: offset {offset}: expected a record of this version: {error}"
            ) from error
