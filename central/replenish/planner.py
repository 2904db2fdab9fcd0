"""The plan: `plan(snapshot)` returns what to move, buy and count now, each with its reason.

Pure: the same snapshot gives the same plan. `recompute(numbers)` gives a proposal's units again
from nothing but the numbers it carries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from central.demand.kernels import Floats, demand_quantiles
from central.demand.service import Forecast, forecast_all, means_over
from central.replenish import reasons
from central.replenish.counting import WRONG_MIN, Candidate, round_numbers, rounds_of
from central.replenish.kernels import lead_variance, up_to_levels, whole_cases
from central.replenish.numbers import NO_LIMIT, Numbers
from central.replenish.places import Stock
from central.replenish.types import Note, Plan, PlanningSnapshot, Proposal, ProposalKind
from runtime.clock import NS_PER_S
from wire.ids import bin_location, location
from wire.site import BinRow

TRIPS_MAX: Final = 4
"""Proposals for one bin (or zone) and article in one plan; the next review goes on."""
CAUSES_MAX: Final = 10
COUNTED_KINDS: Final = ("reserve", "pick")
"""Bins that hold stock; through the others it only passes."""
DOUBTFUL_SURE_MAX: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The (s, S) levels of one place and article and what they were computed from, units."""

    lead_mean: float
    lead_variance: float
    cover_mean: float
    reorder_point: int
    up_to: int


class Round:
    """One pass of the planner; the phases add proposals and notes."""

    def __init__(self, snapshot: PlanningSnapshot) -> None:
        config = snapshot.config
        self.snapshot = snapshot
        self.site = snapshot.site
        self.config = config
        self.stock = Stock(snapshot)
        day_ns = config.day_s * NS_PER_S
        elapsed = (snapshot.now_ns - snapshot.day * day_ns) / day_ns
        self.review_d = config.review_s / config.day_s
        self.forecasts = forecast_all(
            sorted(snapshot.site.articles),
            snapshot.history,
            first_day=snapshot.first_day,
            day=snapshot.day,
            elapsed_share=min(max(elapsed, 0.0), 1.0),
        )
        self.faces: dict[str, list[BinRow]] = {}
        for row in sorted(self.site.bins.values(), key=lambda row: row.bin_id):
            if row.kind == "pick" and row.gtin:
                self.faces.setdefault(row.gtin, []).append(row)
        self.face_levels: dict[str, Levels] = {}
        self.starved: set[str] = set()
        self.proposals: list[Proposal] = []
        self.notes: list[Note] = []

    def add(
        self, kind: ProposalKind, gtin: str, units: int, places: tuple[str, str], numbers: Numbers,
        reason: str,
    ) -> None:  # fmt: skip
        """Add a proposal, with the orders behind it."""
        causes = self.snapshot.causes.get(gtin, ())[:CAUSES_MAX] if gtin else ()
        self.proposals.append(
            Proposal(
                kind=kind,
                gtin=gtin,
                units=units,
                from_place=places[0],
                to_place=places[1],
                reason=reason,
                numbers={**numbers, "units": units},
                causes=causes,
            )
        )

    def refused(self, kind: ProposalKind, gtin: str, to_place: str) -> bool:
        """Return whether a person has just said no to this."""
        return (kind, gtin, to_place) in self.snapshot.refused

    def levels(
        self, gtins: Sequence[str], lead_d: Floats, cover_d: float, shared: Floats
    ) -> list[Levels]:
        """Return the levels of each article: lead time and review d, cover d, shared by so many.

        lead_d, shared : (n,).
        """
        if not gtins:
            return []
        forecasts = [self.forecasts[gtin] for gtin in gtins]
        variances = np.array([
            lead_variance(forecast.mean_units_per_day, forecast.sd_units_per_day, days, 0.0)
            for forecast, days in zip(forecasts, lead_d, strict=True)
        ]) / shared  # fmt: skip
        in_lead = means_over(forecasts, lead_d)
        covers = (means_over(forecasts, lead_d + cover_d) - in_lead) / shared
        means = in_lead / shared
        return [
            Levels(lead_mean=m, lead_variance=v, cover_mean=c, reorder_point=s, up_to=top)
            for m, v, c, (s, top) in zip(
                means.tolist(), variances.tolist(), covers.tolist(),
                _levels(means, variances, covers, self.config.service_level), strict=True,
            )
        ]  # fmt: skip


def plan(snapshot: PlanningSnapshot) -> Plan:
    """Return what to do now: refills, transfers, purchases, counts, in this order of claim."""
    work = Round(snapshot)
    for phase in PHASES:
        phase(work)
    return Plan(
        proposals=tuple(work.proposals),
        forecasts=tuple(work.forecasts.values()),
        notes=tuple(work.notes),
    )


def refill_faces(work: Round) -> None:
    """Bring every pick face whose position is at or below s up to S, from reserve bins.

    position = on hand + inbound - reserved - backordered (an article's backorders count once, at
    its first face). An article with several faces shares its demand evenly.
    """
    faces = [(row, len(rows)) for rows in work.faces.values() for row in rows]
    lead_d = np.full(len(faces), work.config.refill_lead_time_d + work.review_d)
    found = work.levels(
        [row.gtin for row, _ in faces], lead_d, work.config.face_cover_d,
        np.array([shared for _, shared in faces], dtype=np.float64),
    )  # fmt: skip
    for (row, shared), level in zip(faces, found, strict=True):
        work.face_levels[row.bin_id] = level
        _refill(work, row, level, shared)


def _refill(work: Round, row: BinRow, level: Levels, shared: int) -> None:
    first = work.faces[row.gtin][0] is row
    backordered = work.snapshot.backordered.get(row.gtin, 0) if first else 0
    position = work.stock.position(row.bin_id, row.gtin) - backordered
    target = bin_location(row.bin_id)
    if position > level.reorder_point or work.refused("refill", row.gtin, target):
        return
    numbers = {**_bin_numbers(work, row, backordered, level), "faces_sharing": shared}
    want = level.up_to - position
    sources = work.stock.sources(row.gtin, want, row)
    if not sources:
        work.starved.add(row.gtin)
        on_order = work.snapshot.on_order.get(row.gtin, 0)
        work.notes.append(
            Note(
                gtin=row.gtin,
                place=target,
                text=reasons.starved(row.bin_id, numbers, on_order),
            )
        )
        return
    _bring(work, "refill", row.gtin, want, numbers, [row], sources, kept=level.reorder_point)


def feed_forward(work: Round) -> None:
    """Bring stock from other zones into the reserve bins of a zone with pick faces.

    A zone shall hold what its faces take (their S) and the demand of `forward_cover_d` beyond it.
    Once half of that cover is used up (position of faces and reserve together), it is brought up
    again. An edge with a face of its own for the article gives nothing away.
    """
    for gtin, cover_mean in _covers(work).items():
        faces = work.faces[gtin]
        edges = sorted({row.edge_id for row in faces})
        for edge_id in edges:
            mine = [row for row in faces if row.edge_id == edge_id]
            zone = _zone(work, gtin, edge_id, mine, cover_mean / len(edges))
            if zone.position > zone.reorder_point:
                continue
            want = zone.up_to - zone.position
            numbers = _zone_numbers(work, gtin, edge_id, zone, len(edges))
            sources = [
                row for row in work.stock.sources(gtin, want, mine[0]) if row.edge_id not in edges
            ]
            if not sources:  # as often: then nobody needs to know where there is room
                continue
            targets = [
                row
                for row in work.stock.reserve_bins_with_room(gtin, mine[0], edge_id)
                if not work.refused("transfer", gtin, bin_location(row.bin_id))
            ]
            _bring(work, "transfer", gtin, want, numbers, targets, sources, kept=0)


def _bring(
    work: Round, kind: ProposalKind, gtin: str, want: int, numbers: Numbers,
    targets: list[BinRow], sources: list[BinRow], *, kept: int,
) -> None:  # fmt: skip
    """Propose moves from `sources` to `targets`, both best first, until `want` units are met.

    `kept` units stand in a target when it falls due. A target without room for what a source can
    give is passed over, and so is a source.
    """
    article = work.site.articles[gtin]
    already = 0
    trips = 0
    for target in targets:
        for source in sources:
            if trips == TRIPS_MAX or already >= want:
                return
            room = work.stock.room(target.bin_id)
            free = work.stock.free(source.bin_id, gtin)
            due_room = max(0, target.capacity_units - kept)
            units = int(whole_cases(want - already, article.case_units, room, free, due_room))
            if units == 0:
                continue
            found: Numbers = {
                **numbers,
                "already_units": already,
                "room_units": room,
                "source_free_units": free,
                "case_units": article.case_units,
                "due_room_units": due_room,
            }
            text = reasons.move(kind, target.bin_id, source.bin_id, units, found)
            places = (bin_location(source.bin_id), bin_location(target.bin_id))
            work.add(kind, gtin, units, places, found, text)
            work.stock.move(gtin, units, from_bin=source.bin_id, to_bin=target.bin_id)
            already += units
            trips += 1


def buy(work: Round) -> None:
    """Order from the supplier where the site's position is at or below s.

    position = on the site + on order - allocated - backordered. s covers the supplier's lead time
    and one review, S one review more; whole cases; never more than the reserve bins can hold. An
    article nobody has ever asked for is not bought.
    """
    docks = sorted(row.bin_id for row in work.site.bins.values() if row.kind == "dock")
    room = work.stock.reserve_room() - sum(work.snapshot.on_order.values())
    asked = [
        gtin for gtin, forecast in work.forecasts.items()
        if forecast.mean_units_per_day > 0.0 or work.snapshot.backordered.get(gtin, 0) > 0
    ]  # fmt: skip
    if not docks:
        return
    known = [g for g in asked if work.site.articles[g].supplier_id in work.site.suppliers]
    lead_d = np.array([_buy_lead_d(work, gtin) for gtin in known])
    levels = work.levels(known, lead_d, work.config.buy_review_d, np.ones(len(known)))
    level_of = dict(zip(known, levels, strict=True))
    for gtin in asked:
        if gtin in level_of:
            room -= _buy(work, gtin, bin_location(docks[0]), room, level_of[gtin])
        else:
            text = reasons.no_supplier(gtin, work.site.articles[gtin].supplier_id)
            work.notes.append(Note(gtin=gtin, place="", text=text))


def _buy_lead_d(work: Round, gtin: str) -> float:
    supplier = work.site.suppliers[work.site.articles[gtin].supplier_id]
    return supplier.lead_time_d + work.config.buy_review_d


def _buy(work: Round, gtin: str, target: str, room: int, level: Levels) -> int:
    """Propose to buy one article where it is time; return the units."""
    found, article = work.snapshot, work.site.articles[gtin]
    supplier, forecast = work.site.suppliers[article.supplier_id], work.forecasts[gtin]
    on_site, on_order = work.stock.site_units(gtin), found.on_order.get(gtin, 0)
    allocated, backordered = found.allocated.get(gtin, 0), found.backordered.get(gtin, 0)
    position = on_site + on_order - allocated - backordered
    if position > level.reorder_point or work.refused("buy", gtin, target):
        return 0
    want = level.up_to - position
    units = int(whole_cases(want, article.case_units, max(0, room), NO_LIMIT, NO_LIMIT))
    if units == 0:
        text = reasons.no_room(gtin, want, room)
        work.notes.append(Note(gtin=gtin, place="", text=text))
        return 0
    numbers: Numbers = {
        "on_hand_units": on_site,
        "on_order_units": on_order,
        "allocated_units": allocated,
        "backordered_units": backordered,
        "position_units": position,
        **_level_numbers(work, forecast, level, _buy_lead_d(work, gtin), work.config.buy_review_d),
        "already_units": 0,
        "room_units": room,
        "source_free_units": NO_LIMIT,
        "case_units": article.case_units,
        "due_room_units": NO_LIMIT,
        "cost_cents": units * article.price_cents,
        "urgent": int(gtin in work.starved),
    }
    text = reasons.purchase(supplier.supplier_id, units, numbers)
    source = location("supplier", supplier.supplier_id)
    work.add("buy", gtin, units, (source, target), numbers, text)
    return units


def count(work: Round) -> None:
    """Propose rounds of counts, one per drone, camera and zone's people that has none open."""
    found = work.snapshot
    since_ns = found.now_ns - found.last_count_round_ns
    if since_ns < work.config.count_every_s * NS_PER_S:
        return
    rounds = rounds_of(
        found.eyes, _candidates(work),
        bins_max=work.config.count_bins_max, per_h_min=work.config.count_errors_per_h_min,
    )  # fmt: skip
    for one in rounds:
        target = bin_location(one.chosen[0].row.bin_id)
        if work.refused("count", "", target):
            continue
        bins = [item.row.bin_id for item in one.chosen]
        doubtful = [bin_id for bin_id in bins if bin_id in found.doubtful_bins]
        oldest_d = max(item.seen_d for item in one.chosen)
        numbers: Numbers = {
            **round_numbers(one),
            "count_bins_max": work.config.count_bins_max,
            "doubtful_bins": len(doubtful),
            "never_seen_bins": sum(item.seen_d < 0 for item in one.chosen),
            "oldest_unseen_s": oldest_d * work.config.day_s if oldest_d >= 0 else -1.0,
            "count_every_s": work.config.count_every_s,
            "least_sure": min(found.sure.get(bin_id, 1.0) for bin_id in bins),
        }
        text = reasons.count(numbers, doubtful)
        work.add("count", "", len(bins), (target, target), numbers, text)


def _candidates(work: Round) -> list[Candidate]:
    """Return the bins for stock that may be looked at, as they stand."""
    found, day_ns = work.snapshot, work.config.day_s * NS_PER_S
    units = work.stock.filled()
    return [
        Candidate(
            row=row,
            wrong=max(1.0 - _sure(found, row.bin_id), WRONG_MIN),
            units=units.get(row.bin_id, 0),
            seen_d=(found.now_ns - found.last_seen_ns[row.bin_id]) / day_ns
            if row.bin_id in found.last_seen_ns
            else -1.0,
            changed=row.bin_id in found.changed_bins,
            holds=bool(row.gtin) or units.get(row.bin_id, 0) > 0,
        )
        for row in work.site.bins.values()
        if row.kind in COUNTED_KINDS
    ]


def _sure(found: PlanningSnapshot, bin_id: str) -> float:
    """Return how likely a bin's book is right; one in doubt is so with a half at most."""
    sure = found.sure.get(bin_id, 1.0)
    return min(sure, DOUBTFUL_SURE_MAX) if bin_id in found.doubtful_bins else sure


PHASES: Final = (refill_faces, feed_forward, buy, count)


def recompute(numbers: Numbers) -> int:
    """Return a proposal's units again, from nothing but the numbers it carries."""
    if "counted_units" in numbers:
        known = int(numbers["book_units"]) + int(numbers["under_way_units"])
        return abs(int(numbers["counted_units"]) - known)
    if "bins" in numbers:
        return len(str(numbers["bins"]).split())
    if "faces_up_to_units" in numbers:
        reorder_point, up_to = _zone_levels(
            int(numbers["faces_up_to_units"]), float(numbers["cover_demand_units"])
        )
    else:
        ((reorder_point, up_to),) = _levels(
            np.array([float(numbers["lead_demand_units"])]),
            np.array([float(numbers["lead_demand_variance"])]),
            np.array([float(numbers["cover_demand_units"])]),
            float(numbers["service_level"]),
        )
    position = int(numbers["position_units"])
    if position > reorder_point:
        return 0
    return int(
        whole_cases(
            up_to - position - int(numbers["already_units"]),
            int(numbers["case_units"]),
            int(numbers["room_units"]),
            int(numbers["source_free_units"]),
            int(numbers["due_room_units"]),
        )
    )


def _levels(
    means: np.ndarray, variances: np.ndarray, covers: np.ndarray, service_level: float
) -> list[tuple[int, int]]:
    """Return (s, S) for each row of the arrays."""
    reorder_points = np.zeros(len(means), dtype=np.int64)
    up_to = np.zeros(len(means), dtype=np.int64)
    z = NormalDist().inv_cdf(service_level)
    demand_quantiles(means, variances, service_level, z, reorder_points)
    up_to_levels(reorder_points, covers, up_to)
    return list(zip(reorder_points.tolist(), up_to.tolist(), strict=True))


def _zone_levels(faces_up_to: int, cover_mean: float) -> tuple[int, int]:
    """Return (s, S) of a zone."""
    half, whole = int(cover_mean / 2.0), math.ceil(cover_mean - 1e-9)
    return faces_up_to + half, faces_up_to + max(1, whole)


def _level_numbers(
    work: Round, forecast: Forecast, level: Levels, lead_d: float, cover_d: float
) -> Numbers:
    return {
        "mean_units_per_day": forecast.mean_units_per_day,
        "sd_units_per_day": forecast.sd_units_per_day,
        "forecast_days": forecast.days,
        "forecast_method": forecast.method,
        "surge": int(forecast.surge),
        "service_level": work.config.service_level,
        "lead_time_d": lead_d,
        "lead_demand_units": level.lead_mean,
        "lead_demand_variance": level.lead_variance,
        "cover_d": cover_d,
        "cover_demand_units": level.cover_mean,
        "reorder_point_units": level.reorder_point,
        "order_up_to_units": level.up_to,
    }


def _bin_numbers(work: Round, row: BinRow, backordered: int, level: Levels) -> Numbers:
    stock = work.stock
    lead_d = work.config.refill_lead_time_d + work.review_d
    return {
        "on_hand_units": stock.on_hand(row.bin_id, row.gtin),
        "inbound_units": stock.inbound(row.bin_id, row.gtin),
        "reserved_units": stock.promised(row.bin_id, row.gtin),
        "backordered_units": backordered,
        "position_units": stock.position(row.bin_id, row.gtin) - backordered,
        **_level_numbers(work, work.forecasts[row.gtin], level, lead_d, work.config.face_cover_d),
    }


def _covers(work: Round) -> dict[str, float]:
    """Return by article with faces the demand of the cover beyond lead time and review, units."""
    forecasts = [work.forecasts[gtin] for gtin in work.faces]
    lead_d = np.full(len(forecasts), work.config.refill_lead_time_d + work.review_d)
    after = means_over(forecasts, lead_d + work.config.forward_cover_d)
    return dict(zip(work.faces, (after - means_over(forecasts, lead_d)).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    """How one article stands in a zone with pick faces of it."""

    rows: list[BinRow]
    backordered: int
    position: int
    cover_mean: float
    faces_up_to: int
    reorder_point: int
    up_to: int


def _zone(work: Round, gtin: str, edge_id: str, faces: list[BinRow], cover_mean: float) -> _Zone:
    stock = work.stock
    rows = [
        row
        for row in stock.known(gtin)
        if row.edge_id == edge_id and (row.kind == "reserve" or row in faces)
    ]
    first = work.faces[gtin][0] in faces
    backordered = work.snapshot.backordered.get(gtin, 0) if first else 0
    faces_up_to = sum(min(row.capacity_units, work.face_levels[row.bin_id].up_to) for row in faces)
    reorder_point, up_to = _zone_levels(faces_up_to, cover_mean)
    return _Zone(
        rows=rows, backordered=backordered, cover_mean=cover_mean, faces_up_to=faces_up_to,
        reorder_point=reorder_point, up_to=up_to,
        position=sum(stock.position(row.bin_id, gtin) for row in rows) - backordered,
    )  # fmt: skip


def _zone_numbers(work: Round, gtin: str, edge_id: str, zone: _Zone, shared: int) -> Numbers:
    stock, forecast = work.stock, work.forecasts[gtin]
    return {
        "zone": edge_id,
        "on_hand_units": sum(stock.on_hand(row.bin_id, gtin) for row in zone.rows),
        "inbound_units": sum(stock.inbound(row.bin_id, gtin) for row in zone.rows),
        "reserved_units": sum(stock.promised(row.bin_id, gtin) for row in zone.rows),
        "backordered_units": zone.backordered,
        "position_units": zone.position,
        "mean_units_per_day": forecast.mean_units_per_day,
        "sd_units_per_day": forecast.sd_units_per_day,
        "forecast_days": forecast.days,
        "forecast_method": forecast.method,
        "surge": int(forecast.surge),
        "cover_d": work.config.forward_cover_d,
        "cover_demand_units": zone.cover_mean,
        "zones_sharing": shared,
        "faces_up_to_units": zone.faces_up_to,
        "reorder_point_units": zone.reorder_point,
        "order_up_to_units": zone.up_to,
    }
