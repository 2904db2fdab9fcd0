"""The API of stop zones: parts of the floor that robots do not enter, for people who are there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol, Self, TypeVar

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection

from central.desk import rows as r
from central.desk.decisions import Decisions, DecisionUnansweredError
from central.desk.errors import Problem, RefusedError, ZoneRefusal
from central.stop_zones import LASTS_S_MAX, open_zones
from wire.messages import StopZoneResult

T = TypeVar("T")
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
NS_PER_MS: Final = 1_000_000
METRES_MAX: Final = 100_000
Name = Annotated[str, Field(min_length=1, max_length=40, pattern=NAME)]
Metres = Annotated[float, Field(ge=-METRES_MAX, le=METRES_MAX, allow_inf_nan=False)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ZoneRefusal},
    503: {"model": Problem},
}


class Asked(Protocol):
    """What the answers come from."""

    @property
    def decisions(self) -> Decisions:
        """Return who asks central."""

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return the books' answer."""


class Closing(BaseModel):
    """What is to be closed: `nodes`, or all nodes in the rectangle of `box_m`, or both."""

    model_config = ConfigDict(extra="forbid")

    nodes: list[Name] = Field(default=[], max_length=1_000)
    box_m: list[Metres] = Field(
        default=[], max_length=4, description="x and y of one corner, x and y of the opposite one"
    )
    minutes: float = Field(gt=0, le=LASTS_S_MAX / 60, allow_inf_nan=False)
    reason: str = Field("", max_length=200, pattern=r"^[^\x00]*$")
    person: Name

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.nodes and len(self.box_m) != len(("x", "y", "x", "y")):
            raise ValueError("expected nodes, or four numbers in box_m (x, y, x, y)")
        return self


class Lifting(BaseModel):
    """Who opens a zone again."""

    model_config = ConfigDict(extra="forbid")

    person: Name


def page_zones(books: Connection, now_ns: int) -> dict[str, r.StopZone]:
    """Return the zones that hold now."""
    return {
        zone.zone_id: r.StopZone(
            zone_id=zone.zone_id,
            nodes=list(zone.nodes),
            reason=zone.reason,
            person_id=zone.person_id,
            made_at_ms=zone.made_at_ns // NS_PER_MS,
            expires_at_ms=zone.expires_at_ns // NS_PER_MS,
        )
        for zone in open_zones(books, now_ns)
    }


def add_zones(app: FastAPI, desk: Asked, clock_ns: Callable[[], int]) -> None:
    """Add stop zones to the API."""

    @app.get("/api/zones", responses={503: {"model": Problem}})
    def zones() -> list[r.StopZone]:
        """Stop zones that hold now, the oldest first."""
        return list(desk.ask(lambda books: page_zones(books, clock_ns())).values())

    @app.post("/api/zones", responses=_PROBLEMS)
    async def close(said: Closing) -> r.ZoneAnswer:
        """Close a part of the floor for some minutes; answered with central's words.

        Robots that were released into it finish what they have: this is no safety device.
        """
        asking = desk.decisions.zone(
            said.person, nodes=said.nodes, box_m=said.box_m, reason=said.reason,
            lasts_s=said.minutes * 60,
        )  # fmt: skip
        return await _answered(asking)

    @app.post("/api/zones/{zone_id}/lift", responses=_PROBLEMS)
    async def lift(zone_id: Name, said: Lifting) -> r.ZoneAnswer:
        """Open a zone again before its time is over."""
        return await _answered(desk.decisions.zone(said.person, lifts=zone_id))


async def _answered(asking: Awaitable[StopZoneResult]) -> r.ZoneAnswer:
    try:
        result = await asking
    except DecisionUnansweredError as error:
        raise HTTPException(503, str(error)) from error
    if not result.ok:
        raise RefusedError(ZoneRefusal(detail=result.text, text=result.text))
    return r.ZoneAnswer(ok=True, text=result.text)
