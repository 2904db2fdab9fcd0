"""The checks of `make check`, and what the lock files promise, as tests: one gate, one summary."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = sorted(ROOT.glob("requirements*.lock"))
LOCKED_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return {canonicalize_name(m["name"]): m["version"] for m in LOCKED_LINE.finditer(text)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["-m", "ruff", "check"], id="ruff"),
        pytest.param(["-m", "ruff", "format", "--check"], id="format"),
        pytest.param(
            ["-c", "import importlinter.cli as c; c.lint_imports_command()"], id="imports"
        ),
        pytest.param(["-m", "mypy"], id="types", marks=pytest.mark.long),
    ],
)
def test_the_checks_pass(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("section", "lock"),
    [("run", "requirements.lock"), ("dev", "requirements-dev.lock")],
)
def test_every_dependency_is_locked_to_a_version_that_it_allows(section: str, lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = (
        project["project"]["dependencies"]
        if section == "run"
        else project["dependency-groups"][section]
    )
    versions = locked(lock)
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {lock}: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement}: locked {version}"


def test_the_lock_files_agree() -> None:
    run, test = locked("requirements.lock"), locked("requirements-dev.lock")
    differing = {name: (run[name], test[name]) for name in run.keys() & test.keys()}
    assert {name: pair for name, pair in differing.items() if pair[0] != pair[1]} == {}
    headless = locked("requirements-headless.lock")
    assert headless == {"opencv-python-headless": run["opencv-python"]}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_holds_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "index-url" not in text
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_gate_calls_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test"]
