"""What is to be said of a layout file that was read: each place with what is made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

NOTES_MAX: Final = 200_000
PLACES_SHOWN_MAX: Final = 3


class LifError(ValueError):
    """The file is no layout that a site can be made of; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Note:
    """One place of the file."""

    path: str
    what: str
    todo: str
    is_left_out: bool

    def __str__(self) -> str:
        out = "left out: " if self.is_left_out else ""
        return f"{self.path}: {out}{self.what}; to do: {self.todo}"


@dataclass(slots=True)
class Notes:
    """All notes of one file."""

    notes: list[Note] = field(default_factory=list)
    more: int = 0
    """Those over NOTES_MAX: counted only."""
    left_out_count: int = 0

    def used(self, path: str, what: str, todo: str) -> None:
        """Note a place whose object is used, though not all of it."""
        self._add(Note(path, what, todo, is_left_out=False))

    def left_out(self, path: str, what: str, todo: str) -> None:
        """Note a place that is left out."""
        self.left_out_count += 1
        self._add(Note(path, what, todo, is_left_out=True))

    def _add(self, note: Note) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(note)
        else:
            self.more += 1

    def summary(self) -> list[str]:
        """Return a line per kind of note with its first places; what was left out comes first."""
        kinds: dict[tuple[bool, str, str], list[Note]] = {}
        for note in self.notes:
            # What differs from place to place stands in quotes or is a number.
            shape = re.sub(r"'[^']*'|\d+(\.\d+)?", "*", f"{note.path.split('.')[-1]} {note.what}")
            kinds.setdefault((not note.is_left_out, shape, note.todo), []).append(note)
        lines = []
        for (_, _, _), alike in sorted(kinds.items(), key=lambda item: item[0][0]):
            if len(alike) <= PLACES_SHOWN_MAX:
                lines += [str(note) for note in alike]
            else:
                places = ", ".join(note.path for note in alike[1:PLACES_SHOWN_MAX])
                lines.append(f"{alike[0]} (and {len(alike) - 1} more such, at {places}, ...)")
        if self.more:
            lines.append(f"and {self.more} more notes that are not kept")
        return lines
