"""The database's address as central and the desk are given it, checked before it is used."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from runtime.store import StoreError

DRIVERS: Final = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
EXPECTED: Final = "expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def parse_database_url(url: str) -> URL:
    """Return the URL where a database of ours can be meant by it. Raises StoreError.

    `postgresql://` means `postgresql+psycopg://`: that is the driver we have.
    """
    try:
        found = make_url(url)
        if found.drivername == "postgresql":
            found = found.set(drivername="postgresql+psycopg")
        if found.drivername not in DRIVERS or "\0" in url:
            raise StoreError(f"database_url = {hidden(url)!r}: {EXPECTED}")
        found.get_dialect().import_dbapi()
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"database_url = {hidden(url)!r}: {EXPECTED}") from error
    except ImportError as error:
        why = "is not installed" if error.name else f"cannot be loaded ({error})"
        raise StoreError(
            f"database_url = {hidden(url)!r}: expected the Python package psycopg, which {why}:"
            " `pip install 'stockhelm[postgres]'` brings it"
        ) from error
    return found


def hidden(url: str) -> str:
    """Return the URL without its password."""
    try:
        found = make_url(url)
        if "password" in found.query:
            found = found.update_query_dict({"password": "***"})
        return found.render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url
