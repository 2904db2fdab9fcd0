"""A layout file becomes nodes.csv and edges.csv of a site's folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from sim_hardware.site_folder import read_site
from stockhelm.lif import LIF_BYTES_MAX, LifLayout, read_lif
from stockhelm.lif_notes import LifError
from wire.site import EdgeRow, NodeRow, SiteError, write_rows

NODES: Final = "nodes.csv"
EDGES: Final = "edges.csv"
NOTES: Final = "lif-notes.txt"


class ImportRefusedError(Exception):
    """Nothing was written; the text says why and what to do."""

    def __init__(self, text: str, *, is_usage: bool = False) -> None:
        super().__init__(text)
        self.is_usage = is_usage


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a layout file."""

    written: bool
    nodes: int
    edges: int
    left_out: int
    """Places of the file that are wrong or not understood."""
    robot_types: tuple[str, ...]
    notes: tuple[str, ...]
    """Each place with what is made of it; also in lif-notes.txt of the folder."""
    lines: tuple[str, ...]
    """What a person is told."""


def import_file(
    file: Path,
    folder: Path,
    layouts: Collection[str] = (),
    *,
    room_m: float,
    partial: bool = False,
    replace: bool = False,
) -> Imported:
    """Write nodes.csv and edges.csv from a layout file; return what was made of it.

    Where parts of the file are not understood nothing is written, but with `partial`. Raises
    ImportRefusedError where the file cannot be read as a layout, or files would be overwritten.
    """
    there = [name for name in (NODES, EDGES) if (folder / name).exists()]
    if there and not replace:
        raise ImportRefusedError(
            f"{folder / there[0]} is there already: say --replace to write over it", is_usage=True
        )
    try:
        with file.open("rb") as opened:
            payload = opened.read(LIF_BYTES_MAX + 1)
        read = read_lif(payload, layouts, room_m=room_m)
    except OSError as error:
        raise ImportRefusedError(
            f"{file}: cannot be read: {error.strerror}: name another file"
        ) from error
    except LifError as error:
        raise ImportRefusedError(f"{file}: {error}") from error
    written = bool(read.nodes) and (partial or not read.notes.left_out_count)
    notes = tuple(f"{file.name}: {note}" for note in read.notes.notes)
    if written:
        try:
            _write(folder, read, notes)
        except OSError as error:
            raise ImportRefusedError(f"{folder}: cannot be written: {error.strerror}") from error
    return Imported(
        written=written,
        nodes=len(read.nodes),
        edges=len(read.edges),
        left_out=read.notes.left_out_count,
        robot_types=read.types,
        notes=notes,
        lines=tuple(_lines(file, folder, read, written=written)),
    )


def _write(folder: Path, read: LifLayout, notes: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NODES).write_text(write_rows(list(read.nodes), NodeRow), encoding="utf-8")
    (folder / EDGES).write_text(write_rows(list(read.edges), EdgeRow), encoding="utf-8")
    (folder / NOTES).write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")


def _lines(file: Path, folder: Path, read: LifLayout, *, written: bool) -> list[str]:
    lines = [f"{file.name}: {line}" for line in read.notes.summary()]
    kinds = [node.kind for node in read.nodes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    closed = sum(bool(edge.robot_types) for edge in read.edges)
    found = f"{len(kinds)} nodes ({counts or 'none'}), {len(read.edges)} lanes"
    if closed:
        types = ", ".join(read.types)
        found += f", {closed} of them not for every robot type (types for robots.csv: {types})"
    if not written:
        left = read.notes.left_out_count
        lines.append(
            f"nothing is written: {left} places are left out, {found} are understood; correct the"
            f" file, or say --partial"
        )
        return lines
    lines.append(f"{folder}: {found}; every note is in {NOTES}")
    if (folder / "bins.csv").exists():
        try:
            read_site(folder)
        except SiteError as error:
            lines.append(f"the site's other files do not fit yet: {error}")
    else:
        lines.append("still to write: bins.csv and articles.csv (docs/run.md says their columns)")
    return lines
