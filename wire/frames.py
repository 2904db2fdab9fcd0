"""Serial frames: chunks of bytes to whole lines. No port in sight: torn frames can be tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from wire.answers import Code

LINE_BYTES_MAX: Final = 512
SAMPLE_BYTES_MAX: Final = 24
GROUP_SEPARATOR: Final = 0x1D
_ENDS: Final = frozenset(b"\r\n")
_PRINTABLE: Final = frozenset(range(0x20, 0x7F)) | {GROUP_SEPARATOR}
DropReason = Literal[Code.TOO_LONG, Code.HALF_LINE, Code.MALFORMED]


@dataclass(frozen=True, slots=True)
class DroppedLine:
    """Bytes that were no line: why, and how they began."""

    reason: DropReason
    text: str


class LineUnframer:
    """Chunks in, lines out. A line ends with CR, LF or both and holds printable ASCII and GS.

    What is too long, torn or holds other bytes is dropped up to the next line end and said so once.
    """

    def __init__(self, *, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._line_bytes_max = line_bytes_max
        self._buffer = bytearray()
        self._skipping = False

    @property
    def pending(self) -> bool:
        """Return whether a line has begun and not ended."""
        return self._skipping or bool(self._buffer)

    def feed(self, chunk: bytes) -> list[str | DroppedLine]:
        """Return each whole line now in the buffer, and what was dropped, in order."""
        found: list[str | DroppedLine] = []
        start = 0
        for at, byte in enumerate(chunk):
            if byte in _ENDS:
                self._extend(chunk[start:at], found)
                self._end(found)
                start = at + 1
        self._extend(chunk[start:], found)
        return found

    def give_up(self) -> DroppedLine | None:
        """Return the half line that was given up: its rest did not come in time."""
        half = bytes(self._buffer)
        self._buffer.clear()
        self._skipping = False
        if not half:
            return None
        return DroppedLine(Code.HALF_LINE, f"no line end after {len(half)} bytes: {_sample(half)}")

    def _extend(self, piece: bytes, found: list[str | DroppedLine]) -> None:
        if self._skipping:
            return
        self._buffer += piece
        if len(self._buffer) > self._line_bytes_max:
            text = f"line over {self._line_bytes_max} bytes: {_sample(bytes(self._buffer))}"
            found.append(DroppedLine(Code.TOO_LONG, text))
            self._buffer.clear()
            self._skipping = True

    def _end(self, found: list[str | DroppedLine]) -> None:
        line = bytes(self._buffer)
        skipped, self._skipping = self._skipping, False
        self._buffer.clear()
        if skipped or not line:
            return
        strange = next((byte for byte in line if byte not in _PRINTABLE), None)
        if strange is None:
            found.append(line.decode("ascii"))
        else:
            text = f"byte 0x{strange:02X} in a line: expected printable ASCII: {_sample(line)}"
            found.append(DroppedLine(Code.MALFORMED, text))


def _sample(data: bytes) -> str:
    return repr(data[:SAMPLE_BYTES_MAX])[1:] + ("..." if len(data) > SAMPLE_BYTES_MAX else "")
