"""What the fleet is asked to do, and what it tells about it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from wire.messages import Name

ParameterValue = str | int | float
JobEvent = Literal["waits", "assigned", "stop_done", "done", "failed", "handed_back"]


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Drive to a node and do one action there. The action id must be unique for ever."""

    node_id: Name
    action_type: Name
    action_id: Annotated[str, Meta(min_length=1, max_length=120)]
    parameters: dict[str, ParameterValue] = {}


class TransportJob(msgspec.Struct, frozen=True, kw_only=True):
    """Stops that one robot makes, in this order."""

    job_id: Name
    stops: Annotated[tuple[Stop, ...], Meta(min_length=1, max_length=50)]
    due_at_ns: int = 0
    """When it should be done; 0: no hurry. A job past this time goes before all others."""
    priority: int = 0
    """Higher goes first."""
    pinned_to: Annotated[str, Meta(max_length=81)] = ""
    """The one robot (`manufacturer/serial`) that may have it; empty: any."""
    pinned_by: Annotated[str, Meta(max_length=40)] = ""
    """Who says so."""


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a job.

    `waits` (for something else than a free robot, `detail` says what; the robot that is named has
    it no more), `assigned` (a robot got it,
    `detail` says why this one; may come again for another robot), `stop_done`, then exactly one of
    `done`, `failed` (a robot tried and could not) and `handed_back` (nothing was picked up and
    nobody works on it any more: withdrawn, or its robot was lost before the first action).
    """

    job_id: str
    robot_id: str
    event: JobEvent
    stop_index: int
    detail: str
    at_ns: int
