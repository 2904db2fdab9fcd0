"""An edge's database that held something and is empty now: found before SQLite begins a new one.

SQLite takes an empty file for a new database, and removes a write-ahead log that lies beside it.
So beside each database lies a file that says that it was made, from its first commit on.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from runtime.store import StoreError

MADE_SUFFIX: Final = "-made"
WAL_SUFFIX: Final = "-wal"


def refuse_emptied(file: Path) -> None:
    """Raise StoreError where the database at `file` is empty or gone, and others say it was not.

    One that was removed together with its write-ahead log is begun anew, as somebody wished.
    """
    is_there = file.exists()
    if is_there and file.stat().st_size:
        return
    made, wal = (file.with_name(file.name + end) for end in (MADE_SUFFIX, WAL_SUFFIX))
    signs = [wal.name] if wal.exists() and wal.stat().st_size else []
    signs += [made.name] if is_there and made.exists() else []
    if not signs:
        return
    what = "the file is empty" if is_there else "there is no such file"
    raise StoreError(
        f"{file}: {what}, but by {' and '.join(signs)} beside it there was a journal in it: restore"
        " a copy, or make it anew from central's copy with `stockhelm ledger rebuild --config FILE"
        f" --central FILE`; to begin anew without what it held, remove all of {file.name}*"
    )


def mark_made(file: Path, edge_id: str) -> None:
    """Write beside `file` that it holds a database from now on; not being able to is no reason."""
    made = file.with_name(file.name + MADE_SUFFIX)
    with suppress(OSError):
        if not made.exists():
            made.write_text(f"{file.name} holds the journal of edge {edge_id}.\n", encoding="utf-8")
