"""Central's tables: the ledger, orders, proposals, tasks, what the fleet must remember.

Writers: the `store` lane writes everything but `robot_order` and `job_end`, which the fleet's lane
owns. The desk only reads.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata: Final = MetaData()
_Ns = BigInteger
ODD_NS: Final = 3_600 * 10**9
ODD: Final = f"committed_at_ns - observed_at_ns NOT BETWEEN {-ODD_NS} AND {ODD_NS}"
"""Movements that were known long after they happened, or before: few, and looked for by themselves
where somebody asks what was known when."""
_NAMED: Final = text("lot != ''")

movement = Table(
    "movement", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(120), nullable=False, unique=True),
    Column("edge_id", String(40), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("from_place", String(64), nullable=False),
    Column("to_place", String(64), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("device_id", String(40), nullable=False),
    Column("person_id", String(40), nullable=False),
    Column("task_id", String(40), nullable=False, index=True),
    Column("observed_at_ns", _Ns, nullable=False),
    Column("received_at_ns", _Ns, nullable=False),
    Column("committed_at_ns", _Ns, nullable=False),
    Column("lot", String(20), nullable=False, default=""),
    Column("expires_on", String(10), nullable=False, default=""),
    Column("serial", String(20), nullable=False, default=""),
    Column("container", String(18), nullable=False, default=""),
    Index("movement_observed", "observed_at_ns"),
    Index("movement_odd", "committed_at_ns", sqlite_where=text(ODD), postgresql_where=text(ODD)),
    Index("movement_lot", "gtin", "lot", sqlite_where=_NAMED, postgresql_where=_NAMED),
)  # fmt: skip
"""Double entry: `units` left `from_place` and came to `to_place`. Rows are never changed."""

balance = Table(
    "balance", metadata,
    Column("place", String(64), primary_key=True),
    Column("gtin", String(14), primary_key=True),
    Column("units", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 70},  # room in each page: a change writes no index then
)  # fmt: skip
"""Sum of all movements per place and article; suppliers and `opening:` go negative."""

lot_balance = Table(
    "lot_balance", metadata,
    Column("gtin", String(14), primary_key=True),
    Column("lot", String(20), primary_key=True),
    Column("place", String(64), primary_key=True),
    Column("units", BigInteger, nullable=False),
    Index("lot_balance_place", "place", "gtin"),
)  # fmt: skip
"""Sum of the movements that name a lot. What a balance has above its lots is of no known lot; units
of a lot that a place did not have came out of that, so a lot may be negative there."""

lot = Table(
    "lot", metadata,
    Column("gtin", String(14), primary_key=True),
    Column("lot", String(20), primary_key=True),
    Column("expires_on", String(10), nullable=False),
)  # fmt: skip
"""The last day of a lot, as it was last said."""

serial_place = Table(
    "serial_place", metadata,
    Column("gtin", String(14), primary_key=True),
    Column("serial", String(20), primary_key=True),
    Column("place", String(64), nullable=False, index=True),
    Column("lot", String(20), nullable=False),
)  # fmt: skip
"""Where each unit with a serial number is: one place only."""

container_place = Table(
    "container_place", metadata,
    Column("sscc", String(18), primary_key=True),
    Column("place", String(64), nullable=False, index=True),
)  # fmt: skip
"""What each pallet, tote or parcel was put into."""

edge_device = Table(
    "edge_device", metadata,
    Column("device_id", String(40), primary_key=True),
    Column("edge_id", String(40), primary_key=True),
    Column("since_ns", _Ns, nullable=False),
)  # fmt: skip
"""The devices that edges ever named as theirs: nobody else may tell what those saw."""

refused_event = Table(
    "refused_event", metadata,
    Column("edge_id", String(40), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", String(120), nullable=False),
    Column("code", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("refused_at_ns", _Ns, nullable=False),
)  # fmt: skip
"""Events of an edge about another one's bins, devices or commands: not booked, set aside here."""

container_move = Table(
    "container_move", metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(120), nullable=False, unique=True),
    Column("sscc", String(18), nullable=False),
    Column("from_place", String(64), nullable=False),
    Column("to_place", String(64), nullable=False),
    Column("observed_at_ns", _Ns, nullable=False),
)  # fmt: skip

task_short = Table(
    "task_short", metadata,
    Column("event_id", String(120), primary_key=True),
    Column("task_id", String(40), nullable=False, index=True),
    Column("short_units", BigInteger, nullable=False),
    Column("person_id", String(40), nullable=False),
    Column("observed_at_ns", _Ns, nullable=False),
)  # fmt: skip
"""Tasks that a person closed since no more was there; negative units: taken back."""

MARK_READY: Final = 0
MARK_GROWS: Final = 1
"""Not all stock is copied yet."""
MARK_ENDED: Final = 2
"""Not used any more; its rows go step by step."""

stock_mark = Table(
    "stock_mark", metadata,
    Column("at_ns", _Ns, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),  # the newest movement when it was made
    Column("rows", BigInteger, nullable=False),  # balances looked at for it
    Column("state", Integer, nullable=False, default=MARK_READY),
    Column("done_place", String(64), nullable=False, default=""),  # how far a growing one is
    Column("done_gtin", String(14), nullable=False, default=""),
)  # fmt: skip
"""The times at which all stock is kept as it was, by when it was observed (see `stock_at`)."""

stock_at = Table(
    "stock_at", metadata,
    Column("at_ns", _Ns, primary_key=True, autoincrement=False),
    Column("place", String(64), primary_key=True),
    Column("gtin", String(14), primary_key=True),
    Column("units", BigInteger, nullable=False),
)  # fmt: skip
"""Sum of all movements observed up to a mark. One that comes late is added to all later marks."""

segment = Table(
    "segment", metadata,
    Column("to_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_id", BigInteger, nullable=False),
    Column("first_ns", _Ns, nullable=False),
    Column("last_ns", _Ns, nullable=False),
)  # fmt: skip
"""So many movements in a row (ids above `from_id`, up to `to_id`), and between which times they
were observed: what a question about one bin leaves out."""

segment_bin = Table(
    "segment_bin", metadata,
    Column("segment", BigInteger, primary_key=True, autoincrement=False),
    Column("place", String(64), primary_key=True),
    sqlite_with_rowid=False,
)  # fmt: skip
"""Which bins occur in a segment."""

watermark = Table(
    "watermark", metadata,
    Column("edge_id", String(40), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)  # fmt: skip

observation = Table(
    "observation", metadata,
    Column("event_id", String(140), primary_key=True),
    Column("kind", String(20), nullable=False),  # counted, sighted
    Column("bin_id", String(20), nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("seen_units", BigInteger, nullable=False),
    Column("book_units", BigInteger, nullable=False),
    Column("device_id", String(40), nullable=False),
    Column("task_id", String(40), nullable=False),
    Column("observed_at_ns", _Ns, nullable=False, index=True),
    Column("lot", String(20), nullable=False, default=""),
    Column("serial", String(20), nullable=False, default=""),
    Index("observation_bin", "bin_id", "observed_at_ns"),
)  # fmt: skip
"""One row per article seen in a bin (gtin empty: the bin was seen with no article label)."""

bin_count = Table(
    "bin_count", metadata,
    Column("event_id", String(140), primary_key=True),
    Column("bin_id", String(20), nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("counted_units", BigInteger, nullable=False),
    Column("book_units", BigInteger, nullable=False),
    Column("counted_by", String(40), nullable=False),  # the person, or the scanner
    Column("person_id", String(40), nullable=False),
    Column("edge_id", String(40), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),  # in its edge's journal
    Column("since_ns", _Ns, nullable=False),  # when the look began, and ended: edge's clock
    Column("until_ns", _Ns, nullable=False),
    Column("committed_at_ns", _Ns, nullable=False, index=True),
    Column("last_id", BigInteger, nullable=False),  # newest movement when it came
    Column("status", String(20), nullable=False),  # new, open, judged
    Index("bin_count_pair", "bin_id", "gtin"),
)  # fmt: skip
"""Counts of whole bins that are to be judged, or whose adjustment waits to be decided."""

count_interval = Table(
    "count_interval", metadata,
    Column("event_id", String(140), primary_key=True),
    Column("bin_id", String(20), nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("begun_ns", _Ns, nullable=False),  # when the book was last known, and looked at again
    Column("counted_ns", _Ns, nullable=False, index=True),
    Column("sure", Float, nullable=False),  # how sure it was when it began
    Column("picks", Float, nullable=False),  # booked between them
    Column("putaways", Float, nullable=False),
    Column("moves", Float, nullable=False),
    Column("off_units", BigInteger, nullable=False),  # by how much the count differed
    Index("count_interval_pair", "bin_id", "gtin", "counted_ns"),
)  # fmt: skip
"""What each count of a bin at rest found, and what had been done there since the book was last
known: of these it is learned how often what goes wrong."""

customer_order = Table(
    "customer_order", metadata,
    Column("order_id", String(40), primary_key=True),
    Column("status", String(20), nullable=False, index=True),
    # accepted, allocated, picked, filled, refused
    Column("ordered_at_ns", _Ns, nullable=False),
    Column("filled_at_ns", _Ns, nullable=False, default=0, index=True),
    Column("hand_bin", String(20), nullable=False, default=""),  # where its tote stands
    Column("detail", Text, nullable=False, default=""),  # why it was refused
)  # fmt: skip

order_line = Table(
    "order_line", metadata,
    Column("order_id", String(40), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("gtin", String(14), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("allocated_units", BigInteger, nullable=False, default=0),
    Column("picked_units", BigInteger, nullable=False, default=0),
)  # fmt: skip

proposal = Table(
    "proposal", metadata,
    Column("proposal_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),  # refill, transfer, buy, count, adjust
    Column("status", String(20), nullable=False, index=True),
    # waiting, approved, rejected, expired, done, failed
    Column("gtin", String(14), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("from_place", String(64), nullable=False),
    Column("to_place", String(64), nullable=False),
    Column("reason", Text, nullable=False),  # the sentence that planners read
    Column("numbers", Text, nullable=False),  # JSON object: what recomputes the decision
    Column("causes", Text, nullable=False),  # JSON list: ids of orders, movements, observations
    Column("decided_by", String(40), nullable=False, default=""),  # policy or a person
    Column("decision_reason", Text, nullable=False, default=""),
    Column("created_at_ns", _Ns, nullable=False),
    Column("decided_at_ns", _Ns, nullable=False, default=0, index=True),
    Column("expires_at_ns", _Ns, nullable=False),
)  # fmt: skip

task = Table(
    "task", metadata,
    Column("task_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    # receive, putaway, refill, transfer, pick, deliver, count
    Column("status", String(20), nullable=False, index=True),
    # open, assigned, moving, done, failed, cancelled
    Column("worker_kind", String(20), nullable=False),  # person, robot, drone, camera
    Column("worker_id", String(81), nullable=False, default=""),
    Column("gtin", String(14), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("from_place", String(64), nullable=False),
    Column("to_place", String(64), nullable=False),
    Column("proposal_id", String(40), nullable=False, default="", index=True),
    Column("order_id", String(40), nullable=False, default="", index=True),
    Column("detail", Text, nullable=False, default=""),  # why it waits or failed; bins of a count
    Column("created_at_ns", _Ns, nullable=False),
    Column("due_at_ns", _Ns, nullable=False),
    Column("assigned_at_ns", _Ns, nullable=False, default=0),
    Column("done_at_ns", _Ns, nullable=False, default=0, index=True),
    Column("confirmed_at_ns", _Ns, nullable=False, default=0),  # a later scan or sighting agreed
    Column("line", Integer, nullable=False, default=0),  # of its order
    Column("po_id", String(40), nullable=False, default="", index=True),
    Column("tries", Integer, nullable=False, default=1),  # how often it was given to somebody
    Column("moved_units", BigInteger, nullable=False, default=0),  # in the ledger at `to_place`
    Column("stops_done", Integer, nullable=False, default=0),  # what the fleet reported
    Index("task_target", "to_place", "gtin"),
)  # fmt: skip

task_end = Table(
    "task_end", metadata,
    Column("task_id", String(40), primary_key=True),
    Column("person_id", String(40), primary_key=True),
    Column("end", String(20), nullable=False, index=True),
    # done, withdrawn, handed_on (somebody else has it), passed (somebody else did it)
    Column("at_ns", _Ns, nullable=False),
    Index("task_end_person", "person_id", "at_ns"),
)  # fmt: skip
"""How tasks left people's lists: their screens say it, whatever became of the beep."""

reservation = Table(
    "reservation", metadata,
    Column("task_id", String(40), primary_key=True),
    Column("place", String(64), primary_key=True),
    Column("gtin", String(14), primary_key=True),
    Column("units", BigInteger, nullable=False),
    Index("reservation_place", "place", "gtin"),
)  # fmt: skip
"""Units of a bin promised to a task. Never more in sum than the balance of the bin."""

purchase_order = Table(
    "purchase_order", metadata,
    Column("po_id", String(40), primary_key=True),
    Column("proposal_id", String(40), nullable=False, default=""),
    Column("supplier_id", String(40), nullable=False),
    Column("gtin", String(14), nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("received_units", BigInteger, nullable=False, default=0),
    Column("status", String(20), nullable=False, index=True),  # sent, confirmed, arrived, received
    Column("ordered_at_ns", _Ns, nullable=False),
    Column("changed_at_ns", _Ns, nullable=False),
    Column("arrived_units", BigInteger, nullable=False, default=0),  # as the supplier says
)  # fmt: skip

demand_day = Table(
    "demand_day", metadata,
    Column("gtin", String(14), primary_key=True),
    Column("day", BigInteger, primary_key=True),  # floor(UTC ns / day length)
    Column("units", BigInteger, nullable=False),
)  # fmt: skip

forecast = Table(
    "forecast", metadata,
    Column("gtin", String(14), primary_key=True),
    Column("mean_units_per_day", Float, nullable=False),
    Column("sd_units_per_day", Float, nullable=False),
    Column("days", Integer, nullable=False),
    Column("made_at_ns", _Ns, nullable=False),
)  # fmt: skip

robot_order = Table(
    "robot_order", metadata,
    Column("robot_id", String(81), primary_key=True),  # manufacturer/serial
    Column("order_id", String(80), nullable=False),
    Column("order_update_id", Integer, nullable=False),
    Column("order_header_id", BigInteger, nullable=False),
    Column("actions_header_id", BigInteger, nullable=False),
    Column("job_id", String(40), nullable=False, default=""),
    Column("job", Text, nullable=False, default=""),  # JSON of the TransportJob
    Column("stops_done", Integer, nullable=False, default=0),
    Column("sent_nodes", Text, nullable=False, default="[]"),  # JSON: the order's nodes so far
    Column("changed_at_ns", _Ns, nullable=False),
    Column("version", String(20), nullable=False, default=""),  # of VDA 5050, as it is spoken to
    Column("major", String(20), nullable=False, default=""),  # the version in its topics
    Column("responses_header_id", BigInteger, nullable=False, default=0),  # the next one
    Column("held", Integer, nullable=False, default=0),  # told to pause with all others
)  # fmt: skip
"""The ids a robot was sent, persisted before each publish: a restart goes on where it was."""

fleet_pause = Table(
    "fleet_pause", metadata,
    Column("number", Integer, primary_key=True),  # 1: there is one row, or none
    Column("why", Text, nullable=False),
    Column("person_id", String(40), nullable=False),
    Column("since_ns", _Ns, nullable=False),
)  # fmt: skip
"""That all robots are to stand until somebody lets them go on."""

job_end = Table(
    "job_end", metadata,
    Column("job_id", String(40), primary_key=True),
    Column("robot_id", String(81), nullable=False),
    Column("event", String(20), nullable=False),  # done, failed
    Column("stops_done", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("ended_at_ns", _Ns, nullable=False, index=True),
)  # fmt: skip
"""How robots' jobs ended: told again to whoever was down when they did, never done again."""

edge_command = Table(
    "edge_command", metadata,
    Column("command_id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),  # record, fly, look
    Column("status", String(20), nullable=False, index=True),  # open, done, dropped
    Column("edge_id", String(40), nullable=False),
    Column("task_id", String(40), nullable=False, index=True),
    Column("event_id", String(120), nullable=False, unique=True),  # ends it; a mission's id
    Column("body", Text, nullable=False),  # JSON of the Movement; bins of a mission
    Column("drone_id", String(40), nullable=False, default=""),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at_ns", _Ns, nullable=False),
    Column("expires_at_ns", _Ns, nullable=False, default=0),  # then it is given up
)  # fmt: skip
"""What an edge is told, again with growing pauses, until `event_id` is in the ledger or its time is
over."""

mission_end = Table(
    "mission_end", metadata,
    Column("event_id", String(120), primary_key=True),
    Column("mission_id", String(40), nullable=False, index=True),
    Column("drone_id", String(40), nullable=False),
    Column("ok", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("bins_seen", Text, nullable=False),  # JSON list
    Column("observed_at_ns", _Ns, nullable=False),
)  # fmt: skip

stop_zone = Table(
    "stop_zone", metadata,
    Column("zone_id", String(40), primary_key=True),
    Column("nodes", Text, nullable=False),  # JSON list of node ids
    Column("reason", Text, nullable=False),
    Column("person_id", String(40), nullable=False),
    Column("made_at_ns", _Ns, nullable=False),
    Column("expires_at_ns", _Ns, nullable=False, index=True),  # or when it was lifted
    Column("lifted_by", String(40), nullable=False, default=""),
)  # fmt: skip
"""Nodes that no robot enters until a time, for people in an aisle or what lies there."""

task_pin = Table(
    "task_pin", metadata,
    Column("task_id", String(40), primary_key=True),
    Column("robot_id", String(81), nullable=False),  # manufacturer/serial
    Column("person_id", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ns", _Ns, nullable=False),
)  # fmt: skip
"""The one robot that may have a task, because a planner says so."""

decision = Table(
    "decision", metadata,
    Column("command_id", String(40), primary_key=True),
    Column("proposal_id", String(40), nullable=False),
    Column("person_id", String(40), nullable=False),
    Column("ok", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("at_ns", _Ns, nullable=False),
)  # fmt: skip
"""What planners decided and what they were answered: a repeated command gets the same answer."""

counter = Table(
    "counter", metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)  # fmt: skip

setting = Table(
    "setting", metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip
"""What the database knows about itself: version of its tables, birth mark, what was imported."""


def _compare_by_characters() -> None:
    """Have PostgreSQL compare texts as SQLite and this program do, not by a language's rules."""
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, String):
                by_number = type(column.type)(column.type.length, collation="C")
                column.type = column.type.with_variant(by_number, "postgresql")


_compare_by_characters()
