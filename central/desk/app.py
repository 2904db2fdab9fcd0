"""The desk's web application: the page, its one WebSocket, the API (described at /openapi.json)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import jinja2
from fastapi import FastAPI, HTTPException, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from central.desk import rows as r
from central.desk.books import Books, BooksError
from central.desk.decisions import Decisions, DecisionUnansweredError
from central.desk.errors import Problem, Refusal, RefusedError, add_error_handlers
from central.desk.floor import Floor
from central.desk.hub import TOO_MANY, TOO_SLOW, Hub, Page
from central.desk.pins import add_pins
from central.desk.queries import LIMIT_MAX, Queries
from central.desk.stock import add_stock
from central.desk.zones import add_zones

T = TypeVar("T")
HERE: Final = Path(__file__).parent
SEND_S_MAX: Final = 20.0
OFFSET_MAX: Final = 10_000_000
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
_UNAVAILABLE: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Problem}}
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem}, **_UNAVAILABLE}

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX)]
ProposalStatus = Literal["", "waiting", "approved", "rejected", "expired", "done", "failed"]
TaskStatus = Literal["", "open", "assigned", "moving", "done", "failed", "cancelled"]
TaskKind = Literal["", "receive", "putaway", "refill", "transfer", "pick", "deliver", "count"]
OrderStatus = Literal["", "accepted", "allocated", "picked", "filled", "refused"]


class ListPage(BaseModel, Generic[T]):
    """A part of a list: `items` from `offset` on, at most `limit`, of `total`."""

    items: list[T]
    total: int
    limit: int
    offset: int


class Decision(BaseModel):
    """What a planner decides."""

    model_config = ConfigDict(extra="forbid")

    approve: bool = Field(strict=True)
    units: int = Field(
        0, ge=0, le=1_000_000, strict=True, description="other units than proposed; 0: as proposed"
    )
    reason: str = Field("", max_length=400, pattern=r"^[^\x00]*$")
    person: str = Field("planner", min_length=1, max_length=40, pattern=NAME)


class Desk:
    """What the pages and the API answer from."""

    def __init__(
        self,
        *,
        site_id: str,
        books: Books,
        queries: Queries,
        floor: Floor,
        hub: Hub,
        decisions: Decisions,
    ) -> None:
        self.site_id = site_id
        self.floor = floor
        self.hub = hub
        self.decisions = decisions
        self.queries = queries
        self._books = books

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return the books' answer; 503 with the reason where they cannot be read."""
        try:
            with self._books.read() as books:
                return question(books)
        except BooksError as error:
            raise HTTPException(503, str(error)) from error

    def books_text(self) -> str:
        """Return why the books cannot be read, empty where they can."""
        try:
            with self._books.read() as books:
                self.queries.any_row(books)
        except BooksError as error:
            return str(error)
        return ""


def build_app(desk: Desk, version: str) -> FastAPI:
    """Return the application, without FastAPI's documentation page: that loads foreign code."""
    app = FastAPI(
        title="stockhelm desk", version=version, docs_url=None, redoc_url=None,
        responses={422: {"model": Problem}},
    )  # fmt: skip
    add_error_handlers(app)
    _add_page(app, desk, version)
    _add_floor(app, desk)
    _add_lists(app, desk)
    _add_decision(app, desk)
    add_stock(app, desk)
    add_zones(app, desk, desk.floor.now_ns)
    add_pins(app, desk)
    _add_socket(app, desk)
    app.mount("/static", _Static(directory=HERE / "static"), name="static")
    return app


class _Static(StaticFiles):
    """Our own files; a browser asks each time whether they changed: an update is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or that it did not change."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


def _add_page(app: FastAPI, desk: Desk, version: str) -> None:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = templates.get_template("page.html").render(site_id=desk.site_id, version=version)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def the_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"cache-control": "no-cache"})

    @app.get("/healthz", responses={503: {"model": r.Health}})
    def health() -> Response:
        """Whether the desk can do its work: the books can be read and the broker is reached."""
        books = desk.books_text()
        is_well = not books and desk.floor.broker_connected
        body = {
            "status": "ok" if is_well else "waiting",
            "books": books or "ok",
            "broker_connected": desk.floor.broker_connected,
        }
        return JSONResponse(body, 200 if is_well else 503)


def _add_floor(app: FastAPI, desk: Desk) -> None:
    queries = desk.queries

    @app.get("/api/summary", responses=_UNAVAILABLE)
    def summary() -> r.Summary:
        """Figures, robots and who can be reached."""
        robots, edges = desk.floor.robots(), desk.floor.edges()
        figures, rules = desk.ask(lambda books: (queries.figures(books), queries.rules(books)))
        return r.Summary(
            site_id=desk.site_id,
            figures=figures,
            rules=rules,
            robots_online=sum(robot.online for robot in robots),
            robots_known=len(robots),
            broker_connected=desk.floor.broker_connected,
            edges_online=sorted(id_ for id_, online in edges.items() if online),
            edges_offline=sorted(id_ for id_, online in edges.items() if not online),
        )

    @app.get("/api/robots")
    def robots(limit: Limit = 100, offset: Offset = 0) -> ListPage[r.Robot]:
        """Robots as they last spoke."""
        return _cut(desk.floor.robots(), limit, offset)

    @app.get("/api/bins", responses=_UNAVAILABLE)
    def bins(limit: Limit = 100, offset: Offset = 0) -> ListPage[r.Bin]:
        """Bins in the order of the site's files, with what the books say is in them."""
        return _cut(list(desk.ask(queries.bins).values()), limit, offset)

    @app.get("/api/bins/{bin_id}", responses=_ABSENT)
    def one_bin(bin_id: str) -> r.BinDetail:
        """One bin: how sure its book is, its latest movements, observations, its open tasks."""
        found = desk.ask(lambda books: queries.bin_detail(books, bin_id, desk.floor.now_ns()))
        return _found(found, f"there is no bin {bin_id[:60]!r} here")

    @app.get("/api/quarantine", responses=_UNAVAILABLE)
    def quarantine() -> r.Quarantine:
        """Goods in quarantine, with their lots and serial numbers."""
        return desk.ask(queries.quarantine)


def _add_lists(app: FastAPI, desk: Desk) -> None:
    queries = desk.queries

    @app.get("/api/tasks", responses=_UNAVAILABLE)
    def tasks(
        status: TaskStatus = "", kind: TaskKind = "", limit: Limit = 100, offset: Offset = 0
    ) -> ListPage[r.Task]:
        """Tasks, newest first."""
        items, total = desk.ask(
            lambda books: queries.tasks(books, status=status, kind=kind, limit=limit, offset=offset)
        )
        return ListPage(items=items, total=total, limit=limit, offset=offset)

    @app.get("/api/proposals", responses=_UNAVAILABLE)
    def proposals(
        status: ProposalStatus = "", limit: Limit = 100, offset: Offset = 0
    ) -> ListPage[r.Proposal]:
        """Proposals, newest first."""
        items, total = desk.ask(
            lambda books: queries.proposals(books, status=status, limit=limit, offset=offset)
        )
        return ListPage(items=items, total=total, limit=limit, offset=offset)

    @app.get("/api/proposals/{proposal_id}", responses=_ABSENT)
    def one_proposal(proposal_id: str) -> r.ProposalWhy:
        """One proposal with its numbers, what it was made for, and what came of it."""
        found = desk.ask(lambda books: queries.why(books, proposal_id))
        return _found(found, f"there is no proposal {proposal_id[:60]!r}")

    @app.get("/api/orders", responses=_UNAVAILABLE)
    def orders(
        status: OrderStatus = "", limit: Limit = 100, offset: Offset = 0
    ) -> ListPage[r.Order]:
        """Orders of customers, newest first."""
        items, total = desk.ask(
            lambda books: queries.orders(books, status=status, limit=limit, offset=offset)
        )
        return ListPage(items=items, total=total, limit=limit, offset=offset)


def _add_decision(app: FastAPI, desk: Desk) -> None:
    problems: dict[int | str, dict[str, Any]] = {
        404: {"model": Problem},
        409: {"model": Refusal},
        503: {"model": Problem},
    }

    @app.post("/api/proposals/{proposal_id}/decision", responses=problems)
    async def decide(
        proposal_id: Annotated[str, Field(max_length=40, pattern=NAME)], decision: Decision
    ) -> r.DecisionAnswer:
        """Approve or reject a proposal; answered with central's words (409 where it refuses)."""
        try:
            result = await desk.decisions.decide(
                proposal_id,
                approve=decision.approve,
                units=decision.units,
                reason=decision.reason,
                person_id=decision.person,
            )
        except DecisionUnansweredError as error:
            raise HTTPException(503, str(error)) from error
        if not result.ok:
            said = result.text
            raise RefusedError(Refusal(detail=said, proposal_id=proposal_id, text=said))
        return r.DecisionAnswer(proposal_id=proposal_id, ok=True, text=result.text)


def _add_socket(app: FastAPI, desk: Desk) -> None:
    @app.websocket("/ws")
    async def live(socket: WebSocket) -> None:
        """Send a page what changes, until it goes."""
        await socket.accept()
        page = desk.hub.open()
        if page is None:
            await socket.close(TOO_MANY, "too many pages are open")
            return
        sending = asyncio.ensure_future(_send_all(socket, page))
        listening = asyncio.ensure_future(_hear(socket))
        try:
            await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            desk.hub.close(page)
            for task in (sending, listening):
                task.cancel()
            await asyncio.gather(sending, listening, return_exceptions=True)


async def _send_all(socket: WebSocket, page: Page) -> None:
    try:
        while frames := await page.next():
            for frame in frames:
                async with asyncio.timeout(SEND_S_MAX):
                    await socket.send_bytes(frame)
        await socket.close(TOO_SLOW, "the page did not keep up: connect again")
    except (WebSocketDisconnect, TimeoutError, RuntimeError):
        return  # the page is gone


async def _hear(socket: WebSocket) -> None:
    """Return when the page goes; what it says is not asked for."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _cut(items: list[T], limit: int, offset: int) -> ListPage[T]:
    return ListPage(
        items=items[offset : offset + limit], total=len(items), limit=limit, offset=offset
    )


def _found(value: T | None, text: str) -> T:
    if value is None:
        raise HTTPException(404, text)
    return value
