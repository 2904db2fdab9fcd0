"""VDA 5050 messages to bytes and back, within the limits of every message here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from wire import codec
from wire.vda5050.dialects import V2_0, Dialect, dialect_of, with_ends
from wire.vda5050.messages import Action, ActionParameter, Header, InstantActions, Order, Value

T = TypeVar("T", bound=Header)
WireError = codec.WireError


class OldInstantActions(InstantActions, frozen=True, kw_only=True):
    """With the key of version 1.1 beside the right one: some software knows no other in 2.0.0."""

    instant_actions: tuple[Action, ...] = ()


def encode(message: Header, dialect: Dialect = V2_0) -> bytes:
    """Return `message` as JSON of this dialect. Raises WireError where it is over the size limit.

    The version in its header is the caller's to write.
    """
    return codec.encode(dialect.fit(message))


def decode(payload: bytes, kind: type[T], dialect: Dialect = V2_0) -> T:
    """Return the message of type `kind` in `payload`, or raise WireError saying what is wrong.

    What it says in another dialect is not read: `decode_as_said` looks for that.
    """
    return codec.decode(payload, dialect.type_of(kind))


def decode_as_said(payload: bytes, kind: type[T], usual: Dialect, major: str) -> tuple[T, Dialect]:
    """Return a vehicle's message and the dialect that its header says; `usual` is tried first."""
    message = decode(payload, kind, usual)
    said = dialect_of(message.version, major)
    if said is usual:
        return message, usual
    return decode(payload, kind, said), said


def decode_order(payload: bytes, dialect: Dialect = V2_0) -> Order:
    """Return an order whose edges say where they begin and end, whatever the version."""
    return with_ends(decode(payload, Order, dialect))


def decode_instant_actions(payload: bytes, dialect: Dialect = V2_0) -> InstantActions:
    """Return the instant actions in `payload`: key `actions`, or `instantActions` as it was."""
    found = codec.decode(payload, dialect.type_of(OldInstantActions))
    return InstantActions(
        header_id=found.header_id,
        timestamp=found.timestamp,
        version=found.version,
        manufacturer=found.manufacturer,
        serial_number=found.serial_number,
        actions=found.actions or found.instant_actions,
    )


def parameters(values: Mapping[str, Value]) -> tuple[ActionParameter, ...]:
    """Return action parameters in the order of `values`."""
    return tuple(ActionParameter(key=key, value=value) for key, value in values.items())


def parameter(action: Action, key: str) -> Value:
    """Return the value of one parameter of `action`; None where it has none of that key."""
    for found in action.action_parameters or ():
        if found.key == key:
            return found.value
    return None


def text_of(value: str | msgspec.UnsetType | None) -> str:
    """Return an optional text of a message; empty where it is absent."""
    return value or ""
