"""What the tests of real processes share: the program that they are forked from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stockhelm.broker import find_mosquitto
from tests.faults.forks import Forks


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Yield what starts real processes quickly; skip where there is no mosquitto."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed: these tests kill it")
    with Forks(tmp_path_factory.mktemp("forks") / "processes.log") as helper:
        yield helper
