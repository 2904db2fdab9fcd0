"""Messages become bytes and come back, within the limits of the wire."""

from __future__ import annotations

import msgspec
import pytest

from tests.build import movement, scan
from wire.codec import WireError, decode, decode_part, encode
from wire.messages import (
    PAYLOAD_BYTES_MAX,
    BinSighted,
    DeviceScan,
    JournalBatch,
    Movement,
    SeenArticle,
    StockEvent,
)

GTIN = "04006381333931"


class Part(msgspec.Struct):
    """A part of somebody's message."""

    x: float


def test_a_message_comes_back_as_it_was() -> None:
    sent = movement(units=7, person_id="P1")
    assert decode(encode(sent), Movement) == sent


def test_each_event_of_a_batch_comes_back_with_its_own_type() -> None:
    seen = BinSighted(
        event_id="cam-1/1", bin_id="A-01", device_id="cam-1", observed_at_ns=1, received_at_ns=2,
        articles=(SeenArticle(gtin=GTIN, labels=3),),
    )  # fmt: skip
    events: tuple[StockEvent, ...] = (movement(), seen)
    batch = JournalBatch(edge_id="A", epoch=1, first_seq=1, events=events)
    assert decode(encode(batch), JournalBatch).events == events


def test_a_field_that_we_do_not_know_is_ignored() -> None:
    payload = encode(scan("]C1x")).replace(b"{", b'{"new_in_v2":[1,{"a":2}],', 1)
    assert decode(payload, DeviceScan) == scan("]C1x")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"type":"DeviceScan"', "not JSON"),
        (b"[]", "not a valid DeviceScan"),
        (b'{"type":"Movement"}', "not a valid DeviceScan"),
        (b'{"type":"DeviceScan","device_id":"a"}', "missing required field"),
    ],
)
def test_what_is_no_such_message_is_refused_in_words(payload: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        decode(payload, DeviceScan)


def test_a_value_out_of_its_bounds_is_refused_and_named() -> None:
    payload = encode(scan("]C1x", seq=3)).replace(b'"seq":3', b'"seq":0')
    with pytest.raises(WireError, match=r"seq"):
        decode(payload, DeviceScan)


def test_a_payload_over_the_limit_is_refused_unread() -> None:
    payload = encode(scan("]C1x")) + b" " * PAYLOAD_BYTES_MAX
    with pytest.raises(WireError, match=f"at most {PAYLOAD_BYTES_MAX}"):
        decode(payload, DeviceScan)


def test_a_message_over_the_limit_is_not_sent() -> None:
    events = (movement(device_id="d" * 40, person_id="p" * 70_000),)
    batch = JournalBatch(edge_id="A", epoch=1, first_seq=1, events=events)
    with pytest.raises(WireError, match="go on the wire"):
        encode(batch)


def test_deep_nesting_is_refused_and_brackets_in_texts_are_not() -> None:
    deep = b'{"type":"DeviceScan","x":' + b"[" * 40 + b"]" * 40 + b"}"
    with pytest.raises(WireError, match="nested deeper"):
        decode(deep, DeviceScan)
    harmless = scan("]C1" + "[{" * 60)
    assert decode(encode(harmless), DeviceScan) == harmless


@pytest.mark.parametrize(
    "deep", [b"[" * 3_000 + b"]" * 3_000, b'{"a":' * 3_000 + b"1" + b"}" * 3_000]
)
def test_deep_payloads_are_refused_also_where_only_a_part_is_read(deep: bytes) -> None:
    for payload in (deep, b'{"a":' + deep + b',"x":1}', b'{"x":1,"a":' + deep + b"}"):
        with pytest.raises(WireError, match="nested deeper than 16 levels"):
            decode_part(payload, Part)
        with pytest.raises(WireError, match="nested deeper than 16 levels"):
            decode(payload, DeviceScan)


def test_a_part_is_read_leniently_and_within_its_own_size() -> None:
    payload = b'{"x":"1.5","more":[{}]}'
    assert decode_part(payload, Part).x == 1.5
    with pytest.raises(WireError, match="not a valid Part: Expected `float`, got `str`"):
        decode(payload, Part)
    long = payload + b" " * PAYLOAD_BYTES_MAX
    with pytest.raises(WireError, match=f"at most {PAYLOAD_BYTES_MAX} are taken"):
        decode_part(long, Part)
    assert decode_part(long, Part, bytes_max=2 * PAYLOAD_BYTES_MAX).x == 1.5


@pytest.mark.parametrize("junk", [b'"' + b'\\"' * 32_000, b'\\"' * 32_000, b'"' + b"\\" * 60_000])
def test_texts_that_never_end_cost_no_time(junk: bytes) -> None:
    # Sought to the end from each quote, one takes 17 s: this test would not end in its time.
    for _ in range(20):
        with pytest.raises(WireError):
            decode(b"[" * 20 + junk, DeviceScan)


def test_brackets_behind_a_text_with_escapes_are_counted() -> None:
    payload = rb'{"x":1,"\\\"":' + b"[" * 40 + b"]" * 40 + b"}"
    with pytest.raises(WireError, match="nested deeper"):
        decode_part(payload, Part)
