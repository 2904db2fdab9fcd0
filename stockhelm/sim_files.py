"""Files that commands of the simulator write because somebody asked for them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from runtime.errors import StartError
from stockhelm.ending import os_error_text


def check_files(asked: Mapping[str, Path | None], source: Path | None = None) -> None:
    """Leave all files as they are. Raises StartError where one of them cannot be written.

    By option. Also refused: two options with the same file, and the file that is read, `source`.
    """
    taken = {} if source is None else {source.resolve(): "what is read"}
    for option, path in asked.items():
        if path is None:
            continue
        place = path.resolve()
        if place in taken and not _is_device(place):
            raise StartError(f"{option} {path}: that is {taken[place]}: name another file")
        taken[place] = f"the file of {option}"
        is_new = not os.path.lexists(path)
        try:
            with path.open("ab"):
                pass
            if is_new:
                path.unlink()
        except OSError as error:
            raise StartError(f"{option} {path}: {error.strerror}") from error


def write_file(option: str, path: Path, content: bytes) -> None:
    """Write a whole file. Raises StartError where it cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        error.filename = None
        raise StartError(f"{option} {path}: {os_error_text(error)}") from error


class TraceFile:
    """A file that lines are added to; what cannot be written ends the run."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def write(self, line: bytes) -> None:
        """Add a line. Raises StartError where it cannot be written."""
        try:
            self._file.write(line)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Write what is left, and close. Raises StartError where that cannot be done."""
        try:
            self._file.close()
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StartError:
        error.filename = None
        return StartError(f"--trace {self._path}: {os_error_text(error)}")


@contextlib.contextmanager
def trace_file(path: Path | None) -> Iterator[TraceFile | None]:
    """Yield the empty file of a trace, none where none is asked for. Raises StartError.

    It is held by a lock of the kernel: two runs would write into each other's lines.
    """
    if path is None:
        yield None
        return
    try:
        file = _held_and_empty(path)
    except BlockingIOError as error:
        raise StartError(
            f"--trace {path}: another run writes it; wait for its end, or name another file"
        ) from error
    except OSError as error:
        raise StartError(f"--trace {path}: {error.strerror}") from error
    trace = TraceFile(path, file)
    try:
        yield trace
    except BaseException:
        with contextlib.suppress(StartError):  # the first error is the one to tell
            trace.close()
        raise
    trace.close()


def _held_and_empty(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        if not _is_device(path):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
    except OSError:
        file.close()
        raise
    return file


def _is_device(path: Path) -> bool:
    """Return whether it is no ordinary file: `/dev/null`, a pipe."""
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)
