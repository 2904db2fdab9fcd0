"""The nonces of central's commands outlive a restart and differ from database to database."""

from __future__ import annotations

from pathlib import Path

from central.store import command_key, open_engine
from runtime.live import LiveRuntime
from runtime.virtual import VirtualRuntime


def test_the_key_of_a_database_is_made_once(tmp_path: Path) -> None:
    for fresh in (b"a" * 16, b"b" * 16):
        engine = open_engine(f"sqlite:///{tmp_path}/central.db")
        with engine.begin() as conn:
            assert command_key(conn, fresh) == b"a" * 16
        engine.dispose()


def test_a_live_secret_is_never_the_same_and_a_virtual_one_is_repeated() -> None:
    first, second = LiveRuntime(), LiveRuntime()
    try:
        assert first.secret("x") != second.secret("x")
    finally:
        first.close()
        second.close()
    assert VirtualRuntime(seed=3).secret("x") == VirtualRuntime(seed=3).secret("x")
    assert VirtualRuntime(seed=3).secret("x") != VirtualRuntime(seed=4).secret("x")
