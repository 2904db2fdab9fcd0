"""What the checker of fleet logs was asked, and what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FINDINGS_MAX = 50
"""Further findings are counted only: after the first wrong move all others of that robot differ."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cannot be: when, who, where, in words."""

    kind: str
    t: int
    robots: tuple[int, ...]
    cells: tuple[int, ...]
    text: str

    def __str__(self) -> str:
        who = f" robots {', '.join(map(str, self.robots))}" if self.robots else ""
        where = f" cells {', '.join(map(str, self.cells))}" if self.cells else ""
        at = f"t {self.t}:{who}{where}".removesuffix(":")
        return f"{at}: {self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of a log beyond being possible; 0: not asked."""

    rings: bool = True
    """Rings of robots may turn without an empty cell."""
    drain_tasks: int = 0
    """So many tasks are all there are, and all are done at the end."""
    quiet_steps_max: int = 0
    """Within so many steps some robot ends an errand."""
    robot_steps_max: int = 0
    """Within so many steps each robot with a task ends an errand."""
    age_p99_steps_max: int = 0
    """From being revealed to being done, 99 of 100 tasks, the unfinished included."""


@dataclass(slots=True)
class Report:
    """What was found, and the figures of the run."""

    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    figures: dict[str, float] = field(default_factory=dict)

    def add(
        self, kind: str, t: int, robots: Iterable[int], cells: Iterable[int], text: str
    ) -> None:
        """Keep a finding, or count it where there are enough."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind, t, tuple(robots), tuple(cells), text))
        else:
            self.more += 1

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        if self.more:
            lines.append(f"and {self.more} more")
        return "\n".join(lines) or "nothing found"
