"""What the desk asks the books. Every list is bounded; each caller reads in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, or_, select

from central import tables as t
from central.desk import core, details, explain
from central.desk import rows as r
from central.desk.site import Names
from central.ledger.segments import newest_moves
from central.rules import read_rules
from wire.ids import bin_of
from wire.messages import LOT_SAID

NS_PER_MS: Final = 1_000_000
LIMIT_MAX: Final = 500
PAGE_PROPOSALS_MAX: Final = 100
PAGE_DECIDED_MAX: Final = 30
PAGE_TASKS_OPEN_MAX: Final = 200
PAGE_TASKS_ENDED_MAX: Final = 60
PAGE_ORDERS_OPEN_MAX: Final = 100
PAGE_ORDERS_ENDED_MAX: Final = 40
PAGE_EVENTS_MAX: Final = 60
BIN_EVENTS_MAX: Final = 40
CAUSES_MAX: Final = 100


def _ms(at_ns: int) -> int:
    return at_ns // NS_PER_MS


class Queries:
    """The questions, with names put to what the books only number."""

    def __init__(self, names: Names) -> None:
        self._names = names

    @property
    def names(self) -> Names:
        """Return the site and its names."""
        return self._names

    def any_row(self, books: Connection) -> bool:
        """Return whether central has taken any event; raises where there are no tables yet."""
        return books.execute(select(t.watermark.c.seq).limit(1)).first() is not None

    # --- proposals ----------------------------------------------------------------------------

    def proposals(
        self, books: Connection, *, status: str = "", limit: int = LIMIT_MAX, offset: int = 0
    ) -> tuple[list[r.Proposal], int]:
        """Return a page of proposals, newest first, and how many there are."""
        wanted = [t.proposal.c.status == status] if status else []
        total = _count(books, t.proposal.c.proposal_id, wanted)
        query = (
            select(t.proposal)
            .where(*wanted)
            .order_by(t.proposal.c.created_at_ns.desc(), t.proposal.c.proposal_id)
        )
        return self._proposals(books, _page(books, query, limit, offset)), total

    def page_proposals(self, books: Connection) -> dict[str, r.Proposal]:
        """Return what the page shows: all that wait, and what was decided last."""
        p = t.proposal.c
        waiting = select(t.proposal).where(p.status == "waiting").order_by(p.created_at_ns.desc())
        decided = select(t.proposal).where(p.status != "waiting").order_by(p.decided_at_ns.desc())
        found = [
            *_page(books, waiting, PAGE_PROPOSALS_MAX),
            *_page(books, decided, PAGE_DECIDED_MAX),
        ]
        return {item.proposal_id: item for item in self._proposals(books, found)}

    def proposal(self, books: Connection, proposal_id: str) -> r.Proposal | None:
        """Return one proposal."""
        query = select(t.proposal).where(t.proposal.c.proposal_id == proposal_id)
        found = self._proposals(books, books.execute(query).mappings().all())
        return found[0] if found else None

    def why(self, books: Connection, proposal_id: str) -> r.ProposalWhy | None:
        """Return a proposal with what it was made for and what came of it."""
        proposal = self.proposal(books, proposal_id)
        if proposal is None:
            return None
        tasks, _ = self.tasks(books, proposal_id=proposal_id)
        events = self._events_of_tasks(books, [task.task_id for task in tasks])
        causes = self._causes(books, proposal.causes[:CAUSES_MAX])
        return r.ProposalWhy(
            proposal=proposal,
            sums=explain.sums(
                proposal.numbers,
                source=core.place_text(proposal.from_place),
                target=core.place_text(proposal.to_place),
            ),
            figures=explain.figures(proposal.numbers),
            causes=causes,
            tasks=tasks,
            events=events,
        )

    def _proposals(self, books: Connection, rows: Sequence[RowMapping]) -> list[r.Proposal]:
        free = _free(books, {row["from_place"] for row in rows if _can_be_moved(row)})
        return [
            self._proposal(
                row, free[row["from_place"], row["gtin"]] if _can_be_moved(row) else None
            )
            for row in rows
        ]

    def _proposal(self, row: RowMapping, free_units: int | None) -> r.Proposal:
        return r.Proposal(
            proposal_id=row["proposal_id"],
            kind=row["kind"],
            status=row["status"],
            article=self._names.article(row["gtin"]),
            units=row["units"],
            free_units=free_units,
            from_place=row["from_place"],
            to_place=row["to_place"],
            reason=row["reason"],
            numbers=_json_object(row["numbers"]),
            causes=_json_texts(row["causes"]),
            decided_by=row["decided_by"],
            decision_reason=row["decision_reason"],
            created_at_ms=_ms(row["created_at_ns"]),
            decided_at_ms=_ms(row["decided_at_ns"]),
            expires_at_ms=_ms(row["expires_at_ns"]),
        )

    def _causes(self, books: Connection, ids: Sequence[str]) -> list[r.Cause]:
        """Return what these ids are, in order. An id may stand behind its kind: `order:O12`."""
        bare = {id_: id_.partition(":")[2] for id_ in ids if ":" in id_}
        asked = {*ids, *bare.values()}
        known: dict[str, r.Cause] = {}
        for order in self._orders(books, t.customer_order.c.order_id.in_(asked)):
            known[order.order_id] = r.Cause(
                id=order.order_id,
                kind="order",
                text=core.order_text(order),
                at_ms=order.ordered_at_ms,
            )
        for event in [
            *self._movements(books, t.movement.c.event_id.in_(asked)),
            *self._observations(books, t.observation.c.event_id.in_(asked)),
        ]:
            known[event.event_id] = r.Cause(
                id=event.event_id, kind=event.kind, text=core.event_text(event), at_ms=event.at_ms
            )
        for row in _page(books, select(t.task).where(t.task.c.task_id.in_(asked))):
            task = self._task(row)
            known[task.task_id] = r.Cause(
                id=task.task_id, kind="task", text=core.task_text(task), at_ms=task.created_at_ms
            )
        for row in _page(
            books, select(t.purchase_order).where(t.purchase_order.c.po_id.in_(asked))
        ):
            known[row["po_id"]] = self._purchase(row)
        return [
            known.get(id_)
            or known.get(bare.get(id_, ""))
            or r.Cause(id=id_, kind="other", text=id_, at_ms=0)
            for id_ in ids
        ]

    def _purchase(self, row: RowMapping) -> r.Cause:
        article = self._names.article(row["gtin"])
        return r.Cause(
            id=row["po_id"],
            kind="purchase",
            text=f"bought {row['units']} x {article.name} from {row['supplier_id']}:"
            f" {row['status']}, {row['received_units']} received",
            at_ms=_ms(row["ordered_at_ns"]),
        )

    # --- tasks --------------------------------------------------------------------------------

    def tasks(
        self,
        books: Connection,
        *,
        status: str = "",
        kind: str = "",
        proposal_id: str = "",
        limit: int = LIMIT_MAX,
        offset: int = 0,
    ) -> tuple[list[r.Task], int]:
        """Return a page of tasks, newest first, and how many there are."""
        c = t.task.c
        wanted = [
            column == value
            for column, value in (
                (c.status, status),
                (c.kind, kind),
                (c.proposal_id, proposal_id),
            )
            if value
        ]
        query = select(t.task).where(*wanted).order_by(c.created_at_ns.desc(), c.task_id)
        found = [self._task(row) for row in _page(books, query, limit, offset)]
        return found, _count(books, c.task_id, wanted)

    def page_tasks(self, books: Connection) -> dict[str, r.Task]:
        """Return what the page shows: open tasks, the most urgent first, and what ended last."""
        c = t.task.c
        is_open = select(t.task).where(c.status.in_(core.OPEN_TASKS)).order_by(c.due_at_ns)
        done = select(t.task).where(c.done_at_ns > 0).order_by(c.done_at_ns.desc())
        failed = (
            select(t.task).where(c.status.in_(core.FAILED_TASKS)).order_by(c.created_at_ns.desc())
        )
        found = [
            *_page(books, is_open, PAGE_TASKS_OPEN_MAX),
            *_page(books, done, PAGE_TASKS_ENDED_MAX),
            *_page(books, failed, PAGE_TASKS_ENDED_MAX // 2),
        ]
        return {row["task_id"]: self._task(row) for row in found}

    def _task(self, row: RowMapping) -> r.Task:
        worker = self._names.worker(row["worker_id"])
        return r.Task(
            task_id=row["task_id"],
            kind=row["kind"],
            status=row["status"],
            worker_kind=row["worker_kind"],
            worker_id=row["worker_id"],
            worker=worker,
            article=self._names.article(row["gtin"]),
            units=row["units"],
            from_place=row["from_place"],
            to_place=row["to_place"],
            proposal_id=row["proposal_id"],
            order_id=row["order_id"],
            waits=core.why_it_waits(
                status=row["status"],
                worker_kind=row["worker_kind"],
                worker=worker,
                detail=row["detail"],
                kind=row["kind"],
                tries=row["tries"] if row["worker_kind"] == "person" else 1,
            ),
            created_at_ms=_ms(row["created_at_ns"]),
            due_at_ms=_ms(row["due_at_ns"]),
            assigned_at_ms=_ms(row["assigned_at_ns"]),
            done_at_ms=_ms(row["done_at_ns"]),
            confirmed_at_ms=_ms(row["confirmed_at_ns"]),
        )

    # --- orders -------------------------------------------------------------------------------

    def orders(
        self, books: Connection, *, status: str = "", limit: int = LIMIT_MAX, offset: int = 0
    ) -> tuple[list[r.Order], int]:
        """Return a page of orders, newest first, and how many there are."""
        c = t.customer_order.c
        wanted = [c.status == status] if status else []
        query = select(t.customer_order).where(*wanted).order_by(c.ordered_at_ns.desc(), c.order_id)
        found = self._with_lines(books, _page(books, query, limit, offset))
        return found, _count(books, c.order_id, wanted)

    def page_orders(self, books: Connection) -> dict[str, r.Order]:
        """Return what the page shows: open orders, the oldest first, and those filled last."""
        c = t.customer_order.c
        is_open = (
            select(t.customer_order).where(c.status.in_(core.OPEN_ORDERS)).order_by(c.ordered_at_ns)
        )
        filled = select(t.customer_order).where(c.filled_at_ns > 0).order_by(c.filled_at_ns.desc())
        refused = (
            select(t.customer_order).where(c.status == "refused").order_by(c.ordered_at_ns.desc())
        )
        found = [
            *_page(books, is_open, PAGE_ORDERS_OPEN_MAX),
            *_page(books, filled, PAGE_ORDERS_ENDED_MAX),
            *_page(books, refused, PAGE_ORDERS_ENDED_MAX // 4),
        ]
        return {order.order_id: order for order in self._with_lines(books, found)}

    def _orders(self, books: Connection, wanted: ColumnElement[bool]) -> list[r.Order]:
        return self._with_lines(books, _page(books, select(t.customer_order).where(wanted)))

    def _with_lines(self, books: Connection, found: Sequence[RowMapping]) -> list[r.Order]:
        lines: defaultdict[str, list[r.OrderLine]] = defaultdict(list)
        c = t.order_line.c
        query = (
            select(t.order_line)
            .where(c.order_id.in_([row["order_id"] for row in found]))
            .order_by(c.order_id, c.line)
        )
        for row in books.execute(query).mappings():
            lines[row["order_id"]].append(
                r.OrderLine(
                    article=self._names.article(row["gtin"]),
                    units=row["units"],
                    allocated_units=row["allocated_units"],
                    picked_units=row["picked_units"],
                )
            )
        return [_order(row, lines[row["order_id"]]) for row in found]

    # --- events -------------------------------------------------------------------------------

    def page_events(self, books: Connection) -> dict[str, r.Event]:
        """Return the latest movements and observations."""
        m, o = t.movement.c, t.observation.c
        events = [
            *self._movements(books, None, m.id.desc(), PAGE_EVENTS_MAX),
            *self._observations(books, None, o.observed_at_ns.desc(), PAGE_EVENTS_MAX),
        ]
        events.sort(key=lambda event: event.at_ms, reverse=True)
        return {event.event_id: event for event in events[:PAGE_EVENTS_MAX]}

    def _events_of_tasks(self, books: Connection, task_ids: Sequence[str]) -> list[r.Event]:
        if not task_ids:
            return []
        events = [
            *self._movements(books, t.movement.c.task_id.in_(task_ids)),
            *self._observations(books, t.observation.c.task_id.in_(task_ids)),
        ]
        return sorted(events, key=lambda event: event.at_ms)

    def _movements(
        self,
        books: Connection,
        wanted: ColumnElement[bool] | None,
        order: ColumnElement[Any] | None = None,
        limit: int = LIMIT_MAX,
    ) -> list[r.Event]:
        query = select(t.movement).order_by(t.movement.c.id if order is None else order)
        if wanted is not None:
            query = query.where(wanted)
        return [
            r.Event(
                event_id=row["event_id"],
                kind="moved",
                article=self._names.article(row["gtin"]),
                units=row["units"],
                book_units=0,
                from_place=row["from_place"],
                to_place=row["to_place"],
                reason=row["reason"],
                device_id=row["device_id"],
                person_id=row["person_id"],
                person=self._names.worker(row["person_id"]),
                task_id=row["task_id"],
                at_ms=_ms(row["observed_at_ns"]),
            )
            for row in _page(books, query, limit)
        ]

    def _observations(
        self,
        books: Connection,
        wanted: ColumnElement[bool] | None,
        order: ColumnElement[Any] | None = None,
        limit: int = LIMIT_MAX,
    ) -> list[r.Event]:
        c = t.observation.c
        query = select(t.observation).order_by(c.observed_at_ns if order is None else order)
        if wanted is not None:
            query = query.where(wanted)
        return [
            r.Event(
                event_id=row["event_id"],
                kind=row["kind"],
                article=self._names.article(row["gtin"]),
                units=row["seen_units"],
                book_units=row["book_units"],
                from_place="",
                to_place=f"bin:{row['bin_id']}",
                reason="",
                device_id=row["device_id"],
                person_id="",
                person="",
                task_id=row["task_id"],
                at_ms=_ms(row["observed_at_ns"]),
            )
            for row in _page(books, query, limit)
        ]

    # --- bins ---------------------------------------------------------------------------------

    def bins(self, books: Connection, bin_id: str = "") -> dict[str, r.Bin]:
        """Return every bin of the site, or only this one, with what the books say is in it."""
        place = f"bin:{bin_id}"

        def here(column: ColumnElement[str]) -> ColumnElement[bool]:
            return column == place if bin_id else column.startswith("bin:")

        reserved: defaultdict[tuple[str, str], int] = defaultdict(int)
        promised: defaultdict[str, int] = defaultdict(int)
        query: Select[Any] = (
            select(t.reservation.c.place, t.reservation.c.gtin, func.sum(t.reservation.c.units))
            .where(here(t.reservation.c.place))
            .group_by(t.reservation.c.place, t.reservation.c.gtin)
        )
        for where, gtin, units in books.execute(query):
            reserved[bin_of(where) or "", gtin] = int(units)
            promised[bin_of(where) or ""] += int(units)
        inbound: defaultdict[str, int] = defaultdict(int)
        query = (
            select(t.task.c.to_place, func.sum(t.task.c.units))
            .where(t.task.c.status.in_(core.OPEN_TASKS), here(t.task.c.to_place))
            .group_by(t.task.c.to_place)
        )
        for where, units in books.execute(query):
            inbound[bin_of(where) or ""] = int(units)
        stock: defaultdict[str, list[r.BinStock]] = defaultdict(list)
        balances = select(t.balance).where(here(t.balance.c.place)).order_by(t.balance.c.gtin)
        for row in books.execute(balances).mappings():
            held_in = bin_of(row["place"]) or ""
            if row["units"]:
                stock[held_in].append(
                    r.BinStock(
                        article=self._names.article(row["gtin"]),
                        units=row["units"],
                        reserved_units=reserved[held_in, row["gtin"]],
                    )
                )
        known = self._names.site.bins
        asked: Iterable[str] = (
            [bin_id] if bin_id else [*known, *(held for held in stock if held not in known)]
        )
        return {
            id_: self._bin(id_, stock[id_], promised[id_], inbound[id_])
            for id_ in asked
            if id_ in known or stock[id_]
        }

    def bin_detail(self, books: Connection, bin_id: str, now_ns: int) -> r.BinDetail | None:
        """Return one bin with how sure its book is, its latest events and its open tasks."""
        found = self.bins(books, bin_id).get(bin_id)
        if found is None:
            return None
        place = f"bin:{bin_id}"
        m, o, c = t.movement.c, t.observation.c, t.task.c
        # A lot that was said: nothing came or went.
        latest = newest_moves(books, place, (m.reason != LOT_SAID,), BIN_EVENTS_MAX)
        touching = m.id.in_([row.id for row in latest])
        events = [
            *self._movements(books, touching, m.id.desc(), BIN_EVENTS_MAX),
            *self._observations(books, o.bin_id == bin_id, o.observed_at_ns.desc(), BIN_EVENTS_MAX),
        ]
        events.sort(key=lambda event: event.at_ms, reverse=True)
        tasks = (
            select(t.task)
            .where(c.status.in_(core.OPEN_TASKS), or_(c.from_place == place, c.to_place == place))
            .order_by(c.due_at_ns)
        )
        return r.BinDetail(
            bin=found,
            book=details.book_of(books, self._names, bin_id, now_ns),
            lots=details.lots_at(books, self._names, place),
            serials=details.serials_at(books, self._names, place),
            containers=details.containers_at(books, place),
            events=events[:BIN_EVENTS_MAX],
            open_tasks=[self._task(row) for row in _page(books, tasks)],
        )

    def quarantine(self, books: Connection) -> r.Quarantine:
        """Return what is put aside, with its lots and serial numbers."""
        return details.quarantine(books, self._names)

    def _bin(
        self, bin_id: str, stock: list[r.BinStock], reserved_units: int, inbound_units: int
    ) -> r.Bin:
        row = self._names.site.bins.get(bin_id)
        return r.Bin(
            bin_id=bin_id,
            kind=row.kind if row else "unknown",
            edge_id=row.edge_id if row else "",
            slot=self._names.article(row.gtin) if row and row.gtin else None,
            capacity_units=self._names.capacity_units(bin_id),
            units=sum(held.units for held in stock),
            reserved_units=reserved_units,
            inbound_units=inbound_units,
            stock=stock,
        )

    # --- rules and figures ---------------------------------------------------------------------

    def rules(self, books: Connection) -> r.Rules | None:
        """Return the rules that central works by."""
        found = read_rules(books)
        return r.Rules(**msgspec.structs.asdict(found)) if found else None

    def page_rules(self, books: Connection) -> dict[str, r.Rules]:
        """Return the rules as a table of one row, or of none."""
        found = self.rules(books)
        return {"rules": found} if found else {}

    def figures(self, books: Connection) -> r.Figures:
        """Return the numbers on top of the page."""
        orders = _by_status(books, t.customer_order.c.status)
        tasks: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        query = select(t.task.c.kind, t.task.c.status, func.count()).group_by(
            t.task.c.kind, t.task.c.status
        )
        for kind, status, count in books.execute(query):
            tasks[kind][status] = count
        waiting = [t.proposal.c.status == "waiting"]
        # An edge numbers its events 1, 2, 3 in each epoch, and central takes them without a gap.
        events = books.execute(select(func.sum(t.watermark.c.seq))).scalar() or 0
        in_bins = select(func.sum(t.balance.c.units)).where(t.balance.c.place.startswith("bin:"))
        return r.Figures(
            orders_waiting=sum(orders[status] for status in core.OPEN_ORDERS),
            orders_filled=orders["filled"],
            orders_refused=orders["refused"],
            proposals_waiting=_count(books, t.proposal.c.proposal_id, waiting),
            tasks=[
                r.TaskFigures(
                    kind=kind,
                    open=sum(by_status[status] for status in core.OPEN_TASKS),
                    done=by_status["done"],
                    failed=sum(by_status[status] for status in core.FAILED_TASKS),
                )
                for kind, by_status in sorted(tasks.items())
            ],
            events=int(events),
            units_in_bins=int(books.execute(in_bins).scalar() or 0),
        )


def _page(
    books: Connection, query: Select[Any], limit: int = LIMIT_MAX, offset: int = 0
) -> Sequence[RowMapping]:
    return books.execute(query.limit(min(limit, LIMIT_MAX)).offset(offset)).mappings().all()


def _count(
    books: Connection, column: ColumnElement[Any], wanted: Sequence[ColumnElement[bool]]
) -> int:
    return books.execute(select(func.count(column)).where(*wanted)).scalar() or 0


def _can_be_moved(row: RowMapping) -> bool:
    """Return whether a proposal waits and takes units out of a bin."""
    return row["status"] == "waiting" and row["kind"] in core.MOVES


def _free(books: Connection, places: Iterable[str]) -> defaultdict[tuple[str, str], int]:
    """Return the units of each (place, article) that nobody is promised, never negative."""
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for table, sign in ((t.balance, 1), (t.reservation, -1)):
        query = select(table.c.place, table.c.gtin, func.sum(table.c.units)).where(
            table.c.place.in_(list(places))
        )
        for place, gtin, units in books.execute(query.group_by(table.c.place, table.c.gtin)):
            found[place, gtin] += sign * int(units)
    for key, units in found.items():
        found[key] = max(0, units)
    return found


def _by_status(books: Connection, column: ColumnElement[str]) -> defaultdict[str, int]:
    query = select(column, func.count()).group_by(column)
    return defaultdict(int, {row[0]: row[1] for row in books.execute(query)})


def _order(row: RowMapping, lines: list[r.OrderLine]) -> r.Order:
    return r.Order(
        order_id=row["order_id"],
        status=row["status"],
        lines=lines,
        units=sum(line.units for line in lines),
        picked_units=sum(line.picked_units for line in lines),
        ordered_at_ms=_ms(row["ordered_at_ns"]),
        filled_at_ms=_ms(row["filled_at_ns"]),
    )


def _json_object(text: str) -> dict[str, Any]:
    """Return the numbers of a proposal; text that is not a JSON object is shown as it is."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {"unreadable": text}
    return value if isinstance(value, dict) else {"value": value}


def _json_texts(text: str) -> list[str]:
    """Return the causes of a proposal as texts."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return [text]
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
