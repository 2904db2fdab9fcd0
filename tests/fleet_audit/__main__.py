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
    """Check one log; 0 where nothing was found, 1 where something was, 2 for wrong files."""
    parser = argparse.ArgumentParser(description="Check a log of `stockhelm route`.")
    parser.add_argument("log", type=Path)
    parser.add_argument("--map", type=Path, required=True)
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--no-rings", action="store_true", help="no ring of robots may turn")
    parser.add_argument("--drain", type=int, default=0, help="the first N tasks are all and end")
    parser.add_argument(
        "--quiet-steps-max", type=int, default=0, help="nothing ends for so many steps: a finding"
    )
    parser.add_argument(
        "--robot-steps-max",
        type=int,
        default=0,
        help="a robot has one task for more steps: a finding",
    )
    parser.add_argument(
        "--age-p99-steps-max", type=int, default=0, help="99 of 100 tasks are older: a finding"
    )
    asked = parser.parse_args()
    limits = Limits(
        rings=not asked.no_rings,
        drain_tasks=asked.drain,
        quiet_steps_max=asked.quiet_steps_max,
        robot_steps_max=asked.robot_steps_max,
        age_p99_steps_max=asked.age_p99_steps_max,
    )
    try:
        grid = read_map(asked.map)
        scenario = read_scenario(asked.scenario, grid)
        with asked.log.open(encoding="ascii") as lines:
            report = check_log(lines, grid, scenario, limits)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"fleet_audit: {error}\n")
        return 2
    sys.stdout.write(f"{report}\n{json.dumps(report.figures)}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
