"""A busy afternoon for the tests of the desk: a site, books filled by central's tables, robots."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, create_engine, event, insert

from central import tables as t
from sim_hardware.world.generate import generate_site
from wire.site import BinRow, Site, parse_site

NOW_NS = 1_760_000_000_000_000_000
S = 1_000_000_000
SEED = 7
LOOP_X_M = (0.0, 31.5)
LOOP_Y_M = (-3.0, 9.0)


@dataclass
class DeskWorld:
    """The site and its books. `now_ns` is the moment at which everything stands there."""

    directory: Path
    now_ns: int = NOW_NS
    texts: dict[str, str] = field(default_factory=lambda: generate_site(SEED))

    @cached_property
    def site(self) -> Site:
        return parse_site({n: text for n, text in self.texts.items() if n != "history.csv"})

    @property
    def site_dir(self) -> Path:
        return self.directory / "site"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.directory / 'central.db'}"

    @cached_property
    def faces(self) -> list[BinRow]:
        """Return the pick faces."""
        return [row for row in self.site.bins.values() if row.kind == "pick"]

    @cached_property
    def reserve(self) -> list[str]:
        """Return the bins that hold stock in zone A."""
        return [
            row.bin_id for row in self.site.opening if self.site.bins[row.bin_id].edge_id == "A"
        ]

    @cached_property
    def gtins(self) -> list[str]:
        return list(self.site.articles)

    def name(self, gtin: str) -> str:
        return self.site.articles[gtin].name

    def make_site(self) -> None:
        self.site_dir.mkdir(parents=True)
        for name, text in self.texts.items():
            (self.site_dir / name).write_text(text, encoding="utf-8")

    # --- the books ------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """Return central's own, writing connection."""
        engine = create_engine(self.url)

        @event.listens_for(engine, "connect")
        def wal(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")

        return engine

    def make_books(self) -> None:
        """Fill the books with a busy afternoon."""
        draw = random.Random(11)
        engine = self.engine()
        t.metadata.create_all(engine)
        with engine.begin() as books:
            rows = self._balances(draw)
            books.execute(insert(t.balance), rows)
            books.execute(insert(t.movement), self._movements(draw))
            books.execute(insert(t.observation), self._observations())
            books.execute(
                insert(t.watermark),
                [
                    {"edge_id": "A", "epoch": 1, "seq": 4_211},
                    {"edge_id": "B", "epoch": 1, "seq": 8_630},
                ],
            )
            for table, found in self._orders(draw).items():
                books.execute(insert(table), found)
            books.execute(insert(t.proposal), self._proposals())
            tasks = self._tasks()
            books.execute(insert(t.task), tasks)
            books.execute(
                insert(t.reservation),
                [
                    {
                        "task_id": row["task_id"],
                        "place": row["from_place"],
                        "gtin": row["gtin"],
                        "units": row["units"],
                    }
                    for row in tasks
                    if row["status"] in ("open", "assigned", "moving")
                    and row["from_place"].startswith("bin:")
                ],
            )
        engine.dispose()

    def _balances(self, draw: random.Random) -> list[dict[str, Any]]:
        rows = [
            _balance(
                f"bin:{row.bin_id}", row.gtin, row.units if draw.random() < 0.7 else row.units // 3
            )
            for row in self.site.opening
        ]
        rows.append(_balance("bin:DOCK-1", self.gtins[3], 96))
        rows.append(_balance("bin:DOCK-1", self.gtins[8], 48))
        rows.append(_balance("bin:HAND-1", self.gtins[5], 3))
        rows.append(_balance("supplier:S1", self.gtins[3], -96))
        return rows

    def _movements(self, draw: random.Random) -> list[dict[str, Any]]:
        rows = []
        for i in range(120):
            face = draw.choice(self.faces)
            by_robot = i % 5 == 0
            at_ns = self.now_ns - (120 - i) * 7 * S
            scan = f"scanner-{i % 4 + 1}/1759/{i + 1}"
            drop = f"drop/T{i}/{face.bin_id}/{face.gtin}/24"
            rows.append(
                {
                    "event_id": drop if by_robot else scan,
                    "edge_id": "B", "epoch": 1, "seq": i + 1,
                    "gtin": face.gtin, "units": 24 if by_robot else draw.randint(1, 6),
                    "from_place": "robot:agv-2" if by_robot else f"bin:{face.bin_id}",
                    "to_place": f"bin:{face.bin_id}" if by_robot else f"tote:O{1000 + i}",
                    "reason": "robot-drop" if by_robot else "pick",
                    "device_id": "agv-2" if by_robot else f"scanner-{i % 4 + 1}",
                    "person_id": "" if by_robot else f"p{3 + i % 4}",
                    "task_id": "T-DONE-1" if i == 115 else f"T{i}",
                    "observed_at_ns": at_ns, "received_at_ns": at_ns, "committed_at_ns": at_ns,
                }
            )  # fmt: skip
        return rows

    def _observations(self) -> list[dict[str, Any]]:
        return [
            {
                "event_id": f"camera-1/1759/{i + 1}", "kind": "sighted" if i % 2 else "counted",
                "bin_id": face.bin_id, "gtin": face.gtin, "seen_units": 3 + i, "book_units": 4 + i,
                "device_id": "camera-1" if i % 2 else "scanner-2", "task_id": "",
                "observed_at_ns": self.now_ns - i * 41 * S,
            }
            for i, face in enumerate(self.faces[:8])
        ]  # fmt: skip

    def _orders(self, draw: random.Random) -> dict[Table, list[dict[str, Any]]]:
        orders, lines = [], []
        for i in range(46):
            status = ("filled", "filled", "accepted", "allocated", "picked", "filled")[i % 6]
            at_ns = self.now_ns - (46 - i) * 19 * S
            orders.append(
                {
                    "order_id": f"O{1000 + i}", "status": "refused" if i == 20 else status,
                    "ordered_at_ns": at_ns,
                    "filled_at_ns": at_ns + 300 * S if status == "filled" and i != 20 else 0,
                }
            )  # fmt: skip
            for line in range(draw.randint(1, 4)):
                units = draw.randint(1, 6)
                picked = units if status in ("filled", "picked") else 0
                lines.append(
                    {
                        "order_id": f"O{1000 + i}", "line": line + 1,
                        "gtin": draw.choice(self.gtins), "units": units,
                        "allocated_units": units if status != "accepted" else 0,
                        "picked_units": picked,
                    }
                )  # fmt: skip
        return {t.customer_order: orders, t.order_line: lines}

    def _proposals(self) -> list[dict[str, Any]]:
        face, other = self.faces[12], self.faces[20]
        numbers = {
            "on_hand_units": 9, "mean_units_per_day": 41.2, "sd_units_per_day": 11.8,
            "lead_time_d": 0.1, "service_level": 0.95, "reorder_point_units": 12,
            "order_up_to_units": 105, "case_units": 12,
        }  # fmt: skip
        rows = [
            self._proposal(
                "P-101", "transfer", face.gtin, 96, f"bin:{self.reserve[4]}", f"bin:{face.bin_id}",
                f"{face.bin_id} holds 9 of 60 and sells 41 a day: it runs empty in 5 h. 96 units"
                " stand in reserve; more than 60 units need your word.",
                numbers, ["O1044", "scanner-3/1759/115", "P-404"],
            ),
            self._proposal(
                "P-102", "buy", self.gtins[7], 480, "supplier:S1", "bin:DOCK-1",
                f"{self.name(self.gtins[7])}: 62 on hand, 18 a day, 2 days to deliver. Position is"
                " under the reorder point of 71.",
                {"position_units": 62, "reorder_point_units": 71, "price_cents": 660},
                ["order:O1040"],
            ),
            self._proposal(
                "P-103", "count", "", 6, f"bin:{self.reserve[9]}", f"bin:{self.reserve[9]}",
                "Six reserve bins were not seen for 3 days; the camera saw less than the books say"
                " in one of them.",
                {"bins": ", ".join(self.reserve[9:12]), "oldest_sighting_d": 3.1}, [],
            ),
            self._proposal(
                "P-090", "refill", other.gtin, 24, f"bin:{self.reserve[6]}", f"bin:{other.bin_id}",
                f"{other.bin_id} is under its reorder point of 8.", numbers, [],
                status="done", decided_by="policy",
            ),
            self._proposal(
                "P-091", "buy", self.gtins[2], 240, "supplier:S1", "bin:DOCK-1", "It runs out.",
                numbers, [], status="rejected", decided_by="maria",
            ),
        ]  # fmt: skip
        rows[-1]["decision_reason"] = "We change the supplier next week."
        return rows

    def _proposal(
        self, proposal_id: str, kind: str, article: str, units: int, source: str, target: str,
        reason: str, numbers: dict[str, Any], causes: list[str], *, status: str = "waiting",
        decided_by: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        waiting = status == "waiting"
        return {
            "proposal_id": proposal_id, "kind": kind, "status": status, "gtin": article,
            "units": units, "from_place": source, "to_place": target, "reason": reason,
            "numbers": json.dumps(numbers), "causes": json.dumps(causes),
            "decided_by": decided_by, "decision_reason": "",
            "created_at_ns": self.now_ns - 140 * S,
            "decided_at_ns": 0 if waiting else self.now_ns - 100 * S,
            "expires_at_ns": self.now_ns + 3_000 * S,
        }  # fmt: skip

    def _tasks(self) -> list[dict[str, Any]]:
        rows = []

        def add(task_id: str, kind: str, status: str, worker: tuple[str, str],
                what: tuple[str, int], way: tuple[str, str], *, detail: str = "",
                proposal: str = "", order: str = "",
                due_s: int = 600, age_s: int = 120) -> None:  # fmt: skip
            created = self.now_ns - age_s * S
            ended = status in ("done", "failed")
            rows.append(
                {
                    "task_id": task_id, "kind": kind, "status": status, "worker_kind": worker[0],
                    "worker_id": worker[1], "gtin": what[0], "units": what[1],
                    "from_place": way[0], "to_place": way[1], "proposal_id": proposal,
                    "order_id": order, "detail": detail, "created_at_ns": created,
                    "due_at_ns": self.now_ns + due_s * S,
                    "assigned_at_ns": 0 if status == "open" else created + 5 * S,
                    "done_at_ns": created + 90 * S if ended else 0,
                    "confirmed_at_ns": created + 95 * S if task_id == "T-DONE-1" else 0,
                }
            )  # fmt: skip

        def refill(number: int) -> tuple[tuple[str, int], tuple[str, str]]:
            face = self.faces[number]
            return (face.gtin, 24), (f"bin:{self.reserve[number]}", f"bin:{face.bin_id}")

        add("T-201", "refill", "moving", ("robot", "helmworks/agv-1"), *refill(2), proposal="P-090")
        add("T-202", "refill", "moving", ("robot", "helmworks/agv-2"), *refill(9))
        add("T-203", "deliver", "moving", ("robot", "helmworks/agv-4"), (self.gtins[5], 3),
            ("tote:O1034", "bin:PACK-1"), order="O1034")  # fmt: skip
        add("T-204", "transfer", "assigned", ("robot", "helmworks/agv-3"), *refill(30))
        add("T-205", "refill", "open", ("robot", ""), *refill(17), due_s=240)
        add("T-206", "pick", "assigned", ("person", "p3"), (self.gtins[4], 2),
            (f"bin:{self.faces[5].bin_id}", "tote:O1045"), order="O1045")  # fmt: skip
        low = self.faces[7]
        add("T-207", "pick", "open", ("person", ""), (low.gtin, 5),
            (f"bin:{low.bin_id}", "tote:O1044"), order="O1044", due_s=-30,
            detail=f"Waits for stock: {low.bin_id} holds 2, a refill comes.")  # fmt: skip
        add("T-208", "receive", "assigned", ("person", "p1"), (self.gtins[8], 48),
            ("supplier:S1", "bin:DOCK-1"))  # fmt: skip
        add("T-209", "putaway", "open", ("person", ""), (self.gtins[3], 96),
            ("bin:DOCK-1", f"bin:{self.reserve[15]}"))  # fmt: skip
        add("T-210", "count", "moving", ("drone", "drone-1"), ("", 6),
            (f"bin:{self.reserve[9]}", f"bin:{self.reserve[9]}"),
            detail="Flying: 3 of 6 bins seen.")  # fmt: skip
        add("T-DONE-1", "refill", "done", ("robot", "helmworks/agv-2"), *refill(20),
            proposal="P-090", age_s=400)  # fmt: skip
        for i in range(9):
            add(f"T-1{i:02d}", "pick", "done", ("person", f"p{3 + i % 4}"), (self.gtins[i], 2),
                (f"bin:{self.faces[i].bin_id}", f"tote:O10{i:02d}"), order=f"O10{i:02d}",
                age_s=300 + i * 20)  # fmt: skip
        add("T-120", "refill", "failed", ("robot", "helmworks/agv-5"), *refill(33), age_s=900,
            detail="The robot found 10 of 24 units; a count of the bin is proposed.")  # fmt: skip
        return rows

    # --- robots ---------------------------------------------------------------------------------

    def robot_state(self, number: int, at_s: float) -> bytes:
        """Return the VDA 5050 state of a robot; the first five drive round and round the racks."""
        x, y, theta = _on_loop(at_s * 1.2 + number * 14.0 if number < 5 else 40.0)
        face = self.faces[2]
        loaded = number in (0, 1, 3)
        pick = f"pick/T-20{number + 1}/{self.reserve[2]}/{face.gtin}/24"
        drop = f"drop/T-20{number + 1}/{face.bin_id}/{face.gtin}/24"
        state = {
            "headerId": 1, "timestamp": "2026-01-01T00:00:00.000Z", "version": "2.0.0",
            "manufacturer": "helmworks", "serialNumber": f"agv-{number + 1}",
            "orderId": f"T-20{number + 1}" if number < 4 else "", "orderUpdateId": 0,
            "lastNodeId": "N00S02", "lastNodeSequenceId": 0, "driving": number < 4,
            "agvPosition": {"x": x, "y": y, "theta": theta, "mapId": "FC1",
                            "positionInitialized": True},
            "loads": [{"loadId": face.gtin, "loadType": "carton"}] if loaded else [],
            "actionStates": [
                {"actionId": pick, "actionStatus": "FINISHED" if loaded else "WAITING"},
                {"actionId": drop, "actionStatus": "WAITING"},
            ] if number < 4 else [],
            "batteryState": {"batteryCharge": 86.0 - 9 * number, "charging": False},
            "operatingMode": "AUTOMATIC", "nodeStates": [], "edgeStates": [],
            "errors": [{"errorType": "obstacle", "errorLevel": "WARNING",
                        "errorDescription": "a pallet stands on the lane"}] if number == 5 else [],
            "safetyState": {"eStop": "NONE", "fieldViolation": False},
        }  # fmt: skip
        return json.dumps(state).encode()


def _on_loop(way_m: float) -> tuple[float, float, float]:
    """Return x, y and heading so far along the loop around the racks."""
    (left, right), (low, high) = LOOP_X_M, LOOP_Y_M
    width, height = right - left, high - low
    way = way_m % (2 * (width + height))
    if way < width:
        return left + way, low, 0.0
    if way < width + height:
        return right, low + way - width, math.pi / 2
    if way < 2 * width + height:
        return right - (way - width - height), high, math.pi
    return left, high - (way - 2 * width - height), -math.pi / 2


def _balance(place: str, article: str, units: int) -> dict[str, Any]:
    return {"place": place, "gtin": article, "units": units}
