"""Any sequence of labels leaves a book that is true: lots, serial numbers, containers, journal."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from edge.counting.verify import rebuild_counts
from edge.scanning.gs1 import COMMANDS
from tests.edge_world import MUG, PEN, article_label, bin_label, command_label, task
from tests.scan_book import ScanBook, container_label, lot_label, order_label
from wire.messages import PersonTask

TASKS: tuple[PersonTask, ...] = (
    task("receive", 40, task_id="R1", from_place="supplier:S1", to_place="bin:DOCK-1"),
    task("receive", 9, task_id="R2", gtin=PEN, from_place="supplier:S1", to_place="bin:DOCK-1"),
    task("putaway", 30, task_id="U1", from_place="bin:DOCK-1", to_place="bin:A-02"),
    task("refill", 20, task_id="F1", from_place="bin:A-02", to_place="bin:A-01"),
    task("pick", 20, task_id="K1", from_place="bin:A-01", to_place="tote:O1"),
    task("pick", 5, task_id="K2", from_place="bin:A-02", to_place="tote:O2", lot="L1"),
)
TABLES = (
    "counts", "lot_counts", "lots", "serials", "containers", "container_goods", "task_units",
)  # fmt: skip
articles = st.one_of(
    st.builds(article_label, st.sampled_from([MUG, PEN]), st.sampled_from([0, 1, 2, 3, 50])),
    st.builds(
        lot_label,
        st.sampled_from(["", "L1", "L2"]),
        st.sampled_from([1, 2, 3]),
        st.sampled_from([MUG, PEN]),
        st.sampled_from(["", "270200", "261122"]),
    ),
    st.builds(
        lambda lot, serial: lot_label(lot, serial=serial),
        st.sampled_from(["", "L1", "L2"]),
        st.sampled_from(["S1", "S2", "S3"]),
    ),
)
bins = st.sampled_from(["DOCK-1", "A-01", "A-02", "A-03"]).map(bin_label)
containers = st.integers(1, 3).map(container_label)
orders = st.sampled_from(["O1", "O2"]).map(order_label)


class AnyScans(RuleBasedStateMachine):
    """A person with tasks in every mode, and hands that scan anything."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ScanBook(*TASKS)
        self.book.put("bin:A-01", 6)
        self.book.put("bin:A-02", 4, lot="L1", expires_on="2027-02-28")

    def scan(self, *texts: str) -> None:
        for text in texts:
            before = self.tables()
            outcome = self.book.scan(text)
            if not outcome.events:
                assert self.tables() == before, "only an event changes what is kept"

    def tables(self) -> list[set[tuple[object, ...]]]:
        return [set(self.book.store.db.execute(f"SELECT * FROM {name}")) for name in TABLES]

    @rule(
        text=st.one_of(
            articles, bins, containers, orders, st.sampled_from(COMMANDS).map(command_label)
        )
    )
    def anything(self, text: str) -> None:
        self.scan(text)

    @rule(articles=st.lists(articles, min_size=1, max_size=3), name=st.sampled_from(["", "OVER"]))
    def receive(self, articles: list[str], name: str) -> None:
        self.scan(command_label("RECEIVE"), bin_label("DOCK-1"))
        self.scan(*([command_label(name)] if name else []), *articles)

    @rule(article=articles, place=bins, name=st.sampled_from(["RELEASE-GOOD", "RELEASE-ERROR"]))
    def release(self, article: str, place: str, name: str) -> None:
        self.scan(command_label("QUARANTINE"), place, article)
        self.scan(command_label(name), place, article)

    @rule(article=articles)
    def put_away(self, article: str) -> None:
        self.scan(command_label("PUTAWAY"), bin_label("DOCK-1"), article, bin_label("A-02"))

    @rule(article=articles, from_bin=bins, goal=st.one_of(bins, containers))
    def move(self, article: str, from_bin: str, goal: str) -> None:
        self.scan(command_label("MOVE"), from_bin, article, goal)

    @rule(container=containers, goal=st.one_of(bins, containers))
    def carry(self, container: str, goal: str) -> None:
        self.scan(command_label("MOVE"), container, goal)

    @rule(from_bin=bins, articles=st.lists(articles, min_size=1, max_size=2))
    def pick(self, from_bin: str, articles: list[str]) -> None:
        self.scan(command_label("PICK"), from_bin, *articles)

    @rule(order=orders, goal=st.one_of(st.just(""), containers), article=articles)
    def pack(self, order: str, goal: str, article: str) -> None:
        self.scan(command_label("PACK"), order, *([goal] if goal else []), article)

    @rule(what=st.one_of(containers, st.tuples(bins, articles)))
    def put_aside(self, what: str | tuple[str, str]) -> None:
        self.scan(command_label("QUARANTINE"), *([what] if isinstance(what, str) else what))

    @rule()
    def undo(self) -> None:
        self.scan(command_label("UNDO"))

    @invariant()
    def the_book_is_true(self) -> None:
        self.book.check()

    def teardown(self) -> None:
        before = self.tables()
        rebuild_counts(self.book.store.db)
        assert self.tables() == before, "replaying the journal gives the same tables"
        self.book.store.close()


def test_any_scans_leave_a_true_book() -> None:
    run_state_machine_as_test(
        AnyScans, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_very_many_scans_leave_a_true_book() -> None:
    run_state_machine_as_test(
        AnyScans, settings=settings(max_examples=600, stateful_step_count=50, deadline=None)
    )
