"""Statements that are made once, compiled once per database, and run at the driver.

SQLAlchemy says what a statement is and how each database spells it. To have it run it as well
costs several times what a small statement costs itself, and tasking runs a hundred small ones for
each order. Lists (`column.in_(bindparam(...))`) are filled up to a power of two by repeating their
last element, so that there are few spellings of each statement.

Whoever must know what is written sets the execution option `ON_WRITE` of its engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple, cast, overload

from sqlalchemy import ColumnDefault, Connection, Delete, Dialect, Insert, Table, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

ON_WRITE: Final = "stockhelm_on_write"
LIST_MAX: Final = 512
"""As long as a list may be: databases take a limited number of values in one statement."""
ROWS_TOGETHER_MAX: Final = 250
VALUES_TOGETHER_MAX: Final = 5_000
"""Rows, and values in them, that SQLite is given with one call."""

Values = Mapping[str, Any]
Row = Any
"""A named tuple of what a statement selects."""
MakeRow = Callable[[Any], Row]
OnWrite = Callable[[str, Sequence[Values]], None]
"""Told of (table, rows or keys as they were given) of each statement that changed something."""


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A statement as one database takes it, for given keys and lengths of lists."""

    text: str
    constants: Values
    order: tuple[str, ...] | None
    """Names of the values by position; None: the database takes them by name."""
    lists: tuple[tuple[str, int, tuple[str, ...]], ...]
    """(name of a list, its length here, the names of its values)."""
    pick: Callable[[Values], Any] | None
    """Takes the values by position out of given ones, where nothing is added to those."""

    def values(self, given: Values) -> Any:
        """Return what the driver takes."""
        if self.pick is not None:
            return self.pick(given)
        values = {**self.constants, **given} if self.constants else given
        if self.lists:
            values = dict(values)
            for name, length, names in self.lists:
                values.update(zip(names, _flat(_padded(given[name], length)), strict=True))
        if self.order is None:
            return values
        return [values[name] for name in self.order]


class Statement:
    """One statement; its methods run it on a connection whose transaction has begun."""

    def __init__(self, clause: Any) -> None:
        self._clause = clause
        self._spellings: dict[tuple[Any, ...], _Spelling] = {}
        self._rows: dict[str, MakeRow] = {}
        self._writes = ""
        if isinstance(clause, Insert | Update | Delete):
            assert isinstance(clause.table, Table), "rows are written into tables"
            # A plain str: SQLAlchemy's names are a subclass that does not go on the wire.
            self._writes = str.__str__(clause.table.name)

    def all(self, conn: Connection, values: Values | None = None) -> list[Row]:
        """Return all rows, with the columns' names."""
        rows, make = self._fetch(conn, values or {})
        return [make(row) for row in rows]

    def first(self, conn: Connection, values: Values | None = None) -> Row:
        """Return the first row, or None where there is none."""
        rows, make = self._fetch(conn, values or {})
        return make(rows[0]) if rows else None

    def scalars(self, conn: Connection, values: Values | None = None) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self._fetch(conn, values or {})[0]]

    def scalar(self, conn: Connection, values: Values | None = None) -> Any:
        """Return the first column of the only row."""
        ((row,), _) = self._fetch(conn, values or {})
        return row[0]

    def run(self, conn: Connection, values: Values | None = None) -> int:
        """Return how many rows were written."""
        given = values or {}
        cursor, _ = self._execute(conn, given)
        count = int(cursor.rowcount)
        cursor.close()
        if count:
            self._tell(conn, (given,))
        return count

    def many(self, conn: Connection, rows: Sequence[Values]) -> int:
        """Write with each of `rows`, which all have the same keys; return how many were written."""
        if len(rows) <= 1:
            return self.run(conn, rows[0]) if rows else 0
        spelling = self._spelling(conn.dialect, rows[0])
        cursor = conn.connection.cursor()
        try:
            cursor.executemany(spelling.text, list(map(spelling.pick or spelling.values, rows)))
        except conn.dialect.loaded_dbapi.Error as error:
            raise wrapped_error(conn, spelling.text, error) from error
        count = int(cursor.rowcount)
        cursor.close()
        if count:
            self._tell(conn, rows)
        return count

    def many_of(
        self, conn: Connection, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
    ) -> int:
        """Write with each of `rows`, values by `names`; return how many were written.

        What `many` does, for very many rows: none of them becomes a mapping on its way, and SQLite
        is given many with one call.
        """
        if not rows:
            return 0
        spelling = self._spelling(conn.dialect, dict(zip(names, rows[0], strict=True)))
        if spelling.order != names or spelling.constants:
            return self.many(conn, named(names, rows))
        cursor = conn.connection.cursor()
        try:
            count, rest = _write_together(cursor, conn.dialect.name, spelling.text, rows)
            if rest:
                cursor.executemany(spelling.text, rest)
                count += int(cursor.rowcount)
        except conn.dialect.loaded_dbapi.Error as error:
            raise wrapped_error(conn, spelling.text, error) from error
        cursor.close()
        if count:
            tell_written(conn, self._writes, lambda: named(names, rows))
        return count

    def returned(self, conn: Connection, rows: Sequence[Values]) -> list[Any]:
        """Write with each of `rows`; return the first column of what they give back."""
        found = [given[0] for row in rows for given in self._fetch(conn, row)[0]]
        self._tell(conn, rows)
        return found

    def tuples(self, conn: Connection, values: Values | None = None) -> list[Any]:
        """Return all rows as plain tuples: where there are very many."""
        return self._fetch(conn, values or {})[0]

    def _fetch(self, conn: Connection, values: Values) -> tuple[list[Any], MakeRow]:
        """Return the rows, and what gives one its columns' names."""
        cursor, text = self._execute(conn, values)
        rows: list[Any] = cursor.fetchall()
        make = self._rows.get(text)
        if make is None:
            names = [(column[0], Any) for column in cursor.description]
            make = self._rows[text] = cast("Any", NamedTuple)("Row", names)._make
        cursor.close()
        return rows, make

    def _execute(self, conn: Connection, values: Values) -> tuple[Any, str]:
        spelling = self._spelling(conn.dialect, values)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(spelling.text, spelling.values(values))
        except conn.dialect.loaded_dbapi.Error as error:
            raise wrapped_error(conn, spelling.text, error) from error
        return cursor, spelling.text

    def _tell(self, conn: Connection, rows: Sequence[Values]) -> None:
        if self._writes:
            tell_written(conn, self._writes, lambda: rows)

    def _spelling(self, dialect: Dialect, values: Values) -> _Spelling:
        key = (
            dialect.name,
            *((k, _length(v)) if isinstance(v, list) else k for k, v in values.items()),
        )
        found = self._spellings.get(key)
        if found is None:
            found = self._spellings[key] = _spell(self._clause, dialect, values)
        return found


def _write_together(
    cursor: Any, dialect: str, text: str, rows: Sequence[tuple[Any, ...]]
) -> tuple[int, Sequence[tuple[Any, ...]]]:
    """Write as many of the rows as fill whole statements; return how many came in, and the rest.

    A row of its own costs SQLite's driver a third more, and gives the interpreter away each time.
    """
    each = min(ROWS_TOGETHER_MAX, VALUES_TOGETHER_MAX // len(rows[0]))
    one = f"({', '.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % each
    if dialect != "sqlite" or not whole or f"VALUES {one}" not in text:
        return 0, rows
    together = text.replace(f"VALUES {one}", f"VALUES {', '.join([one] * each)}", 1)
    count = 0
    for begin in range(0, whole, each):
        cursor.execute(together, list(chain.from_iterable(rows[begin : begin + each])))
        count += int(cursor.rowcount)
    return count, rows[whole:]


class _Named(Sequence[Values]):
    """Rows of values as mappings, each made when it is looked at: mostly nobody does."""

    def __init__(self, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def values_of(self, names: Sequence[str]) -> list[Any] | None:
        """Return of each row the value under the first of `names` they have; None: none of them."""
        name = next((name for name in names if name in self._names), None)
        return None if name is None else list(map(itemgetter(self._names.index(name)), self._rows))

    @overload
    def __getitem__(self, index: int) -> Values: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Values]: ...

    def __getitem__(self, index: int | slice) -> Values | Sequence[Values]:
        if isinstance(index, slice):
            return _Named(self._names, self._rows[index])
        return dict(zip(self._names, self._rows[index], strict=True))


def named(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Sequence[Values]:
    """Return rows of values as mappings."""
    return _Named(names, rows)


def values_of(rows: Sequence[Values], names: Sequence[str]) -> list[Any] | None:
    """Return of each row the value under the first of `names` it has; None where one has none."""
    if isinstance(rows, _Named):
        return rows.values_of(names)
    found = []
    for row in rows:
        name = next((name for name in names if name in row), None)
        if name is None:
            return None
        found.append(row[name])
    return found


def tell_written(conn: Connection, table: str, rows: Callable[[], Sequence[Values]]) -> None:
    """Tell whoever asked for it (`ON_WRITE`) that these rows of `table` were written."""
    on_write: OnWrite | None = conn.get_execution_options().get(ON_WRITE)
    if on_write is not None:
        on_write(table, rows())


def parts_of(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield `values` in lists that a statement takes."""
    rest = iter(values)
    while part := list(islice(rest, LIST_MAX)):
        yield part


def _spell(clause: Any, dialect: Dialect, values: Values) -> _Spelling:
    compiled = clause.compile(dialect=dialect, column_keys=[*values])
    assert isinstance(compiled, SQLCompiler), "it is a statement"
    defaults = {str(c.key): cast("ColumnDefault", c.default).arg for c in compiled.insert_prefetch}
    assert not compiled.update_prefetch, "no column changes by itself"
    lists = {k: _padded(v, _length(v)) for k, v in values.items() if isinstance(v, list)}
    state = compiled.construct_expanded_state({**values, **lists, **defaults})
    assert not state.processors, f"expected values that go as they are: {state.processors}"
    expanded = {name: tuple(state.parameter_expansion.get(name, ())) for name in lists}
    own = values.keys() | {name for names in expanded.values() for name in names}
    constants = {name: value for name, value in state.parameters.items() if name not in own}
    order = None if state.positiontup is None else tuple(state.positiontup)
    is_plain = order is not None and len(order) > 1 and not (constants or expanded)
    return _Spelling(
        text=state.statement,
        constants=constants,
        order=order,
        lists=tuple((name, len(lists[name]), names) for name, names in expanded.items()),
        pick=itemgetter(*order) if order is not None and is_plain else None,
    )


def _length(values: list[Any]) -> int:
    """Return the power of two that a list is filled up to."""
    assert 0 < len(values) <= LIST_MAX, f"expected a list of 1 to {LIST_MAX}, got {len(values)}"
    return 1 << (len(values) - 1).bit_length()


def _padded(values: list[Any], length: int) -> list[Any]:
    return values + values[-1:] * (length - len(values))


def _flat(values: list[Any]) -> list[Any]:
    if values and isinstance(values[0], tuple):
        return [part for value in values for part in value]
    return values


def wrapped_error(conn: Connection, text: str, error: Exception) -> BaseException:
    """Return an error of the driver as SQLAlchemy raises it."""
    dbapi = conn.dialect.loaded_dbapi
    return DBAPIError.instance(text, None, error, dbapi.Error, dialect=conn.dialect)
