"""The planners' desk as a process: page and API, a lane that hears the bus, one that reads."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Protocol

from central.config import DeskConfig
from central.desk.app import Desk, build_app
from central.desk.books import Books
from central.desk.decisions import Decisions
from central.desk.feed import Feed
from central.desk.floor import Floor
from central.desk.guard import Guard
from central.desk.hub import Hub
from central.desk.queries import Queries
from central.desk.site import Names, read_site
from runtime.broker_link import bus_options
from runtime.metrics import Metrics
from runtime.runtime import Runtime
from runtime.web import WebServer, WebServerError

WATCH_S: Final = 1.0


class Pages(Protocol):
    """What serves the pages."""

    @property
    def alive(self) -> bool:
        """Return whether it runs."""

    def start(self) -> None:
        """Begin to serve."""

    def post(self, call: Callable[[], None]) -> bool:
        """Run `call` where pages are served; False where that is nowhere."""

    def stop(self) -> None:
        """End in bounded time."""


Serve = Callable[[Guard, DeskConfig, Metrics], Pages]


def serve_on_a_port(app: Guard, config: DeskConfig, metrics: Metrics) -> Pages:
    """Return the web server of a desk that browsers reach."""
    return WebServer(
        app,
        config.host,
        config.port,
        count=metrics.count,
        certificate=config.tls.certificate,
        key=config.tls.key,
    )


class DeskService:
    """One desk. Its lanes never wait for each other: a slow database does not stop the robots."""

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        config: DeskConfig,
        serve: Serve = serve_on_a_port,
    ) -> None:
        names = Names(read_site(Path(config.site_dir)))
        queries = Queries(names)
        self._config = config
        self._stopping = False
        self._lane = runtime.lane("desk")
        self._books = Books(config.database_url)
        self._bus = runtime.bus(bus_options(config.broker, f"desk-{config.site_id}-{config.port}"))
        hub = Hub(self._post, metrics)
        self._floor = Floor(self._lane, runtime.clock, metrics, hub, names, config.site_id)
        self._decisions = Decisions(
            self._lane,
            runtime.clock,
            metrics,
            bus=self._bus,
            site_id=config.site_id,
            post=self._post,
        )
        self._feed = Feed(
            runtime.lane("desk-books"),
            runtime.clock,
            metrics,
            hub=hub,
            books=self._books,
            queries=queries,
            names=names,
            say=self._say_of_books,
        )
        desk = Desk(
            site_id=config.site_id,
            books=self._books,
            queries=queries,
            floor=self._floor,
            hub=hub,
            decisions=self._decisions,
        )
        app = Guard(build_app(desk, _version()), config.host, config.public_hosts)
        self._server = serve(app, config, metrics)

    @property
    def address(self) -> str:
        """Return where the page is."""
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        scheme = "https" if self._config.tls.certificate else "http"
        return f"{scheme}://{host}:{self._config.port}/"

    def start(self) -> None:
        """Take the port, then hear and read. Raises WebServerError where the port is busy."""
        self._server.start()
        self._floor.listen(self._bus, self._config.interface_name, self._feed.wake)
        self._decisions.listen()
        self._bus.start()
        self._feed.start()
        self._lane.call_every(WATCH_S, self._watch)

    def stop(self) -> None:
        """Say goodbye to the pages and close everything."""
        self._stopping = True
        self._decisions.give_up()
        self._server.stop()
        self._bus.stop()
        self.close_books()

    def close_books(self) -> None:
        """Close what is open of central's database."""
        self._books.close()

    def _post(self, call: Callable[[], None]) -> bool:
        return self._server.post(call)

    def _say_of_books(self, text: str) -> None:
        self._floor.books_text = text

    def _watch(self) -> None:
        """End the process where the web server ended by itself: its supervisor starts it anew."""
        if not (self._server.alive or self._stopping):
            raise WebServerError(f"the web server on {self.address} ended by itself; see the log")


def build_desk(
    runtime: Runtime, metrics: Metrics, config: DeskConfig, serve: Serve = serve_on_a_port
) -> DeskService:
    """Return the desk, not yet started."""
    return DeskService(runtime, metrics, config, serve)


def _version() -> str:
    try:
        return version("stockhelm")
    except PackageNotFoundError:
        return "0"
