"""Bad input of every kind: valid messages by their own schema, then bent in what people get wrong.

`bend` takes a `Random`: a failing input is one seed, and hypothesis, the flood and the whole site
share it.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.build import strategy

VALUES_DRAWN: Final = 12
NUMBERS: Final = (
    0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 5e-324, -0.0,
    0.5,
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\x00", "a\x00b", "\u202e", "\ufeff", "../../x", "+/#", "'; DROP TABLE movement; --",
    "x" * 5_000, "9" * 5_000, "\U0001f4e6" * 50, "NaN", "1e999", "{}", "\\u0000",
)  # fmt: skip
OTHERS: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    {"type": {}},
    [None] * 300,
    {"": ""},
)
RAW: Final = (
    b"", b"\x00", b"null", b"[]", b"{}", b"NaN", b"Infinity", b"-", b'"', b"{", b"\xff\xfe{\x00}",
    b"\xef\xbb\xbf{}", b'{"type":', b"[" * 20_000, b'{"a":' * 9_000, b"1" * 5_000, b"1e400",
    b'"\\ud800"', b'"\xed\xa0\x80"', b" " * 65_536, b"x" * 70_000, b"{}{}", b'{"type":"\\u0000"}',
)  # fmt: skip


@functools.cache
def valid_values(kind: Any) -> tuple[Any, ...]:
    """Return some values that `kind` allows, always the same ones; drawing them takes long."""
    found: list[Any] = []

    @seed(4)
    @settings(
        max_examples=VALUES_DRAWN, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), deadline=None,
    )  # fmt: skip
    @given(strategy(kind))
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return tuple(found)


def bent_payloads(kind: Any, count: int, chance: Random) -> Iterator[bytes]:
    """Yield so many payloads for a topic of `kind`: nearly messages, and what is none at all."""
    values = valid_values(kind)
    yield from RAW[:count]
    for _ in range(count - len(RAW)):
        yield bend(chance.choice(values), chance)


def bend(value: Any, chance: Random) -> bytes:
    """Return a message with one to three mistakes in it."""
    tree = json.loads(msgspec.json.encode(value))
    doubled = False
    for _ in range(chance.randint(1, 3)):
        mistake = chance.choice(_MISTAKES)
        if mistake is _double:
            doubled = True
        else:
            tree = mistake(tree, chance)
    payload = _written(tree, chance if doubled else None).encode("utf-8", "surrogatepass")
    return chance.choice(_BYTES)(payload, chance) if chance.random() < 0.4 else payload


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in `tree`."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree] if isinstance(tree, dict | list) else []
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        found += [(here, key) for key in keys]
        waiting += [here[key] for key in keys if isinstance(here[key], dict | list)]
    return found


def _change(tree: Any, chance: Random, new: Callable[[Any], Any]) -> Any:
    places = _places(tree)
    if not places:
        return new(tree)
    container, key = chance.choice(places)
    container[key] = new(container[key])
    return tree


def _drop(tree: Any, chance: Random) -> Any:
    places = [(c, k) for c, k in _places(tree) if isinstance(c, dict)]
    if places:
        container, key = chance.choice(places)
        del container[key]
    return tree


def _add(tree: Any, chance: Random) -> Any:
    if isinstance(tree, dict):
        tree[chance.choice(TEXTS)] = copy.deepcopy(chance.choice(OTHERS))
    return tree


def _retype(tree: Any, chance: Random) -> Any:
    return _change(tree, chance, lambda _old: copy.deepcopy(chance.choice(OTHERS)))


def _number(tree: Any, chance: Random) -> Any:
    return _change(tree, chance, lambda _old: chance.choice(NUMBERS))


def _text(tree: Any, chance: Random) -> Any:
    return _change(tree, chance, lambda _old: chance.choice(TEXTS))


def _as_text(tree: Any, chance: Random) -> Any:
    return _change(tree, chance, str)


def _nest(tree: Any, chance: Random) -> Any:
    def deep(old: Any) -> Any:
        for _ in range(chance.choice((1, 14, 17, 200))):
            old = [old] if chance.random() < 0.5 else {"a": old}
        return old

    return _change(tree, chance, deep)


def _repeat(tree: Any, chance: Random) -> Any:
    return _change(tree, chance, lambda old: [old] * chance.choice((2, 65, 65, 2_100)))


def _tag(tree: Any, chance: Random) -> Any:
    if isinstance(tree, dict):
        tree["type"] = chance.choice(("", "Movement", "movement", "Changed", 7, None, [], "\x00"))
    return tree


def _double(tree: Any, _chance: Random) -> Any:
    return tree  # done when it is written


_MISTAKES: Final = (
    _drop, _add, _retype, _number, _text, _as_text, _nest, _repeat, _tag, _double
)  # fmt: skip


def _written(tree: Any, double: Random | None) -> str:
    """Return JSON; where `double` is given, some keys stand twice with different values."""
    if double is None or not isinstance(tree, dict) or not tree:
        return json.dumps(tree, ensure_ascii=False, allow_nan=False)
    pairs = [(key, value) for key, value in tree.items() for _ in range(double.randint(1, 2))]
    double.shuffle(pairs)
    other = double.choice(OTHERS)
    pairs.append((pairs[0][0], other))
    return "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}"


def _cut(payload: bytes, chance: Random) -> bytes:
    return payload[: chance.randrange(len(payload) + 1)]


def _flip(payload: bytes, chance: Random) -> bytes:
    if not payload:
        return payload
    at = chance.randrange(len(payload))
    return payload[:at] + bytes([payload[at] ^ (1 << chance.randrange(8))]) + payload[at + 1 :]


def _not_utf8(payload: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(payload) + 1)
    wrong = chance.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"))
    return payload[:at] + wrong + payload[at:]


def _in_another_code(payload: bytes, chance: Random) -> bytes:
    text = payload.decode("utf-8", "replace")
    return text.encode(chance.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")), "replace")


def _and_more(payload: bytes, chance: Random) -> bytes:
    return payload + chance.choice((b"\x00", b" ", b"{}", b",", b"]", payload))


_BYTES: Final = (_cut, _flip, _not_utf8, _in_another_code, _and_more)


def cross(real: Any, other: Any, chance: Random, share: float = 0.15) -> Any:
    """Return `real` with some of its values from `other`: right in form, maybe wrong in meaning."""
    if isinstance(real, dict) and isinstance(other, dict):
        mixed = {key: cross(real[key], other.get(key, real[key]), chance, share) for key in real}
        more = {k: value for k, value in other.items() if k not in real and chance.random() < share}
        return mixed | more
    if isinstance(real, list) and isinstance(other, list) and other:
        return [cross(item, chance.choice(other), chance, share) for item in real]
    return other if chance.random() < share else real


_WORDS: Final = re.compile(r"[^\s,=\"'\[\]:]+")


def bend_text(text: str, chance: Random) -> bytes:
    """Return a file of lines and words with one to four mistakes in it."""
    lines = text.split("\n")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                lines[at] = lines[chance.randrange(len(lines))]
            case 1:
                del lines[at]
                lines = lines or [""]
            case 2:
                lines.insert(at, chance.choice(lines)[:200] * chance.choice((1, 2, 400)))
            case 3:
                lines[at] += chance.choice((",", '"', "[", "]", "=", "'", "#", "\r", "\x00", " x"))
            case 4:
                lines[at] = chance.choice(('"' * 3, "[[", "[" * 3_000, "a=" + "9" * 5_000, "x=1"))
            case _:
                words = [*_WORDS.finditer(lines[at])]
                if words:
                    word = chance.choice(words)
                    new = chance.choice((*TEXTS, *map(_plain, NUMBERS), "x=y", "٣", "²", "1_0"))
                    lines[at] = lines[at][: word.start()] + new + lines[at][word.end() :]
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return chance.choice(_BYTES)(data, chance) if chance.random() < 0.2 else data


def bend_bytes(data: bytes, chance: Random) -> bytes:
    """Return bytes with one to four mistakes in them."""
    for _ in range(chance.randint(1, 4)):
        match chance.randrange(5):
            case 0:
                data = _cut(data, chance)
            case 1:
                at = chance.randrange(len(data) + 1)
                data = data[:at] + chance.randbytes(chance.choice((1, 4, 40))) + data[at:]
            case 2:
                at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
                data = data[:at] + data[to:]
            case _:
                data = _flip(data, chance)
    return data


def _plain(number: float) -> str:
    return f"1{'0' * 400}" if number == NUMBERS[8] else str(number)
