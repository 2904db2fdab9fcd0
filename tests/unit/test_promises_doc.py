"""docs/promises.md names tests and figures for each promise: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("wire", "runtime", "firmware_bridge", "edge", "central", "stockhelm")
PROMISES = [f"P{number}" for number in range(1, 11)]
NOT_WHILE_RUNNING = {"P10"}


def rows() -> dict[str, tuple[list[str], list[str]]]:
    """Return per promise the tests and the figures that its row names."""
    found = {}
    for line in (ROOT / "docs/promises.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"P[0-9]+", cells[0]):
            tests, figures = (re.findall(r"`([^`]+)`", cell) for cell in cells[2:4])
            found[cells[0]] = (tests, figures)
    return found


def test_every_promise_has_its_row() -> None:
    assert list(rows()) == PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_every_test_that_proves_it_exists(promise: str) -> None:
    tests, _ = rows()[promise]
    assert tests
    for named in tests:
        file, _, name = named.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {re.escape(name)}\(", text, re.MULTILINE), named


@pytest.mark.parametrize("promise", PROMISES)
def test_every_figure_that_watches_it_is_counted_somewhere(promise: str) -> None:
    _, figures = rows()[promise]
    names = [figure for figure in figures if re.fullmatch(r"[a-z]+(_[a-z]+)*", figure)]
    assert names or promise in NOT_WHILE_RUNNING
    for name in names:
        assert f'"{name}"' in product_text(), name


def product_text() -> str:
    """Return all code of the product."""
    files = (file for folder in PRODUCT for file in sorted((ROOT / folder).rglob("*.py")))
    return "".join(file.read_text(encoding="utf-8") for file in files)


def test_the_wire_page_leads_there() -> None:
    assert "(promises.md)" in (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
