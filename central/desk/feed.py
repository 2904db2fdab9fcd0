"""The tables on the page: read when central says that they changed, sent as what changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

from central.desk.books import Books, BooksError
from central.desk.core import BinMark, BinMarks, Rows
from central.desk.hub import Channel, Hub, Page
from central.desk.queries import Queries
from central.desk.rows import Bin
from central.desk.site import Names
from central.desk.zones import page_zones
from runtime.clock import Clock
from runtime.lanes import Lane
from runtime.metrics import Metrics

READ_EVERY_S: Final = 2.0
"""Also without a word from central: that message may be lost, and nobody sends it twice."""
GAP_S_MIN: Final = 0.25
SHARE_MAX: Final = 0.2
"""Reading takes at most this share of one processor: after a long read comes a longer gap."""


class Feed:
    """Reads the books on one lane and tells the pages what changed."""

    def __init__(
        self,
        lane: Lane,
        clock: Clock,
        metrics: Metrics,
        *,
        hub: Hub,
        books: Books,
        queries: Queries,
        names: Names,
        say: Callable[[str], None],
    ) -> None:
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._hub = hub
        self._books = books
        self._say = say
        self._index = {bin_id: index for index, bin_id in enumerate(names.site.bins)}
        self._queries = queries
        self._tables: tuple[tuple[Rows, Callable[[Connection], dict[str, Any]]], ...] = (
            (Rows("figures"), lambda books: {"figures": queries.figures(books)}),
            (Rows("rules"), queries.page_rules),
            (Rows("proposals"), queries.page_proposals),
            (Rows("tasks"), queries.page_tasks),
            (Rows("orders"), queries.page_orders),
            (Rows("events"), queries.page_events),
            (Rows("zones"), lambda books: page_zones(books, clock.now_ns())),
        )
        self._bins = BinMarks()
        self._due = False
        self._not_before_ns = 0
        hub.greet_with(self._greet)

    def start(self) -> None:
        """Read now and then, whether central says something or not."""
        self._lane.post(self._read)
        self._lane.call_every(READ_EVERY_S, self.wake)

    def wake(self) -> None:
        """Read soon: central said that something changed. Any thread may call."""
        self._lane.post(self._plan)

    def _plan(self) -> None:
        if not self._due:
            self._due = True
            gap_ns = max(self._not_before_ns - self._clock.monotonic_ns(), 0)
            self._lane.call_later(gap_ns / 1e9, self._read)

    def _greet(self, page: Page) -> None:
        def welcome() -> None:
            self._read()
            frames = [rows.full() for rows, _ in self._tables]
            self._hub.welcome(page, Channel.TABLES, [*frames, self._bins.full()])

        self._lane.post(welcome)

    def _read(self) -> None:
        """Read all tables as of one moment and send what changed since the last time."""
        self._due = False
        begun_ns = self._clock.monotonic_ns()
        try:
            with self._books.read() as books:
                if self._hub.watched:
                    found = [(rows, query(books)) for rows, query in self._tables]
                    bins = self._queries.bins(books)
                else:
                    found, bins = [], None
                    self._queries.any_row(books)
        except BooksError as error:
            self._say(str(error))
            return
        self._say("")
        frames = [rows.change(now) for rows, now in found]
        if bins is not None:
            frames.append(self._bins.change(self._marks(bins)))
        for frame in frames:
            if frame is not None:
                self._hub.broadcast(Channel.TABLES, frame)
        took_ns = self._clock.monotonic_ns() - begun_ns
        self._metrics.latency("desk_read_ms", took_ns / 1e6)
        gap_ns = max(round(GAP_S_MIN * 1e9), round(took_ns / SHARE_MAX))
        self._not_before_ns = self._clock.monotonic_ns() + gap_ns

    def _marks(self, bins: dict[str, Bin]) -> dict[int, BinMark]:
        return {
            self._index[id_]: BinMark(
                self._index[id_], found.units, found.reserved_units, found.inbound_units
            )
            for id_, found in bins.items()
            if id_ in self._index
        }
