"""A grid as the planner takes it: with a blocked border, its free cells numbered tile by tile.

A *cell* here is row * width + column of the bordered grid. Outside (files, logs) a cell is
row * columns + column without the border; `Ground.inside` and `Ground.outside` translate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt16 = NDArray[np.uint16]
UInt32 = NDArray[np.uint32]
Flags = NDArray[np.uint8]

HEADINGS: Final = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""(row, column) one cell ahead when heading east, south, west, north: clockwise from east."""
BORDER: Final = 6
"""Blocked cells on each side: no operation of six actions can leave the array."""
TILE: Final = 4
"""Free cells are numbered tile by tile, so that neighbours mostly share a cache line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A grid with a blocked border. number[cell] is a free cell's number, -1 where blocked."""

    rows: int
    columns: int
    width: int
    number: Int32
    cells: Int32
    """The cell of each number."""

    @property
    def free(self) -> int:
        """Return how many cells are free."""
        return int(self.cells.size)

    def cell(self, row: int, column: int) -> int:
        """Return the bordered cell of a row and a column."""
        return (row + BORDER) * self.width + column + BORDER

    def place(self, cell: int) -> tuple[int, int]:
        """Return the row and the column of a bordered cell."""
        row, column = divmod(cell, self.width)
        return row - BORDER, column - BORDER

    def inside(self, place: Int64) -> Int32:
        """Return the bordered cells of places row * columns + column."""
        row, column = place // self.columns, place % self.columns
        return ((row + BORDER) * self.width + column + BORDER).astype(np.int32)

    def outside(self, cell: Int32) -> Int64:
        """Return the places row * columns + column of bordered cells."""
        row, column = cell // self.width - BORDER, cell % self.width - BORDER
        return (row * self.columns + column).astype(np.int64)


def make_ground(free: NDArray[np.bool_]) -> Ground:
    """Return the ground of a (rows, columns) table of what is free."""
    rows, columns = free.shape
    width = columns + 2 * BORDER
    bordered = np.zeros((rows + 2 * BORDER, width), np.bool_)
    bordered[BORDER:-BORDER, BORDER:-BORDER] = free
    row, column = np.nonzero(bordered)
    tiles = np.lexsort((column, row, column // TILE, row // TILE))
    cells = (row * width + column)[tiles].astype(np.int32)
    number = np.full(bordered.size, -1, np.int32)
    number[cells] = np.arange(cells.size, dtype=np.int32)
    return Ground(rows=rows, columns=columns, width=width, number=number, cells=cells)
