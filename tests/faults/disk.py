"""A disk in memory that keeps apart what was written and what was synced, for SQLite through apsw.

What is written is seen by every read, but it is only safe once the file was synced; a name is only
safe once its folder was. `cut_power` decides by draws which of the unsafe writes are on the disk
afterwards: none, all, the first ones, any of their sectors in any order, or one of them torn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final, Literal

import apsw

SECTOR_BYTES: Final = 512
Operation = Literal["read", "write", "sync", "truncate", "delete"]
CHANGING: Final = frozenset({"write", "sync", "truncate", "delete"})
STYLES: Final = ("none", "all", "first", "any", "torn")
_numbers = count(1)


class PowerCut(BaseException):
    """The machine has no power any more: nothing of the process goes on."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written at an offset and not synced yet."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file cut to a size, not synced yet."""

    size: int


@dataclass(slots=True)
class SimFile:
    """One file: what is on the disk, what a read sees, what lies between the two."""

    safe: bytearray = field(default_factory=bytearray)
    now: bytearray = field(default_factory=bytearray)
    unsafe: list[Write | Truncate] = field(default_factory=list)

    def write(self, data: bytes, offset: int) -> None:
        """Write, unsafe."""
        _put(self.now, offset, data)
        self.unsafe.append(Write(offset, bytes(data)))

    def truncate(self, size: int) -> None:
        """Cut or grow to `size`, unsafe."""
        _resize(self.now, size)
        self.unsafe.append(Truncate(size))

    def sync(self) -> None:
        """Make safe what is not."""
        for change in self.unsafe:
            _apply(self.safe, change)
        self.unsafe.clear()

    def forget_unsafe(self) -> None:
        """Let what is not safe never become so: what Linux does once a sync has failed."""
        self.unsafe.clear()


class SimDisk(apsw.VFS):
    """A disk, as a VFS of apsw. `before` is asked before each operation and may raise."""

    def __init__(self) -> None:
        self.name = f"disk-{next(_numbers)}"
        self.files: dict[str, SimFile] = {}
        self.safe_names: dict[str, SimFile] = {}
        self.before: Callable[[Operation, str], None] = lambda _operation, _name: None
        self.operations = 0
        """Operations that change something, since the power is on."""
        self.is_dead = False
        self.lies_about_failed_syncs = False
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> OpenFile:  # noqa: N802
        """Open a file, making it where that is asked for."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        flags[1] = flags[0]
        if path is None:
            return OpenFile(self, "", SimFile(), is_temporary=True)
        if path not in self.files:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(path)
            self.note("write", path)
            self.files[path] = SimFile()
        return OpenFile(self, path, self.files[path])

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        """Delete a file; safe at once where its folder is synced too."""
        if name not in self.files:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT)
        self.note("delete", name)
        del self.files[name]
        if syncdir:
            self.sync_names()

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802
        """Return whether a file is there."""
        return name in self.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Return the name as it is."""
        return name

    def sync_names(self) -> None:
        """Make safe which names there are."""
        self.safe_names = dict(self.files)

    def note(self, operation: Operation, name: str) -> None:
        """Count an operation; raise what befalls it."""
        if self.is_dead:
            raise PowerCut
        if operation in CHANGING:
            self.operations += 1
        self.before(operation, name)

    def cut_at(self, number: int) -> None:
        """Cut the power before the `number`-th changing operation from now on."""
        last = self.operations + number

        def before(operation: Operation, _name: str) -> None:
            if operation in CHANGING and self.operations >= last:
                self.is_dead = True
                raise PowerCut

        self.before = before

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Let nothing that is done inside be on the disk afterwards, nor fail."""
        kept = deepcopy((self.files, self.safe_names))  # open files go on with the originals
        is_dead, self.is_dead = self.is_dead, False
        before, self.before = self.before, lambda _operation, _name: None
        try:
            yield
        finally:
            self.files, self.safe_names = kept
            self.is_dead, self.before = is_dead, before

    def power_up(self, chance: Random) -> str:
        """Let the power come back; return how unsafe writes were treated (one of STYLES)."""
        style = chance.choice(STYLES)
        there = {
            name: file
            for name, file in {**self.safe_names, **self.files}.items()
            if (name in self.safe_names) == (name in self.files) or chance.random() < 0.5
        }
        self.files = {name: _survived(file, style, chance) for name, file in there.items()}
        self.sync_names()
        self.is_dead = False
        self.operations = 0
        self.before = lambda _operation, _name: None
        return style


class OpenFile(apsw.VFSFile):
    """One open file, with the methods that apsw calls."""

    def __init__(
        self, disk: SimDisk, name: str, file: SimFile, *, is_temporary: bool = False
    ) -> None:
        self._disk = disk
        self._name = name
        self._file = file
        self._is_temporary = is_temporary

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Return what stands there; less at the end of the file."""
        self._note("read")
        return bytes(self._file.now[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write."""
        self._note("write")
        self._file.write(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """Cut to a size."""
        self._note("truncate")
        self._file.truncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Make safe what was written; the first time the name too, as SQLite does on Unix."""
        try:
            self._note("sync")
        except apsw.Error:
            if self._disk.lies_about_failed_syncs:
                self._file.forget_unsafe()
            raise
        self._file.sync()
        if not self._is_temporary:
            self._disk.sync_names()

    def xFileSize(self) -> int:  # noqa: N802
        """Return the size."""
        return len(self._file.now)

    def xLock(self, level: int) -> None:  # noqa: N802
        """Lock nothing: there is one connection at a time."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Unlock nothing."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """Return that nobody else writes."""
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        """Know no extra operation."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """Return the size of what is written at once at best."""
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """Return what SQLite assumes on Unix: bytes beside a torn write stay."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:  # noqa: N802
        """Close; nothing is synced by it."""

    def _note(self, operation: Operation) -> None:
        if not self._is_temporary:
            self._disk.note(operation, self._name)


@contextmanager
def failing(disk: SimDisk, operation: Operation, code: int, *, nth: int = 1) -> Iterator[list[str]]:
    """Let the `nth` operation of a kind from now on and all later ones fail with an SQLite code.

    Yields the names of the files whose operations failed.
    """
    failed: list[str] = []
    seen = 0

    def before(asked: Operation, name: str) -> None:
        nonlocal seen
        seen += asked == operation
        if asked == operation and seen >= nth:
            failed.append(name)
            raise apsw.exception_for(code)

    disk.before = before
    try:
        yield failed
    finally:
        disk.before = lambda _operation, _name: None


def _survived(file: SimFile, style: str, chance: Random) -> SimFile:
    """Return the file as it is found when the power is back."""
    content = bytearray(file.safe)
    share = chance.random()
    changes = file.unsafe
    first = len(changes) if style == "all" else chance.randint(0, len(changes))
    for number, change in enumerate(changes):
        if style == "all" or (style in {"first", "torn"} and number < first):
            _apply(content, change)
        elif style == "torn" and number == first and isinstance(change, Write):
            _put(content, change.offset, change.data[: chance.randrange(len(change.data) + 1)])
        elif style == "any" or (style == "torn" and number > first):
            _apply_some(content, change, share, chance)
    return SimFile(safe=content, now=bytearray(content))


def _apply_some(content: bytearray, change: Write | Truncate, share: float, chance: Random) -> None:
    if isinstance(change, Truncate):
        if chance.random() < share:
            _apply(content, change)
        return
    for start in range(0, len(change.data), SECTOR_BYTES):
        if chance.random() < share:
            offset = change.offset + start
            if offset > len(content) and chance.random() < share:
                content += chance.randbytes(offset - len(content))  # a hole with anything in it
            _put(content, offset, change.data[start : start + SECTOR_BYTES])


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        _resize(content, change.size)
    else:
        _put(content, change.offset, change.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content += bytes(offset - len(content))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))
