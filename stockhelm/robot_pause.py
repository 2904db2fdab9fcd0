"""All robots paused at the command line: written into central's books, which central looks at."""

from __future__ import annotations

from pathlib import Path

from central.robot_pause import Pause, pause_now, pause_robots, resume_robots
from central.stop_zones import utc
from central.store import reading
from runtime.clock import SystemClock
from stockhelm.zones import books_of


def pause(config: Path, *, person_id: str, reason: str) -> str:
    """Return what is to be said once all robots are to stand."""
    said = Pause(why=reason, since_ns=SystemClock().now_ns(), person_id=person_id)
    with books_of(config) as books, books.opened() as engine, engine.begin() as conn:
        fresh = pause_robots(conn, said)
    return "all robots are to stand" if fresh else "all robots are to stand already"


def resume(config: Path) -> tuple[bool, str]:
    """Return whether robots go on by this, and what is to be said of it."""
    with books_of(config) as books, books.opened() as engine, engine.begin() as conn:
        ended = resume_robots(conn)
    return ended, "the robots may go on" if ended else "no robot is told to stand"


def told(config: Path) -> str:
    """Return whether all robots are to stand now, in words."""
    with books_of(config) as books, books.opened() as engine, reading(engine) as conn:
        found = pause_now(conn)
    if found is None:
        return "no robot is told to stand"
    why = f", {found.why}" if found.why else ""
    return f"all robots are to stand since {utc(found.since_ns)}, by {found.person_id}{why}"
