"""Messages to bytes and back: JSON, typed, bounded, unknown fields ignored."""

from __future__ import annotations

import functools
import re
from typing import Any, TypeVar

import msgspec

from wire.messages import PAYLOAD_BYTES_MAX

T = TypeVar("T")
_DEPTH_MAX = 16
# Possessive, and an open end counts as closed: each byte is looked at once, whatever comes. No
# bracket is missed by that, since what is wrong with an open text ends the decoding there.
_QUOTED = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NUL = b"\\u0000"
_A_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_encoder = msgspec.json.Encoder()


class WireError(ValueError):
    """Bytes are not the message they should be; the text says what was expected and what came."""


def encode(message: msgspec.Struct) -> bytes:
    """Return `message` as JSON. Raises WireError where it would be over the size limit."""
    payload = _encoder.encode(message)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise WireError(
            f"{type(message).__name__}: {len(payload)} bytes;"
            f" at most {PAYLOAD_BYTES_MAX} go on the wire"
        )
    return payload


@functools.cache
def _decoder(kind: Any, strict: bool) -> msgspec.json.Decoder[Any]:  # noqa: FBT001 - cached by place
    return msgspec.json.Decoder(kind, strict=strict)


def decode(payload: bytes, kind: type[T]) -> T:
    """Return the message of type `kind` (a class or a union) in `payload`, or raise WireError."""
    return _decode(payload, kind, strict=True, bytes_max=PAYLOAD_BYTES_MAX)


def decode_part(payload: bytes, kind: type[T], *, bytes_max: int = PAYLOAD_BYTES_MAX) -> T:
    """Return what `kind` names of somebody's message, or raise WireError.

    For messages that are not ours to define: numbers may come as texts. They are bounded as ours.
    """
    return _decode(payload, kind, strict=False, bytes_max=bytes_max)


def _decode(payload: bytes, kind: type[T], *, strict: bool, bytes_max: int) -> T:
    if len(payload) > bytes_max:
        raise WireError(f"payload of {len(payload)} bytes: at most {bytes_max} are taken")
    if _too_deep(payload):
        raise WireError(f"payload nested deeper than {_DEPTH_MAX} levels")
    if _NUL in payload and _A_NUL.search(payload):
        raise WireError("a text holds the character U+0000: not every database can keep it")
    hashable: Any = kind
    try:
        message: T = _decoder(hashable, strict).decode(payload)
    except msgspec.ValidationError as error:
        raise WireError(f"not a valid {_name(kind)}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"not JSON: {error}; got {payload[:40]!r}") from error
    return message


def _too_deep(payload: bytes) -> bool:
    """Return whether brackets nest deeper than the limit, at the speed of a few passes in C."""
    if payload.count(b"[") + payload.count(b"{") <= _DEPTH_MAX:
        return False
    # Most texts hold no bracket and no backslash: what is left of them is a pair of quotes.
    brackets = payload.translate(None, delete=_NOT_MARKS).replace(b'""', b"")
    if b'"' in brackets or b"\\" in payload:
        brackets = _QUOTED.sub(b"", payload).translate(None, delete=_NOT_BRACKETS)
    brackets = brackets.translate(_ALIKE)  # both kinds at once: a pass takes one level, not two
    for _ in range(_DEPTH_MAX):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _name(kind: object) -> str:
    return getattr(kind, "__name__", str(kind))
