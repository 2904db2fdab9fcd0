"""The benches there are, by name: what each one measures."""

from __future__ import annotations

from typing import Final

BENCHES: Final = {
    "loop": "scan to durable, scan to central, start to the first robot's task, memory, kernels"
    " (about two minutes)",
    "store": "rows into the edge's journal and central's ledger beside plain sqlite3, PostgreSQL"
    " beside SQLite, a ledger of a million movements beside a small one (about two minutes;"
    " --full: ten million)",
    "ingest": "journals of 50 and 500 devices over mosquitto into central's ledger, beside the same"
    " with one event per message, without a database and over TLS; scan to answer at 1 000 scans/s"
    " (about four minutes)",
    "offline": "an edge without central at 20 scans/s: commit times of the first and the last hour,"
    " size of its file (three hours of scans in a minute; --full: a day)",
    "sim": "the simulated floor: the same run every time, world seconds per second with 1 000"
    " scanners, a day of a small site, warehouses of up to a million bins (about ten minutes)",
    "fleet": "500 to 10 000 robots planned on public problem files, delays; tasks beside scipy;"
    " the robots' master: orders on 100 third-party vehicles over mosquitto, a restart with"
    " a thousand vehicles (about three minutes; --full: a thousand orders)",
    "belief": "errors found per count and per minute against ABC, oldest first and random,"
    " and whether the stated probabilities are true, in a stochastic model (about two minutes)",
}
