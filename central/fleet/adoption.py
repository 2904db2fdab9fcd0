"""What a fleet takes over from the process before it: orders, jobs and reserved nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from central.fleet.book import JobBook
from central.fleet.graph import FloorGraph
from central.fleet.jobs import TransportJob
from central.fleet.memory import Memory
from central.fleet.traffic import Traffic
from central.fleet.vehicle import Vehicle

log = structlog.get_logger()


def adopt(
    kept: Mapping[str, Memory],
    vehicles: Sequence[Vehicle],
    graph: FloorGraph,
    traffic: Traffic,
    book: JobBook,
    now_ns: int,
) -> set[int]:
    """Take over what was kept of the vehicles; return whose messages may be unanswered.

    The others are put where they stand at first.
    """
    unheard = set()
    for vehicle in vehicles:
        vehicle.memory = memory = kept.get(vehicle.robot_id, vehicle.memory)
        _forget_unknown_nodes(vehicle, graph)
        if memory.nodes:
            nodes = [graph.number[n.node_id] for n in memory.nodes]
            ghosts = [graph.number[name] for name in memory.ghosts]
            traffic.adopt(vehicle.number, nodes, ghosts)
            vehicle.acknowledged = memory.was_acknowledged or not memory.order_id
            unheard.add(vehicle.number)
        if memory.kept is not None and not memory.kept.ended:
            _adopt_job(vehicle, memory.kept.job, book, now_ns)
    for vehicle in vehicles:
        if not traffic.is_placed(vehicle.number):
            traffic.place(vehicle.number, vehicle.home)
    return unheard


def _forget_unknown_nodes(vehicle: Vehicle, graph: FloorGraph) -> None:
    """Let go what leads to nodes that are no longer in nodes.csv."""
    memory = vehicle.memory
    stops = memory.kept.job.stops if memory.kept else ()
    names = {*(n.node_id for n in memory.nodes), *memory.ghosts, *(s.node_id for s in stops)}
    gone = sorted(names - set(graph.number))
    if gone:
        log.warning("nodes are gone; order forgotten", robot=vehicle.robot_id, nodes=gone)
        memory.order_id, memory.nodes, memory.ghosts, memory.kept = "", (), (), None


def _adopt_job(vehicle: Vehicle, job: TransportJob, book: JobBook, now_ns: int) -> None:
    stops_done = vehicle.memory.stops_done
    book.submit(job, now_ns)
    entry = book.entries[job.job_id]
    book.begin(entry)
    entry.robot, entry.stop_index = vehicle.number, stops_done
    entry.reason = "it had the job before central's restart"
    # An order that was given up before may have had its action, and may still be on its way.
    entry.action_sent = not vehicle.memory.order_id or vehicle.memory.action_is_sent
    vehicle.job_id = job.job_id
    vehicle.order_key = (job.job_id, stops_done)
