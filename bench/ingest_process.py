"""The process that is measured: central's keeper on its own bus, with or without a database.

`python -m bench.ingest_process CENTRAL.toml [--without-database] [--ca FILE]`: it says `ready` once
its tables are made and ends when its input does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from central.config import CentralConfig
from central.keeper import Keeper
from central.ledger.core import Watermarks
from central.store import open_engine
from central.tasking.floor import make_floor
from runtime.bus import BusOptions, TlsFiles
from runtime.config import load_config
from runtime.garbage import collect_seldom
from runtime.live import LiveRuntime
from runtime.metrics import Metrics
from wire import topics
from wire.codec import encode
from wire.messages import JournalAck, JournalBatch
from wire.site import FILES, parse_site


class WithoutDatabase(Keeper):
    """Takes and acknowledges as central does, but writes nothing down."""

    _marks = Watermarks()

    def _apply(self, batches: list[JournalBatch]) -> None:
        for batch in batches:
            self._marks.fresh_rows(batch)
        for edge_id, epoch in {(batch.edge_id, batch.epoch) for batch in batches}:
            seq = self._marks.seqs[edge_id, epoch]
            ack = JournalAck(edge_id=edge_id, epoch=epoch, watermark_seq=seq)
            topic = topics.JOURNAL_ACK.of(site=self._config.site_id, edge=edge_id)
            self._publish(topic, encode(ack))


def main() -> None:
    """Run until nobody holds the other end of our input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--without-database", action="store_true")
    parser.add_argument("--ca", default="")
    given = parser.parse_args()
    collect_seldom()
    config = load_config(given.config, CentralConfig)
    files = [Path(config.site_dir) / name for name in FILES]
    texts = {file.name: file.read_text("utf-8") for file in files if file.is_file()}
    floor = make_floor(parse_site(texts), ())
    engine = open_engine(config.url())
    runtime = LiveRuntime()
    options = BusOptions(
        client_id="bench-central", host="localhost" if given.ca else config.broker.host,
        port=config.broker.port, tls=TlsFiles(ca=given.ca) if given.ca else None,
    )  # fmt: skip
    bus = runtime.bus(options)
    keeper = (WithoutDatabase if given.without_database else Keeper)(
        runtime, Metrics(), config, floor=floor, engine=engine, bus=bus,
        lane=runtime.lane("store"),
    )  # fmt: skip
    keeper.start(lambda _work: None)
    bus.on_connect(runtime.lane("said"), lambda: print("ready", flush=True))
    bus.start()
    sys.stdin.read()
    keeper.stop()
    runtime.close()
    engine.dispose()


if __name__ == "__main__":
    main()
