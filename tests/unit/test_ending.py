"""What is told to stop stops, also where a library loses the word."""

from __future__ import annotations

import os
import signal
import weakref

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
