"""One process per data folder: the kernel holds the lock, so a killed process leaves none."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runtime.errors import StartError

LOCK_NAME: Final = "in-use.lock"


class InUseError(StartError):
    """The folder belongs to a running process; the text says to which."""


@contextlib.contextmanager
def hold_folder(folder: Path, who: str) -> Iterator[None]:
    """Keep `folder` to this process. Raises InUseError while another one holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InUseError(
            f"data_dir = {str(folder)!r}: expected a folder that can be made and written:"
            f" {error.strerror}: {error.filename}"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 200).decode(errors="replace").strip()
            raise InUseError(
                f"{folder} is in use by {holder or 'another process'}: stop it first"
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"{who}, process {os.getpid()}".encode())
        yield
    finally:
        os.close(handle)
