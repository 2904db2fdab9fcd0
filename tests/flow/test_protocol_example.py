"""The scanner on docs/protocol.md is run as it stands there: real broker, real edges."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stockhelm.broker import free_port
from stockhelm.demo_site import Ports, write_demo
from tests.conftest import Address

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "protocol.md"
SEED = 7  # the demo's own, so that the page's bin and article are there
RUN_S = 60


def example() -> tuple[str, str]:
    """Return the program and its answers as they stand on the page."""
    section = PAGE.read_text(encoding="utf-8").partition("### Your own scanner")[2]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    said = re.search(r"```text\n(.*?)```", section, re.DOTALL)
    assert code, "the page shows the program"
    assert said, "the page shows its answers"
    return code[1], said[1]


@pytest.fixture
def port(tmp_path: Path, broker: Address) -> Iterator[int]:
    """Yield the broker's port; both edges of the demo's site run on it."""
    ports = Ports(broker=broker.port, desk=free_port(), pictures=free_port())
    demo = write_demo(tmp_path / "demo", seed=SEED, speed=1.0, ports=ports, sales=None)
    with ExitStack() as running:
        for edge in demo.edges:
            config = str(demo.config(f"edge-{edge}"))
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "stockhelm", "edge", "run", "--config", config],
                    cwd=ROOT,
                    stderr=subprocess.DEVNULL,
                )
            )
            running.callback(process.terminate)
        yield broker.port


def run(directory: Path, code: str, port: int) -> str:
    program = directory / "scanner.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program), str(port)],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_prints_what_the_page_says(tmp_path: Path, port: int) -> None:
    code, said = example()
    assert run(tmp_path, code, port) == said


def test_the_same_program_under_another_name_is_told_that_nobody_knows_it(
    tmp_path: Path, port: int
) -> None:
    code, _ = example()
    lines = run(tmp_path, code.replace("scanner-guest", "my-scanner"), port).splitlines()
    assert len(lines) == 4
    assert all(
        line.startswith("unknown_device | bad | no edge of site FC1 takes") for line in lines
    )
