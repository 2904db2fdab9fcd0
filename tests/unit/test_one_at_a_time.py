"""A data folder belongs to one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.one_at_a_time import InUseError, hold_folder

HOLD = (
    "import sys, pathlib\n"
    "from runtime.one_at_a_time import hold_folder\n"
    "with hold_folder(pathlib.Path(sys.argv[1]), 'edge-A'):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def test_a_folder_in_use_is_refused_with_its_holder_until_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(InUseError, match=rf"edge-A, process {holder.pid}: stop it first"),
            hold_folder(tmp_path, "edge-B"),
        ):
            pass
        holder.kill()
        holder.wait(timeout=10)
        with hold_folder(tmp_path, "edge-B"):
            assert "edge-B" in (tmp_path / "in-use.lock").read_text()


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InUseError, match=r"data_dir = '.*file/data': expected a folder"),
        hold_folder(tmp_path / "file" / "data", "edge-A"),
    ):
        pass
