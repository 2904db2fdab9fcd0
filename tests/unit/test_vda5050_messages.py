"""VDA 5050 messages: lenient in, typed, bounded."""

from __future__ import annotations

import pytest

from wire.ids import IdError
from wire.vda5050.codec import WireError, decode, decode_instant_actions, parameter, parameters
from wire.vda5050.messages import (
    VERSION,
    Action,
    Factsheet,
    Order,
    State,
    format_time,
    header,
    parse_time,
)
from wire.vda5050.topics import ORDER, STATE, VehicleId, any_vehicle, topic, vehicle_of


def test_a_state_may_lack_everything() -> None:
    state = decode(b"{}", State)
    assert (state.order_id, state.node_states, state.errors) == ("", (), ())
    assert not state.agv_position


def test_unknown_fields_unknown_words_and_nulls_are_taken() -> None:
    state = decode(
        b'{"operatingMode":"STARTUP","agvPosition":null,"maps":[{"mapId":"x"}],'
        b'"actionStates":[{"actionId":"a","actionStatus":"RETRIABLE"}],'
        b'"errors":[{"errorType":"x","errorLevel":"URGENT","errorHint":"y"}]}',
        State,
    )
    assert state.operating_mode == "STARTUP"
    assert state.action_states[0].action_status == "RETRIABLE"
    assert state.errors[0].error_level == "URGENT"
    assert state.agv_position is None


def test_whole_numbers_are_taken_for_metres() -> None:
    state = decode(b'{"agvPosition":{"x":1,"y":2,"theta":0,"mapId":"m"}}', State)
    assert state.agv_position
    assert (state.agv_position.x, state.agv_position.y) == (1.0, 2.0)


def test_a_state_that_is_none_is_refused_with_the_place() -> None:
    with pytest.raises(WireError, match=r"not a valid State: .*lastNodeSequenceId"):
        decode(b'{"lastNodeSequenceId":"four"}', State)


def test_too_large_and_too_deep_messages_are_refused() -> None:
    with pytest.raises(WireError, match="at most 65536"):
        decode(b'{"x":"' + b"y" * 70_000 + b'"}', State)
    with pytest.raises(WireError, match="deeper"):
        decode(b'{"information":' + b"[" * 40 + b"]" * 40 + b"}", State)


def test_an_order_without_its_id_is_refused() -> None:
    with pytest.raises(WireError, match="orderId"):
        decode(b'{"orderUpdateId":0,"nodes":[],"edges":[]}', Order)


@pytest.mark.parametrize("key", [b"actions", b"instantActions"])
def test_instant_actions_are_read_under_the_new_key_and_the_old(key: bytes) -> None:
    payload = b'{"headerId":4,"%s":[{"actionType":"cancelOrder","actionId":"c"}]}' % key
    message = decode_instant_actions(payload)
    assert message.header_id == 4
    assert [a.action_type for a in message.actions] == ["cancelOrder"]


def test_a_factsheet_keeps_its_sections_as_they_come() -> None:
    sheet = decode(b'{"typeSpecification":{"agvClass":"CARRIER","more":[1]}}', Factsheet)
    assert sheet.type_specification == {"agvClass": "CARRIER", "more": [1]}
    assert sheet.protocol_limits == {}


def test_parameters_keep_their_order_and_types() -> None:
    action = Action(
        action_type="pick",
        action_id="a",
        action_parameters=parameters({"b": 1, "a": "x", "c": 0.5, "d": True}),
    )
    assert [p.key for p in action.action_parameters or ()] == ["b", "a", "c", "d"]
    assert parameter(action, "c") == 0.5
    assert parameter(action, "e") is None


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999_999_999, "2000-02-28T23:59:59.999Z"),
        (1_769_846_709_120_999_999, "2026-01-31T08:05:09.120Z"),
    ],
)
def test_times_are_utc_with_milliseconds(at_ns: int, text: str) -> None:
    assert format_time(at_ns) == text
    assert parse_time(text) == at_ns - at_ns % 1_000_000


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T01:00:01.5+01:00", 1_500_000_000),
        ("1970-01-01T00:00:01.25", 1_250_000_000),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_of_vehicles_are_read_leniently(text: str, at_ns: int | None) -> None:
    assert parse_time(text) == at_ns


def test_a_header_has_the_exact_version() -> None:
    assert header("acme", "agv-1", header_id=3, now_ns=0)["version"] == VERSION == "2.0.0"


def test_topics_name_interface_version_vehicle_and_kind() -> None:
    name = topic("uagv", "acme", "agv-1", ORDER)
    assert name == "uagv/v2/acme/agv-1/order"
    assert vehicle_of(name) == VehicleId("acme", "agv-1")
    assert str(vehicle_of(name)) == "acme/agv-1"
    assert any_vehicle("uagv", STATE) == "uagv/v2/+/+/state"


@pytest.mark.parametrize(
    "text",
    ["uagv/v4/acme/agv-1/state", "uagv/v2/acme/state", "uagv/v2/acme/agv 1/state", "a/v2/b/c/d"],
)
def test_other_topics_are_refused(text: str) -> None:
    with pytest.raises(IdError):
        vehicle_of(text)
