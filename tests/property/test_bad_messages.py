"""Messages with mistakes: a decoded value or a WireError comes of each, never anything else."""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.desk import floor as desk
from tests.bad_input import RAW, bend
from tests.build import message_strategy, strategy
from wire import codec
from wire.codec import WireError, decode, decode_part
from wire.messages import EdgeCommand
from wire.topics import TOPICS
from wire.vda5050 import codec as vda_codec
from wire.vda5050 import messages as v
from wire.vda5050.dialects import DIALECTS, VERSIONS

# Drawing a valid message costs far more than bending it.
few = settings(max_examples=settings().max_examples // 8)
OURS = sorted({kind for topic in TOPICS for kind in topic.messages}, key=lambda k: k.__name__)
VDA = (
    v.Order, v.InstantActions, v.State, v.ActionsOfState, v.Visualization, v.Connection,
    v.Factsheet,
)  # fmt: skip
PARTS = (desk.RobotState, desk.RobotConnection)
BENDS = 20


def decoders(kind: Any) -> list[Any]:
    """Return every way in which some process reads a message of `kind`."""
    if kind is v.InstantActions:
        return [vda_codec.decode_instant_actions]
    if kind in PARTS:
        return [lambda payload: decode_part(payload, kind)]
    return [lambda payload: decode(payload, kind), lambda payload: decode_part(payload, kind)]


@pytest.mark.parametrize("kind", [*OURS, *VDA, *PARTS], ids=lambda k: k.__name__)
@given(data=st.data(), seed=st.integers(0, 2**32))
@few
def test_a_message_with_mistakes_is_decoded_or_refused(
    kind: Any, data: st.DataObject, seed: int
) -> None:
    value, chance = data.draw(strategy(kind)), Random(seed)
    for _ in range(BENDS):
        payload = bend(value, chance)
        for read in decoders(kind):
            with contextlib.suppress(WireError):
                assert isinstance(read(payload), kind)


@pytest.mark.parametrize("kind", [*OURS, *VDA, *PARTS], ids=lambda k: k.__name__)
def test_what_is_no_message_at_all_is_refused(kind: Any) -> None:
    for payload in (raw for raw in RAW if raw != b"{}"):
        for read in decoders(kind):
            if kind in (*VDA, *PARTS) and payload.startswith(b'{"type"'):
                continue  # an unknown field: ignored where nothing else is required
            with pytest.raises(WireError):
                read(payload)


@pytest.mark.says_wrong
@pytest.mark.parametrize("kind", VDA, ids=lambda k: k.__name__)
@given(data=st.data(), version=st.sampled_from(VERSIONS))
@settings(max_examples=settings().max_examples // 4)
def test_every_valid_vda_5050_message_survives_the_wire(
    kind: type[v.Header], data: st.DataObject, version: str
) -> None:
    dialect = DIALECTS[version]
    drawn = vda_codec.decode(data.draw(message_strategy(kind)), kind)
    # What the version lacks is left out the first time.
    message = vda_codec.decode(vda_codec.encode(drawn, dialect), kind, dialect)
    assert vda_codec.decode(vda_codec.encode(message, dialect), kind, dialect) == message


def test_a_command_of_another_type_is_refused() -> None:
    command = cast("type[EdgeCommand]", EdgeCommand)
    for payload in (b'{"type":"Movement"}', b'{"type":""}', b'{"type":1}', b'{"type":null}', b"{}"):
        with pytest.raises(WireError):
            decode(payload, command)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb'"a\u0000b"', None),
        (rb'"\\\u0000"', None),
        (rb'"\\u0000"', r"\u0000"),
        (rb'"\\\\u0000 and \u0001"', "\\\\u0000 and \x01"),
    ],
)
def test_texts_with_a_null_character_are_refused_and_no_others(
    text: bytes, read: str | None
) -> None:
    if read is None:
        with pytest.raises(WireError, match=r"U\+0000"):
            codec.decode_part(text, str)
    else:
        assert codec.decode_part(text, str) == read
