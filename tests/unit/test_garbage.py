"""Every command collects garbage seldom; what must be collected is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from runtime.garbage import YOUNG_MAX, collect_seldom
from stockhelm import cli


@pytest.fixture(autouse=True)
def pythons_own_threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_every_command_collects_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["stockhelm", "--version"])
    with pytest.raises(SystemExit):
        cli.main()
    assert gc.get_threshold()[0] == YOUNG_MAX


def test_rings_are_still_freed_and_never_many_wait() -> None:
    collect_seldom()
    rings = [weakref.ref(Ring()) for _ in range(3 * YOUNG_MAX)]
    assert sum(ring() is not None for ring in rings) <= YOUNG_MAX
