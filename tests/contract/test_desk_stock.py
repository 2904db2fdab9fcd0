"""A bin's past and its adjustment over HTTP: real server, real broker, real books."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert

from central import tables as t
from central.desk import decisions
from central.ledger.times import utc_text
from tests.conftest import Address
from tests.desk_process import DeskProcess, eventually
from tests.desk_world import DeskWorld
from wire.messages import AdjustStock

S = 10**9
GOOD = {"article": "", "to_units": 7, "reason": "damaged", "person": "maria"}


@pytest.fixture
def desk(tmp_path: Path, broker: Address) -> Iterator[DeskProcess]:
    world = DeskWorld(tmp_path, now_ns=time.time_ns())
    world.make_site()
    world.make_books()
    with DeskProcess(world, broker.port) as process:
        yield process


@pytest.fixture
def http(desk: DeskProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.url) as client:
        yield client


def move(desk: DeskProcess, number: int, ago_s: int, **columns: Any) -> dict[str, Any]:
    at_ns = desk.world.now_ns - ago_s * S
    return {
        "event_id": f"scanner-1/9/{number}", "edge_id": "A", "epoch": 9, "seq": number,
        "gtin": desk.world.gtins[0], "from_place": "supplier:S1", "to_place": "bin:DOCK-1",
        "units": 5, "reason": "receive", "device_id": "scanner-1", "person_id": "p3",
        "task_id": "", "observed_at_ns": at_ns, "received_at_ns": at_ns, "committed_at_ns": at_ns,
    } | columns  # fmt: skip


def write_moves(desk: DeskProcess) -> None:
    """Let a bin get 5 and 6 units and give 2 away, and another article come and go."""
    engine = desk.world.engine()
    other = desk.world.gtins[1]
    with engine.begin() as books:
        books.execute(delete(t.movement))
        books.execute(
            insert(t.movement),
            [
                move(desk, 1, 900),
                move(desk, 2, 600, units=6),
                move(desk, 3, 500, units=4, gtin=other),
                move(desk, 4, 300, units=2, from_place="bin:DOCK-1", to_place="loss:"),
                move(desk, 5, 200, units=4, gtin=other, from_place="bin:DOCK-1", to_place="tote:O"),
            ],
        )
    engine.dispose()


def test_a_bin_is_shown_as_it_was_at_any_past_time(desk: DeskProcess, http: httpx.Client) -> None:
    write_moves(desk)
    first, other = desk.world.gtins[:2]

    def past(ago_s: int | None, **more: Any) -> Any:
        at = {} if ago_s is None else {"at": utc_text(desk.world.now_ns - ago_s * S)}
        answer = http.get("/api/bins/DOCK-1/history", params=at | more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def held(found: Any) -> dict[str, int]:
        return {line["article"]["gtin"]: line["units"] for line in found["stock"]}

    assert held(past(None)) == {first: 9}
    assert past(None)["at_ms"] is None
    assert held(past(1_000)) == {}
    assert past(1_000)["moves"] == []
    then = past(400)
    assert (held(then), then["units"]) == ({first: 11, other: 4}, 15)
    rows = [(row["article"]["gtin"], row["by_units"], row["left_units"]) for row in then["moves"]]
    assert rows == [(other, 4, 4), (first, 6, 11), (first, 5, 5)]
    now = past(None, article=first)
    assert [(row["by_units"], row["left_units"]) for row in now["moves"]] == [
        (-2, 9), (6, 11), (5, 5),
    ]  # fmt: skip
    assert now["moves"][0]["other_place"] == "loss:"
    assert now["moves"][0]["person"] == desk.world.site.people["p3"].name
    assert len(past(None, limit=2)["moves"]) == 2


PAST_ASKED_WRONGLY = (
    ("DOCK-1/history?at=yesterday", 422,
     "query at = 'yesterday': expected a time like 2026-11-01T12:00:00Z"),
    ("DOCK-1/history?at=9999-12-31T23:59:59Z", 422, "or a day, from 1970 to April 2262"),
    ("DOCK-1/history?at=1969-12-31", 422, "or a day, from 1970 to April 2262"),
    ("DOCK-1/history?article=CUPS", 422, "query article = 'CUPS': expected a GTIN, or a SKU"),
    ("DOCK-1/history?article=05000000000005", 422, "is not in articles.csv"),
    ("DOCK-1/history?limit=0", 422, "query limit = '0'"),
    ("Z-99/history", 404, "there is no bin 'Z-99' here, and never was"),
    ("z 99/history", 422, "path bin_id = 'z 99'"),
)  # fmt: skip


def test_what_cannot_be_told_of_the_past_is_said(http: httpx.Client) -> None:
    for path, status, says in PAST_ASKED_WRONGLY:
        answer = http.get(f"/api/bins/{path}")
        assert answer.status_code == status
        assert says in answer.json()["detail"]


def test_an_adjustment_reaches_central_and_its_words_come_back(
    desk: DeskProcess, http: httpx.Client
) -> None:
    heard: list[AdjustStock] = []

    def central(command: AdjustStock) -> tuple[bool, str]:
        heard.append(command)
        return command.units < 100, f"{command.units} it is"

    desk.adjust_as_central(central)
    article = desk.world.site.articles[desk.world.gtins[0]]
    body = GOOD | {"article": article.sku}
    answer = http.post("/api/bins/DOCK-1/adjustment", json=body)
    assert (answer.status_code, answer.json()) == (
        200, {"bin_id": "DOCK-1", "ok": True, "text": "7 it is"},
    )  # fmt: skip
    by = {"article": article.gtin, "by_units": -3, "reason": "stolen", "person": "pat", "lot": "L1"}
    assert http.post("/api/bins/DOCK-1/adjustment", json=by).status_code == 200
    refused = http.post("/api/bins/DOCK-1/adjustment", json=body | {"to_units": 100})
    words = "100 it is"
    assert (refused.status_code, refused.json()) == (
        409, {"detail": words, "bin_id": "DOCK-1", "ok": False, "text": words},
    )  # fmt: skip
    assert [(c.gtin, c.units, c.is_difference, c.reason, c.person_id, c.lot) for c in heard] == [
        (article.gtin, 7, False, "damaged", "maria", ""),
        (article.gtin, -3, True, "stolen", "pat", "L1"),
        (article.gtin, 100, False, "damaged", "maria", ""),
    ]
    assert len({command.command_id for command in heard}) == 3
    now_ns = time.time_ns()
    assert all(now_ns < command.expires_at_ns < now_ns + 31 * S for command in heard)


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"by_units": 1}, "expected either to_units"),
    ({"to_units": None}, "expected either to_units"),
    ({"to_units": -1}, "body to_units = -1"),
    ({"to_units": 1_000_001}, "body to_units = 1000001"),
    ({"to_units": True}, "body to_units = True"),
    ({"to_units": "7"}, "body to_units = '7'"),
    ({"lot": "L\x00"}, "body lot = 'L\\x00'"),
    ({"reason": "two words"}, "body reason = 'two words'"),
    ({"reason": ""}, "body reason"),
    ({"person": ""}, "body person"),
    ({"person": "<b>"}, "body person"),
    ({"article": "4006381333932"}, "check digit is 2, expected 1"),
    ({"article": "05000000000005"}, "is not in articles.csv"),
    ({"surprise": 1}, "body surprise"),
)


def test_an_adjustment_that_is_none_is_refused_before_it_is_sent(
    desk: DeskProcess, http: httpx.Client
) -> None:
    good = GOOD | {"article": desk.world.gtins[0]}
    for change, says in WRONG:
        answer = http.post("/api/bins/DOCK-1/adjustment", json=good | change)
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
    absent = http.post("/api/bins/Z-99/adjustment", json=good)
    assert (absent.status_code, absent.json()) == (404, {"detail": "there is no bin 'Z-99' here"})


def test_without_central_an_adjustment_ends_in_time_with_what_to_do(
    desk: DeskProcess, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "ANSWER_S_MAX", 0.4)
    eventually(lambda: http.get("/healthz").json()["broker_connected"])
    body = GOOD | {"article": desk.world.gtins[0]}
    answer = http.post("/api/bins/DOCK-1/adjustment", json=body, timeout=8)
    assert answer.status_code == 503
    assert answer.json()["detail"] == (
        "central did not answer within 0 s: is it running? The adjustment is with the broker, where"
        " central takes it for 30 s; look at the history of the bin before asking again"
    )
