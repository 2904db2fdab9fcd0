"""What is told to stop stops, also where a library loses the word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import pytest
import typer
from rich.console import Console

from runtime.clock import SystemClock
from stockhelm.ending import STOPS, end_with
from stockhelm.sim_progress import PlainLines


class Thing:
    """Something that is freed."""


def lose(number: signal.Signals) -> None:
    """Have a signal come while Python is in a callback: its exception is printed and ignored."""
    thing = Thing()
    held = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
    del thing
    assert held() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
@pytest.mark.parametrize("where", ["progress", "end"])
def test_a_lost_word_to_stop_stops_the_work_where_it_shows_progress_or_ends(
    number: signal.Signals, code: int, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    went_on = False

    def command(console: Console) -> int:
        nonlocal went_on
        lose(number)
        if where == "progress":
            PlainLines(console, SystemClock()).show("far")
        went_on = True
        return 0

    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as ended:
        end_with(command)
    assert ended.value.exit_code == code
    assert capsys.readouterr().out == "stopped by hand\n"
    assert went_on is (where == "end")
    assert signal.getsignal(number) == before
    STOPS.code = 0


HEARS = {
    "demo": """
        from stockhelm.demo import DemoStop
        from stockhelm.ending import STOPPED, Stopped
        stop = DemoStop()
        try:
            with stop.breaks_off():
                {work}
        except Stopped:
            stop.ended()
            sys.exit(STOPPED)
    """,
    "simulator": """
        from stockhelm.ending import end_with
        def command(console):
            {work}
        try:
            end_with(command)
        except typer.Exit as ended:
            sys.exit(ended.exit_code)
    """,
}
LIBRARY = {
    "runs a text": "exec('os.kill(os.getpid(), signal.SIGINT)\\nos.getpid()')",
    "makes another error of it": "swallow()",
}


@pytest.mark.parametrize(
    ("who", "library"),
    [
        ("demo", "runs a text"),
        ("demo", "makes another error of it"),
        ("simulator", "runs a text"),
    ],
)
def test_ctrl_c_in_a_library_ends_with_130(who: str, library: str, tmp_path: Path) -> None:
    # As numba does it. CPython remembers a KeyboardInterrupt that left the `exec` of a text, and
    # dies of SIGINT at the end although it was caught.
    head = """
        import os, signal, sys, typer
        def swallow():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                os.getpid()
            except BaseException as error:
                raise ImportError("cannot be imported") from error
    """
    text = textwrap.dedent(head) + textwrap.dedent(HEARS[who].format(work=LIBRARY[library]))
    (tmp_path / "hears.py").write_text(text)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "hears"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 130, done.stdout + done.stderr
