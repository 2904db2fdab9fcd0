"""The API of one bin's stock: its past, and a person's word on what it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Protocol, Self, TypeVar

from fastapi import FastAPI, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection

from central.desk import rows as r
from central.desk.decisions import Decisions, DecisionUnansweredError
from central.desk.errors import AdjustmentRefusal, Problem, RefusedError
from central.desk.past import bin_past
from central.desk.queries import LIMIT_MAX, Queries
from central.ledger.times import parse_utc
from wire.ids import IdError, parse_gtin
from wire.messages import LOT_MAX, UNITS_MAX
from wire.site import Site

T = TypeVar("T")
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
LOT: Final = r"^[^\x00-\x1F\x7F]*$"
"""No control characters: nobody can read or type them, and U+0000 does not go on the wire."""
BIN: Final = r"^[A-Z0-9][A-Z0-9-]*$"
BinId = Annotated[str, Field(max_length=20, pattern=BIN)]
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem}, 503: {"model": Problem}}


class Asked(Protocol):
    """What the answers come from."""

    @property
    def queries(self) -> Queries:
        """Return the questions and the site's names."""

    @property
    def decisions(self) -> Decisions:
        """Return who asks central."""

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Return the books' answer."""


class Adjustment(BaseModel):
    """What a person says that a bin holds: exactly one of `to_units` and `by_units`."""

    model_config = ConfigDict(extra="forbid")

    article: str = Field(min_length=1, max_length=40, description="GTIN or SKU")
    # Strict: `true` is no number of units, and neither is a text.
    to_units: int | None = Field(
        None, ge=0, le=UNITS_MAX, strict=True, description="what the bin holds"
    )
    by_units: int | None = Field(
        None,
        ge=-UNITS_MAX,
        le=UNITS_MAX,
        strict=True,
        description="what it holds more, or (negative) less",
    )
    reason: str = Field(
        min_length=1, max_length=40, pattern=NAME, description="one word: damaged, counted, ..."
    )
    person: str = Field(min_length=1, max_length=40, pattern=NAME)
    lot: str = Field("", max_length=LOT_MAX, pattern=LOT, description="of this lot only")
    quarantine: bool = Field(
        default=False, description="more comes out of quarantine, less goes into it; with by_units"
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.to_units is None) == (self.by_units is None):
            raise ValueError(
                "expected either to_units (what the bin holds) or by_units (by how much it"
                " differs), not both or none"
            )
        if self.quarantine and self.by_units is None:
            raise ValueError("quarantine: expected by_units, what the bin gets from there")
        return self


def add_stock(app: FastAPI, desk: Asked) -> None:
    """Add the past of a bin and its adjustment to the API."""
    _add_history(app, desk)
    _add_adjustment(app, desk)


def _add_history(app: FastAPI, desk: Asked) -> None:
    names = desk.queries.names

    @app.get("/api/bins/{bin_id}/history", responses=_ABSENT)
    def history(
        bin_id: BinId,
        at: Annotated[
            str, Query(max_length=40, description="as 2026-11-01T12:00:00Z; empty: now")
        ] = "",
        article: Annotated[str, Query(max_length=40, description="GTIN or SKU; empty: all")] = "",
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    ) -> r.BinPast:
        """Return what lay in a bin at any past time, and the movements until then, newest first."""
        at_ns = _time(at) if at else None
        gtin = article_gtin(names.site, article, ("query", "article")) if article else None
        found = desk.ask(
            lambda books: bin_past(books, names, bin_id, at_ns=at_ns, gtin=gtin, limit=limit)
        )
        if found is None:
            raise HTTPException(404, f"there is no bin {bin_id!r} here, and never was")
        return found


def _add_adjustment(app: FastAPI, desk: Asked) -> None:
    site = desk.queries.names.site
    problems = {**_ABSENT, 409: {"model": AdjustmentRefusal}}

    @app.post("/api/bins/{bin_id}/adjustment", responses=problems)
    async def adjust(bin_id: BinId, said: Adjustment) -> r.AdjustmentAnswer:
        """Say what a bin holds: the edge that owns it books the difference.

        Answered with central's words (409 where it refuses); booked a moment later.
        """
        if bin_id not in site.bins:
            raise HTTPException(404, f"there is no bin {bin_id!r} here")
        gtin = article_gtin(site, said.article, ("body", "article"))
        units = said.to_units if said.by_units is None else said.by_units
        assert units is not None, "one of the two is given"
        try:
            result = await desk.decisions.adjust(
                bin_id,
                gtin=gtin,
                units=units,
                is_difference=said.by_units is not None,
                reason=said.reason,
                person_id=said.person,
                lot=said.lot,
                quarantine=said.quarantine,
            )
        except DecisionUnansweredError as error:
            raise HTTPException(503, str(error)) from error
        if not result.ok:
            text = result.text
            raise RefusedError(AdjustmentRefusal(detail=text, bin_id=bin_id, text=text))
        return r.AdjustmentAnswer(bin_id=bin_id, ok=True, text=result.text)


def article_gtin(site: Site, told: str, where: tuple[str, str]) -> str:
    """Return the GTIN of an article told by GTIN or SKU; 422 where the site has none such."""
    for row in site.articles.values():
        if row.sku == told:
            return row.gtin
    try:
        found = parse_gtin(told)
    except IdError as error:
        raise _wrong(where, told, f"expected a GTIN, or a SKU of articles.csv ({error})") from error
    if found not in site.articles:
        raise _wrong(where, told, "is not in articles.csv")
    return found


def _time(told: str) -> int:
    try:
        return parse_utc(told)
    except ValueError as error:
        raise _wrong(("query", "at"), told, str(error).partition(": ")[2]) from error


def _wrong(where: tuple[str, str], told: str, text: str) -> RequestValidationError:
    return RequestValidationError([{"loc": where, "input": told, "msg": text, "type": "value"}])
