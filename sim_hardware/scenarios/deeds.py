"""What people do when a scenario says so: planners decide, customers order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from sim_hardware.floor import SimulatedFloor
from sim_hardware.scenarios.checks import View
from sim_hardware.scenarios.words import table
from wire import topics
from wire.codec import encode
from wire.messages import DecideProposal

PLANNER: Final = "planner"
HALF: Final = 0.5


class DeedError(Exception):
    """It cannot be done now; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doer:
    """Who does it: the floor, what is seen on it, and the line that asks."""

    floor: SimulatedFloor
    view: View
    line: int
    chance: Random

    def decide(self, proposal_ids: list[str], *, approve: bool, about: str = "") -> None:
        """Decide proposals as a planner at the desk does."""
        topic = topics.DESK_COMMAND.of(site=self.floor.config.site_id)
        for number, proposal_id in enumerate(proposal_ids, start=1):
            command = DecideProposal(
                command_id=f"scenario-{self.line}-{about}{number}", proposal_id=proposal_id,
                approve=approve, person_id=PLANNER, reason="the scenario says so",
            )  # fmt: skip
            self.floor.bus.publish(topic, encode(command))

    def order(self, article: str, units: int) -> None:
        """Order as a customer does, again and again until the shop has answered."""
        self.floor.customers.order([(self.view.gtin(article), units)])


Do = Callable[[Doer, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeedForm:
    """One sentence that may follow DO."""

    pattern: str
    example: str
    text: str
    do: Do


def _decide_all(doer: Doer, *, approve: bool) -> None:
    doer.decide(doer.view.books.proposals("", "waiting", ""), approve=approve)


def _decide_by_chance(doer: Doer, _: Mapping[str, str]) -> None:
    waiting = doer.view.books.proposals("", "waiting", "")
    doer.chance.shuffle(waiting)
    said_yes = [proposal_id for proposal_id in waiting if doer.chance.random() < HALF]
    doer.decide(said_yes, approve=True, about="yes")
    doer.decide([one for one in waiting if one not in said_yes], approve=False, about="no")


def _decide_one(doer: Doer, given: Mapping[str, str], *, approve: bool) -> None:
    kind, target = given["proposal"], given["target"]
    found = doer.view.books.proposals(kind, "waiting", doer.view.place(target))
    if not found:
        raise DeedError(f"no proposal to {kind} {target} waits for a decision")
    doer.decide(found, approve=approve)


def _order(doer: Doer, given: Mapping[str, str]) -> None:
    doer.order(given["article"], int(given["units"]))


def _recall(doer: Doer, given: Mapping[str, str]) -> None:
    doer.floor.recall(doer.view.gtin(given["article"]), given["lot"])


DEEDS: Final[dict[str, DeedForm]] = {
    form.pattern: form
    for form in (
        DeedForm(
            pattern="approve all", example="approve all",
            text="a planner approves every proposal that waits",
            do=lambda doer, _: _decide_all(doer, approve=True),
        ),
        DeedForm(
            pattern="reject all", example="reject all",
            text="a planner rejects every proposal that waits",
            do=lambda doer, _: _decide_all(doer, approve=False),
        ),
        DeedForm(
            pattern="decide by chance", example="decide by chance",
            text="a planner decides every proposal that waits, in any order, half of them with no",
            do=_decide_by_chance,
        ),
        DeedForm(
            pattern="approve {proposal} {target}", example="approve refill B-01-01-1",
            text="a planner approves that one; it must be waiting",
            do=lambda doer, given: _decide_one(doer, given, approve=True),
        ),
        DeedForm(
            pattern="reject {proposal} {target}", example="reject buy SKU-007",
            text="a planner rejects that one; it must be waiting",
            do=lambda doer, given: _decide_one(doer, given, approve=False),
        ),
        DeedForm(
            pattern="order {article} x{units}", example="order SKU-001 x4",
            text="a customer orders so many", do=_order,
        ),
        DeedForm(
            pattern="recall {article} {lot}", example="recall SKU-001 L2", do=_recall,
            text="in each zone somebody goes to every bin with that article and puts what is of"
            " the lot into quarantine, three times round",
        ),
    )
}  # fmt: skip
"""By pattern: everything that may follow DO."""


def deeds_markdown() -> str:
    """Return the table of deeds as Markdown, as it stands in docs/simulator.md."""
    rows = ((f"`{form.example}`", form.text) for form in DEEDS.values())
    return table(("DO ...", "what happens"), rows)
