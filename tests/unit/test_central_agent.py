"""Putting central together: what a site must have, what is refused at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.agent import build_central, read_site_texts
from central.config import CentralConfig, DroneAtEdge, PolicyConfig
from central.rules import read_rules, rules_of
from central.store import open_engine
from central.tables import metadata
from runtime.metrics import Metrics
from runtime.store import StoreError
from runtime.virtual import VirtualRuntime
from tests.central_world import PEN, SITE, TEXTS, Edge, Shared
from wire.site import SiteError


def write_site(folder: Path, texts: dict[str, str] = TEXTS) -> CentralConfig:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return CentralConfig(site_id=SITE, site_dir=str(folder), data_dir=str(folder / "data"))


def test_central_starts_takes_a_journal_and_stops(tmp_path: Path) -> None:
    shared = Shared()
    agent = build_central(shared.rt, Metrics(), write_site(tmp_path))
    agent.start()
    edge = Edge(shared, "A")
    edge.move(PEN, 5, "opening:", "bin:A-01")
    assert shared.rt.run_until(lambda: edge.acked == 1, 5.0)
    agent.stop()
    edge.move(PEN, 5, "bin:A-01", "bin:A-02")
    shared.rt.run_for(5.0)
    assert edge.acked == 1


def test_central_writes_down_the_rules_it_works_by(tmp_path: Path) -> None:
    config = write_site(tmp_path)
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    for units in (7, 8):  # also those that changed since the last start
        config = CentralConfig(**(values | {"policy": PolicyConfig(auto_units_max=units)}))
        agent = build_central(runtime := VirtualRuntime(), Metrics(), config)
        agent.start()
        runtime.run_for(1.0)
        agent.stop()
        engine = open_engine(config.url())
        with engine.connect() as books:
            assert read_rules(books) == rules_of(config)
        engine.dispose()


def test_a_site_where_orders_could_not_leave_is_refused(tmp_path: Path) -> None:
    texts = dict(TEXTS)
    texts["bins.csv"] = texts["bins.csv"].replace("HAND-", "WAIT-")
    with pytest.raises(SiteError, match=r"id begins with HAND-.*found 0 and 3"):
        build_central(VirtualRuntime(), Metrics(), write_site(tmp_path, texts))


def test_a_drone_of_no_edge_is_refused(tmp_path: Path) -> None:
    config = write_site(tmp_path)
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    drones = (DroneAtEdge(drone_id="d1", edge_id="Z"),)
    config = CentralConfig(**(values | {"drones": drones}))
    with pytest.raises(SiteError, match=r"d1 belongs to edge 'Z', bins\.csv has A, B"):
        build_central(VirtualRuntime(), Metrics(), config)


def test_a_damaged_database_is_refused_by_name(tmp_path: Path) -> None:
    config = write_site(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "central.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match=r"central\.db"):
        build_central(VirtualRuntime(), Metrics(), config)


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    write_site(tmp_path)
    (tmp_path / "history.csv").write_bytes(b"day,gtin\n\xff\xfe")
    with pytest.raises(SiteError, match=r"history\.csv: cannot be read as text"):
        read_site_texts(tmp_path)


def test_every_table_has_a_key() -> None:
    assert all(table.primary_key.columns for table in metadata.tables.values())
