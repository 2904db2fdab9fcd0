"""The API of pins: a planner lets one robot alone have a task."""

from __future__ import annotations

from typing import Annotated, Any, Final, Protocol

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from central.desk import rows as r
from central.desk.decisions import Decisions, DecisionUnansweredError
from central.desk.errors import PinRefusal, Problem, RefusedError

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
ROBOT: Final = r"^([^/\x00]{1,40}/[^/\x00]{1,40})?$"
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": PinRefusal},
    503: {"model": Problem},
}


class Asked(Protocol):
    """What the answers come from."""

    @property
    def decisions(self) -> Decisions:
        """Return who asks central."""


class Pinning(BaseModel):
    """Which robot alone may have the task; an empty `robot`: any may have it again."""

    model_config = ConfigDict(extra="forbid")

    robot: str = Field("", max_length=81, pattern=ROBOT, description="manufacturer/serial")
    reason: str = Field("", max_length=200, pattern=r"^[^\x00]*$")
    person: str = Field("planner", min_length=1, max_length=40, pattern=NAME)


def add_pins(app: FastAPI, desk: Asked) -> None:
    """Add pins to the API."""

    @app.post("/api/tasks/{task_id}/pin", responses=_PROBLEMS)
    async def pin(
        task_id: Annotated[str, Field(max_length=40, pattern=NAME)], said: Pinning
    ) -> r.PinAnswer:
        """Let only one robot have a task that is not picked up; answered with central's words."""
        try:
            result = await desk.decisions.pin(
                task_id, robot_id=said.robot, reason=said.reason, person_id=said.person
            )
        except DecisionUnansweredError as error:
            raise HTTPException(503, str(error)) from error
        if not result.ok:
            raise RefusedError(PinRefusal(detail=result.text, text=result.text))
        return r.PinAnswer(ok=True, text=result.text)
