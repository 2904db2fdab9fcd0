"""The product's SQLite on a simulated disk: `sqlite3.connect` as the product calls it, over apsw.

Python's sqlite3 and apsw hold two different SQLite libraries, so a VFS of apsw is not seen by
sqlite3. What the product executes stays as it is; only the connection object is another. Without
shared memory a VFS can do WAL in exclusive locking mode only; what is written and synced when is
the same in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import apsw
import pytest

from tests.faults.disk import SimDisk

_DAMAGED: Final = (apsw.CorruptError, apsw.NotADBError)
_DML: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE")
Rewrite = Callable[[str], str]


def as_sqlite3(error: apsw.Error) -> sqlite3.Error:
    """Return an error of apsw as sqlite3 raises it."""
    if isinstance(error, apsw.ConstraintError):
        return sqlite3.IntegrityError(str(error))
    if isinstance(error, _DAMAGED):
        return sqlite3.DatabaseError(str(error))
    return sqlite3.OperationalError(f"{type(error).__name__}: {error}")


@contextmanager
def _errors_of_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise as_sqlite3(error) from error


class Cursor:
    """What `execute` gives: all rows are read at once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.rowcount = -1
        self.lastrowid = 0
        self.arraysize = 1
        self._rows: Iterator[Any] = iter(())

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Cursor:
        """Run one statement."""
        apsw_connection = self.connection.apsw
        before = apsw_connection.total_changes()
        cursor = apsw_connection.cursor()
        cursor.exec_trace = self._note_columns
        with _errors_of_sqlite3():
            self._rows = iter(cursor.execute(self.connection.rewrite(sql), values).fetchall())
        self.connection.note_checkpoints(sql)
        if sql.lstrip()[:7].upper().startswith(_DML):
            self.rowcount = apsw_connection.total_changes() - before
            self.lastrowid = apsw_connection.last_insert_rowid()
        return self

    def executemany(self, sql: str, rows: Iterable[Any]) -> Cursor:
        """Run one statement with each of `rows`."""
        apsw_connection = self.connection.apsw
        before = apsw_connection.total_changes()
        with _errors_of_sqlite3():
            apsw_connection.cursor().executemany(sql, rows)
        self.rowcount = apsw_connection.total_changes() - before
        return self

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(self._rows, None)

    def fetchmany(self, size: int = 1) -> list[Any]:
        """Return the next rows."""
        return list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def _note_columns(self, cursor: apsw.Cursor, _sql: str, _values: Any) -> bool:
        columns = cursor.get_description()
        none = (None,) * 6
        self.description = tuple((name, *none) for name, *_ in columns) or None
        return True


class Connection:
    """What the product uses of `sqlite3.Connection`."""

    def __init__(self, path: str, disk: SimDisk, rewrite: Rewrite) -> None:
        self.rewrite = rewrite
        self.isolation_level: str | None = None
        self.row_factory = None
        with _errors_of_sqlite3():
            self.apsw = apsw.Connection(path, vfs=disk.name)
            self.apsw.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()

    def note_checkpoints(self, sql: str) -> None:
        """Take over automatic checkpoints where `sql` says how often they shall be.

        SQLite ignores their errors: the commit before them was good. apsw would raise them.
        """
        name, _, pages = sql.partition("=")
        if name != "PRAGMA wal_autocheckpoint":
            return

        def committed(connection: apsw.Connection, database: str, in_wal: int) -> int:
            if in_wal >= int(pages):
                with suppress(apsw.Error):
                    connection.wal_checkpoint(database)
            return apsw.SQLITE_OK

        self.apsw.set_wal_hook(committed)

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""
        return self.apsw.in_transaction

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Cursor:
        """Run one statement."""
        return Cursor(self).execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Any]) -> Cursor:
        """Run one statement with each of `rows`."""
        return Cursor(self).executemany(sql, rows)

    def create_function(self, name: str, count: int, call: Any, **_: Any) -> None:
        """Let SQL call a function."""
        self.apsw.create_scalar_function(name, call, count)

    def commit(self) -> None:
        """Commit what is open."""
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back what is open."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        with _errors_of_sqlite3():
            self.apsw.close()


@dataclass(slots=True)
class Machine:
    """Where a process's files are, and what its statements become (as they are, where not told)."""

    folder: str
    disk: SimDisk
    rewrite: Rewrite = str
    open: list[Connection] = field(default_factory=list)


class Disks:
    """Which folder lies on which simulated disk; everything else stays on the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._machines: list[Machine] = []
        self._real = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", self._connect)
        monkeypatch.setattr(sqlite3.dbapi2, "connect", self._connect)

    def add(self, folder: str) -> SimDisk:
        """Return a new disk that holds `folder`."""
        machine = Machine(folder, SimDisk())
        self._machines.append(machine)
        return machine.disk

    def of(self, disk: SimDisk) -> Machine:
        """Return the machine of a disk."""
        return next(machine for machine in self._machines if machine.disk is disk)

    def abandon(self, disk: SimDisk) -> None:
        """Close the connections of a process that is gone, without anything of it on the disk."""
        machine = self.of(disk)
        with disk.spared():
            for connection in machine.open:
                connection.apsw.close(force=True)
        machine.open.clear()

    def _connect(self, path: Any, *args: Any, **options: Any) -> Any:
        name = str(path)
        for machine in self._machines:
            if name.startswith(machine.folder):
                connection = Connection(name, machine.disk, machine.rewrite)
                machine.open.append(connection)
                return connection
        return self._real(path, *args, **options)
