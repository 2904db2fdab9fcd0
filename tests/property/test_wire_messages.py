"""Whatever bytes come, a message is decoded or refused with a WireError; nothing else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.build import message_strategy, movement
from wire.codec import WireError, decode, decode_part, encode
from wire.messages import (
    EVENTS_PER_BATCH_MAX,
    PAYLOAD_BYTES_MAX,
    DeviceScan,
    JournalBatch,
    Message,
    Movement,
)
from wire.topics import TOPICS

# As every kind of message is drawn in its own test, a part of the examples does for each.
few = settings(max_examples=settings().max_examples // 3)
KINDS = sorted({kind for topic in TOPICS for kind in topic.messages}, key=lambda k: k.__name__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@given(data=st.data())
@few
def test_every_valid_message_survives_the_wire(kind: type[Message], data: st.DataObject) -> None:
    payload = data.draw(message_strategy(kind))
    message = decode(payload, kind)
    assert decode(encode(message), kind) == message


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
@given(data=st.data(), cut=st.integers(min_value=0), flip=st.integers(0, 255))
@few
def test_a_damaged_message_is_decoded_or_refused(
    kind: type[Message], data: st.DataObject, cut: int, flip: int
) -> None:
    payload = bytearray(data.draw(message_strategy(kind)))
    payload[cut % len(payload)] ^= flip
    for damaged in (bytes(payload), bytes(payload[: cut % len(payload)])):
        with contextlib.suppress(WireError):
            assert isinstance(decode(damaged, kind), kind)


@given(st.binary(max_size=300))
def test_any_bytes_either_decode_or_raise_wire_error(payload: bytes) -> None:
    for kind in KINDS:
        with contextlib.suppress(WireError):
            assert isinstance(decode(payload, kind), kind)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_other_json_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        decode(json.dumps(value).encode(), DeviceScan)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"x":[{"y":['])
def test_deep_nesting_is_refused_before_it_is_decoded(opening: bytes) -> None:
    payload = opening * (PAYLOAD_BYTES_MAX // len(opening) - 1)
    with pytest.raises(WireError, match="nested deeper than 16 levels"):
        decode(payload, DeviceScan)


def test_brackets_inside_texts_are_no_nesting() -> None:
    event = movement(reason="x", event_id="[" * 100)
    assert decode(encode(event), Movement) == event


def test_a_payload_over_the_limit_is_refused_on_both_ends() -> None:
    with pytest.raises(WireError, match="at most 65536 are taken"):
        decode(b" " * (PAYLOAD_BYTES_MAX + 1), DeviceScan)
    many = JournalBatch(
        edge_id="A",
        epoch=1,
        first_seq=1,
        events=tuple(movement(event_id="e" * 120 + str(n)) for n in range(300)),
    )
    with pytest.raises(WireError, match="at most 65536 go on the wire"):
        encode(many)


def test_the_largest_batch_fits_into_one_message() -> None:
    longest = movement(
        event_id="e" * 120,
        units=1_000_000,
        from_place="robot:" + "r" * 40,
        to_place="tote:" + "t" * 40,
        reason="r" * 40,
        device_id="d" * 40,
        observed_at_ns=2**63 - 1,
        received_at_ns=2**63 - 1,
        person_id="p" * 40,
        task_id="t" * 40,
    )
    batch = JournalBatch(
        edge_id="e" * 40,
        epoch=2**53,
        first_seq=2**53,
        events=(longest,) * EVENTS_PER_BATCH_MAX,
    )
    assert len(encode(batch)) <= PAYLOAD_BYTES_MAX


def test_unknown_fields_are_ignored() -> None:
    fields = json.loads(encode(movement())) | {"added_later": [1, 2, 3]}
    assert decode(json.dumps(fields).encode(), Movement) == movement()


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


@example({"": []}, 14)  # a list right inside of an object
@given(
    st.recursive(
        st.text('[]{}"\\a', max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text('[]{}"\\a', max_size=6), inner, max_size=3)
        ),
        max_leaves=30,
    ),
    st.integers(0, 18),
)
def test_depth_is_counted_right_whatever_brackets_and_quotes_texts_hold(
    value: object, more: int
) -> None:
    # Empty lists beside it: a payload with few brackets is not looked at for its depth.
    payload = json.dumps([value, *[[]] * 20])
    payload = "[" * more + payload + "]" * more
    if depth_of(json.loads(payload)) > 16:
        with pytest.raises(WireError, match="nested deeper than 16 levels"):
            decode_part(payload.encode(), object)
    else:
        assert decode_part(payload.encode(), object) == json.loads(payload)
