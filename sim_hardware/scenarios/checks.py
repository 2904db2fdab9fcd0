"""What a scenario may expect: each sentence, and how what is found is read from books and truth."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sim_hardware.devices.robot import CONDITIONS
from sim_hardware.faults.reach import touched
from sim_hardware.floor import SimulatedFloor, Truth
from sim_hardware.plant import Plant
from sim_hardware.scenarios.model import Expect, Step
from sim_hardware.scenarios.witness import Seen
from sim_hardware.scenarios.words import table
from sim_hardware.wording import some
from sim_hardware.world.errands import QUARANTINE
from sim_hardware.world.suppliers import OFF
from wire.ids import bin_location

COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
DIFFERENCES_SHOWN_MAX: Final = 3
_GTIN: Final = re.compile(r"\b[0-9]{14}\b")
PATHS_APART: Final = "P7"
NOTHING_WAITS: Final = "P9"
Stock = list[tuple[str, str, int]]
Lots = Sequence[tuple[str, str, str, int]]
Serials = Sequence[tuple[str, str, str]]
Given = Mapping[str, str]


class BooksError(Exception):
    """The books cannot be read at this moment; the text says why."""


class Books(Protocol):
    """The product's books, read as an auditor would. Raises BooksError where they are not there."""

    def orders(self, status: str) -> int:
        """Return how many orders stand so; empty: all."""

    def tasks(self, kind: str, status: str) -> int:
        """Return how many tasks of a kind stand so."""

    def proposals(self, kind: str, status: str, target: str) -> list[str]:
        """Return the ids of proposals; empty words match all, `target` is a place or GTIN-14."""

    def purchases(self, status: str) -> int:
        """Return how many purchase orders stand so; empty: all."""

    def units(self, place: str, gtin: str) -> int:
        """Return the units that central's book has at a place."""

    def counted(self, bin_id: str) -> int:
        """Return how often people counted a bin."""

    def sighted(self, bin_id: str) -> int:
        """Return how often cameras and drones saw a bin."""

    def waiting(self, edge: str) -> int:
        """Return how many facts of an edge (`edge A`) are not in central's books yet."""

    def clock_off_s(self, edge: str) -> float:
        """Return how far an edge's clock was before central's, s, at its newest movement."""

    def bins(self, stock: Stock, in_flight: list[str], lots: Lots = ()) -> tuple[int, list[str]]:
        """Return how many bins hold something, and a line for each that is not as in the books.

        Bins where a hand is at work at this moment are set aside. Lots are compared where all
        units of an article at a bin are of a lot that the book knows.
        """

    def serials_off(self, serials: Serials, in_flight: list[str]) -> list[str]:
        """Return a line for each numbered unit of a bin that is not there in central's book."""

    def lot_units(self, gtin: str, lot: str) -> dict[str, int]:
        """Return the units of a lot by place in central's book, where they are not 0."""

    def not_whole(self) -> list[str]:
        """Return a line for each thing that is wrong inside the books themselves."""

    def standing_still(self, now_ns: int) -> list[str]:
        """Return a line for each kind of worker that has work and has done nothing for long."""

    def broken(self, promise: str, seen: Seen) -> list[str]:
        """Return a line for each thing that breaks a promise of the product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that an expectation may look at, at one moment."""

    books: Books
    floor: SimulatedFloor
    truth: Truth
    plant: Plant
    answers: Mapping[str, str]
    """By visitor's scanner: the code of the last answer."""
    refusals: Mapping[str, int]
    """Refused scans by code, of people and visitors."""
    seen: Seen
    """What was on the wire and on the floor while the run went on."""

    def gtin(self, article: str) -> str:
        """Return the GTIN-14 of an SKU or GTIN."""
        for row in self.floor.world.articles.values():
            if article in (row.sku, row.gtin):
                return row.gtin
        return article

    def with_skus(self, text: str) -> str:
        """Return a text with the SKU behind each GTIN-14: scenarios are written in SKUs."""
        articles = self.floor.world.articles

        def named(found: re.Match[str]) -> str:
            row = articles.get(found[0])
            return f"{found[0]} ({row.sku})" if row else found[0]

        return _GTIN.sub(named, text)

    def place(self, target: str) -> str:
        """Return the location of a bin, or the GTIN-14 of an article."""
        known = self.floor.world.bins
        return bin_location(target) if target in known else self.gtin(target)

    def differing(self) -> tuple[int, list[str]]:
        """Return how many bins hold something, and lines on those that differ from the books."""
        truth = self.truth
        bins, lines = self.books.bins(truth.stock, truth.in_flight_bins, truth.lots)
        return bins, lines + self.books.serials_off(truth.serials, truth.in_flight_bins)

    def accuracy_percent(self) -> float:
        """Return the share of bins whose books are what is physically there, per cent."""
        bins, lines = self.differing()
        wrong = len({line.partition(" ")[0] for line in lines})
        return 100.0 * (1.0 - wrong / bins) if bins else 100.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a sentence found."""

    holds: bool
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One sentence. With `number` a comparison follows; with `sentence` it is whole."""

    pattern: str
    text: str
    example: str
    number: Callable[[View, Given], float] | None = None
    sentence: Callable[[View, Given], Said] | None = None
    unit: str = ""
    may_be_below_0: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One expectation after it was looked at."""

    line: int
    expected: str
    found: str
    ok: bool
    at_s: float
    """World time."""


def look(step: Step, view: View) -> Result:
    """Return what one expectation finds now."""
    expect = step.action
    assert isinstance(expect, Expect), f"line {step.line} expects nothing"
    try:
        said = _say(FORMS[expect.form], expect, view)
    except BooksError as error:
        said = Said(holds=False, found=str(error))
    return Result(
        line=step.line, expected=step.text, found=view.with_skus(said.found), ok=said.holds,
        at_s=round(view.floor.world.time.now_s, 2),
    )  # fmt: skip


def _say(form: Form, expect: Expect, view: View) -> Said:
    if form.sentence is not None:
        return form.sentence(view, expect.given)
    assert form.number is not None, f"{form.pattern}: neither number nor sentence"
    found = form.number(view, expect.given)
    unit = f" {form.unit}" if form.unit else ""
    text = f"{found:g}" if found != round(found, 2) else f"{round(found, 2):g}"
    return Said(COMPARE[expect.compare](found, expect.value), f"{text}{unit}")


# --- the sentences -------------------------------------------------------------------------------


def _books_are_true(view: View, _: Given) -> Said:
    bins, differences = view.differing()
    wrong = [*view.books.not_whole(), *differences]
    wrong += [f"{units} units of {g} vanished" for g, units in view.truth.units_missing.items()]
    if not wrong:
        return Said(holds=True, found=f"{bins} bins as in the books")
    shown = "; ".join(wrong[:DIFFERENCES_SHOWN_MAX])
    more = len(wrong) - DIFFERENCES_SHOWN_MAX
    return Said(holds=False, found=shown + (f"; and {more} more" if more > 0 else ""))


def _bins_differ(view: View, given: Given) -> Said:
    _, lines = view.differing()
    found = len({line.partition(" ")[0] for line in lines})
    shown = f": {'; '.join(lines[:DIFFERENCES_SHOWN_MAX])}" if lines else ""
    return Said(holds=found == int(given["count"]), found=f"{found}{shown}")


def _ledger_balanced(view: View, _: Given) -> Said:
    wrong = view.books.not_whole()
    return Said(holds=not wrong, found="; ".join(wrong[:DIFFERENCES_SHOWN_MAX]) or "balanced")


def _work_goes_on(view: View, _: Given) -> Said:
    still = view.books.standing_still(view.seen.now_ns)
    return Said(holds=not still, found="; ".join(still) or "it does")


def _promise_holds(view: View, given: Given) -> Said:
    promise = given["promise"]
    wrong = view.books.broken(promise, view.seen)
    if promise == NOTHING_WAITS:
        plant = view.plant
        wrong += [f"{name} does not run" for name in plant.processes if not plant.is_up(name)]
    if promise == PATHS_APART and view.truth.robot_conflicts:
        wrong.append(f"{view.truth.robot_conflicts} times two robots touched")
    shown = "; ".join(wrong[:DIFFERENCES_SHOWN_MAX])
    more = len(wrong) - DIFFERENCES_SHOWN_MAX
    return Said(not wrong, (shown or "holds") + (f"; and {more} more" if more > 0 else ""))


def _proposal_stands(view: View, given: Given) -> Said:
    kind, state, target = given["proposal"], given["state"], view.place(given["target"])
    states = {"waits": "waiting"}
    if view.books.proposals(kind, states.get(state, state), target):
        return Said(holds=True, found=state)
    others = [
        s for s in ("waiting", "approved", "rejected", "expired", "done", "failed")
        if view.books.proposals(kind, s, target)
    ]  # fmt: skip
    return Said(holds=False, found=", ".join(others) or "no such proposal")


def _process_is(view: View, given: Given) -> Said:
    found = "up" if view.plant.is_up(given["process"]) else "down"
    return Said(holds=found == given["up"], found=found)


def _answer_is(view: View, given: Given) -> Said:
    found = view.answers.get(given["scanner"], "nothing was scanned")
    return Said(holds=found == given["code"], found=found)


def _robot_worked(view: View, given: Given) -> Said:
    use = view.truth.robots_used.get(given["robot"])
    done = use.actions if use else 0
    return Said(holds=done > 0, found=f"{done} actions")


def _all_robots_worked(view: View, _: Given) -> Said:
    idle = [
        serial for serial in view.floor.robots
        if serial not in view.truth.robots_used or not view.truth.robots_used[serial].actions
    ]  # fmt: skip
    return Said(holds=not idle, found=f"idle: {some(idle)}" if idle else "all worked")


def _robots_worked(view: View, _: Given) -> float:
    return sum(1 for use in view.truth.robots_used.values() if use.actions)


def _robot_is(view: View, given: Given) -> Said:
    found = view.floor.robots[given["robot"]].condition
    return Said(holds=found == given["condition"], found=found)


def _robots_so(view: View, given: Given) -> float:
    return sum(one.condition == given["condition"] for one in view.floor.robots.values())


def _device_is(view: View, given: Given) -> Said:
    said = view.seen.devices.get(given["device"])
    if said is None:
        return Said(holds=False, found="nothing was said of it")
    found = "online" if said.online else "offline"
    why = f": {said.detail}" if said.detail else ""
    return Said(holds=found == given["reach"], found=f"{found}{why}")


def _physical(view: View, given: Given) -> float:
    return view.floor.world.stock.units_at(
        bin_location(given["bin"]), view.gtin(given["article"])
    )  # fmt: skip


def _lot_in_quarantine(view: View, given: Given) -> Said:
    """Say where a lot is, but for what customers have, in truth and in the book."""
    gtin, lot = view.gtin(given["article"]), given["lot"]
    really = {place: n for place, g, of, n in view.truth.lots if (g, of) == (gtin, lot)}
    outside = ("supplier:", "opening:", "customer:", "loss:", "found:")
    book = {
        place: units
        for place, units in view.books.lot_units(gtin, lot).items()
        if not place.startswith(outside)
    }
    aside = really.get(QUARANTINE, 0)
    places = {*really, *book} - {QUARANTINE}
    found = "; ".join(
        f"{place}: physically {really.get(place, 0)}, book {book.get(place, 0)}"
        for place in sorted({*places, QUARANTINE})
    )
    return Said(holds=not places and aside > 0 and book == really, found=found)


FORMS: Final[dict[str, Form]] = {
    form.pattern: form
    for form in (
        Form(
            pattern="books are true", example="books are true", sentence=_books_are_true,
            text="edges, central and the world agree on every bin; the ledger balances; every"
            " event reached central; counts made anew from the journals are the same",
        ),
        Form(
            pattern="{count} bins differ", example="0 bins differ", sentence=_bins_differ,
            text="bins whose books are not what is physically there",
        ),
        Form(
            pattern="inventory accuracy", example="inventory accuracy >= 99 %", unit="%",
            text="share of bins whose books are what is physically there",
            number=lambda view, _: view.accuracy_percent(),
        ),
        Form(
            pattern="ledger balanced", example="ledger balanced", sentence=_ledger_balanced,
            text="the books are whole in themselves, whatever is physically there",
        ),
        Form(
            pattern="promise {promise} holds", example="promise P6 holds", sentence=_promise_holds,
            text="one of the promises below; P2, P6 and P7 also while the run goes on",
        ),
        Form(
            pattern="work goes on", example="work goes on", sentence=_work_goes_on,
            text="people and robots that had tasks for 2 min of the product's clock did something",
        ),
        Form(
            pattern="orders {order}", example="orders filled >= 3",
            text="customer orders that stand so",
            number=lambda view, given: view.books.orders(given["order"]),
        ),
        Form(
            pattern="orders created", example="orders created >= 10",
            text="orders that customers made",
            number=lambda view, _: view.truth.orders_created,
        ),
        Form(
            pattern="orders lost", example="orders lost = 0",
            text="orders that customers made and the books do not know",
            number=lambda view, _: max(view.truth.orders_created - view.books.orders(""), 0),
        ),
        Form(
            pattern="tasks done {task}", example="tasks done refill >= 2",
            text="tasks of that kind that are done",
            number=lambda view, given: view.books.tasks(given["task"], "done"),
        ),
        Form(
            pattern="tasks failed {task}", example="tasks failed pick = 0",
            text="tasks of that kind that failed",
            number=lambda view, given: view.books.tasks(given["task"], "failed"),
        ),
        Form(
            pattern="proposals {proposal} {state}", example="proposals buy done >= 1",
            text="proposals of that kind that stand so",
            number=lambda view, given: len(
                view.books.proposals(
                    given["proposal"], given["state"].replace("waits", "waiting"), ""
                )
            ),
        ),
        Form(
            pattern="proposal {proposal} {target} {state}", example="proposal buy SKU-007 waits",
            text="there is such a proposal", sentence=_proposal_stands,
        ),
        Form(
            pattern="purchases {purchase}", example="purchases received >= 1",
            text="purchase orders that stand so: sent, confirmed, arrived, received",
            number=lambda view, given: view.books.purchases(given["purchase"]),
        ),
        Form(
            pattern="deliveries", example="deliveries >= 1", text="lorries that came",
            number=lambda view, _: view.truth.deliveries,
        ),
        Form(
            pattern="units {mistake} from {supplier}", example="units short from S1 >= 1",
            text="units that did not come as they were ordered: " + ", ".join(OFF),
            number=lambda view, given: view.floor.suppliers.units_off[
                given["supplier"], given["mistake"]
            ],
        ),
        Form(
            pattern="count {bin} {article}", example="count B-01-01-1 SKU-001 = 12",
            text="units in central's book",
            number=lambda view, given: view.books.units(
                bin_location(given["bin"]), view.gtin(given["article"])
            ),
        ),
        Form(
            pattern="physically {bin} {article}", example="physically B-01-01-1 SKU-001 = 12",
            text="units that are really there", number=_physical,
        ),
        Form(
            pattern="lot {lot} of {article} in quarantine", sentence=_lot_in_quarantine,
            example="lot L2 of SKU-001 in quarantine",
            text="every unit of it that is in the house is there, in truth and in central's book",
        ),
        Form(
            pattern="lot units {lot} of {article} gone",
            example="lot units L1 of SKU-001 gone >= 1",
            text="units of that lot that customers have",
            number=lambda view, given: view.floor.world.stock.lot_units_out(
                view.gtin(given["article"]), given["lot"]
            ),
        ),
        Form(
            pattern="lot units {lot} of {article} at customers",
            example="lot units L1 of SKU-001 at customers >= 1",
            text="units of that lot that central's book has at customers",
            number=lambda view, given: sum(
                units
                for place, units in view.books.lot_units(
                    view.gtin(given["article"]), given["lot"]
                ).items()
                if place.startswith("customer:")
            ),
        ),
        Form(
            pattern="counted {bin}", example="counted B-01-01-1 >= 1",
            text="counts of that bin by people",
            number=lambda view, given: view.books.counted(given["bin"]),
        ),
        Form(
            pattern="sighted {bin}", example="sighted A-01-01-1 >= 1",
            text="sightings of that bin by cameras and drones",
            number=lambda view, given: view.books.sighted(given["bin"]),
        ),
        Form(
            pattern="scans refused {code}", example="scans refused unknown_bin = 1",
            text="bad beeps with that code, or none at all (`no-beep`)",
            number=lambda view, given: view.refusals.get(given["code"], 0),
        ),
        Form(
            pattern="scans sent", example="scans sent >= 20", text="barcodes that were read",
            number=lambda view, _: view.truth.scans_sent,
        ),
        Form(
            pattern="strays accepted", example="strays accepted = 0",
            text="good beeps for labels that are none of ours",
            number=lambda view, _: view.truth.strays_accepted,
        ),
        Form(
            pattern="answer {scanner} is {code}", example="answer scanner-guest is unknown_bin",
            text="what was said to that visitor's last scan", sentence=_answer_is,
        ),
        Form(
            pattern="robot conflicts", example="robot conflicts = 0",
            text="times that two robots touched",
            number=lambda view, _: view.truth.robot_conflicts,
        ),
        Form(
            pattern="robot {robot} worked", example="robot agv-1 worked", sentence=_robot_worked,
            text="it picked or dropped something",
        ),
        Form(
            pattern="robot {robot} is {condition}", example="robot agv-1 is blocked",
            text="how it really is, the worst of: " + ", ".join(CONDITIONS), sentence=_robot_is,
        ),
        Form(
            pattern="robots {condition}", example="robots blocked >= 1",
            text="robots that are so", number=_robots_so,
        ),
        Form(
            pattern="all robots worked", example="all robots worked", sentence=_all_robots_worked,
            text="every one picked or dropped something",
        ),
        Form(
            pattern="robots worked", example="robots worked >= 400", number=_robots_worked,
            text="robots that picked or dropped something",
        ),
        Form(
            pattern="device {device} is {reach}", example="device camera-1 is offline",
            text="what the planners' page is told of a scanner or camera", sentence=_device_is,
        ),
        Form(
            pattern="drone missions", example="drone missions >= 1", text="missions flown",
            number=lambda view, _: view.truth.drone_missions_flown,
        ),
        Form(
            pattern="process {process} is {up}", example="process edge A is up",
            text="whether it runs", sentence=_process_is,
        ),
        Form(
            pattern="facts waiting at {edge}", example="facts waiting at edge A >= 10",
            text="what that edge has written down and central has not",
            number=lambda view, given: view.books.waiting(given["edge"]),
        ),
        Form(
            pattern="seconds off {edge}", example="seconds off edge A >= 3600",
            text="how far its clock was before central's at its newest movement; below 0: behind",
            may_be_below_0=True,
            number=lambda view, given: view.books.clock_off_s(given["edge"]),
        ),
        Form(
            pattern="wire touched {wire}", example="wire touched scanner-1 >= 3",
            text="pieces of its line, or messages, that did not arrive as they were said",
            number=lambda view, given: touched(view.floor, given["wire"]),
        ),
    )
}  # fmt: skip
"""By pattern: every sentence that may follow EXPECT."""


def checks_markdown() -> str:
    """Return the table of sentences as Markdown, as it stands in docs/simulator.md."""
    return table(
        ("EXPECT ...", "what is looked at"),
        ((f"`{form.example}`", form.text) for form in FORMS.values()),
    )
