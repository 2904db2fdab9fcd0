"""Who subscribed to what: a tree of topic levels, so that routing does not ask every client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")
TOPICS_REMEMBERED_MAX: Final = 20_000


class _Level(Generic[T]):
    """One level of topic filters."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Level[T]] = {}
        self.here: dict[T, int] = {}


class TopicTree(Generic[T]):
    """Subscribers by topic filter, each with the quality of service it was granted."""

    def __init__(self) -> None:
        self._root: _Level[T] = _Level()
        self._found: dict[str, tuple[tuple[T, int], ...]] = {}

    def add(self, topic_filter: str, subscriber: T, qos: int) -> None:
        """Note a subscription; the same filter again replaces its quality of service."""
        level = self._root
        for word in topic_filter.split("/"):
            level = level.below.setdefault(word, _Level())
        level.here[subscriber] = qos
        self._found.clear()

    def remove(self, topic_filter: str, subscriber: T) -> None:
        """Forget a subscription, and the levels that hold nothing any more."""
        way = [self._root]
        words = topic_filter.split("/")
        for word in words:
            level = way[-1].below.get(word)
            if level is None:
                return
            way.append(level)
        way[-1].here.pop(subscriber, None)
        for word, above, level in zip(reversed(words), way[-2::-1], way[:0:-1], strict=True):
            if not level.here and not level.below:
                del above.below[word]
        self._found.clear()

    def find(self, topic: str) -> tuple[tuple[T, int], ...]:
        """Return who subscribed to `topic`, each once, with the highest of its qualities."""
        found = self._found.get(topic)
        if found is None:
            best: dict[T, int] = {}
            for level in _matching(self._root, topic.split("/"), 0):
                for subscriber, qos in level.here.items():
                    best[subscriber] = max(qos, best.get(subscriber, 0))
            if len(self._found) >= TOPICS_REMEMBERED_MAX:
                self._found.clear()
            found = self._found[topic] = tuple(best.items())
        return found


def _matching(level: _Level[T], words: list[str], depth: int) -> Iterator[_Level[T]]:
    """Yield the filters' last levels that match. Source: MQTT 3.1.1, section 4.7."""
    # A wildcard at the first level does not match what begins with $ (4.7.2).
    hidden = depth == 0 and words[0].startswith("$")
    if not hidden and "#" in level.below:
        yield level.below["#"]
    if depth == len(words):
        yield level
        return
    for word in (words[depth], "+"):
        below = level.below.get(word)
        if below is not None and not (hidden and word == "+"):
            yield from _matching(below, words, depth + 1)
