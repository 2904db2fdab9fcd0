"""What only PostgreSQL needs: each connection's settings, the write lock, many rows by COPY.

SQLite lets one writer in at a time, and what that one read stays true until it commits. Here an
advisory lock does the same: whoever writes takes it first, so writers neither overtake each other
nor lock rows crosswise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnDefault,
    Connection,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.engine import URL

from central.statement import named, tell_written, wrapped_error
from runtime.store import BUSY_TIMEOUT_MS

NAME: Final = "postgresql"
CONNECT_TIMEOUT_S: Final = 10
"""A server that does not answer is given up after this."""
COPY_ROWS_MIN: Final = 50
"""Fewer rows go one by one: to copy them first costs more than it spares."""
NOTHING: Final = "ON CONFLICT DO NOTHING"
_KINDS: Final = {String: "varchar", Text: "text", BigInteger: "int8", Float: "float8"}
"""The server's names of the types that rows are copied as. Not of short numbers: the driver cuts
one that is too large for them, where it is to be refused; those rows are copied as text."""
_OTHERWISE_ORDERED: Final = (
    "SELECT t.relname, c.attname, format_type(c.atttypid, c.atttypmod)"
    " FROM pg_attribute c JOIN pg_class t ON t.oid = c.attrelid"
    " WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r'"
    " AND c.attnum > 0 AND NOT c.attisdropped AND c.attcollation <> 0"
    " AND c.attcollation NOT IN (SELECT oid FROM pg_collation WHERE collname = 'C')"
    " ORDER BY t.relname, c.attnum"
)
_WRITE_LOCK: Final = "SELECT pg_advisory_xact_lock(7596556930)"
"""Any number, the same in all our processes; the transaction's end gives the lock back."""


class _WholeNumbers:
    """Reads a sum as what it is: PostgreSQL gives sums of whole numbers as decimals."""

    format = 0  # as text

    def __init__(self, _oid: int, _connection: object = None) -> None:
        pass

    def load(self, data: bytes | bytearray | memoryview) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def server_engine(url: URL, *, synchronous: str = "FULL", **options: Any) -> Engine:
    """Return an engine whose connections give whole numbers and never wait for ever.

    `synchronous` is as for SQLite: all but FULL let the server answer before it is on its disk.
    """
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(url, pool_pre_ping=True, connect_args=arguments, **options)
    waits = "on" if synchronous == "FULL" else "off"

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.adapters.register_loader("numeric", _WholeNumbers)
        connection.execute(
            "SELECT set_config('synchronous_commit', %s, false),"
            " set_config('lock_timeout', %s, false), set_config('timezone', 'UTC', false)",
            (waits, str(BUSY_TIMEOUT_MS)),
        )
        connection.commit()

    return engine


def take_write_lock(conn: Connection) -> None:
    """Wait until no other transaction of ours writes, and keep them out until this one ends."""
    conn.exec_driver_sql(_WRITE_LOCK)


def order_by_characters(conn: Connection, tables: MetaData) -> None:
    """Have the texts of tables that older programs made compared by their characters' numbers.

    So are those of new tables, as on SQLite: by the rules of a language each comparison in an index
    costs more, and another index was needed for the order. All indices are made anew, once.
    """
    changes: dict[str, list[str]] = {}
    for table, column, kind in conn.exec_driver_sql(_OTHERWISE_ORDERED):
        if table in tables.tables:
            change = f'ALTER COLUMN {column} TYPE {kind} COLLATE "C"'
            changes.setdefault(table, []).append(change)
    if "balance" in changes:
        conn.exec_driver_sql("DROP INDEX IF EXISTS balance_order")
    for table, columns in changes.items():
        conn.exec_driver_sql(f"ALTER TABLE {table} {', '.join(columns)}")


def copy_new(
    conn: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    returned: Column[str],
) -> list[str]:
    """Write the rows (values by `names`) whose key is not there; return `returned` of those.

    Mostly none is there, so they are copied straight into the table, which takes the server two
    thirds of the time. Where one is there after all, the server refuses all of them: then what it
    did is taken back, and they go the longer way (`copy_in`).
    """
    given, all_rows = _with_defaults(table, names, rows)
    cursor = cast("Any", conn.connection.cursor())
    try:
        cursor.execute("SAVEPOINT copied")
        try:
            _copy(cursor, table, str.__str__(table.name), given, all_rows)
        except conn.dialect.loaded_dbapi.errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT copied")
            return copy_in(conn, table, names, rows, NOTHING, returned)
        cursor.execute("RELEASE SAVEPOINT copied")
    except conn.dialect.loaded_dbapi.Error as error:
        raise wrapped_error(conn, f"COPY {table.name}", error) from error
    finally:
        cursor.close()
    tell_written(conn, str.__str__(table.name), lambda: named(given, all_rows))
    index = names.index(returned.key)
    return [row[index] for row in rows]


def copy_in(
    conn: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    conflict: str,
    returned: Column[str] | None = None,
) -> list[str]:
    """Write the rows (values by `names`) in two steps; return `returned` of those written.

    They are copied into a table of this connection's own, and from there inserted in their order;
    `conflict` says what becomes of one whose key is there already (ON CONFLICT ...).
    """
    names, rows = _with_defaults(table, names, rows)
    listed = ", ".join(names)
    stage = f"stage_{table.name}_{len(names)}"
    cursor = cast("Any", conn.connection.cursor())
    try:
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {stage} ON COMMIT DELETE ROWS"
            f" AS SELECT {listed} FROM {table.name} WITH NO DATA"
        )
        cursor.execute(f"DELETE FROM {stage}")  # what this transaction had in it before
        _copy(cursor, table, stage, names, rows)
        gives = f" RETURNING {returned.name}" if returned is not None else ""
        cursor.execute(
            f"INSERT INTO {table.name} ({listed}) SELECT {listed} FROM {stage}"
            f" ORDER BY ctid {conflict}{gives}"
        )
        found = [row[0] for row in cursor.fetchall()] if returned is not None else []
    except conn.dialect.loaded_dbapi.Error as error:
        raise wrapped_error(conn, f"COPY {table.name}", error) from error
    finally:
        cursor.close()
    tell_written(conn, str.__str__(table.name), lambda: named(names, rows))
    return found


def _copy(
    cursor: Any, table: Table, into: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Copy rows of `table` into the table `into`, if it can be in the server's own form of them."""
    kinds = [_KINDS.get(type(table.columns[name].type), "") for name in names]
    form = " (FORMAT BINARY)" if all(kinds) else ""
    with cursor.copy(f"COPY {into} ({', '.join(names)}) FROM STDIN{form}") as copy:
        if form:
            copy.set_types(kinds)
        for row in rows:
            copy.write_row(row)


def _with_defaults(
    table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> tuple[tuple[str, ...], Sequence[tuple[Any, ...]]]:
    """Return the rows with the values that a column has where none is given."""
    missing = [c for c in table.columns if c.name not in names and c.default is not None]
    if not missing:
        return names, rows
    values = tuple(cast("ColumnDefault", column.default).arg for column in missing)
    return (*names, *(str(c.name) for c in missing)), [(*row, *values) for row in rows]
