"""What tests share: a real broker, the real data, a browser; what is absent skips by name."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import structlog
from hypothesis import HealthCheck, settings

from runtime.garbage import collect_seldom
from stockhelm.broker import BrokerConfig, BrokerProcess, free_port
from tests.postgres import postgres_database, postgres_server
from tests.vda_schemas import has_schemas, tapped

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

# No deadline: a slow machine is not a failure. HYPOTHESIS_PROFILE=night digs deeper.
settings.register_profile("gate", deadline=None, max_examples=30)
settings.register_profile(
    "night", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: it runs beside all others, and nobody waits for it at the end.

    Workers share a list in the order in which it stands, so the first one gets all of these. No
    two of them run at once before the others have nothing left to do.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Take what was imported for no garbage: to look through it again and again costs seconds."""
    gc.collect()
    gc.freeze()
    collect_seldom()


class Address(NamedTuple):
    """Where a server of a test listens."""

    host: str
    port: int


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """Leave no test's way of logging to the next one."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def sent_as_the_standard_says(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test where a VDA 5050 message was made that its version's official schema refuses.

    Where the schemas are absent nothing is looked at; a test marked `says_wrong` means to.
    """
    folder = data_folder() / "vda5050"
    if request.node.get_closest_marker("says_wrong") or not has_schemas(folder):
        yield
        return
    with tapped(folder) as tap:
        yield
    assert tap.found == []


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Address]:
    """Yield the address of a real MQTT broker of this test's own: mosquitto, else the embedded."""
    config = BrokerConfig(directory=str(tmp_path / "broker"), port=free_port())
    with BrokerProcess(config) as process:
        yield Address(process.host, process.port)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server of this session (of each worker), stopped at its end."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """Return the URL of an empty PostgreSQL database of this test's own."""
    return postgres_database(postgres)


def data_folder() -> Path:
    """Return where the folder of real data is, or would be."""
    told = os.environ.get("STOCKHELM_DATA")
    return Path(told) if told else ROOT.parent / "shared" / "data"


@pytest.fixture
def data_dir() -> Path:
    """Return the folder of real data: STOCKHELM_DATA, or shared/data beside the project."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (STOCKHELM_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of the system's Chromium, for playwright's `executable_path`."""
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:
        pytest.skip("libatomic1 is not installed: playwright's driver needs it")
    return program("chromium", "chromium-browser", why="the tests of the live page")


@pytest.fixture
def node() -> str:
    """Return the path of Node.js."""
    return program("node", why="the tests against vehicles that we did not write")


def program(*names: str, why: str) -> str:
    """Return where one of these programs is; skip the test by name where none is installed."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip(f"{names[0]} is not installed: it runs {why}")
