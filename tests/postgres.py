"""A PostgreSQL server of the test session's own, and an empty database of it for each test."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_NUMBERS = count(1)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server that is stopped and gone afterwards; skip where none can be had."""
    pgserver: Any = pytest.importorskip("pgserver", reason="pgserver brings PostgreSQL for tests")
    pytest.importorskip("psycopg", reason="psycopg speaks with PostgreSQL (extra `postgres`)")
    folder = Path(tempfile.mkdtemp(prefix="stockhelm-pg-"))  # not tmp_path: others may not enter it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where its own lock file lies
        server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        # Making and dropping databases waits for the disk each time; no power fails in these tests.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield str(server.get_uri())
    finally:
        server.cleanup()


def postgres_database(server_url: str) -> str:
    """Return the URL of a new database of the server; it goes when the server goes."""
    psycopg: Any = importlib.import_module("psycopg")
    name = f"books_{next(_NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server_url.replace("/postgres?", f"/{name}?")
