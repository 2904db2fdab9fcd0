"""Whatever the API refuses, it answers in one form: what is wrong, and what to do."""

from __future__ import annotations

from typing import Annotated, Any, cast

import anyio
import httpx
import pytest
from fastapi import FastAPI, HTTPException, Query

from central.desk.app import Decision
from central.desk.errors import Refusal, RefusedError, add_error_handlers
from central.desk.guard import Guard
from central.desk.stock import Adjustment


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/list")
    def some_list(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> int:
        return limit

    @app.post("/decide")
    def decide(decision: Decision) -> None:
        said = f"no, {decision.person}"
        raise RefusedError(Refusal(detail=said, proposal_id="P1", text=said))

    @app.get("/absent")
    def absent() -> None:
        raise HTTPException(404, "there is no bin 'X' here")

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    return app


def ask(app: FastAPI | Guard, method: str, path: str, **options: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            return await client.request(method, path, **options)

    return anyio.run(main)


BAD_LIMIT = "query limit = '501': Input should be less than or equal to 500"
TWO = "body units = -1: Input should be greater than or equal to 0; body extra = 1: Extra inputs"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("GET", "/list?limit=501", None, 422, BAD_LIMIT),
        ("POST", "/decide", {}, 422, "body approve: Field required (/openapi.json"),
        ("POST", "/decide", {"approve": True, "units": -1, "extra": 1}, 422, TWO),
        ("POST", "/decide", {"approve": True}, 409, "no, planner"),
        ("GET", "/absent", None, 404, "there is no bin 'X' here"),
        ("GET", "/api/nothing", None, 404, "there is nothing at /api/nothing: /openapi.json says"),
        ("GET", "/decide", None, 405, "GET is not taken at /decide: expected POST; /openapi.json"),
        ("GET", "/broken", None, 500, "the desk failed at this (ZeroDivisionError): its log says"),
    ],
)
def test_every_refusal_has_its_words_in_detail(
    app: FastAPI, method: str, path: str, body: object, status: int, detail: str
) -> None:
    answer = ask(app, method, path, json=body)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["detail"].startswith(detail)
    assert (answer.headers.get("allow") == "POST") == (status == 405)


def test_what_is_not_json_is_told(app: FastAPI) -> None:
    headers = {"content-type": "application/json"}
    answer = ask(app, "POST", "/decide", content=b"{", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body 1: JSON decode error")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"NaN", 422, "body = nan: "),
        (b"1e400", 422, "body = inf: "),
        (b'{"approve": true, "units": NaN}', 422, "body units = nan: Input should be a valid"),
        (b'{"approve": true, "units": 1e400}', 422, "body units = inf: Input should be a valid"),
        (b'{"approve": true, "units": -Infinity}', 422, "body units = -inf: Input should be"),
        (b'{"approve": true, "reason": "\\ud800"}', 422, "body reason = '\\ud800': Input should"),
        (b'{"approve": true, "\\ud800": 1}', 422, "body = '\\ud800': Input should be a valid"),
        (b"\xff", 400, "the body cannot be read: expected JSON in UTF-8, not too deep"),
        (b"[" * 8_000 + b"]" * 8_000, 400, "the body cannot be read: expected JSON"),
        (b'{"approve": true, "units": ' + b"1" * 5_000 + b"}", 400, "the body cannot be read"),
    ],
)
def test_a_body_of_odd_json_is_refused_in_words(
    app: FastAPI, body: bytes, status: int, says: str
) -> None:
    headers = {"content-type": "application/json", "host": "127.0.0.1"}
    answer = ask(Guard(app, "127.0.0.1"), "POST", "/decide", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json()["detail"].startswith(says)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("host", "[", "host '[' cannot be read: use the address that the desk printed"),
        ("origin", "http://[", "requests from 'http://[' are refused: only this desk's own page"),
        ("content-length", "\u00b2", "the body is over 16384 bytes"),
    ],
)
def test_headers_that_cannot_be_read_are_refused_in_words(
    app: FastAPI, host: str, name: str, value: str, says: str
) -> None:
    given = {"host": b"127.0.0.1", name: value.encode("latin-1")}
    answer = ask(Guard(app, host), "POST", "/decide", content=b"{}", headers=given)
    assert answer.status_code == (413 if name == "content-length" else 403)
    assert answer.json()["detail"].startswith(says)


def test_a_refused_decision_says_it_twice_in_the_same_words(app: FastAPI) -> None:
    answer = ask(app, "POST", "/decide", json={"approve": False, "person": "maria"})
    assert answer.json() == {
        "detail": "no, maria", "proposal_id": "P1", "ok": False, "text": "no, maria",
    }  # fmt: skip


def test_a_body_whose_values_do_not_go_together_is_refused_without_a_copy_of_it(
    app: FastAPI,
) -> None:
    @app.post("/adjust")
    def adjust(adjustment: Adjustment) -> None:
        raise AssertionError(adjustment)

    body = {"article": "SKU-017", "reason": "damaged", "person": "maria"}
    answer = ask(app, "POST", "/adjust", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: Value error, expected either to_units")
