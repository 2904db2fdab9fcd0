"""A small site for the fault tests: one zone, one open task, no people of central's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from central.config import CentralConfig
from edge.config import EdgeConfig, ScannerConfig
from runtime.broker_link import BrokerConfig
from tests.edge_world import GLN, MUG, SITE, bin_label, command_label
from wire.messages import PersonTask, PersonTasks

EDGE: Final = "A"
PERSON: Final = "P1"
DOCK: Final = "DOCK-1"
FIRST_SCANS: Final = (command_label("RECEIVE"), bin_label(DOCK))
"""Mode and bin: every article label after them moves goods onto the dock."""
TASKS: Final = PersonTasks(
    person_id=PERSON,
    tasks=(
        PersonTask(
            task_id="T1", kind="receive", gtin=MUG, units=1_000_000, from_place="supplier:S1",
            to_place=f"bin:{DOCK}",
        ),
    ),
)  # fmt: skip
FILES: Final = {
    "bins.csv": f"""bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units
{DOCK},{EDGE},dock,0,0,0,n1,,1000000
A-01,{EDGE},reserve,1,0,0,n1,,1000
HAND-1,{EDGE},pack,2,0,0,n2,,1000
PACK-1,{EDGE},pack,3,0,0,n2,,1000
""",
    "articles.csv": f"""gtin,sku,name,case_units,price_cents,supplier_id
{MUG},MUG,Mug,1,100,S1
""",
    "nodes.csv": "node_id,x_m,y_m,kind\nn1,0,0,way\nn2,2,0,way\n",
    "edges.csv": "from_node,to_node\nn1,n2\nn2,n1\n",
    "suppliers.csv": "supplier_id,name,lead_time_d\nS1,Supplier,2\n",
    "opening.csv": f"bin_id,gtin,units\nA-01,{MUG},20\n",
}


def write_files(folder: Path) -> str:
    """Write the site's files; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return str(folder)


def edge_config(folder: Path, scanners: tuple[str, ...], port: int = 1883) -> EdgeConfig:
    """Return the edge's configuration, its scanners over MQTT."""
    return EdgeConfig(
        site_id=SITE, edge_id=EDGE, site_dir=write_files(folder / "site"),
        data_dir=str(folder / "edge"), gln=GLN, broker=BrokerConfig(port=port),
        scanners=tuple(ScannerConfig(device_id=name, person_id=PERSON) for name in scanners),
        outbox_resend_s=0.5,
    )  # fmt: skip


def central_config(folder: Path, port: int = 1883, **fields: Any) -> CentralConfig:
    """Return central's configuration."""
    values: dict[str, Any] = {
        "site_id": SITE, "site_dir": write_files(folder / "site"),
        "data_dir": str(folder / "central"), "broker": BrokerConfig(port=port),
    }  # fmt: skip
    return CentralConfig(**(values | fields))
