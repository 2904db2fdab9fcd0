"""The codes of answers: each stands in the table, each is used, and none is used beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.answers import CODE_MEANINGS, SOUND_MEANINGS, TAKEN, Code, Sound

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edge", "firmware_bridge", "wire")
# The codes are defined in one; the other refuses central's commands, which nobody hears.
APART = {"answers.py", "commands.py"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module that answers scans, read as a tree."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name not in APART:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def used(enum_name: str) -> set[str]:
    return {
        node.attr
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == enum_name
    }


def test_each_code_and_sound_is_used_somewhere_and_has_a_meaning() -> None:
    assert used("Code") == {code.name for code in Code}
    assert used("Sound") == {sound.name for sound in Sound}
    assert list(CODE_MEANINGS) == list(Code)
    assert list(SOUND_MEANINGS) == list(Sound)
    assert all(meaning and remedy for meaning, remedy in CODE_MEANINGS.values())


@pytest.mark.parametrize("called", ["Refused", "DroppedLine", "Outcome", "ScanFeedback", "refuse"])
def test_no_answer_has_a_code_of_its_own(called: str) -> None:
    written = [
        f"{path.name}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called in ast.unparse(node.func)
        for value in (
            *node.args[:2],
            *(k.value for k in node.keywords if k.arg in {"code", "sound"}),
        )
        if isinstance(value, ast.Constant) and value.value in set(Code)
    ]
    assert written == []


def test_what_is_taken_and_what_is_not() -> None:
    assert {code.value for code in TAKEN} == {
        "next",
        "booked",
        "counted",
        "closed",
        "undone",
    }
