"""An edge's database that is empty all at once begins nothing new; what is made anew keeps all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlite_utils

from edge.counting.store import FILE_NAME, EdgeStore, open_store
from runtime.config import to_toml
from runtime.store import StoreError
from stockhelm.ledger import rebuild, verify
from tests.build import movement
from tests.central_world import CentralWorld
from tests.edge_world import edge_config
from wire.messages import MissionEnded

MADE = f"{FILE_NAME}-made"
WAL = f"{FILE_NAME}-wal"


def opened(file: Path, new_epoch: int = 7) -> EdgeStore:
    return open_store(file, edge_id="A", new_epoch=new_epoch)


def filled(file: Path) -> None:
    store = opened(file)
    with store.transaction() as tx:
        tx.append(movement(event_id="1", units=3))
    store.close()


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def test_an_empty_file_that_held_a_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    filled(file)
    emptied(file)
    with pytest.raises(StoreError) as caught:
        opened(file)
    assert str(caught.value) == (
        f"{file}: the file is empty, but by {MADE} beside it there was a journal in it: restore a"
        " copy, or make it anew from central's copy with `stockhelm ledger rebuild --config FILE"
        f" --central FILE`; to begin anew without what it held, remove all of {FILE_NAME}*"
    )
    assert file.stat().st_size == 0


@pytest.mark.parametrize("what_is_left", ["an empty file", "no file"])
def test_a_write_ahead_log_alone_is_not_thrown_away(tmp_path: Path, what_is_left: str) -> None:
    (tmp_path / "of").mkdir()
    store = opened(tmp_path / "of" / FILE_NAME)
    with store.transaction() as tx:
        tx.append(movement(event_id="1", units=3))
    shutil.copy(tmp_path / "of" / WAL, tmp_path)  # as after kill -9: the log has what was said
    store.close()
    file = tmp_path / FILE_NAME
    if what_is_left == "an empty file":
        emptied(file)
    log = (tmp_path / WAL).read_bytes()
    with pytest.raises(StoreError, match=rf"but by {WAL} beside it there was a journal in it"):
        opened(file)
    assert log
    assert (tmp_path / WAL).read_bytes() == log


def test_what_never_held_anything_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    emptied(file)  # killed at its first start, before there was a first commit
    opened(file).close()
    assert (tmp_path / MADE).read_text() == f"{FILE_NAME} holds the journal of edge A.\n"
    file.unlink()  # removed by somebody who knows
    store = opened(file, new_epoch=8)
    assert (store.epoch, store.last_seq) == (8, 0)
    store.close()


def test_an_emptied_one_is_made_anew_from_centrals_copy_alone(tmp_path: Path) -> None:
    world = CentralWorld(tmp_path / "central")
    (tmp_path / "central.toml").write_text(to_toml(world.config))
    world.open_stock()
    world.kill()
    config = edge_config(tmp_path)
    (tmp_path / "edge.toml").write_text(to_toml(config))
    file = Path(config.data_dir) / FILE_NAME
    filled(file)
    emptied(file)
    with pytest.raises(StoreError, match="the file is empty"):
        verify(tmp_path / "edge.toml")
    with pytest.raises(StoreError, match=r"0 rows can\): name central's configuration"):
        rebuild(tmp_path / "edge.toml")
    assert file.stat().st_size == 0
    said = rebuild(tmp_path / "edge.toml", tmp_path / "central.toml")
    assert "0 rows of its own journal, 1 of central's copy" in said
    assert "others may be lost: look at what drones are told to fly again" in said
    assert verify(tmp_path / "edge.toml")[1]
    assert (file.parent / MADE).exists()
    assert not (file.parent / f"{FILE_NAME}.new-made").exists()


def test_commands_that_were_done_are_still_known_as_done(tmp_path: Path) -> None:
    config = edge_config(tmp_path)
    (tmp_path / "edge.toml").write_text(to_toml(config))
    file = Path(config.data_dir) / FILE_NAME
    store = opened(file)
    with store.transaction() as tx:
        tx.put_command("fly-1", "mark-1", mission_id="m-1", expires_at_ns=100)
        tx.put_command("fly-2", "mark-2", mission_id="m-2", expires_at_ns=200)
        tx.append(
            MissionEnded(
                event_id="mission/m-1", mission_id="m-1", drone_id="d", ok=True, detail="",
                bins_seen=(), observed_at_ns=1, received_at_ns=1,
            )
        )  # fmt: skip
        tx.append(movement(event_id="1", units=3))
    handled = store.commands()
    store.close()
    db = sqlite_utils.Database(file)
    with db.conn:
        db.execute("UPDATE journal SET payload = 'no event' WHERE seq = 2")
    db.close()
    world = CentralWorld(tmp_path / "central")
    (tmp_path / "central.toml").write_text(to_toml(world.config))
    world.kill()
    said = rebuild(tmp_path / "edge.toml", tmp_path / "central.toml")
    assert "made anew" in said
    assert said.endswith("\n2 of central's commands are known as done")
    store = opened(file)
    assert sorted(store.commands()) == handled
    assert [store.mission_is_over(name) for name in ("fly-1", "fly-2")] == [True, False]
    store.close()
