"""The reference tables of docs/: made from the types themselves, so that pages cannot lag behind.

`python -m stockhelm.reference` writes them anew between the markers of each page; a test compares.
What a field means is the string under it in the source.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec import inspect as mi

from central.config import CentralConfig, DeskConfig
from edge.config import EdgeConfig
from edge.scanning.cards import cards_markdown
from sim_hardware.config import SimConfig
from stockhelm.broker import BrokerConfig
from stockhelm.sim_reference import SCENARIO_TABLES
from wire import messages
from wire.answers import codes_markdown, sounds_markdown
from wire.rights import rights_markdown
from wire.site import FILES
from wire.topics import topics_markdown
from wire.vda5050.dialects import names_markdown

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PATTERNS: Final = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*": "name",
    r"^[A-Z0-9][A-Z0-9-]*": "bin id",
    r"^[a-z]+:[A-Za-z0-9_.-]*": "place",
    r"^(?:[0-9a-f]{32})?": "32 hexadecimal digits, or empty",
    r"^[0-9]{13}": "13 digits",
    r"^[0-9]{14}": "14 digits",
    r"^[0-9]{18}": "18 digits",
    r"^([0-9]{18})?": "18 digits or nothing",
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?": "day (2027-02-28) or nothing",
    r"^[^\x00]*": "folder",
    r"^[^\s/]*": "host name or address",
    r"^https?://[^\s/?#]+[^\s]*": "http:// or https:// address",
}
SHORT_INT_MAX: Final = 10_000_000
Struct = type[msgspec.Struct]


class TableError(LookupError):
    """A field without a meaning, or a page without its markers."""


def type_text(kind: mi.Type) -> str:
    """Return in a few words what a field may hold."""
    match kind:
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return _range("whole number", kind)
        case mi.FloatType():
            return _range("number", kind)
        case mi.StrType():
            return _string(kind)
        case mi.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values)
        case mi.StructType():
            return f"`{kind.cls.__name__}`"
        case mi.UnionType():
            return ", ".join(type_text(item) for item in kind.types)
        case mi.VarTupleType():
            return f"list of {type_text(kind.item_type)}{_length(kind.min_length, kind.max_length)}"
        case _:
            raise TableError(f"{kind}: no words for this type")


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) > SHORT_INT_MAX:
        power = value.bit_length() if value & (value + 1) == 0 else value.bit_length() - 1
        return f"2^{power} - 1" if value & (value + 1) == 0 else f"2^{power}"
    return f"{value:,}".replace(",", " ")


def _range(name: str, kind: mi.IntType | mi.FloatType) -> str:
    low, high = kind.ge, kind.le
    if low is not None and high is not None:
        return f"{name}, {_number(low)} to {_number(high)}"
    words = ((kind.gt, "above"), (low, "at least"), (kind.lt, "below"), (high, "at most"))
    limits = " and ".join(f"{word} {_number(limit)}" for limit, word in words if limit is not None)
    return f"{name}, {limits}" if limits else name


def _string(kind: mi.StrType) -> str:
    if kind.pattern is not None:
        return PATTERNS[kind.pattern.removesuffix("$").removesuffix(r"\Z")]
    return "text" + _length(kind.min_length, kind.max_length)


def _length(low: int | None, high: int | None) -> str:
    if high is None:
        return ""
    return f", {low} to {_number(high)}" if low else f", at most {_number(high)}"


@cache
def _class(kind: type) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(importlib.import_module(kind.__module__)))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == kind.__name__)


def field_meanings(kind: Struct) -> dict[str, str]:
    """Return what stands under each field of a struct in its source, on one line each."""
    found: dict[str, str] = {}
    name = ""
    for node in _class(kind).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = " ".join(str(node.value.value).split())
            name = ""
    return found


def _fields(kind: Struct) -> tuple[mi.Field, ...]:
    info = mi.type_info(kind)
    assert isinstance(info, mi.StructType)
    return info.fields


def _meaning(kind: Struct, field: mi.Field) -> str:
    try:
        return field_meanings(kind)[field.name].replace("|", "\\|")
    except KeyError:
        raise TableError(f"{kind.__name__}.{field.name}: nothing says what it is") from None


def _default(field: mi.Field) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT or field.default == ():
        return "none"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _rows(kind: Struct, fields: tuple[mi.Field, ...]) -> list[str]:
    return [
        f"| `{f.encode_name}` | {type_text(f.type)} | {_default(f)} | {_meaning(kind, f)} |"
        for f in fields
    ]


def _first(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


# --- messages ---------------------------------------------------------------------------------


def message_kinds() -> list[Struct]:
    """Return every message and every struct inside one, in the order of their module."""
    kinds = [value for value in vars(messages).values() if isinstance(value, type)]
    structs = [kind for kind in kinds if issubclass(kind, msgspec.Struct)]
    return [kind for kind in structs if kind is not messages.Message]


def messages_markdown() -> str:
    """Return one table of fields per message."""
    parts = []
    for kind in message_kinds():
        lines = [f"#### `{kind.__name__}`", "", _first(kind), ""]
        lines += ["| field | holds | default | meaning |", "|---|---|---|---|"]
        if issubclass(kind, messages.Message):
            lines.append(f'| `type` | `"{kind.__name__}"` | required | which message this is |')
        parts.append("\n".join([*lines, *_rows(kind, _fields(kind))]))
    return "\n\n".join(parts) + "\n"


# --- configurations ---------------------------------------------------------------------------


def config_markdown(kind: Struct) -> str:
    """Return the keys of one configuration file, table by table."""
    return "\n\n".join(_config_tables(kind, "")) + "\n"


def _config_tables(kind: Struct, name: str) -> Iterator[str]:
    plain = tuple(f for f in _fields(kind) if _inner(f.type) is None)
    head = [f"`{name}`: {_first(kind)}", ""] if name else []
    lines = ["| key | holds | default | meaning |", "|---|---|---|---|", *_rows(kind, plain)]
    yield "\n".join([*head, *lines])
    for field in _fields(kind):
        inner = _inner(field.type)
        if inner is not None:
            many = isinstance(field.type, mi.VarTupleType)
            path = ".".join([*filter(None, [name.strip("[]")]), field.name])
            key = f"[[{path}]]" if many else f"[{path}]"
            yield from _config_tables(inner, key)


def _inner(kind: mi.Type) -> Struct | None:
    """Return the struct of a table or of a list of tables, None for a plain value."""
    if isinstance(kind, mi.VarTupleType):
        kind = kind.item_type
    return kind.cls if isinstance(kind, mi.StructType) else None


# --- site files -------------------------------------------------------------------------------


def site_files_markdown() -> str:
    """Return the columns of a site's CSV files."""
    parts = []
    for name, kind in FILES.items():
        lines = [f"`{name}`: {_first(kind)}", ""]
        lines += ["| column | holds | empty cell | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *_rows(kind, _fields(kind))]))
    return "\n\n".join(parts) + "\n"


# --- pages ------------------------------------------------------------------------------------

TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "topics": topics_markdown,
    "rights": rights_markdown,
    "names of VDA 5050": names_markdown,
    "messages": messages_markdown,
    "codes": codes_markdown,
    "cards": cards_markdown,
    "sounds": sounds_markdown,
    "site files": site_files_markdown,
    "edge config": partial(config_markdown, EdgeConfig),
    "central config": partial(config_markdown, CentralConfig),
    "desk config": partial(config_markdown, DeskConfig),
    "broker config": partial(config_markdown, BrokerConfig),
    "sim config": partial(config_markdown, SimConfig),
    **SCENARIO_TABLES,
}
PAGES: Final = {
    "protocol.md": (
        "topics", "rights", "messages", "codes", "sounds", "cards", "names of VDA 5050",
    ),
    "run.md": (
        "site files", "edge config", "central config", "desk config", "broker config",
        "sim config",
    ),
    "simulator.md": tuple(SCENARIO_TABLES),
}  # fmt: skip


def fill(page: str, tables: tuple[str, ...]) -> str:
    """Return `page` with these tables as they are now between their markers."""
    for name in tables:
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise TableError(f"expected one {begin.strip()} ... {end} in the page")
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}\n{TABLES[name]()}\n{end}{tail}"
    return page


def write_pages() -> None:
    """Write the tables of all pages anew."""
    for name, tables in PAGES.items():
        path = DOCS / name
        path.write_text(fill(path.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
