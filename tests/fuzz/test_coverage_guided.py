"""Inputs that coverage finds: no parser may raise anything but its own error, nor grow.

`make soak` fuzzes for a minute. What fails is shown as one line.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.__main__ import attempt
from tests.fuzz.targets import Target, make_targets
from wire.codec import WireError

ROOT = Path(__file__).resolve().parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *args], cwd=ROOT, capture_output=True, text=True,
        check=False, errors="replace",
    )  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.soak
@pytest.mark.parametrize("seconds", [60])
def test_no_input_breaks_a_parser(seconds: int) -> None:
    pytest.importorskip("atheris", reason="atheris is not to be had on this platform")
    done = run("--seconds", str(seconds), "--seed", "4")
    repeat = re.findall(r"^python -m tests\.fuzz .*$", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join([*repeat, done.stdout[-1_500:], done.stderr[-1_500:]])
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert runs is not None, done.stderr[-1_500:]
    assert int(runs[1]) >= 100


@pytest.mark.parametrize("name", make_targets(Path()))
def test_every_target_takes_its_good_input(name: str, tmp_path: Path) -> None:
    target: Target = make_targets(tmp_path)[name]
    assert target.seeds
    for seed in target.seeds:
        target.read(seed)


def test_a_failing_input_can_be_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(target: str, data: bytes) -> None:
        shown = base64.b64encode(data).decode()
        monkeypatch.setattr(sys, "argv", ["tests.fuzz", "--target", target, "--input", shown])
        fuzz.main()

    again("ids", b"what it may refuse is no failure")
    again("message", b"\x00{}")
    with pytest.raises(AssertionError):
        attempt(Target(failing, WireError, ()), b"\x00")


def failing(_data: bytes) -> None:
    raise AssertionError
