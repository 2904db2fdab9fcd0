"""Check one log of `stockhelm route` at the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.fleet_audit.checker import check_log
from tests.fleet_audit.report import Limits
from tests.fleet_audit.scenario import read_map, read_scenario


def main() -> int:
    """Check one log; 0 where nothing was found."""
    parser = argparse.ArgumentParser(description="Check a log of `stockhelm route`.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--no-rings", action="store_true", help="no ring of robots may turn")
    parser.add_argument("--drain", type=int, default=0, help="the first N tasks are all and end")
    parser.add_argument("--quiet-steps-max", type=int, default=0)
    parser.add_argument("--robot-steps-max", type=int, default=0)
    parser.add_argument("--age-p99-steps-max", type=int, default=0)
    asked = parser.parse_args()
    grid = read_map(asked.map)
    limits = Limits(
        rings=not asked.no_rings,
        drain_tasks=asked.drain,
        quiet_steps_max=asked.quiet_steps_max,
        robot_steps_max=asked.robot_steps_max,
        age_p99_steps_max=asked.age_p99_steps_max,
    )
    with asked.log.open(encoding="ascii") as lines:
        report = check_log(lines, grid, read_scenario(asked.scenario, grid), limits)
    sys.stdout.write(f"{report}\n{json.dumps(report.figures)}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
