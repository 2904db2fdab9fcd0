"""docs/flow.md names functions of the program: each of them is there."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

FLOW = Path(__file__).resolve().parents[2] / "docs" / "flow.md"
PACKAGES = ("wire", "runtime", "firmware_bridge", "edge", "central", "sim_hardware", "stockhelm")
# A pair of backticks around nothing else: topics (with slashes) and bare words are not meant.
DOTTED = re.compile(r"`([A-Za-z_]\w*(?:\.\w+)+)`")
STAGES = ("firmware_bridge", "edge", "central.ledger", "central.replenish", "central.tasking",
          "central.fleet", "central.desk", "wire", "runtime")  # fmt: skip


def resolve(name: str) -> object:
    """Return what a dotted name stands for. Raises LookupError where there is no such thing."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        raise LookupError(f"{name}: expected a name from {', '.join(PACKAGES)}")
    depth = 1
    while depth < len(parts) and find_spec(".".join(parts[: depth + 1])) is not None:
        depth += 1
        if not hasattr(importlib.import_module(".".join(parts[:depth])), "__path__"):
            break  # a module, not a package: what follows are its names
    found: object = importlib.import_module(".".join(parts[:depth]))
    for part in parts[depth:]:
        try:
            found = inspect.getattr_static(found, part)
        except AttributeError:
            raise LookupError(f"{name}: {'.'.join(parts[:depth])} has no {part}") from None
    return found


def problem(name: str) -> str:
    """Return why `name` is no function, method or class of ours; empty where it is one."""
    try:
        found = resolve(name)
    except LookupError as error:
        return str(error)
    is_code = callable(found) or isinstance(found, property | staticmethod | classmethod)
    return "" if is_code else f"{name}: is no function, method or class"


def test_every_function_on_the_page_is_there() -> None:
    names = sorted(set(DOTTED.findall(FLOW.read_text(encoding="utf-8"))))
    assert [why for name in names if (why := problem(name))] == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_page_names_functions_of_every_stage(stage: str) -> None:
    names = set(DOTTED.findall(FLOW.read_text(encoding="utf-8")))
    assert len([name for name in names if name.startswith(stage + ".")]) >= 3


@pytest.mark.parametrize(
    "bogus",
    [
        "edge.writer.Writer.no_such_method",
        "edge.writer.no_such_function",
        "edge.no_such_module.run",
        "edge.writer.Writer.submit.more",
        "Writer.submit",
        "edge.writer",
        "edge.writer.WORKS_PER_COMMIT_MAX",
    ],
)
def test_a_name_that_is_not_there_is_found_out(bogus: str) -> None:
    assert DOTTED.findall(f"see `{bogus}`") == [bogus]
    assert problem(bogus) != ""


@pytest.mark.parametrize(
    "name",
    [
        "edge.writer.Writer.submit",
        "edge.writer.Writer",
        "wire.codec.decode",
        "wire.vda5050.action_ids.StockAction.action_id",
        "central.fleet.kernels.pibt_step",
    ],
)
def test_a_name_that_is_there_is_let_be(name: str) -> None:
    assert problem(name) == ""
