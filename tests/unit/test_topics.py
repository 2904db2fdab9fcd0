"""The topic table: topics take apart again, and the page shows the table as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bus import topic_matches
from wire.topics import TOPICS, Topic, topics_markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.pattern)
def test_a_topic_comes_apart_into_the_parts_it_was_made_of(topic: Topic) -> None:
    names = [p[1:-1] for p in topic.pattern.split("/") if p.startswith("{")]
    parts = {name: f"{name}-1" for name in names}
    made = topic.of(**parts)
    assert topic.parts(made) == parts
    assert topic_matches(topic.any(), made)
    assert topic_matches(topic.any(site="site-1"), made)
    assert not topic_matches(topic.any(site="other"), made)
    assert [t for t in TOPICS if t.parts(made) is not None] == [topic]


def test_the_page_shows_the_topic_table_as_it_is() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert topics_markdown() in page
