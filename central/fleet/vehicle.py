"""One vehicle as its messages show it: what it said, what it was sent, what that means. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from central.fleet import instants
from central.fleet.instants import Instants
from central.fleet.memory import NO_STOP, Memory, SentNode
from central.fleet.sources import Sources
from runtime.clock import NS_PER_S
from wire.vda5050.dialects import DIALECTS, V2_0, Dialect
from wire.vda5050.messages import ActionState, NodeState, State, parse_time
from wire.vda5050.topics import INSTANT_ACTIONS, MAJOR, VehicleId

BLOCKED: Final = "blocked"
"""Part of what vehicles call an error that tells of an obstacle."""
ENDED: Final = frozenset({"FINISHED", "FAILED"})
UNTOUCHED: Final = frozenset({"", "WAITING"})
DRIVEN_BY_US: Final = frozenset({"AUTOMATIC", "SEMIAUTOMATIC"})
KEEPS_ORDER: Final = frozenset({"", "STARTUP", "INTERVENED"})
"""It is not ours for a while, and goes on with its order afterwards."""
MODE: Final = "operating mode"
COUNTS_ANEW_RUN: Final = 3
COUNTS_ANEW_S: Final = 5.0
ORDER_NODES_MAX: Final = 10_000
"""Sequence ids are bounded too: past this a new order is begun at the next stand."""


def _is_of_an_order(action: ActionState) -> bool:
    """Return whether an action was not instant: only those tell whether a vehicle is busy."""
    kind = action.action_type or action.action_id.partition(".")[0]
    return kind not in instants.TYPES


def nodes_ahead(state: State) -> list[NodeState]:
    """Return the nodes that a vehicle still has to reach.

    The standard wants a node to go from `nodeStates` when it is reached; some vehicles keep the one
    on which they stand.
    """
    last = (state.last_node_id, state.last_node_sequence_id)
    return [node for node in state.node_states if (node.node_id, node.sequence_id) != last]


@dataclass(slots=True)
class Vehicle:
    """What central knows of one vehicle. Times `*_at_ns` are monotonic, by arrival here."""

    number: int
    vehicle_id: VehicleId
    memory: Memory
    home: int
    """The node where it stands until it says otherwise."""
    is_found: bool = False
    """Whether it has said where it is: on a node of ours."""
    state: State | None = None
    state_at_ns: int = 0
    suspected_at_ns: int = -1
    """When `connection` last said that it is gone; only a later state says otherwise."""
    acknowledged: bool = True
    """Whether a state has shown the last order message."""
    sent_at_ns: int = -1
    """When the last order message was sent last; -1: not by this process."""
    begun_at_ns: int = 0
    """When the last order message was made."""
    restarted_at_ns: int = -1
    """When its header ids last began anew."""
    resends: int = 0
    unanswered: bool = False
    """It was sent a message as often as the limit says and has not acknowledged it yet."""
    payload: bytes = b""
    """The last order message, for sending the same bytes again."""
    moved_at_ns: int = 0
    not_before_ns: int = 0
    """It refused something: no new order before this."""
    asked_at_ns: int = -1
    """When a state was last asked for."""
    short_since_ns: int = -1
    held_up_since_ns: int = -1
    """Since when it has stood in an order that is not its any more."""
    reads_old_key: bool = False
    """It understands instant actions only under the key that they had in version 1.1."""
    retried: str = ""
    """The action that it was told to try again last."""
    requests: tuple[str, ...] = ()
    """Ids of the requests that its state shows without an answer."""
    answers: tuple[str, ...] = ()
    """Ids of requests that are to be answered with the next message."""
    answered_at_ns: int = -1
    unavailable_since_ns: int = -1
    complaint: str = ""
    """What went wrong last, in words."""
    job_id: str = ""
    order_key: tuple[str, int] = ("", 0)
    """What the running order is for: a job's stop; ("", 0): making room."""
    begun_on: str = ""
    """Where it stood when the running order was made; empty: a process before this one made it."""
    changed: bool = False
    """Memory differs from its row in what a restart must know."""
    moved: bool = False
    """Memory differs from its row in where it is: written together with the next message."""
    instants: Instants = field(default_factory=Instants)
    """What it was told to do at once and has not answered yet."""
    remarks: tuple[str, ...] = ()
    """In what it departs from the standard, as far as that was noticed."""
    sources: Sources = field(default_factory=Sources)
    was_paused: bool = False
    """Whether the last pause that it confirmed was not taken back: not all show `paused`."""
    given_up: str = ""
    """Order id that was given up: should the vehicle take it late, it is cancelled."""
    action_last: str = ""
    """Status of the order's action as it was last seen."""
    late_run: int = 0
    """How many states in order came since the newest one, all with older numbers and times."""
    late_header_id: int = -1

    @property
    def robot_id(self) -> str:
        """Return `manufacturer/serial`."""
        return str(self.vehicle_id)

    @property
    def rests(self) -> bool:
        """Return whether it is on no way, and nothing is to be sent, written or answered."""
        waits = self.changed or self.moved or self.instants.waiting or not self.acknowledged
        return not waits and len(self.memory.nodes) <= 1

    # --- states -----------------------------------------------------------------------------------

    def take(self, state: State, now_ns: int) -> bool:
        """Keep `state` as the newest; False where it is a late or repeated one."""
        before = self.state
        if before is not None and state.header_id <= before.header_id:
            was_ns, is_ns = parse_time(before.timestamp), parse_time(state.timestamp)
            # A restarted vehicle counts from the start again, but its time goes on.
            newer = was_ns is not None and is_ns is not None and is_ns > was_ns
            if not newer and not self._counts_anew(state, now_ns):
                return False
            self.restarted_at_ns = now_ns
        self.late_run = 0
        self.state = state
        self.state_at_ns = now_ns
        return True

    def hear(self, dialect: Dialect, major: str) -> None:
        """Note which dialect it speaks, on which topics: from now on it is answered in that."""
        memory = self.memory
        if (memory.version, memory.major) != (dialect.version, major):
            memory.version, memory.major = dialect.version, major
            self.changed = True

    @property
    def dialect(self) -> Dialect:
        """Return the dialect that it speaks, as far as is known."""
        return DIALECTS.get(self.memory.version, V2_0)

    def _counts_anew(self, state: State, now_ns: int) -> bool:
        """Return whether this vehicle's own numbers and clock began again.

        Then one state follows the other in order, while nothing newer comes by the old numbers:
        what was late on the way would be neither.
        """
        in_order = self.late_run > 0 and state.header_id > self.late_header_id
        self.late_run = self.late_run + 1 if in_order else 1
        self.late_header_id = state.header_id
        since_ns = now_ns - self.state_at_ns
        return self.late_run >= COUNTS_ANEW_RUN and since_ns > COUNTS_ANEW_S * NS_PER_S

    def hears_two(self, state: State, now_ns: int) -> bool:
        """Take in who says `state`; return whether two vehicles speak under this serial now."""
        return self.sources.see(state, now_ns)

    def why_unavailable(self, now_ns: int, *, silent_after_ns: int) -> str:
        """Return why the vehicle gets no further nodes now; empty: it does."""
        state = self.state
        if state is None:
            return "has not sent a state yet"
        if now_ns - self.state_at_ns > silent_after_ns:
            return f"silent for {(now_ns - self.state_at_ns) // 1_000_000_000} s"
        if self.sources.are_two(now_ns):
            return f"two vehicles speak as {self.robot_id}"
        if self.suspected_at_ns >= self.state_at_ns:
            return "its connection broke; no state since"
        if state.operating_mode not in DRIVEN_BY_US:
            return f"{MODE} {state.operating_mode}"
        if state.safety_state.e_stop != "NONE":
            return f"emergency stop {state.safety_state.e_stop}"
        for error in state.errors:
            if error.error_level == "FATAL":
                return f"error {error.error_type}: {error.error_description or ''}".rstrip(": ")
        if self.is_paused:
            return "is paused"
        if self.unanswered or now_ns < self.not_before_ns:
            return self.complaint
        return ""

    @property
    def is_paused(self) -> bool:
        """Return whether it stands until somebody lets it go on."""
        said = self.state.paused if self.state is not None else None
        return said if isinstance(said, bool) else self.was_paused

    @property
    def is_in_other_hands(self) -> bool:
        """Return whether somebody drives it by hand and has taken its order from it for that."""
        mode = self.state.operating_mode if self.state is not None else ""
        return mode not in DRIVEN_BY_US | KEEPS_ORDER

    @property
    def action_id(self) -> str:
        """Return the id of the action at the end of the order; empty where there is none."""
        memory = self.memory
        if not memory.action_is_sent or memory.kept is None:
            return ""
        return memory.kept.job.stops[memory.nodes[-1].stop_index].action_id

    def see_action(self) -> None:
        """Note how far the order's action is."""
        self.action_last = self.shown(self.action_id)[0] or self.action_last

    def shown(self, action_id: str) -> tuple[str, str]:
        """Return (status, result in words) of an action in the newest state; empty: not shown."""
        if self.state is not None and action_id:
            for found in self.state.action_states:
                if found.action_id == action_id:
                    return found.action_status, found.result_description or ""
        return "", ""

    def words_about(self, action_id: str) -> str:
        """Return what its errors say about an action; some vehicles say it only there."""
        for error in self.state.errors if self.state is not None else ():
            for reference in error.error_references or ():
                if reference.reference_value == action_id and error.error_description:
                    return error.error_description
        return "the robot gives no reason"

    def asks_for_old_key(self) -> bool:
        """Return whether it refuses instant actions since `instantActions` is not in them."""
        state = self.state
        if state is None or self.dialect.major != MAJOR:
            return False
        for error in state.errors:
            about = {r.reference_key: r.reference_value for r in error.error_references or ()}
            if about.get("topic") == INSTANT_ACTIONS:
                words = (error.error_description or "").rpartition("#/")[2]
                if words.strip() == INSTANT_ACTIONS:
                    return True
        return False

    @property
    def wanted_action_id(self) -> str:
        """Return the id of the action that its job wants next, in whatever order it is sent."""
        kept, done = self.memory.kept, self.memory.stops_done
        if kept is None or kept.ended or done >= len(kept.job.stops):
            return ""
        return kept.job.stops[done].action_id

    def is_acting_by_another_order(self) -> bool:
        """Return whether it works on what its job wants, by an order that was given up."""
        state = self.state
        if state is None or state.order_id == self.memory.order_id:
            return False
        return self.shown(self.wanted_action_id)[0] not in {"", *ENDED}

    # --- orders -----------------------------------------------------------------------------------

    @property
    def has_order(self) -> bool:
        """Return whether it was sent an order that is not given up."""
        return bool(self.memory.order_id)

    def says_blocked(self) -> bool:
        """Return whether it says that something is in its way: others need not find out too.

        The standard names no such error before 3.0.0; makers call it pathBlocked and the like.
        """
        errors = self.state.errors if self.state is not None else ()
        return any(BLOCKED in error.error_type.casefold() for error in errors)

    def shows_order(self) -> bool:
        """Return whether the newest state reflects order id and update id of the last message."""
        state, memory = self.state, self.memory
        return (
            state is not None
            and state.order_id == memory.order_id
            and state.order_update_id == memory.order_update_id
        )

    def refusal(self) -> str:
        """Return the vehicle's words against the last order message; empty where it has none."""
        if self.state is None:
            return ""
        update = str(self.memory.order_update_id)
        for error in self.state.errors:
            about = {r.reference_key: r.reference_value for r in error.error_references or ()}
            if (
                about.get("orderId") == self.memory.order_id
                and about.get("orderUpdateId", update) == update
                and about.get("headerId", str(self.memory.order_header_id))
                == str(self.memory.order_header_id)
            ):
                return f"{error.error_type}: {error.error_description or ''}".rstrip(": ")
        return ""

    def has_forgotten_order(self) -> bool:
        """Return whether it had the order and shows another, or none at all: it restarted."""
        state, memory = self.state, self.memory
        if state is None or state.order_id == memory.order_id:
            return False
        if self.acknowledged or memory.order_update_id > 0:
            return True
        if not self.action_id or state.last_node_id != memory.nodes[-1].node_id:
            return False
        # It stands where the action was to be done and does not show the order. Where it had to
        # drive there, or either side restarted meanwhile, it may have done all of it.
        either_restarted = self.sent_at_ns < 0 or self.restarted_at_ns >= self.begun_at_ns
        return len(memory.nodes) > 1 or (either_restarted and not state.order_id)

    def reached(self) -> int:
        """Return the index in `memory.nodes` of the newest node that is reported as reached."""
        state, nodes = self.state, self.memory.nodes
        if state is None or state.order_id != self.memory.order_id:
            return 0
        last = (state.last_node_id, state.last_node_sequence_id)
        for i, node in enumerate(nodes):
            if (node.node_id, node.sequence_id) == last:
                # A fresh order may still be shown with the last node of the one before, on which it
                # stands: what is named before that node is ahead then. Elsewhere it is passed.
                first = nodes[0].sequence_id
                begun_on = self.begun_on or (nodes[0].node_id if first == 0 else "")
                may_be_fresh = node.node_id == begun_on
                ahead = any(first < n.sequence_id < last[1] for n in state.node_states)
                return 0 if may_be_fresh and ahead else i
        return 0

    def _left(self, state: State) -> list[NodeState]:
        """Return the nodes that it still has to reach, without those of our order behind it.

        Some vehicles go on naming all nodes of an order. A state that came late shows it behind
        where it is known to be: what that names is not passed for it, and it is not idle there.
        """
        ahead = nodes_ahead(state)
        if not self.memory.nodes or not self.shows_order():
            return ahead
        last = self.memory.nodes[0]
        if (state.last_node_id, state.last_node_sequence_id) != (last.node_id, last.sequence_id):
            return ahead
        return [node for node in ahead if node.sequence_id > last.sequence_id]

    def names_what_it_passed(self) -> bool:
        """Return whether it stands at the end of its order and still names nodes of it.

        Whether it is through is then told by where it stands, and by its actions.
        """
        state = self.state
        if state is None or state.driving or not self.memory.nodes or not self.shows_order():
            return False
        return bool(nodes_ahead(state)) and not self._left(state)

    def is_idle(self) -> bool:
        """Return whether it stands, with nothing left to do of any order."""
        state = self.state
        if state is None or not self.acknowledged or state.driving:
            return False
        if any(node.released for node in self._left(state)) or len(self.memory.nodes) > 1:
            return False
        if any(_is_of_an_order(a) and a.action_status not in ENDED for a in state.action_states):
            return False
        return not self.action_id or self.action_last in ENDED

    def stopped_short(self) -> bool:
        """Return whether it shows our order as over, and has not done all of it."""
        state = self.state
        if state is None or not self.acknowledged or not self.shows_order():
            return False
        if state.driving or self._left(state):
            return False
        return len(self.memory.nodes) > 1 or (bool(self.action_id) and not self.action_last)

    def begin_order(
        self, order_id: str, start: str, key: tuple[str, int], beside_m: float = 0.0
    ) -> None:
        """Make memory hold a new order that starts where the vehicle stands, or `beside_m` off."""
        memory = self.memory
        memory.order_id = order_id
        memory.order_update_id = 0
        first = SentNode(node_id=start, sequence_id=0, update_id=0, beside_m=beside_m)
        memory.nodes = (first,)
        self.order_key = key
        self.begun_on = start
        self.action_last = ""

    def extend_order(self, nodes: list[str], stop_index: int) -> None:
        """Append nodes to the message in the making, the last one with a stop's action."""
        memory = self.memory
        update, sequence = memory.order_update_id, memory.nodes[-1].sequence_id
        added = [
            SentNode(node_id=node, sequence_id=sequence + 2 * i, update_id=update)
            for i, node in enumerate(nodes, start=1)
        ]
        whole = [*memory.nodes, *added]
        if stop_index != NO_STOP:
            whole[-1] = msgspec.structs.replace(whole[-1], stop_index=stop_index)
        memory.nodes = tuple(whole)

    def stamp(self, *, now_ns: int, monotonic_ns: int) -> None:
        """Give the message in the making its header id and time; now it waits for its answer."""
        self.memory.order_header_id += 1
        self.memory.sent_at_ns = now_ns
        self.acknowledged = False
        self.sent_at_ns = monotonic_ns
        self.begun_at_ns = monotonic_ns
        self.moved_at_ns = monotonic_ns
        self.resends = 0
        self.payload = b""
        self.changed = True

    def took_what_was_given_up(self) -> bool:
        """Return whether the vehicle works on an order that is not its any more, and no use."""
        state = self.state
        if state is None or self.has_order or state.order_id != self.given_up:
            return False
        if self.shown(self.wanted_action_id)[0] not in {"", *ENDED}:
            return False
        acting = any(action.action_status not in ENDED for action in state.action_states)
        return bool(self.given_up) and (bool(nodes_ahead(state)) or acting)

    def stands_in_another_order(self) -> bool:
        """Return whether it stands, with something left to do of an order that is not its any more.

        So it may be with an order of before this master's start, or of somebody else.
        """
        state = self.state
        if state is None or state.driving or state.order_id in {"", self.memory.order_id}:
            return False
        if self.has_order and self.acknowledged:
            return False
        if self.is_paused or self.is_in_other_hands:
            return False
        if self.shown(self.wanted_action_id)[0] not in {"", *ENDED}:
            return False
        ours = [action for action in state.action_states if _is_of_an_order(action)]
        waits = any(action.action_status == "WAITING" for action in ours)
        return waits or any(node.released for node in nodes_ahead(state))

    def forget_order(self) -> None:
        """Let the order go: what comes next is a new one."""
        self.given_up = self.memory.order_id
        self.memory.order_id = ""
        place = self.memory.nodes[0].node_id
        self.memory.nodes = (SentNode(node_id=place, sequence_id=0, update_id=0),)
        self.acknowledged = True
        self.unanswered = False
        self.payload = b""
        self.action_last = ""
        self.short_since_ns = -1
        self.order_key = ("", 0)
        self.changed = True
