"""What keeps a process from starting is said with file, key, value and what was expected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from central.store import open_engine
from edge.agent import build_edge
from edge.config import CameraConfig, DroneConfig, EdgeConfig, ScannerConfig
from edge.counting.store import FILE_NAME, EdgeStore, open_store
from runtime.config import ConfigError, parse_config, to_toml
from runtime.metrics import Metrics
from runtime.store import StoreError, open_database
from runtime.virtual import VirtualRuntime
from tests.edge_world import edge_config

START = """
import gc, json, os, sys
from central import agent
from central.desk import service
from edge import agent
from stockhelm.cli import main
gc.freeze()  # else each child copies what all these imports made, only to look for garbage in it
found = []
for arguments in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 2)
        sys.argv = ["stockhelm", *arguments]
        try:
            main()
        except SystemExit as ended:
            sys.stderr.flush()
            os._exit(ended.code)  # likewise: no taking down of all that
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    found.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text])
print(json.dumps(found))
"""


def starts(*commands: list[str]) -> list[tuple[int, str]]:
    """Return exit code and words of each command, run as people run it."""
    done = subprocess.run(
        [sys.executable, "-c", START, json.dumps(commands)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [(code, said) for code, said in json.loads(done.stdout.splitlines()[-1])]


def test_every_refused_start_ends_with_1_and_names_its_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    edge = to_toml(edge_config(tmp_path))
    base = f'site_id = "FC1"\nsite_dir = "{tmp_path}/site"\n'
    pack = tmp_path / "site" / "bins.csv"
    pack.write_text(pack.read_text() + "HAND-1,A,pack,0,0,0,N1,,10\nPACK-1,A,pack,0,0,0,N1,,10\n")
    central = f'{base}data_dir = "{tmp_path}/central"\n'
    cases: list[tuple[str, str, str]] = [
        ("edge run", edge.replace('"4049111000000"', '"4049111000000\\n"'), "gln = "),
        ("edge run", edge.replace('"FC1"', '"FC1\\n"'), r"site_id = 'FC1\n': Expected `str`"),
        ("edge run", edge.replace('"127.0.0.1"', '""'), "broker.host = '': Expected `str`"),
        ("edge run", edge.replace(f"{tmp_path}/data", f"{tmp_path}/file"), "data_dir = "),
        ("edge run", edge.replace(f"{tmp_path}/data", f"{tmp_path}/file/x"), "data_dir = "),
        ("edge run", edge.replace(f"{tmp_path}/data", "a\\u0000b"), "data_dir = "),
        ("edge run", edge.replace('"P1"', '"P9"'), "scanners[0].person_id = 'P9': expected"),
        ("central run", f'{central}database_url = "foodb://x"', "database_url = 'foodb://x'"),
        ("central run", f'{base}data_dir = "{tmp_path}/file"', "data_dir = "),
        (
            "central run",
            f'{central}database_url = "sqlite:///{tmp_path}/file/central.db"',
            "database_url = 'sqlite:",
        ),
        ("desk run", f'{central}database_url = "junk"', "database_url = 'junk': expected sqlite"),
        ("broker run", f'directory = "{tmp_path}/file"', "directory = "),
    ]
    commands = []
    for number, (command, text, _) in enumerate(cases):
        file = tmp_path / f"case-{number}.toml"
        file.write_text(text)
        commands.append([*command.split(), "--config", str(file)])
    for (command, _, expected), (code, said), asked in zip(
        cases, starts(*commands), commands, strict=True
    ):
        last = said.splitlines()[-1]
        assert (code, last.startswith(f"stockhelm: {asked[-1]}: ")) == (1, True), (command, said)
        assert expected in last
        assert "xpected" in last
        assert "Traceback" not in said


# --- keys of an edge ------------------------------------------------------------------------------

SCANNER = ScannerConfig(device_id="scanner-1", person_id="P1", path="/dev/ttyS1")


def camera(url: str) -> dict[str, Any]:
    return {"camera_id": "camera-1", "url": url}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"scanners": [SCANNER, SCANNER]}, "scanners[1].device_id = 'scanner-1': expected another"),
        (
            {
                "scanners": [
                    SCANNER,
                    ScannerConfig(device_id="s2", person_id="P1", path=SCANNER.path),
                ]
            },
            "scanners[1].path = '/dev/ttyS1': expected another than scanners[0].path has",
        ),
        ({"cameras": [camera("http://a/"), camera("http://b/")]}, "cameras[1].camera_id = "),
        (
            {"cameras": [camera("http://a/")], "smart_cameras": [{"camera_id": "camera-1"}]},
            "smart_cameras[0].camera_id = 'camera-1': expected another than cameras[0].camera_id",
        ),
        ({"cameras": [camera("ftp://x y")]}, "cameras[0].url = 'ftp://x y': Expected `str`"),
        ({"cameras": [camera("http://x y")]}, "cameras[0].url = 'http://x y': Expected `str`"),
        ({"cameras": [camera("http://[x/")]}, "cameras[0].url = 'http://[x/': expected http"),
        ({"cameras": [camera("http://x:y/")]}, "cameras[0].url = 'http://x:y/': expected http"),
        (
            {"drones": [{"drone_id": "d1", "path": "/dev/d1", "camera_url": "file:///etc/passwd"}]},
            "drones[0].camera_url = 'file:///etc/passwd': Expected `str`",
        ),
    ],
)
def test_devices_that_cannot_be_are_refused(fields: dict[str, Any], says: str) -> None:
    class Loose(EdgeConfig, frozen=True, kw_only=True):
        """The same keys, unchecked: what somebody might write."""

        def __post_init__(self) -> None:
            """Check nothing."""

    values: dict[str, Any] = {
        "site_id": "FC1", "edge_id": "A", "site_dir": "s", "data_dir": "d", "gln": "4049111000000",
    }  # fmt: skip
    text = to_toml(Loose(**(values | fields)))
    with pytest.raises(ConfigError) as caught:
        parse_config(text, EdgeConfig, name="edge.toml")
    assert str(caught.value).startswith(f"edge.toml: {says}")


def test_devices_that_can_be_are_taken(tmp_path: Path) -> None:
    config = edge_config(
        tmp_path,
        SCANNER,
        ScannerConfig(device_id="mqtt-1", person_id="P1"),
        ScannerConfig(device_id="mqtt-2", person_id="P1"),
        cameras=(CameraConfig(camera_id="c1", url="https://[::1]:8443/a.jpg?w=640"),),
        drones=(DroneConfig(drone_id="d1", path="/dev/d1", camera_url="http://drone"),),
    )
    assert parse_config(to_toml(config), EdgeConfig, name="edge.toml") == config


def test_a_site_without_people_lets_any_name_hold_a_scanner(tmp_path: Path) -> None:
    config = edge_config(tmp_path, ScannerConfig(device_id="s1", person_id="P9"))
    runtime = VirtualRuntime(seed=1)
    with pytest.raises(ConfigError, match=r"scanners\[0\]\.person_id = 'P9': expected somebody"):
        build_edge(runtime, Metrics(), config)
    (tmp_path / "site" / "people.csv").unlink()
    build_edge(runtime, Metrics(), config).store.close()


# --- databases ------------------------------------------------------------------------------------


def set_meta(name: str, value: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        store = open_store(file, edge_id="A", new_epoch=1)
        with store.transaction() as tx:
            tx.put_meta(name, value)
        store.close()

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (set_meta("epoch", "xx"), r"meta epoch = 'xx': expected a whole number"),
        (set_meta("acked_seq", "-1"), r"meta acked_seq = '-1': expected a whole number"),
        (
            set_meta("epoch", "9" * 17),
            r"meta epoch = '9+': expected a whole number of at most 2\^53",
        ),
    ],
)
def test_an_edges_own_facts_are_checked(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    file = tmp_path / FILE_NAME
    damage(file)
    with pytest.raises(StoreError, match=f"{FILE_NAME}: {says}"):
        open_store(file, edge_id="A", new_epoch=1)


def test_an_edges_database_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    open_store(tmp_path / FILE_NAME, edge_id="A", new_epoch=1).close()
    db = open_database(tmp_path / FILE_NAME)
    db.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreError, match=r"can be read and written: .*readonly database"):
        EdgeStore(db, edge_id="A", new_epoch=1)
    db.conn.close()


def test_an_edges_database_in_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"expected a folder that can be made and written"):
        open_store(tmp_path / "file" / FILE_NAME, edge_id="A", new_epoch=1)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("foodb://x", "database_url = 'foodb://x': expected sqlite:///FILE or postgresql"),
        ("mysql://u@h/n", "database_url = 'mysql://u@h/n': expected sqlite:///FILE or postgresql"),
        ("postgresql+psycopg2://u@h/n", "psycopg2://u@h/n': expected sqlite:///FILE or postgresql"),
        ("postgresql://h:port/n", "expected sqlite:///FILE or postgresql"),
        ("sqlite:///{folder}", "expected a database that central can read and write: unable to"),
        ("sqlite:///{folder}/file/x.db", "/file/x.db: expected a folder that can be made"),
        ("sqlite:///file:{folder}/central.db?mode=ro&uri=true", "attempt to write a readonly data"),
    ],
)
def test_a_database_that_central_cannot_use_is_refused(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "file").touch()
    open_engine(f"sqlite:///{tmp_path}/central.db").dispose()
    with pytest.raises(StoreError) as caught:
        open_engine(url.format(folder=tmp_path))
    assert says in str(caught.value)


def test_a_missing_driver_is_named_and_no_password_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as where it is not installed
    for url in ("postgresql+psycopg://stock:secret@db/books", "postgresql://stock:secret@db/books"):
        with pytest.raises(StoreError) as caught:
            open_engine(url)
        assert str(caught.value) == (
            f"database_url = {url.replace('secret', '***')!r}: expected the Python package psycopg,"
            " which is not installed: `pip install 'stockhelm[postgres]'` brings it"
        )


@pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg (extra `postgres`) is absent")
def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file") as caught:
        open_engine(f"postgresql://stock@/books?host={tmp_path}/none&password=secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        open_engine(f"postgresql://stock:secret@/books?host={tmp_path}/none")
    assert "postgresql://stock:***@/books?host=" in str(caught.value)
    assert "expected a database that central can read and write: " in str(caught.value)
    assert "No such file or directory" in str(caught.value)
