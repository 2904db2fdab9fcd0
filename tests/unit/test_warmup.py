"""Kernels are compiled once, before they are needed, and their cache is never out of date."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from runtime.clock import SystemClock
from stockhelm.warmup import KERNEL_MODULES, say_where_compiled, warm_up

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for folder in ("central", "edge", "sim_hardware")
    for path in (ROOT / folder).rglob("*.py")
    if "@njit(" in path.read_text(encoding="utf-8")
]


def test_every_file_of_kernels_is_warmed_up() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}
    assert names == set(KERNEL_MODULES)


def test_no_kernel_calls_one_of_another_file() -> None:
    """Numba's cache looks at the time of the kernel's own file only."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "") not in KERNEL_MODULES, path


def test_it_says_what_each_module_took() -> None:
    shown = io.StringIO()
    warmed = warm_up(SystemClock(), Console(file=shown, width=100, highlight=False))
    assert [found.module for found in warmed] == list(KERNEL_MODULES)
    assert shown.getvalue().count(f"{KERNEL_MODULES[1]}: {warmed[1].kernels} kernels") == 1


@pytest.mark.soak
def test_what_one_start_compiled_the_next_one_finds(tmp_path: Path) -> None:
    def compiled() -> list[int]:
        done = subprocess.run(
            [sys.executable, "-m", "stockhelm.warmup", "--json"],
            cwd=ROOT,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        return [module["compiled"] for module in json.loads(done.stdout)]

    first = compiled()
    assert all(first)
    assert not any(compiled())


def test_it_says_that_it_compiles_only_where_the_cache_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "some_kernels_of_none.py").write_text("")
    shown = io.StringIO()
    console = Console(file=shown, width=100)
    say_where_compiled(console, ["some_kernels_of_none"])
    assert "compiling the planner, once" in shown.getvalue()
    (tmp_path / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "__pycache__" / "some_kernels_of_none.f-1.py311.nbi").write_text("")
    say_where_compiled(console, ["some_kernels_of_none"])
    assert shown.getvalue().count("compiling") == 1
