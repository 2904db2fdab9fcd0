"""Configuration: TOML into typed structs. An unknown key or wrong value stops the start, named."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

T = TypeVar("T", bound=msgspec.Struct)
Folder = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]*\Z")]
Host = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[^\s/]*\Z")]
HttpUrl = Annotated[str, Meta(max_length=2_000, pattern=r"^https?://[^\s/?#]+[^\s]*\Z")]

TEXT_MAX: Final = 1_000_000
_SHOWN_MAX: Final = 300
_TOO_DEEP: Final = "tables and lists nested too deeply, expected a few levels"


class ConfigError(ValueError):
    """The configuration is wrong; the text names file, key, value and what was expected."""


def load_config(path: Path, kind: type[T]) -> T:
    """Return the configuration in the TOML file at `path`."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(TEXT_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error}") from error
    return parse_config(text, kind, name=str(path))


def parse_config(text: str, kind: type[T], *, name: str) -> T:
    """Return the configuration in `text`; `name` stands in errors."""
    values = read_toml(text, name=name)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(name, values, kind, str(error))) from error
    except RecursionError as error:
        raise ConfigError(f"{name}: {_TOO_DEEP}") from error


def read_toml(text: str, *, name: str) -> dict[str, Any]:
    """Return the tables in `text`. Raises ConfigError; `name` stands in it."""
    if len(text) > TEXT_MAX:
        raise ConfigError(f"{name}: over {TEXT_MAX} characters: no configuration is that long")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also of numbers with thousands of digits
        raise ConfigError(f"{name}: is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: is not TOML: {_TOO_DEEP}") from error


def to_toml(config: msgspec.Struct) -> str:
    """Return `config` as TOML, so that it loads again to an equal value."""
    return "".join(_toml_lines(msgspec.to_builtins(config), ""))


def _explain(name: str, values: dict[str, Any], kind: type[msgspec.Struct], message: str) -> str:
    """Return msgspec's message with the key's path, its value and, for unknown keys, known ones."""
    text, _, where = message.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.+?)`", text)
    missing = re.search(r"missing required field `(.+?)`", text)
    if unknown:
        key = f"{path}.{unknown[1]}" if path else unknown[1]
        value = _value_at(values, key)
        known = ", ".join(_known_keys(kind, path)) or "none"
        return f"{name}: {key} = {_shown(value)}: unknown key; expected one of: {known}"
    if missing:
        key = f"{path}.{missing[1]}" if path else missing[1]
        return f"{name}: {key}: missing; it is required"
    if not path:  # said by the whole, which names its keys itself
        return f"{name}: {text}"
    return f"{name}: {path} = {_shown(_value_at(values, path))}: {text}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply; a number of too many digits
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def check_unique(**lists: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError where a value stands twice: each list by its key, as (field, value) pairs.

    Empty values are none.
    """
    seen: dict[str, str] = {}
    for key, values in lists.items():
        for index, (field, value) in enumerate(values):
            here = f"{key}[{index}].{field}"
            if value and value in seen:
                raise ValueError(f"{here} = {value!r}: expected another than {seen[value]} has")
            seen[value] = here


def check_url(key: str, url: str) -> None:
    """Raise ValueError where no host and port can be read in `url`."""
    try:
        found = urlsplit(url)
        readable = bool(found.hostname) and found.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(f"{key} = {url!r}: expected http://HOST/PATH or http://HOST:PORT/PATH")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _steps(path: str) -> list[str | int]:
    found = re.findall(r"\[(\d+)\]|([^.\[\]]+)", path)
    return [int(index) if index else key for index, key in found]


def _value_at(values: Any, path: str) -> Any:
    for step in _steps(path):
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _known_keys(kind: Any, path: str) -> list[str]:
    info = msgspec.inspect.type_info(kind)
    for step in _steps(path):
        if isinstance(info, msgspec.inspect.StructType) and isinstance(step, str):
            fields = [field.type for field in info.fields if field.encode_name == step]
            if not fields:
                return []
            info = fields[0]
        elif isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            info = info.item_type
        elif isinstance(info, msgspec.inspect.DictType):
            info = info.value_type
    if isinstance(info, msgspec.inspect.StructType):
        return [field.encode_name for field in info.fields]
    return []


def _toml_lines(table: dict[str, Any], prefix: str) -> list[str]:
    def is_tables(value: Any) -> bool:
        return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)

    lines = []
    for key, value in table.items():
        if not isinstance(value, dict) and not is_tables(value) and value is not None:
            lines.append(f"{key} = {_toml_value(value)}\n")
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            lines += [f"\n[{path}]\n", *_toml_lines(value, path + ".")]
        elif is_tables(value):
            for item in value:
                lines += [f"\n[[{path}]]\n", *_toml_lines(item, path + ".")]
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    return repr(value)
