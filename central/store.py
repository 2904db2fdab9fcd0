"""The central database: SQLite by default, PostgreSQL by URL; durable, checked, with its tables.

A transaction that writes begins with the write lock (`BEGIN IMMEDIATE` on SQLite), so that what it
read is still true when it writes. A reader asks for `reading(engine)`: one steady picture, no lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Column,
    ColumnClause,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from central import postgres
from central.database_url import hidden, parse_database_url
from central.statement import Statement, Values, named
from central.tables import balance, counter, metadata, movement, setting
from runtime.clock import NS_PER_S
from runtime.store import (
    BUSY_TIMEOUT_MS,
    WAL_PAGES_PER_CHECKPOINT,
    StoreError,
    make_folder_of,
)

CACHE_KIB_MAX: Final = 131_072
"""So much of its file each of central's connections keeps: the indexes of a large ledger. It is not
mapped into memory instead, which is a little faster, since a disk that fails would then end the
process by a signal, where an error says what failed."""
READERS_CACHE_KIB_MAX: Final = 2_000
SCHEMA: Final = "1"
DERIVED: Final = (
    "balance", "stock_at", "stock_mark", "lot_balance", "lot", "serial_place", "container_place",
    "segment", "segment_bin",
)  # fmt: skip
"""Tables that `stockhelm ledger rebuild` makes anew from what was moved."""
RESTORE: Final = "move it away and restore a copy of it"
REBUILD: Final = "make it anew with `stockhelm ledger rebuild --config FILE`"
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_READING: Final = "stockhelm_reading"


def open_engine(url: str, *, synchronous: str = "FULL", repairs: bool = False) -> Engine:
    """Return the engine of the database at `url`, with all tables made. Raises StoreError.

    Balances that are gone beside movements that are not are refused, but where `repairs`: then the
    caller makes them anew.
    """
    engine = _make_engine(url, synchronous, cache_kib=CACHE_KIB_MAX)
    name = hidden(url)
    try:
        with engine.begin() as conn:
            _check_file(conn, name)
            _make_tables(conn, name, repairs=repairs)
            _check_schema(conn, name)
            if not repairs:
                _check_balances(conn, name)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        reason = getattr(error, "orig", None) or error
        raise StoreError(
            f"database_url = {name!r}: expected a database that central can read and write:"
            f" {reason}"
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def must_exist(url: str) -> None:
    """Raise StoreError where the database at `url` is a file that is not there, or is empty.

    SQLite makes a new database of both: nothing would be found wrong with books that are lost.
    """
    target = parse_database_url(url)
    if target.get_backend_name() != "sqlite" or "uri" in target.query:
        return
    file = Path(target.database or "")
    if not file.is_file():
        why = "there is no such file: central makes it when it starts"
    elif not file.stat().st_size:
        why = "the file is empty: central's books were there; restore a copy of them"
    else:
        return
    raise StoreError(f"database_url = {hidden(url)!r}: {why}")


def open_existing(url: str) -> Engine:
    """Return the engine of a database that central has made. Raises StoreError.

    It is not checked, which takes a while where it is large, and nothing is made in it.
    """
    name = hidden(url)
    must_exist(url)
    engine = _make_engine(url, "FULL", cache_kib=READERS_CACHE_KIB_MAX)
    try:
        with reading(engine) as conn:
            lacking = metadata.tables.keys() - set(inspect(conn).get_table_names())
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        reason = getattr(error, "orig", None) or error
        raise StoreError(
            f"database_url = {name!r}: expected central's database, which can be read: {reason}"
        ) from error
    if lacking:
        engine.dispose()
        raise StoreError(
            f"database_url = {name!r}: lacks {', '.join(sorted(lacking)[:5])}: start central of"
            " this version, it makes them"
        )
    return engine


def _make_engine(url: str, synchronous: str, *, cache_kib: int) -> Engine:
    target = parse_database_url(url)
    if target.get_backend_name() != "sqlite":
        return _make_server_engine(target, synchronous)
    if target.database and "uri" not in target.query:
        try:
            make_folder_of(Path(target.database))
        except StoreError as error:
            raise StoreError(f"database_url = {url!r}: {error}") from error
    engine = create_engine(target)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_PER_CHECKPOINT}")
        connection.execute(f"PRAGMA cache_size={-cache_kib}")

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        reads = conn.get_execution_options().get(_READING, False)
        conn.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _make_server_engine(target: URL, synchronous: str) -> Engine:
    engine = postgres.server_engine(target, synchronous=synchronous)

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        if not conn.get_execution_options().get(_READING, False):
            postgres.take_write_lock(conn)

    return engine


def _check_file(conn: Connection, name: str) -> None:
    if conn.dialect.name != "sqlite":
        return
    verdict = conn.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if verdict != "ok":
        raise StoreError(f"{name}: damaged ({verdict}); {RESTORE}")


def _make_tables(conn: Connection, name: str, *, repairs: bool) -> None:
    """Make the tables that this database never had; one that it had is not remade in silence."""
    there = set(inspect(conn).get_table_names())
    gone = sorted(_made_tables(conn, there) - there)
    lost = [table for table in gone if table not in DERIVED]
    if lost:
        raise StoreError(f"{name}: expected tables that are gone: {', '.join(lost)}; {RESTORE}")
    if gone and not repairs:
        raise StoreError(f"{name}: table {gone[0]} is gone: {REBUILD}")
    if conn.dialect.name == postgres.NAME:
        postgres.order_by_characters(conn, metadata)
    _add_columns(conn, there)
    metadata.create_all(conn)
    for index in movement.indexes:  # a table of an earlier program lacks what came later
        index.create(conn, checkfirst=True)
    write_setting(conn, "tables", " ".join(metadata.tables))


def _add_columns(conn: Connection, there: AbstractSet[str]) -> None:
    """Add the columns that tables of older databases lack; their rows get the default value."""
    found = inspect(conn)
    indexes = []
    for table in metadata.tables.values():
        if table.name not in there:
            continue
        known = {column["name"] for column in found.get_columns(table.name)}
        lacking = [column for column in table.columns if column.name not in known]
        for column in lacking:
            default = "''" if isinstance(column.type, String) else "0"
            kind = column.type.compile(conn.dialect)
            conn.exec_driver_sql(
                f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"
                f" NOT NULL DEFAULT {default}"
            )
        if lacking:
            indexes += [index for index in table.indexes if {*index.columns} & {*lacking}]
    for index in indexes:
        index.create(conn, checkfirst=True)


def _made_tables(conn: Connection, there: AbstractSet[str]) -> set[str]:
    if not there & metadata.tables.keys():
        return set()
    marked = read_setting(conn, "tables") if setting.name in there else None
    return {movement.name, balance.name, setting.name} if marked is None else set(marked.split())


def _check_balances(conn: Connection, name: str) -> None:
    """Raise StoreError where there are no balances though something was moved."""
    if conn.execute(select(balance.c.place).limit(1)).first() is not None:
        return
    moved = select(movement.c.id).where(movement.c.from_place != movement.c.to_place).limit(1)
    if conn.execute(moved).first() is not None:
        raise StoreError(f"{name}: table balance is empty, there are movements: {REBUILD}")


def _check_schema(conn: Connection, url: str) -> None:
    found = read_setting(conn, "schema")
    if found not in (None, SCHEMA):
        raise StoreError(
            f"{url}: has tables of version {found}, this program expects {SCHEMA}; "
            "start it with the program that made it"
        )
    write_setting(conn, "schema", SCHEMA)  # each time: what cannot be written is found out here


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one moment of the database and never waits for the writer."""
    with engine.connect() as conn:
        options: dict[str, Any] = {_READING: True}
        if conn.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        reader = conn.execution_options(**options)
        with reader.begin():
            yield reader


def insert_new(conn: Connection, table: Table, rows: Sequence[Values]) -> int:
    """Insert the rows whose key is not there yet; return how many were."""
    if not rows:
        return 0
    return _insert_new(conn.dialect.name, table).many(conn, rows)


def insert_returning(
    conn: Connection, table: Table, rows: Sequence[Values], returned: Column[str]
) -> list[str]:
    """Insert the rows whose key is not there yet; return `returned` of those that were."""
    if not rows:
        return []
    if _goes_by_copy(conn, rows):
        return postgres.copy_new(conn, table, *_by_position(rows), returned)
    return _insert_returning(conn.dialect.name, table, returned).returned(conn, rows)


def insert_values_returning(
    conn: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    returned: Column[str],
) -> list[str]:
    """Insert the rows (values by `names`) whose key is not there yet; return `returned` of those.

    On PostgreSQL by COPY where they are many. On SQLite in one call: rows that come in get the
    next row numbers, and only where some were there already, those above the highest one before
    are looked up. To have each row returned takes the driver twice as long.
    """
    if _goes_by_copy(conn, rows):
        return postgres.copy_new(conn, table, names, rows, returned)
    if conn.dialect.name != "sqlite" or len(rows) <= 1:
        return insert_returning(conn, table, named(names, rows), returned)
    last = _last_row(table).scalar(conn)
    if _insert_new(conn.dialect.name, table).many_of(conn, names, rows) == len(rows):
        index = names.index(returned.key)
        return [row[index] for row in rows]
    return _rows_after(table, returned).scalars(conn, {"last": last})


def upsert(
    conn: Connection,
    table: Table,
    rows: Sequence[Values],
    *,
    add: Sequence[str] = (),
    replace: Sequence[str] = (),
) -> None:
    """Insert the rows; where a key exists, add to some columns and replace others.

    No two of the rows have the same key.
    """
    if _goes_by_copy(conn, rows):
        postgres.copy_in(conn, table, *_by_position(rows), _on_conflict(table, add, replace))
        return
    _upsert(conn.dialect.name, table, tuple(add), tuple(replace)).many(conn, rows)


def add_values(
    conn: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    add: str,
) -> None:
    """Insert the rows (values by `names`); where a key exists, add to its column `add`.

    No two of the rows have the same key.
    """
    if _goes_by_copy(conn, rows):
        postgres.copy_in(conn, table, names, rows, _on_conflict(table, (add,), ()))
        return
    _upsert(conn.dialect.name, table, (add,), ()).many_of(conn, names, rows)


def _goes_by_copy(conn: Connection, rows: Sequence[object]) -> bool:
    return conn.dialect.name == postgres.NAME and len(rows) >= postgres.COPY_ROWS_MIN


def _by_position(rows: Sequence[Values]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return the names of the rows' values, and the values in this order."""
    names = tuple(rows[0])
    return names, [tuple(row[name] for name in names) for row in rows]


def _on_conflict(table: Table, add: Sequence[str], replace: Sequence[str]) -> str:
    keys = ", ".join(column.name for column in table.primary_key)
    changes = [f"{name} = {table.name}.{name} + excluded.{name}" for name in add]
    changes += [f"{name} = excluded.{name}" for name in replace]
    return f"ON CONFLICT ({keys}) DO UPDATE SET {', '.join(changes)}"


def _insert(dialect: str, table: Table) -> Any:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _insert_new(dialect: str, table: Table) -> Statement:
    return Statement(_insert(dialect, table).on_conflict_do_nothing())


@cache
def _insert_returning(dialect: str, table: Table, returned: Column[str]) -> Statement:
    return Statement(_insert(dialect, table).on_conflict_do_nothing().returning(returned))


@cache
def _last_row(table: Table) -> Statement:
    return Statement(select(func.coalesce(func.max(_row_number()), 0)).select_from(table))


@cache
def _rows_after(table: Table, returned: Column[str]) -> Statement:
    after = _row_number() > bindparam("last")
    return Statement(select(returned).select_from(table).where(after).order_by(_row_number()))


def _row_number() -> ColumnClause[int]:
    """Return SQLite's own number of a row."""
    return literal_column("rowid", Integer)


@cache
def _upsert(
    dialect: str, table: Table, add: tuple[str, ...], replace: tuple[str, ...]
) -> Statement:
    return Statement(_upsert_clause(dialect, table, add, replace))


def _upsert_clause(
    dialect: str, table: Table, add: tuple[str, ...], replace: tuple[str, ...]
) -> Any:
    statement = _insert(dialect, table)
    changes = {name: table.c[name] + statement.excluded[name] for name in add}
    changes |= {name: statement.excluded[name] for name in replace}
    return statement.on_conflict_do_update(
        index_elements=[column.name for column in table.primary_key], set_=changes
    )


def read_setting(conn: Connection, name: str) -> str | None:
    """Return what the database remembers under `name`, or None."""
    return conn.execute(select(setting.c.value).where(setting.c.name == name)).scalar_one_or_none()


def write_setting(conn: Connection, name: str, value: str) -> None:
    """Remember `value` under `name`."""
    upsert(conn, setting, [{"name": name, "value": value}], replace=("value",))


def birth_mark(conn: Connection, now_ns: int) -> str:
    """Return the mark of this database in all its ids, made when it was first asked for.

    A database that is begun anew must not give out ids that an edge's journal knows already.
    """
    found = read_setting(conn, "birth")
    if found is None:
        found = _base36(now_ns // NS_PER_S)
        write_setting(conn, "birth", found)
    return found


def command_key(conn: Connection, fresh: bytes) -> bytes:
    """Return the key that this database's commands get their nonces from; `fresh` is the first."""
    found = read_setting(conn, "command_key")
    if found is None:
        found = fresh.hex()
        write_setting(conn, "command_key", found)
    return bytes.fromhex(found)


def next_numbers(conn: Connection, name: str, count: int) -> range:
    """Return the next `count` numbers of the counter `name`; a rollback gives them back."""
    statement = _count_up(conn.dialect.name)
    (last,) = statement.returned(conn, [{"name": name, "value": count}])
    return range(last - count + 1, last + 1)


@cache
def _count_up(dialect: str) -> Statement:
    return Statement(_upsert_clause(dialect, counter, ("value",), ()).returning(counter.c.value))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    return digits or "0"
