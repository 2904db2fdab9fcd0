"""A simulated floor in virtual time, and hand-written peers: what stands at the other end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from runtime.bus import BusOptions, Incoming
from runtime.metrics import Metrics
from runtime.ports import Port
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimConfig, SimOrders, SimScanner
from sim_hardware.floor import SimulatedFloor, build_floor
from sim_hardware.world.generate import MANUFACTURER, generate_site
from wire import topics
from wire.codec import decode, encode
from wire.messages import DeviceScan, EndedTask, PersonTask, PersonTasks, ScanFeedback
from wire.site import Site, parse_site
from wire.vda5050.codec import parameters
from wire.vda5050.messages import Action, Edge, InstantActions, Node, Order, State, header
from wire.vda5050.topics import topic

GLN = "9521321000018"
SITE = "FC1"
MQTT_PEOPLE = ("p5", "p6")
NO_ORDERS = SimOrders(orders_per_day=0)

Verdict = Callable[[str, str], str | None]
"""(device, text) to None: a good beep, or to `code: text`: a bad one; "silence": none at all."""


def write_site(directory: Path, seed: int = 7, **options: Any) -> Site:
    """Write a generated site; return it."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = generate_site(seed, **options)
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return parse_site(texts)


@dataclass
class Bench:
    """A floor, its surroundings, and what it said."""

    runtime: VirtualRuntime
    floor: SimulatedFloor
    site: Site
    metrics: Metrics
    directory: Path
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lane = self.runtime.lane("test")
        self.bus = self.runtime.bus(BusOptions(client_id="test"))
        self.bus.subscribe("#", self.lane, self._hear)
        self.bus.start()

    def _hear(self, batch: list[Incoming]) -> None:
        self.said += [(message.topic, message.payload) for message in batch]

    def payloads(self, of_topic: str) -> list[bytes]:
        """Return what was said on one topic."""
        return [payload for name, payload in self.said if name == of_topic]

    def give_tasks(
        self, person: str, *tasks: PersonTask, ended: tuple[EndedTask, ...] = ()
    ) -> None:
        """Put tasks on a person's screen."""
        message = PersonTasks(person_id=person, tasks=tasks, ended=ended)
        wanted = topics.PERSON_TASKS.of(site=SITE, person=person)
        self.bus.publish(wanted, encode(message), retain=True)

    def units(self, place: str, gtin: str) -> int:
        """Return the units that are physically there."""
        return self.floor.world.stock.units_at(place, gtin)


def make_bench(
    tmp_path: Path, *, seed: int = 7, runtime: VirtualRuntime | None = None, **config: Any
) -> Bench:
    """Return a floor in virtual time that has started, with nobody at the other end yet."""
    site = write_site(tmp_path / "site", seed)
    runtime = runtime or VirtualRuntime(seed)
    metrics = Metrics()
    values: dict[str, Any] = {
        "site_id": SITE,
        "site_dir": str(tmp_path / "site"),
        "gln": GLN,
        "truth_file": str(tmp_path / "truth.json"),
        "seed": seed,
        "orders": NO_ORDERS,
        "stray_scan_share": 0.0,
        "scanners": tuple(
            SimScanner(
                device_id=f"scanner-{p}", person_id=p, path="" if p in MQTT_PEOPLE else f"port-{p}"
            )
            for p in site.people
        ),
    }
    floor = build_floor(runtime, SimConfig(**(values | config)), metrics)
    bench = Bench(runtime, floor, site, metrics, tmp_path)
    floor.start()
    runtime.run_for(0.1)
    return bench


class Reader:
    """Answers every scanner, as `verdict` says: the reader's side of the wire, written by hand."""

    def __init__(self, bench: Bench, verdict: Verdict = lambda _device, _text: None) -> None:
        self.scans: list[tuple[str, str]] = []
        self.verdict = verdict
        self._bench = bench
        self._lane = bench.runtime.lane("reader")
        self._ports: dict[str, Port] = {}
        for person in bench.site.people:
            if person not in MQTT_PEOPLE:
                self._open(f"scanner-{person}", f"port-{person}")
        wanted = topics.DEVICE_SCAN.any(site=SITE)
        bench.bus.subscribe(wanted, self._lane, self._handle_scans)

    def _open(self, device: str, path: str) -> None:
        def read(chunks: list[tuple[bytes, int]]) -> None:
            for data, _ in chunks:
                assert data.endswith(b"\r\n"), data
                for line in data.decode("ascii").splitlines():
                    self._answer_line(device, line)

        self._ports[device] = self._bench.runtime.ports.open(
            path, 115_200, self._lane, read, lambda reason: None
        )

    def _answer_line(self, device: str, text: str) -> None:
        self.scans.append((device, text))
        verdict = self.verdict(device, text)
        if verdict is None:
            self._ports[device].write(b"\x06")
        elif verdict != "silence":
            self._ports[device].write(b"\x07" + verdict.encode() + b"\r\n")

    def _handle_scans(self, batch: list[Incoming]) -> None:
        for incoming in batch:
            scan = decode(incoming.payload, DeviceScan)
            self.scans.append((scan.device_id, scan.text))
            verdict = self.verdict(scan.device_id, scan.text)
            if verdict == "silence":
                continue
            code, _, text = (verdict or "ok: ").partition(": ")
            feedback = ScanFeedback(
                device_id=scan.device_id, boot_epoch=scan.boot_epoch, seq=scan.seq,
                ok=verdict is None, code=code, text=text, sound="good",
            )  # fmt: skip
            wanted = topics.DEVICE_FEEDBACK.of(site=SITE, device=scan.device_id)
            self._bench.bus.publish(wanted, encode(feedback))


class Master:
    """Orders by hand for one robot, and what it says of itself."""

    def __init__(self, bench: Bench, serial: str = "agv-1") -> None:
        self.bench = bench
        self.serial = serial
        self.start_node = next(r.node_id for r in bench.site.robots if r.serial == serial)
        self._headers = 0

    def topic(self, name: str) -> str:
        """Return one of the robot's topics."""
        return topic("uagv", MANUFACTURER, self.serial, name)

    def states(self) -> list[State]:
        """Return every state so far."""
        return [decode(payload, State) for payload in self.bench.payloads(self.topic("state"))]

    @property
    def state(self) -> State:
        """Return the newest state."""
        return self.states()[-1]

    def send(
        self,
        order_id: str,
        nodes: list[str],
        *,
        update: int = 0,
        first: int = 0,
        released: int | None = None,
        actions: dict[int, tuple[Action, ...]] | None = None,
    ) -> None:
        """Send nodes (and edges between them) from sequence id `first` on; let it arrive."""
        known = len(nodes) if released is None else released
        self._headers += 1
        message = Order(
            **header(MANUFACTURER, self.serial, header_id=self._headers, now_ns=0),
            order_id=order_id,
            order_update_id=update,
            nodes=tuple(
                Node(node_id=name, sequence_id=first + 2 * i, released=i < known,
                     actions=(actions or {}).get(i, ()))
                for i, name in enumerate(nodes)
            ),
            edges=tuple(
                Edge(edge_id=f"{a}-{b}", sequence_id=first + 2 * i + 1, released=i + 1 < known,
                     start_node_id=a, end_node_id=b)
                for i, (a, b) in enumerate(pairwise(nodes))
            ),
        )  # fmt: skip
        self.bench.bus.publish(self.topic("order"), encode(message))
        self.bench.runtime.run_for(0.01)

    def at_once(self, kind: str, action_id: str) -> None:
        """Send an instant action; let it arrive."""
        action = Action(action_type=kind, action_id=action_id, blocking_type="NONE")
        message = InstantActions(
            **header(MANUFACTURER, self.serial, header_id=1, now_ns=0), actions=(action,)
        )
        self.bench.bus.publish(self.topic("instantActions"), encode(message))
        self.bench.runtime.run_for(0.01)

    def way(self, to_node: str, from_node: str = "") -> list[str]:
        """Return the nodes of a shortest way (fewest lanes)."""
        start = from_node or self.state.last_node_id
        before: dict[str, str] = {start: ""}
        queue = [start]
        for here in queue:
            for edge in self.bench.site.edges:
                if edge.from_node == here and edge.to_node not in before:
                    before[edge.to_node] = here
                    queue.append(edge.to_node)
        way = [to_node]
        while before[way[-1]]:
            way.append(before[way[-1]])
        return way[::-1]

    def status(self, action_id: str) -> str:
        """Return how an action stands in the newest state; empty where it does not show it."""
        found = {a.action_id: a.action_status for a in self.state.action_states}
        return found.get(action_id, "")


def tote_action(verb: str, action_id: str, tote: str, station: str) -> Action:
    """Return a pick or drop of a whole tote."""
    given = {"stationType": "bin", "stationName": station, "loadType": "tote", "loadId": tote}
    return Action(action_type=verb, action_id=action_id, action_parameters=parameters(given))


def stock_action(action_id: str) -> Action:
    """Return the pick or drop that its id tells of."""
    return Action(action_type=action_id.partition("/")[0], action_id=action_id)
