"""What `stockhelm decode` does: the codes in picture files, as text or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.vision.core import Code
from edge.vision.decode import PICTURE_BYTES_MAX, Decoder, PictureError, open_picture


class DecodedCode(msgspec.Struct, frozen=True, kw_only=True):
    """One code: AIM identifier and data, symbology, corners (x, y) clockwise from its top left."""

    text: str
    symbology: str
    corners: tuple[tuple[float, float], ...]


class DecodedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One picture's codes, or why it could not be read."""

    file: str
    codes: tuple[DecodedCode, ...] = ()
    error: str = ""


def decode_files(paths: Sequence[Path]) -> list[DecodedFile]:
    """Return the codes in each file, in order; one that is no picture has an error instead."""
    decoder = Decoder()
    return [_decode_file(path, decoder) for path in paths]


def as_json(files: Sequence[DecodedFile]) -> str:
    """Return the result as JSON: a list with an object per file."""
    return msgspec.json.format(msgspec.json.encode(files), indent=2).decode()


def as_text(files: Sequence[DecodedFile]) -> str:
    """Return the result for people: a line per code. GS (0x1D) is shown as <GS>."""
    lines = []
    for file in files:
        if file.error:
            lines.append(f"{file.file}: {file.error}")
        elif not file.codes:
            lines.append(f"{file.file}: no code found")
        for code in file.codes:
            x, y = (round(sum(values) / 4) for values in zip(*code.corners, strict=True))
            text = code.text.replace("\x1d", "<GS>")
            lines.append(f"{file.file}: {code.symbology} at {x},{y}: {text}")
    return "\n".join(lines)


def _decode_file(path: Path, decoder: Decoder) -> DecodedFile:
    try:
        with path.open("rb") as file:
            codes = decoder.decode(open_picture(file.read(PICTURE_BYTES_MAX + 1)))
    except OSError as error:
        return DecodedFile(file=str(path), error=f"cannot be read: {error.strerror or error}")
    except PictureError as error:
        return DecodedFile(file=str(path), error=str(error))
    return DecodedFile(file=str(path), codes=tuple(_public(code) for code in codes))


def _public(code: Code) -> DecodedCode:
    return DecodedCode(text=code.text, symbology=code.symbology, corners=code.corners)
