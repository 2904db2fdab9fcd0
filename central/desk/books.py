"""The central database, read and never written: SQLite opened read-only, or PostgreSQL likewise."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from central.database_url import parse_database_url
from central.postgres import server_engine
from runtime.store import StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 8
CONNECTION_WAIT_S_MAX: Final = 5.0


class BooksError(Exception):
    """The books cannot be read now; the text says why and what to do."""


class Books:
    """Central's tables, as they were at one moment per `read`. Any thread may read."""

    def __init__(self, url: str) -> None:
        parsed = parse_database_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        self._target = parsed
        self._file = Path(parsed.database or "")
        if self._is_sqlite and not parsed.database:
            raise StoreError(
                f"database_url = {url!r}: expected the path of central's database file"
            )
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._inode = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in one read transaction. Raises BooksError where central is not up."""
        try:
            with self._ready_engine().connect() as connection:
                yield connection
        except (OperationalError, ProgrammingError) as error:
            raise BooksError(self._explain(error)) from error
        except PoolTimeoutError as error:
            raise BooksError(
                f"all {CONNECTIONS_MAX} connections to central's database are busy: try again"
            ) from error
        except DBAPIError as error:
            raise BooksError(f"central's database cannot be read: {error.orig}") from error

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _ready_engine(self) -> Engine:
        with self._lock:
            inode = self._find_file() if self._is_sqlite else 0
            if self._engine is not None and inode != self._inode:
                self._engine.dispose()  # the file was replaced: the open ones would show the old
                self._engine = None
            if self._engine is None:
                self._engine = self._sqlite() if self._is_sqlite else self._server()
                self._inode = inode
            return self._engine

    def _find_file(self) -> int:
        try:
            return self._file.stat().st_ino
        except OSError as error:
            raise BooksError(
                f"central is not up yet: its database {self._file.name} does not exist;"
                " the page fills by itself when it does"
            ) from error

    def _sqlite(self) -> Engine:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                f"{self._file.resolve().as_uri()}?mode=ro",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )

        engine = create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=CONNECTION_WAIT_S_MAX,
        )
        event.listen(engine, "connect", _stay_in_memory)
        event.listen(engine, "begin", _begin)
        return engine

    def _server(self) -> Engine:
        engine = server_engine(
            self._target,
            isolation_level="REPEATABLE READ",
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=CONNECTION_WAIT_S_MAX,
        )
        return engine.execution_options(postgresql_readonly=True)

    def _explain(self, error: DBAPIError) -> str:
        text = str(error.orig)
        if "no such table" in text or "does not exist" in text:
            return "central is not up yet: its database has no tables; the page fills by itself"
        return f"central's database cannot be read: {text}"


def _stay_in_memory(connection: DBAPIConnection, _record: Any) -> None:
    """Sort in memory: a read-only process should need no place for temporary files."""
    connection.cursor().execute("PRAGMA temp_store=MEMORY")


def _begin(connection: Connection) -> None:
    """Begin by hand: pysqlite begins none for a SELECT, and each would see another moment."""
    connection.exec_driver_sql("BEGIN")
