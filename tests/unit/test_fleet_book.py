"""Who gets which job, and why."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from central.fleet import book as book_module
from central.fleet.book import NOBODY, BookFullError, JobBook
from central.fleet.costs import Candidates
from tests.build_fleet import transport

NAMES = {0: "acme/r0", 1: "acme/r1", 2: "acme/r2"}
METRES = {
    (0, "A"): 10.0, (0, "B"): 11.0,
    (1, "A"): 12.0, (1, "B"): 30.0,
    (2, "A"): 50.0, (2, "B"): inf,
}  # fmt: skip


def candidates(names: dict[int, str] = NAMES, **more: Any) -> Candidates:
    return Candidates(
        numbers=sorted(names),
        names=[names[n] for n in sorted(names)],
        ways_m=lambda stop: np.array([METRES[robot, stop.node_id] for robot in sorted(names)]),
        **more,
    )


def assign(book: JobBook, names: dict[int, str] = NAMES, now_ns: int = 0) -> dict[str, int]:
    book.assign(candidates(names), now_ns=now_ns, utc_ns=now_ns)
    return {job_id: entry.robot for job_id, entry in book.entries.items()}


def test_the_sum_of_ways_is_least_not_the_first_ones() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    book.submit(transport("T2", "B"), 0)
    # Nearest first would give 10 + 30; together 12 + 11 is less.
    assert assign(book) == {"T1": 1, "T2": 0}


def test_the_choice_explains_itself() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    assign(book)
    assert book.entries["T1"].reason == (
        "acme/r0 costs 10.0 m (way 10.0), least; others: acme/r1 12.0 m (way 12.0), acme/r2 50.0 m"
        " (way 50.0)"
    )


def test_a_choice_against_the_nearest_robot_says_so() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    book.submit(transport("T2", "B"), 0)
    assign(book)
    assert "least in sum over all jobs; others: acme/r0 10.0 m" in book.entries["T1"].reason


def test_nobody_is_sent_where_no_way_leads() -> None:
    book = JobBook()
    book.submit(transport("T1", "B"), 0)
    assert assign(book, {2: "acme/r2"}) == {"T1": NOBODY}
    assert book.entries["T1"].reason == "no robot is free that can go there"


def test_a_job_that_nobody_can_reach_keeps_no_other_waiting() -> None:
    book = JobBook()
    book.submit(transport("T1", "B", priority=9), 0)
    book.submit(transport("T2", "A"), 0)
    assert assign(book, {2: "acme/r2"}) == {"T1": NOBODY, "T2": 2}


def test_overdue_goes_before_priority_before_due_time_before_age() -> None:
    book = JobBook()
    book.submit(transport("old", "A"), 0)
    book.submit(transport("due", "A", due_at_ns=9_000), 1)
    book.submit(transport("high", "A", priority=1), 2)
    book.submit(transport("overdue", "A", due_at_ns=10), 3)
    taken = []
    for _ in range(4):
        one = {0: "acme/r0"}
        [job_id] = [j for j, robot in assign(book, one, now_ns=100).items() if robot == 0]
        taken.append(job_id)
        book.end(book.entries[job_id])
    assert taken == ["overdue", "high", "due", "old"]


def test_the_order_follows_the_clock_also_where_that_is_set_back() -> None:
    book = JobBook()
    book.submit(transport("high", "A", priority=1), 0)
    book.submit(transport("due", "A", due_at_ns=50), 0)
    one = {0: "acme/r0"}
    assert assign(book, one, now_ns=49) == {"high": 0, "due": NOBODY}
    assert assign(book, one, now_ns=50) == {"high": NOBODY, "due": 0}
    assert assign(book, one, now_ns=10) == {"high": 0, "due": NOBODY}


def test_jobs_given_and_not_begun_are_known_until_they_are_given_back() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    book.submit(transport("T2", "A"), 0)
    assert book.anybody_waits(0)
    assign(book, {0: "acme/r0", 1: "acme/r1"})
    first, second = (book.entries[job_id] for job_id in ("T1", "T2"))
    assert {entry.job.job_id for entry in book.given} == {"T1", "T2"}
    book.begin(first)
    assert book.given == [second]
    book.end(second)
    assert not book.anybody_waits(0)
    book.give_back(first)
    assert book.anybody_waits(0)
    assert assign(book, {2: "acme/r2"}) == {"T1": 2}


def test_what_was_begun_stays_with_its_robot_and_what_was_not_may_change() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    assert assign(book, {1: "acme/r1"}) == {"T1": 1}
    assert assign(book, {0: "acme/r0", 1: "acme/r1"}) == {"T1": 0}
    book.begin(book.entries["T1"])
    assert assign(book, {1: "acme/r1"}) == {"T1": 0}


def test_a_robot_that_comes_too_late_is_farther_away() -> None:
    book = JobBook()
    book.submit(transport("T1", "A", due_at_ns=11_000_000_000), 0)
    assign(book)
    words = book.entries["T1"].reason
    assert "acme/r1 12.5 m (way 12.0 + late 0.5)" in words
    assert "acme/r2 69.5 m (way 50.0 + late 19.5)" in words


def test_a_held_job_loses_its_robot_to_a_pinned_one_alone() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    one = {0: "acme/r0"}
    assign(book, one)
    held = book.entries["T1"]
    book.begin(held)
    book.submit(transport("T2", "A", priority=9), 0)
    book.assign(candidates(one), [held], now_ns=0, utc_ns=0)
    assert (held.robot, book.moved) == (0, [])
    book.pin(book.entries["T2"], 0, "Ada")
    book.assign(candidates(one), [held], now_ns=0, utc_ns=0)
    assert (held.robot, held.started, book.entries["T2"].robot) == (NOBODY, False, 0)
    assert book.moved == [(held, 0)]


def test_a_robot_that_gave_a_job_back_gets_it_only_when_others_are_far() -> None:
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    book.entries["T1"].failed_by[0] = 1
    assert assign(book) == {"T1": 1}


def test_the_same_job_is_taken_once() -> None:
    book = JobBook()
    assert book.submit(transport("T1", "A"), 0)
    assert not book.submit(transport("T1", "A"), 5)
    assert book.entries["T1"].since_ns == 0


def test_a_full_book_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "JOBS_MAX", 1)
    book = JobBook()
    book.submit(transport("T1", "A"), 0)
    with pytest.raises(BookFullError, match="job T2: 1 jobs are in hand"):
        book.submit(transport("T2", "A"), 0)
