"""The tables of the pages are those that the code makes; nothing in them is left unsaid."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from stockhelm import reference
from stockhelm.reference import DOCS, PAGES, TABLES, TableError, config_markdown, fill
from wire import messages
from wire.topics import TOPICS


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_its_tables_as_they_are(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert fill(page, PAGES[name]) == page, "python -m stockhelm.reference writes them anew"


def test_every_table_stands_on_one_page() -> None:
    assert sorted(table for tables in PAGES.values() for table in tables) == sorted(TABLES)


def test_every_message_of_every_topic_has_a_table() -> None:
    tables = reference.messages_markdown()
    for topic in TOPICS:
        for kind in topic.messages:
            assert f"#### `{kind.__name__}`\n" in tables
    assert "| `seq` | whole number, 1 to 2^53 | required | Number of the scan" in tables
    assert "| `text` | text, 1 to 512 | required | AIM symbology identifier" in tables
    assert '| `detail` | text, at most 400 | `""` |' in tables
    assert "| `scanned_at_ns` | whole number, 0 to 2^63 - 1 | required |" in tables
    assert f"list of `PersonTask`, at most {50} |" in tables
    assert len(reference.message_kinds()) == tables.count("#### ")
    assert messages.Message not in reference.message_kinds()


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A table."""

    depth_m: Annotated[float, msgspec.Meta(gt=0, le=5)] = 0.5
    """How deep."""


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    """A file."""

    on: bool = True
    """Whether."""
    inner: Inner = Inner()
    rows: tuple[Inner, ...] = ()


class Unsaid(msgspec.Struct, frozen=True, kw_only=True):
    """A file with a key that nobody explains."""

    speed: int
    width: int
    """How wide."""


def test_a_configuration_is_shown_table_by_table() -> None:
    head = "| key | holds | default | meaning |\n|---|---|---|---|\n"
    row = "| `depth_m` | number, above 0 and at most 5 | `0.5` | How deep. |\n"
    assert config_markdown(Outer) == (
        f"{head}| `on` | true or false | `true` | Whether. |\n\n"
        f"`[inner]`: A table.\n\n{head}{row}\n"
        f"`[[rows]]`: A table.\n\n{head}{row}"
    )


def test_a_field_without_a_meaning_is_found_out() -> None:
    with pytest.raises(TableError, match=r"Unsaid\.speed: nothing says what it is"):
        config_markdown(Unsaid)


def test_a_page_without_its_markers_is_found_out() -> None:
    with pytest.raises(TableError, match="expected one <!-- codes -->"):
        fill("# A page\n", ("codes",))
    with pytest.raises(TableError, match="expected one <!-- codes -->"):
        fill("<!-- codes -->\n", ("codes",))
