"""The desk over HTTP and WebSocket as any client sees it: real server, real broker, real books."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from central.desk.guard import Guard
from runtime.web import WebServerError
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from tests.conftest import Address
from tests.desk_process import DeskProcess, decide, eventually
from tests.desk_world import DeskWorld
from wire.messages import DecideProposal, PinTask


@pytest.fixture
def world(tmp_path: Path) -> DeskWorld:
    world = DeskWorld(tmp_path, now_ns=time.time_ns())
    world.make_site()
    return world


@pytest.fixture
def desk(world: DeskWorld, broker: Address) -> Iterator[DeskProcess]:
    world.make_books()
    with DeskProcess(world, broker.port) as process:
        yield process


@pytest.fixture
def http(desk: DeskProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.url) as client:
        yield client


@pytest.fixture(scope="module")
def calm_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Yield a client of one desk for all tests that leave it as it is."""
    directory = tmp_path_factory.mktemp("calm")
    world = DeskWorld(directory / "world", now_ns=time.time_ns())
    world.make_site()
    world.make_books()
    config = BrokerConfig(directory=str(directory / "broker"), port=free_port())
    with (
        BrokerProcess(config) as broker,
        DeskProcess(world, broker.port) as desk,
        httpx.Client(base_url=desk.url) as client,
    ):
        yield client


def frames(socket: Connection, kind: int) -> Iterator[Any]:
    """Yield what comes in frames of this kind (JSON ones decoded), for a bounded time."""
    end = time.monotonic() + 15
    while True:
        assert time.monotonic() < end, "what was waited for did not come"
        frame = socket.recv(timeout=10)
        assert isinstance(frame, bytes)
        if frame[0] == kind:
            yield frame if kind in (2, 3) else json.loads(frame[1:])


def closes(socket: Connection) -> bool:
    """Return whether the other side closes within the frames that are under way."""
    try:
        for _ in range(1_000):
            socket.recv(timeout=10)
    except ConnectionClosed:
        return True
    return False


def live(desk: DeskProcess, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{desk.port}/ws", proxy=None, **options)


# --- the lists ------------------------------------------------------------------------------------


def test_the_summary_says_what_stands_where(desk: DeskProcess, http: httpx.Client) -> None:
    desk.robots_speak()
    desk.edges_speak()
    eventually(lambda: http.get("/api/summary").json()["robots_online"] == 6)
    eventually(lambda: http.get("/api/summary").json()["edges_online"] == ["A", "B"])
    summary = http.get("/api/summary").json()
    assert summary["figures"]["events"] == 12_841
    assert summary["broker_connected"] is True
    assert http.get("/api/robots").json()["items"][0]["serial"] == "agv-1"


@pytest.mark.parametrize("path", ["bins", "tasks", "proposals", "orders", "robots"])
def test_lists_are_bounded(calm_http: httpx.Client, path: str) -> None:
    page = calm_http.get(f"/api/{path}", params={"limit": 2, "offset": 1}).json()
    assert len(page["items"]) == 2
    assert page["total"] > 3
    for wrong in ({"limit": 501}, {"limit": 0}, {"offset": -1}, {"limit": "many"}):
        assert calm_http.get(f"/api/{path}", params=wrong).status_code == 422
    assert calm_http.get(f"/api/{path}", params={"limit": 500}).status_code == 200


def test_lists_are_filtered_and_refuse_what_no_task_can_be(calm_http: httpx.Client) -> None:
    done = calm_http.get("/api/tasks", params={"status": "done", "kind": "pick"}).json()
    assert done["total"] == 9
    assert calm_http.get("/api/tasks", params={"status": "gone"}).status_code == 422
    assert calm_http.get("/api/orders", params={"status": "refused"}).json()["total"] == 1


def test_one_bin_and_one_proposal_tell_all(desk: DeskProcess, http: httpx.Client) -> None:
    face = desk.world.faces[5].bin_id
    detail = http.get(f"/api/bins/{face}").json()
    assert detail["bin"]["bin_id"] == face
    assert detail["open_tasks"][0]["task_id"] == "T-206"
    assert (detail["lots"], detail["serials"], detail["containers"]) == ([], [], [])
    assert http.get("/api/quarantine").json() == {"stock": [], "lots": [], "serials": []}
    why = http.get("/api/proposals/P-101").json()
    assert why["proposal"]["numbers"]["service_level"] == 0.95
    assert [cause["kind"] for cause in why["causes"]] == ["order", "moved", "other"]


def test_what_is_not_there_is_404_with_its_name(calm_http: httpx.Client) -> None:
    answer = calm_http.get("/api/bins/NOWHERE-1")
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "there is no bin 'NOWHERE-1' here"},
    )
    assert calm_http.get("/api/proposals/P-0").status_code == 404
    for path in ("/api/nothing", "/static/nothing.js"):
        answer = calm_http.get(path)
        detail = f"there is nothing at {path}: /openapi.json says what there is"
        assert (answer.status_code, answer.json()) == (404, {"detail": detail})


def test_what_is_wrong_with_a_value_is_one_sentence_and_so_described(
    calm_http: httpx.Client,
) -> None:
    answer = calm_http.get("/api/tasks", params={"limit": 0})
    assert answer.json()["detail"].startswith("query limit = '0': Input should be greater than")
    described = calm_http.get("/openapi.json").json()["paths"]
    schema = described["/api/tasks"]["get"]["responses"]["422"]["content"]["application/json"]
    assert schema["schema"]["$ref"].endswith("/Problem")
    decision = described["/api/proposals/{proposal_id}/decision"]["post"]["responses"]["409"]
    assert decision["content"]["application/json"]["schema"]["$ref"].endswith("/Refusal")


def test_the_api_describes_itself(calm_http: httpx.Client) -> None:
    paths = calm_http.get("/openapi.json").json()["paths"]
    assert set(paths) >= {
        "/api/summary", "/api/bins", "/api/bins/{bin_id}", "/api/tasks", "/api/orders",
        "/api/proposals", "/api/proposals/{proposal_id}",
        "/api/proposals/{proposal_id}/decision", "/healthz",
    }  # fmt: skip


# --- central absent -------------------------------------------------------------------------------


def test_before_central_is_up_the_desk_says_so_and_then_fills_by_itself(
    world: DeskWorld, broker: Address
) -> None:
    with DeskProcess(world, broker.port) as desk, httpx.Client(base_url=desk.url) as http:
        assert http.get("/").status_code == 200
        answer = http.get("/api/summary")
        assert answer.status_code == 503
        assert "central is not up yet" in answer.json()["detail"]
        assert http.get("/healthz").status_code == 503
        with live(desk) as page, live(desk) as other:
            statuses = frames(page, 5)
            assert any("central is not up yet" in status["books"] for status in statuses)
            world.make_books()
            assert any(status["books"] == "" for status in statuses)
            eventually(lambda: http.get("/healthz").json()["status"] == "ok")
            tables = frames(other, 4)
            assert any(said["table"] == "tasks" and said["put"] for said in tables)


# --- decisions ------------------------------------------------------------------------------------


def test_a_decision_reaches_central_and_its_words_come_back(
    desk: DeskProcess, http: httpx.Client
) -> None:
    heard: list[DecideProposal] = []

    def central(command: DecideProposal) -> tuple[bool, str]:
        heard.append(command)
        return command.proposal_id == "P-101", f"{command.units} units it is"

    desk.answer_as_central(central)
    body = {"approve": True, "units": 48, "reason": "half is enough", "person": "maria"}
    answer = http.post("/api/proposals/P-101/decision", json=body)
    assert answer.status_code == 200
    assert answer.json() == {"proposal_id": "P-101", "ok": True, "text": "48 units it is"}
    assert (heard[0].approve, heard[0].units, heard[0].person_id) == (True, 48, "maria")
    assert heard[0].reason == "half is enough"
    refused = http.post("/api/proposals/P-999/decision", json={"approve": False})
    assert refused.status_code == 409
    words = "0 units it is"
    assert refused.json() == {
        "proposal_id": "P-999", "ok": False, "text": words, "detail": words,
    }  # fmt: skip
    assert len({command.command_id for command in heard}) == 2


def test_a_pin_reaches_central_and_its_words_come_back(
    desk: DeskProcess, http: httpx.Client
) -> None:
    heard: list[PinTask] = []

    def central(command: PinTask) -> tuple[bool, str]:
        heard.append(command)
        return command.task_id == "T-1", "only acme/r1 may have it"

    desk.pin_as_central(central)
    body = {"robot": "acme/r1", "person": "maria", "reason": "it has the fork"}
    answer = http.post("/api/tasks/T-1/pin", json=body)
    assert (answer.status_code, answer.json()["text"]) == (200, "only acme/r1 may have it")
    said = heard[0]
    assert (said.robot_id, said.person_id, said.reason) == ("acme/r1", "maria", "it has the fork")
    assert http.post("/api/tasks/T-2/pin", json={"robot": "acme/r1"}).status_code == 409
    assert http.post("/api/tasks/T-1/pin", json={"robot": "r1"}).status_code == 422


def test_without_central_a_decision_ends_in_time_with_what_to_do(
    desk: DeskProcess, http: httpx.Client
) -> None:
    eventually(lambda: http.get("/healthz").json()["broker_connected"])
    answer = http.post("/api/proposals/P-101/decision", json={"approve": True}, timeout=8)
    assert answer.status_code == 503
    assert "central did not answer within 5 s: is it running?" in answer.json()["detail"]


def test_without_a_broker_nothing_is_sent_and_the_answer_says_so(world: DeskWorld) -> None:
    world.make_books()
    process = DeskProcess(world, 1)
    process.service.start()
    try:
        answer = httpx.post(f"{process.url}/api/proposals/P-101/decision", json={"approve": True})
        assert answer.status_code == 503
        assert "broker is not reached, so nothing was sent" in answer.json()["detail"]
    finally:
        process.service.stop()
        process.runtime.close()
        process.peer_runtime.close()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"approve": "perhaps"},
        {"approve": "yes"},
        {"approve": True, "units": -1},
        {"approve": True, "units": True},
        {"approve": True, "reason": "so\x00"},
        {"approve": True, "units": 1_000_001},
        {"approve": True, "person": "<b>me</b>"},
        {"approve": True, "person": ""},
        {"approve": True, "reason": "x" * 401},
        {"approve": True, "surprise": 1},
        [],
        "approve",
    ],
)
def test_a_decision_that_is_none_is_refused(calm_http: httpx.Client, body: Any) -> None:
    assert calm_http.post("/api/proposals/P-101/decision", json=body).status_code == 422


def test_a_body_without_end_or_sense_is_refused(calm_http: httpx.Client) -> None:
    path = "/api/proposals/P-101/decision"
    announced = calm_http.post(path, content=b"x" * 20_000)
    assert announced.status_code == 413
    assert "over 16384 bytes" in announced.json()["detail"]

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000

    streamed = calm_http.post(path, content=endless(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    headers = {"content-type": "application/json"}
    assert calm_http.post(path, content=b"\xff{", headers=headers).status_code in (400, 422)


# --- who may ask ----------------------------------------------------------------------------------


def test_only_our_own_page_may_command(desk: DeskProcess, http: httpx.Client) -> None:
    desk.answer_as_central(lambda _: (True, "done"))
    path, body = "/api/proposals/P-101/decision", {"approve": True}

    def post(**headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.post(path, json=body, headers=given).status_code

    assert post(origin=desk.url) == 200
    assert post() == 200  # no browser
    assert post(origin="http://evil.example") == 403
    assert post(origin="null") == 403
    assert post(origin=f"http://127.0.0.1:{desk.port + 1}") == 403
    assert post(sec_fetch_site="cross-site") == 403


@pytest.mark.parametrize(
    ("host", "public_hosts", "asked", "status"),
    [
        ("127.0.0.1", (), "localhost:8000", 200),
        ("127.0.0.1", (), "[::1]:8000", 200),
        ("127.0.0.1", (), "desk.example", 403),
        ("127.0.0.1", (), "", 403),
        ("127.0.0.1", ("Desk.example",), "desk.example", 200),
        ("0.0.0.0", (), "desk.example", 200),
    ],
)
def test_the_desk_serves_only_names_that_are_its_own(
    host: str, public_hosts: tuple[str, ...], asked: str, status: int
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(app=Guard(app, host, public_hosts))

    async def ask() -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return (await client.get("/", headers={"host": asked})).status_code

    assert asyncio.run(ask()) == status


def test_a_name_that_is_made_to_lead_here_is_not_served(calm_http: httpx.Client) -> None:
    answer = calm_http.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert "does not serve host 'evil.example'" in answer.json()["detail"]


def test_a_foreign_page_gets_no_socket(desk: DeskProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live(desk, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    with live(desk, origin=desk.url) as page:
        assert isinstance(page.recv(timeout=10), bytes)


def test_every_answer_forbids_foreign_code(calm_http: httpx.Client) -> None:
    for path in ("/", "/api/summary", "/static/main.js", "/nowhere"):
        policy = calm_http.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_the_page_asks_nobody_else_for_anything(calm_http: httpx.Client) -> None:
    page = calm_http.get("/").text
    assert "FC1" in page
    static = Path(__file__).parents[2] / "central" / "desk" / "static"
    for file in static.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "innerHTML" not in text
        assert "https://" not in text
        served = calm_http.get(f"/static/{file.name}")
        assert served.status_code == 200
        assert served.text == text
    assert calm_http.get("/static/../app.py").status_code == 404


# --- live -----------------------------------------------------------------------------------------


def test_what_central_commits_reaches_an_open_page(desk: DeskProcess) -> None:
    with live(desk) as page:
        tables = frames(page, 4)
        full = {said["table"]: said for said in (next(tables) for _ in range(7))}
        assert set(full) == {
            "robots", "figures", "rules", "proposals", "tasks", "orders", "events",
        }  # fmt: skip
        assert all(said["full"] for said in full.values())
        assert full["proposals"]["put"]["P-101"]["status"] == "waiting"
        decide(desk.world, "P-101", "approved", "maria")
        desk.say_changed("proposal")
        change = next(said for said in tables if said["table"] == "proposals")
        assert change["full"] is False
        assert set(change["put"]) == {"P-101"}
        assert change["put"]["P-101"]["decided_by"] == "maria"


def test_a_change_that_central_did_not_tell_is_seen_too(desk: DeskProcess) -> None:
    with live(desk) as page:
        tables = frames(page, 4)
        assert any(said["table"] == "events" for said in tables)
        decide(desk.world, "P-101", "rejected", "maria")
        assert any(
            said["table"] == "proposals" and not said["full"] and "P-101" in said["put"]
            for said in tables
        )


def test_two_pages_get_the_same_and_a_later_one_gets_all(desk: DeskProcess) -> None:
    with live(desk) as first, live(desk) as second:
        for page in (first, second):
            assert any(said["table"] == "events" for said in frames(page, 4))
        decide(desk.world, "P-102", "rejected", "maria")
        desk.say_changed("proposal")
        for page in (first, second):
            changes = frames(page, 4)
            assert any("P-102" in said["put"] for said in changes if not said["full"])
    with live(desk) as later:
        for said in frames(later, 4):
            if said["table"] == "proposals":
                assert said["put"]["P-102"]["status"] == "rejected"
                break


def test_a_page_that_talks_too_much_is_cut_off_and_nobody_else(desk: DeskProcess) -> None:
    with live(desk) as page, live(desk) as other:
        page.send(b"x" * 100_000)
        assert closes(page)
        assert isinstance(other.recv(timeout=10), bytes)


def test_the_desk_ends_in_time_with_pages_open_and_requests_under_way(
    world: DeskWorld, broker: Address
) -> None:
    world.make_books()
    desk = DeskProcess(world, broker.port)
    with desk:
        page = live(desk)
        assert isinstance(page.recv(timeout=10), bytes)
        eventually(lambda: httpx.get(f"{desk.url}/healthz").json()["broker_connected"])
        waiting = threading.Thread(
            target=lambda: _ignore(f"{desk.url}/api/proposals/P-101/decision"), daemon=True
        )
        waiting.start()
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert closes(page)
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_busy_port_is_named_with_the_way_out(desk: DeskProcess, broker: Address) -> None:
    second = DeskProcess(desk.world, broker.port, port=desk.port)
    with pytest.raises(WebServerError) as busy:
        second.service.start()
    assert str(busy.value) == (
        f"port {desk.port} on 127.0.0.1 is busy (Address already in use): stop the other program"
        " or choose another port"
    )
    second.service.stop()
    second.runtime.close()
    second.peer_runtime.close()
    with socket.create_connection(("127.0.0.1", desk.port), timeout=5):
        pass


def _ignore(url: str) -> None:
    try:
        httpx.post(url, json={"approve": True}, timeout=8)
    except httpx.HTTPError:
        return
