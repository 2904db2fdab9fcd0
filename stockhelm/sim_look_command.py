"""What the commands that only look at scenarios do: `stockhelm sim list|check|faults`.

They import no agent of the product: a list of names waits for no compiler.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sim_hardware.faults.kinds import KINDS
from sim_hardware.faults.model import EVERYWHERE
from sim_hardware.scenarios.model import ScenarioError
from sim_hardware.wording import elsewhere, many, time_text
from stockhelm.ending import USAGE
from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_site import check_scenario


def list_command(name: str, console: Console, *, long: bool) -> int:
    """Name the scenarios of the library, or print one of them as written; return 0.

    2 where there is none of that name.
    """
    if name:
        try:
            text = read_scenario(find_scenario(name)).text
        except ScenarioError as error:
            console.print(str(error), highlight=False, markup=False, soft_wrap=True)
            return USAGE
        console.print(text, highlight=False, markup=False, soft_wrap=True, end="")
        return 0
    table = Table(show_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("runs", no_wrap=True)
    table.add_column("what it shows", no_wrap=not long)
    for known in library_names():
        scenario = read_scenario(find_scenario(known))
        shows = f"{scenario.title}: {scenario.about}" if long else scenario.title
        table.add_row(known, time_text(scenario.run_s), shows)
    console.print(table)
    return 0


def check_command(names: list[str], console: Console) -> int:
    """Say what is wrong in these scenarios; return 0, or 2 where something is."""
    code = 0
    for name in names:
        try:
            path = find_scenario(name)
            scenario = read_scenario(path)
            check_scenario(scenario, path.parent)
        except ScenarioError as error:
            console.print(str(error), highlight=False, markup=False, soft_wrap=True)
            code = USAGE
        else:
            steps = many(len(scenario.steps), "step")
            console.print(
                f"{name}: {scenario.title}: {steps}, nothing wrong", markup=False, soft_wrap=True
            )
    return code


def faults_command(kind: str, console: Console) -> int:
    """Print the kinds of faults, or one of them in full; return 0, or 2 for an unknown one."""
    if kind and kind not in KINDS:
        guess = elsewhere(kind, KINDS, "stockhelm sim faults")
        console.print(f"unknown fault {kind!r}{guess}", markup=False, soft_wrap=True)
        return USAGE
    table = Table(show_edge=False)
    table.add_column("FAULT", no_wrap=True)
    table.add_column("happens to", no_wrap=True)
    table.add_column("values", overflow="fold")
    table.add_column("what")
    for found in KINDS.values():
        if kind and found.name != kind:
            continue
        values = "\n".join(
            p.written(name) + (f" ({', '.join(p.words)})" if p.words else "")
            for name, p in found.parameters.items()
        )
        modes = "" if found.modes == EVERYWHERE else f" (only {', '.join(found.modes)})"
        table.add_row(found.name, found.target, values, found.text + modes)
    console.print(table)
    return 0
