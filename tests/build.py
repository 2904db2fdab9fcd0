"""Valid messages for tests, so that a test names only the field it is about."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types

from wire import messages as m

GTIN = "04006381333931"


def movement(**fields: Any) -> m.Movement:
    """Return a movement of one unit from a bin into a tote."""
    values: dict[str, Any] = {
        "event_id": "scanner-1/1/1",
        "gtin": GTIN,
        "units": 1,
        "from_place": "bin:B-01",
        "to_place": "tote:O1",
        "reason": "pick",
        "device_id": "scanner-1",
        "observed_at_ns": 1,
        "received_at_ns": 1,
    }
    return m.Movement(**(values | fields))


def scan(text: str, seq: int = 1, **fields: Any) -> m.DeviceScan:
    """Return a scan of `text` by scanner-1 since its boot 1."""
    values: dict[str, Any] = {
        "device_id": "scanner-1",
        "boot_epoch": 1,
        "seq": seq,
        "text": text,
        "scanned_at_ns": 1,
    }
    return m.DeviceScan(**(values | fields))


_plain = st.characters(codec="utf-8", exclude_characters="\0")
plain_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(_plain, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(_plain, max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def strategy(kind: types.Type | type) -> st.SearchStrategy[Any]:
    """Return a strategy of the values that a message type allows, by its own schema."""
    found = types.type_info(kind) if not isinstance(kind, types.Type) else kind
    match found:
        case types.Metadata(type=inner):
            return strategy(inner)
        case (
            types.VarTupleType(item_type=item, min_length=shortest)
            | types.ListType(item_type=item, min_length=shortest)
        ):
            return st.lists(strategy(item), min_size=shortest or 0, max_size=4)
        case types.DictType(key_type=key, value_type=value):
            return st.dictionaries(strategy(key), strategy(value), max_size=3)
        case types.UnionType(types=kinds):
            return st.one_of([strategy(k) for k in kinds])
        case types.StructType(fields=fields, tag_field=tag_field, tag=tag):
            must = {f.encode_name: strategy(f.type) for f in fields if f.required}
            may = {f.encode_name: strategy(f.type) for f in fields if not f.required}
            if tag_field is not None:
                must[tag_field] = st.just(tag)
            return st.fixed_dictionaries(must, optional=may)
        case _:
            return _simple_strategy(found)


def _simple_strategy(found: types.Type) -> st.SearchStrategy[Any]:
    match found:
        case types.NoneType():
            return st.none()
        case types.AnyType():
            return plain_json
        case types.BoolType():
            return st.booleans()
        case types.IntType(ge=ge, le=le):
            return st.integers(
                min_value=ge if ge is not None else -(2**63),
                max_value=le if le is not None else 2**63 - 1,
            )
        case types.FloatType(ge=ge, le=le):
            return st.floats(min_value=ge, max_value=le, allow_nan=False, allow_infinity=False)
        case types.StrType(pattern=str(pattern), max_length=longest):
            texts = st.from_regex(pattern, fullmatch=False)
            return texts.filter(lambda t: longest is None or len(t) <= longest)
        case types.StrType(min_length=shortest, max_length=longest):
            return st.text(_plain, min_size=shortest or 0, max_size=min(longest or 30, 30))
        case types.LiteralType(values=values):
            return st.sampled_from(values)
        case _:
            raise NotImplementedError(f"no strategy for {found}: add a case for this type")


def message_strategy(kind: type[msgspec.Struct]) -> st.SearchStrategy[bytes]:
    """Return a strategy of encoded messages of one type."""
    return strategy(kind).map(msgspec.json.encode)
