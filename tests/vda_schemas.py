"""The official schemas of VDA 5050 as tests use them, and a tap on everything that is sent.

The schemas are real data (not part of the project). Where they contradict the document of their own
version the document is right, and that is mended here, each by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec
from jsonschema import Draft202012Validator, FormatChecker

from wire.vda5050.dialects import VERSIONS, Dialect
from wire.vda5050.messages import Header

FOLDERS: Final = {"2.0.0": "2.0.0-errata", "2.1.0": "2.1.0", "3.0.0": "3.0.0"}
"""2.0.0 itself asks for `actionName` where its document says `actionType`, and more like it."""
TOPICS: Final = {
    "Order": "order",
    "InstantActions": "instantActions",
    "OldInstantActions": "instantActions",
    "State": "state",
    "Connection": "connection",
    "Visualization": "visualization",
    "Factsheet": "factsheet",
    "Responses": "responses",
    "ZoneSet": "zoneSet",
}
FROM_MASTER: Final = {"order", "instantActions", "responses"}
_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"(?!:)|-?[0-9][0-9.eE+-]*')


def is_utc_with_milliseconds(value: object) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(value)))


FORMATS = FormatChecker(())
FORMATS.checkers = {"date-time": (is_utc_with_milliseconds, ())}


@cache
def schema(folder: Path, version: str, name: str) -> dict[str, Any]:
    """Return a topic's schema; trailing commas of the published files are taken out."""
    text = (folder / FOLDERS[version] / f"{name}.schema").read_text(encoding="utf-8-sig")
    found: dict[str, Any] = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
    if version == "2.1.0" and name == "state":  # its document has PAUSED, as all versions
        status = found["properties"]["actionStates"]["items"]["properties"]["actionStatus"]
        status["enum"].append("PAUSED")
    if version == "3.0.0" and name == "factsheet":  # asks for a field that it does not have
        wanted = found["properties"]["typeSpecification"]["required"]
        wanted[wanted.index("mobileRobotKinematic")] = "mobileRobotKinematics"
    return found


@cache
def validator(folder: Path, version: str, name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(folder, version, name), format_checker=FORMATS)


def faults(folder: Path, version: str, name: str, payload: bytes) -> list[str]:
    """Return what the official schema of a version says against a message."""
    message: Any = json.loads(payload)
    found = validator(folder, version, name).iter_errors(message)
    return [f"{version} {name} {error.json_path}: {error.message[:300]}" for error in found]


def names_in(found: Any, root: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field that a schema names."""
    if "$ref" in found:
        target: Any = root
        for part in found["$ref"][2:].split("/"):
            target = target[part]
        found = target
    for name, inner in found.get("properties", {}).items():
        yield (name,)
        yield from ((name, *rest) for rest in names_in(inner, root))
    if "items" in found:
        yield from names_in(found["items"], root)


@dataclass
class Tap:
    """Looks at every message that is made to be sent; one of each shape against its schema.

    Two messages have the same shape when they differ in numbers and in texts that are no words of
    an enumeration.
    """

    folder: Path
    known: set[tuple[str, str, bytes]]
    alike: set[int]
    found: list[str] = field(default_factory=list)
    last_ids: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def see(self, dialect: Dialect, message: Header) -> None:
        name = type(message).__name__
        if name not in TOPICS:
            return
        payload = msgspec.json.encode(message)
        alike = hash((dialect.version, name, payload.translate(None, b"0123456789")))
        if alike not in self.alike:  # else it differs from one that was looked at in digits alone
            self.alike.add(alike)
            shape = (dialect.version, name, _TEXT.sub(_word, payload))
            if shape not in self.known:
                self.known.add(shape)
                self.found += faults(self.folder, dialect.version, TOPICS[name], payload)
        if TOPICS[name] in FROM_MASTER:
            topic = (TOPICS[name], message.manufacturer, message.serial_number)
            last = self.last_ids.get(topic)
            if last is not None and message.header_id > last + 1:
                self.found.append(f"{topic}: headerId {message.header_id} after {last}")
            self.last_ids[topic] = message.header_id


def _word(found: re.Match[bytes]) -> bytes:
    """Return a value without what does not matter to its schema."""
    text = found[0]
    if not text.startswith(b'"'):
        return b"1.5" if b"." in text else b"1"
    inner = text[1:-1]
    if inner.replace(b"_", b"").isalpha() and inner.isupper():
        return text
    return b'"T"' if inner[10:11] == b"T" and inner.endswith(b"Z") else b'"x"'


KNOWN: set[tuple[str, str, bytes]] = set()
ALIKE: set[int] = set()


@contextmanager
def tapped(folder: Path) -> Iterator[Tap]:
    """Yield a tap on all messages that are made from here on in this process."""
    tap = Tap(folder, KNOWN, ALIKE)
    fit = Dialect.fit

    def seen(dialect: Dialect, message: Header) -> Header:
        fitted = fit(dialect, message)
        tap.see(dialect, fitted)
        return fitted

    with patch.object(Dialect, "fit", seen):
        yield tap


def has_schemas(folder: Path) -> bool:
    return all((folder / FOLDERS[version]).is_dir() for version in VERSIONS)
