"""What a scenario may do to the product's processes from outside, as a plant's staff could."""

from __future__ import annotations

from typing import Final, Literal, Protocol

Mode = Literal["mem", "pty", "live"]
BROKER: Final = "broker"
CENTRAL: Final = "central"


class PlantError(Exception):
    """The plant cannot do that, in this mode or with this process; the text says why."""


class Plant(Protocol):
    """The processes around the floor, by name: `broker`, `central`, `edge A`, `desk`.

    Called on the floor's lane. Each call returns at once. Raises PlantError for a process that
    there is not, and for what the mode cannot do.
    """

    @property
    def mode(self) -> Mode:
        """Return how the processes run."""

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the names of all processes, running or not."""

    def is_up(self, process: str) -> bool:
        """Return whether the process runs."""

    def kill(self, process: str) -> None:
        """End a process without a word, as SIGKILL does; its files stay. Dead: nothing happens."""

    def start(self, process: str) -> None:
        """Start a process again on the same files. Running: nothing happens."""

    def cut(self, process: str) -> None:
        """Part a process from the broker, both ways: neither hears that the other is gone."""

    def heal(self, process: str) -> None:
        """Join a process and the broker again."""

    def shift_clock(self, process: str, seconds: float) -> None:
        """Move the UTC clock of one process by `seconds`; durations are not touched."""


def edge_process(edge_id: str) -> str:
    """Return the name of the process of one edge agent."""
    return f"edge {edge_id}"
