"""Operations: the short action sequences a robot chooses from, and which of them each cell allows.

An operation is `depth` actions. Two sequences that visit the same cells at the same times and end
in the same heading are one operation. Source: Yukhnevich and Andreychuk, "Enhancing PIBT via
Multi-Action Operations" (2025), section on multi-action operations.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

from central.fleet.grid.ground import HEADINGS, Ground, Int32

TURN_LETTERS: Final = "FRCW"
"""Forward, a quarter clockwise, a quarter counter-clockwise, wait: earlier ones win ties."""
STRAIGHT_LETTERS: Final = "ESWN."
DEPTH_MAX: Final = 5
OPERATIONS_MAX: Final = 250
"""An operation's number takes eight bits of a sorting key, and 255 means none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """All operations of one depth on one ground, as small tables.

    A row is heading * operations + operation.
    cells : (rows, depth) int32, offset of the cell after each action.
    headings : (rows, 2) int32, heading after the first and after the last action.
    shifted : (operations,) int32, the same operation after one step, with a wait at its end.
    letters : the first action's letter of each operation.
    moves : (operations,) int32, how often the cell changes.
    kinds : (nodes,) int32, each node's row in `allowed`; a node is cell * headings + heading.
    allowed : (kinds, operations) int32 operation numbers, counts : (kinds,) int32 how many.
    """

    depth: int
    turning: bool
    cells: Int32
    headings: Int32
    shifted: Int32
    letters: str
    moves: Int32
    kinds: Int32
    allowed: Int32
    counts: Int32
    wait: int

    @property
    def count(self) -> int:
        """Return how many operations there are."""
        return len(self.letters)


def _walk(sequence: str, *, turning: bool) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return the (row, column) after each action and the heading after each, from heading east."""
    row = column = heading = 0
    cells = []
    headings = []
    for letter in sequence:
        if turning:
            if letter == "F":
                row, column = row + HEADINGS[heading][0], column + HEADINGS[heading][1]
            heading = (heading + {"R": 1, "C": 3}.get(letter, 0)) % 4
        elif letter != ".":
            ahead = HEADINGS[STRAIGHT_LETTERS.index(letter)]
            row, column = row + ahead[0], column + ahead[1]
        cells.append((row, column))
        headings.append(heading)
    return tuple(cells), tuple(headings)


def _catalogue(depth: int, *, turning: bool) -> dict[tuple[object, int], str]:
    """Return the sequence of fewest turns, then first in order, for every (cells, last heading)."""
    found: dict[tuple[object, int], str] = {}
    letters = TURN_LETTERS if turning else STRAIGHT_LETTERS
    everything = ["".join(picked) for picked in itertools.product(letters, repeat=depth)]
    for sequence in sorted(everything, key=_turns):
        cells, headings = _walk(sequence, turning=turning)
        if not _worth(cells):
            continue
        found.setdefault((cells, headings[-1]), sequence)
    return found


def _turns(sequence: str) -> int:
    """Return how often a sequence turns."""
    return sequence.count("R") + sequence.count("C")


def _worth(cells: tuple[tuple[int, int], ...]) -> bool:
    """Return whether a path is worth having: no cell is left and come back to and left again."""
    path = ((0, 0), *cells)
    turns_back = sum(a == c != b for a, b, c in zip(path, path[1:], path[2:], strict=False))
    return turns_back <= 1


def make_operations(ground: Ground, *, depth: int, turning: bool) -> Operations:
    """Return the operations of that depth. Raises ValueError for a depth that is not kept."""
    if not 1 <= depth <= DEPTH_MAX:
        raise ValueError(f"depth {depth}: expected 1 to {DEPTH_MAX} actions per operation")
    catalogue = _catalogue(depth, turning=turning)
    numbers = {way: number for number, way in enumerate(catalogue)}
    sequences = list(catalogue.values())
    if len(sequences) > OPERATIONS_MAX:
        raise ValueError(
            f"depth {depth}: {len(sequences)} operations, at most {OPERATIONS_MAX} are kept:"
            " choose a smaller depth"
        )
    heads = 4 if turning else 1
    cells = np.zeros((heads, len(sequences), depth), np.int32)
    turns = np.zeros((heads, len(sequences), 2), np.int32)
    shifted = np.zeros(len(sequences), np.int32)
    moves = np.zeros(len(sequences), np.int32)
    filler = "W" if turning else "."
    for number, sequence in enumerate(sequences):
        path, headings = _walk(sequence, turning=turning)
        after = _walk(sequence[1:] + filler, turning=turning)
        moves[number] = sum(a != b for a, b in zip(((0, 0), *path), path, strict=False))
        for head in range(heads):
            turns[head, number] = (headings[0] + head) % 4, (headings[-1] + head) % 4
            for when, (row, column) in enumerate(path):
                r, c = row, column
                for _ in range(head):
                    r, c = c, -r
                cells[head, number, when] = r * ground.width + c
        shifted[number] = numbers[after[0], after[1][-1]]
    if not turning:
        turns[:] = 0
    kinds, allowed, counts = _kinds(ground, cells)
    return Operations(
        depth=depth, turning=turning, cells=cells.reshape(-1, depth),
        headings=turns.reshape(-1, 2), shifted=shifted,
        letters="".join(s[0] for s in sequences), moves=moves, kinds=kinds, allowed=allowed,
        counts=counts, wait=sequences.index(filler * depth),
    )  # fmt: skip


def _kinds(ground: Ground, cells: Int32) -> tuple[Int32, Int32, Int32]:
    """Return each node's kind and, of each kind, the operations that stay on free cells."""
    heads, operations, depth = cells.shape
    free = ground.number >= 0
    everywhere = np.flatnonzero(free).astype(np.int32)
    legal = np.zeros((everywhere.size, heads, operations), np.bool_)
    for head in range(heads):
        for number in range(operations):
            fits = np.ones(everywhere.size, np.bool_)
            for when in range(depth):
                fits &= free[np.clip(everywhere + cells[head, number, when], 0, free.size - 1)]
            legal[:, head, number] = fits
    packed = np.packbits(legal.reshape(-1, operations), axis=1)
    shapes, kind_of = np.unique(packed, axis=0, return_inverse=True)
    rows = np.unpackbits(shapes, axis=1, count=operations).astype(np.bool_)
    counts = rows.sum(axis=1).astype(np.int32)
    allowed = np.full(rows.shape, -1, np.int32)
    for kind, row in enumerate(rows):
        allowed[kind, : counts[kind]] = np.flatnonzero(row)
    kinds = np.full((free.size, heads), -1, np.int32)
    kinds[everywhere] = kind_of.reshape(-1, heads)
    return np.ascontiguousarray(kinds.reshape(-1)), allowed, counts
