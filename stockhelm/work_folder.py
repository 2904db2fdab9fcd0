"""Folders that go with the process that made them, also where it is killed outright.

A folder is held by a lock of the kernel on the folder itself, which ends with its process. Whoever
makes the next one first removes those of the same user that nobody holds any more, nor a folder in
them: processes that a killed one had started may take a moment to end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runtime.one_at_a_time import LOCK_NAME

PREFIX: Final = "stockhelm."
"""With a dot: what other programs of ours leave in such places has other names, and no lock."""
MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it, for its owner only
MEMORY_BYTES_MIN: Final = 2 * 1024**3
REMOVED_MAX: Final = 100
"""Left folders that one start removes; the next start goes on."""
TRIES_MAX: Final = 10


class WorkFolderError(OSError):
    """No folder can be made; the text says where."""


@contextlib.contextmanager
def work_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that goes at the end: below `parent`, or where temporary files lie.

    Raises OSError where none can be made.
    """
    remove_left()
    place = Path(tempfile.gettempdir()) if parent is None else parent
    for _ in range(TRIES_MAX):
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=place))
        handle = _hold(folder)
        if handle is not None:
            break
        # Somebody who removes what nobody holds came between making and holding it.
    else:
        raise WorkFolderError(f"{place}: expected a folder that can be made and held")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_left() -> list[Path]:
    """Remove the folders of killed processes of this user; return which."""
    removed: list[Path] = []
    for place in {Path(tempfile.gettempdir()), MEMORY_FOLDER}:
        for folder in _folders(place):
            if len(removed) >= REMOVED_MAX:
                return removed
            if (handle := _hold(folder)) is None:
                continue
            if not any(_is_held(lock) for lock in folder.rglob(LOCK_NAME)):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
            os.close(handle)
    return removed


def memory_folder() -> Path | None:
    """Return a folder in memory with room for runs; None: there is none, or TMPDIR says where.

    Nothing of a run in virtual time has to outlive a loss of power, and every commit would wait for
    the disk.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY_FOLDER, os.W_OK):
        return None
    return MEMORY_FOLDER if shutil.disk_usage(MEMORY_FOLDER).free >= MEMORY_BYTES_MIN else None


def _folders(place: Path) -> list[Path]:
    """Return our folders in a place that are this user's."""
    try:
        with os.scandir(place) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(PREFIX)
                and entry.is_dir(follow_symlinks=False)
                and entry.stat(follow_symlinks=False).st_uid == os.getuid()
            ]
    except OSError:  # the place is not there, or a folder went while it was looked at
        return []


def _is_held(file: Path) -> bool:
    handle = _hold(file)
    if handle is not None:
        os.close(handle)
    return handle is None and file.exists()


def _hold(path: Path) -> int | None:
    """Return the handle that holds a folder or file; None where it is held already, or gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        pass
    os.close(handle)
    return None
