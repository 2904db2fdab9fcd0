"""The command `stockhelm`: each command calls one function that tests call too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console

from runtime.config import ConfigError, load_config
from runtime.errors import StartError
from runtime.garbage import collect_seldom
from runtime.one_at_a_time import hold_folder
from sim_hardware.plant import Mode
from stockhelm.benches import BENCHES
from stockhelm.ending import USAGE, end_with
from stockhelm.import_cli import add_import_commands
from stockhelm.keys_cli import add_keys_commands
from stockhelm.ledger_cli import add_ledger_commands
from stockhelm.robot_cli import add_robot_commands
from stockhelm.route_cli import add_route_command
from stockhelm.sim_cli import add_sim_commands
from stockhelm.zone_cli import add_zone_commands
from wire.site import SiteError

if TYPE_CHECKING:
    from central.config import CentralConfig
    from edge.config import EdgeConfig
    from stockhelm.sim_record import Build, LiveBuild

app = typer.Typer(
    help="Every bin true, every move explained: a warehouse controller.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
C = TypeVar("C", "EdgeConfig", "CentralConfig")
ConfigFile = Annotated[Path, typer.Option("--config", help="TOML file of this process.")]
MetricsFile = Annotated[
    Path | None, typer.Option("--metrics", help="Write the figures of the run here at the end.")
]
RecordTo = Annotated[
    Path | None,
    typer.Option("--record", help="Record all that comes from outside here, for `sim replay`."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def main() -> None:
    """Run the command line; what cannot start ends with code 1 and says what is wrong."""
    collect_seldom()
    try:
        app()
    except (ConfigError, SiteError, StartError) as error:
        typer.echo(f"stockhelm: {error}", err=True)
        sys.exit(1)


@contextmanager
def _named(config: Path) -> Iterator[None]:
    """Let every reason against a start name the configuration that asked for it."""
    try:
        yield
    except (ConfigError, SiteError, StartError) as error:
        text = str(error)
        raise StartError(text if str(config) in text else f"{config}: {text}") from error


@contextmanager
def _recorded(directory: Path | None, settings: C) -> Iterator[Callable[[Build[C]], LiveBuild]]:
    """Yield what makes a recorded process of what builds one; without a folder an ordinary one."""
    if directory is None:
        yield lambda build: lambda runtime, metrics: build(runtime, metrics, settings)
        return
    from stockhelm.sim_record import recorded

    with recorded(directory, settings) as recording:
        yield recording


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"stockhelm {metadata.version('stockhelm')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say it and end."),
    ] = False,
) -> None:
    """Every bin true, every move explained: a warehouse controller."""


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True)
    app.add_typer(group, name=name)
    return group


edge_app = _group("edge", "The agent beside the racks, one per zone.")
central_app = _group("central", "Ledger, planning, tasks and fleet.")
desk_app = _group("desk", "The planners' pages.")
broker_app = _group("broker", "The message broker.")
sim_app = _group("sim", "The simulated floor: scenarios, faults, generated sites.")
add_sim_commands(sim_app)
keys_app = _group("keys", "Who may connect: a small CA, certificates, passwords.")
add_keys_commands(keys_app)
add_import_commands(_group("import", "Files of a site from files of others."))
add_zone_commands(_group("zone", "Parts of the floor that robots do not enter."))
add_robot_commands(_group("robots", "All robots at once: they stand, and go on."))
add_ledger_commands(_group("ledger", "Check, rebuild, correct counts; the stock of any past time."))
add_route_command(app)


@app.command()
def demo(
    *,
    headless: Annotated[bool, typer.Option(help="No person: run, measure, report, end.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long; 0: until Ctrl-C (headless: 60).")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides the site and all chance.")] = 7,
    speed: Annotated[
        float, typer.Option(min=0.1, max=20, help="How much faster than real the world moves.")
    ] = 4.0,
    orders: Annotated[
        Path | None, typer.Option(help="Real sales (date,sku,quantity) in place of drawn orders.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the live page (8000; headless: a free one).")
    ] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the figures here as JSON.")] = None,
    directory: Annotated[
        Path | None,
        typer.Option(help="Keep all files of the run here (default: a folder that goes with it)."),
    ] = None,
    record: RecordTo = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Everybody enrolled with a certificate, all over TLS.")
    ] = False,
) -> None:
    """Run one site with simulated devices and the whole product, and show it on a live page."""
    from stockhelm.demo import DemoOptions, run_demo

    options = DemoOptions(
        headless=headless,
        seconds=seconds,
        seed=seed,
        speed=speed,
        orders=orders,
        port=port,
        report=report,
        directory=directory,
        record=record,
        tls=tls,
    )
    raise typer.Exit(run_demo(options, Console(highlight=False)))


@edge_app.command("run")
def edge_run(config: ConfigFile, metrics: MetricsFile = None, record: RecordTo = None) -> None:
    """Run the agent of one zone until SIGTERM or Ctrl-C."""
    from edge.config import EdgeConfig

    settings = load_config(config, EdgeConfig)
    from edge.agent import build_edge
    from runtime.service import run_service

    name = f"edge-{settings.edge_id}"
    folder = Path(settings.data_dir)
    with _named(config), hold_folder(folder, name), _recorded(record, settings) as recording:
        code = run_service(name, recording(build_edge), metrics_file=metrics)
    raise typer.Exit(code)


@central_app.command("run")
def central_run(config: ConfigFile, metrics: MetricsFile = None, record: RecordTo = None) -> None:
    """Run ledger, planning, tasks and fleet until SIGTERM or Ctrl-C."""
    from central.config import CentralConfig

    settings = load_config(config, CentralConfig)
    from central.agent import build_central
    from runtime.service import run_service

    folder = Path(settings.data_dir)
    with _named(config), hold_folder(folder, "central"), _recorded(record, settings) as recording:
        code = run_service("central", recording(build_central), metrics_file=metrics)
    raise typer.Exit(code)


@desk_app.command("run")
def desk_run(config: ConfigFile, metrics: MetricsFile = None) -> None:
    """Run the planners' pages until SIGTERM or Ctrl-C."""
    from central.config import DeskConfig

    settings = load_config(config, DeskConfig)
    from central.desk.service import build_desk
    from runtime.service import run_service

    with _named(config):
        code = run_service(
            "desk",
            lambda runtime, figures: build_desk(runtime, figures, settings),
            metrics_file=metrics,
        )
    raise typer.Exit(code)


@broker_app.command("run")
def broker_run(config: ConfigFile) -> None:
    """Run a message broker with generated settings until SIGTERM or Ctrl-C."""
    from stockhelm.broker import BrokerConfig, run_broker

    with _named(config):
        code = run_broker(load_config(config, BrokerConfig))
    raise typer.Exit(code)


@sim_app.command("floor")
def sim_floor(config: ConfigFile) -> None:
    """Run a simulated floor in real time: its devices, people, suppliers and customers."""
    from stockhelm.floor import run_floor

    with _named(config):
        code = run_floor(config)
    raise typer.Exit(code)


@sim_app.command("replay")
def sim_replay(
    directory: Annotated[Path, typer.Argument(help="Where `--record` wrote, or one recording.")],
    *,
    mode: Annotated[
        Mode,
        typer.Option(help="mem: in memory; pty: real terminals; live: broker, real time."),
    ] = "mem",
    speed: Annotated[
        float, typer.Option(min=0.1, max=20, help="Live: how much faster than it was.")
    ] = 1.0,
    report: Annotated[Path | None, typer.Option(help="Write what was found here as JSON.")] = None,
) -> None:
    """Run recorded processes again on what they were handed. Code 0: all counts are equal."""
    from stockhelm.sim_replay_command import replay_command

    end_with(lambda console: replay_command(directory, mode, speed, report, console))


@sim_app.command("generate")
def sim_generate(
    directory: Annotated[Path, typer.Argument(help="Where the CSV files go; holds no site yet.")],
    *,
    bins: Annotated[int, typer.Option(help="How many: 50 to 1 000 000.")],
    robots: Annotated[int | None, typer.Option(help="Default: one per 100 bins.")] = None,
    skus: Annotated[int | None, typer.Option(help="Articles. Default: one per 5 bins.")] = None,
    people: Annotated[int | None, typer.Option(help="Default: as many as the orders need.")] = None,
    zones: Annotated[
        int | None, typer.Option(help="With an edge agent each. Default: one per 10 000 bins.")
    ] = None,
    orders_per_day: Annotated[float | None, typer.Option(help="Default: 15 per 100 bins.")] = None,
    cover_days: Annotated[float, typer.Option(help="How long the reserve lasts.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Decides all chance.")] = 7,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="Draw the floor here (SVG, for any browser).")
    ] = None,
) -> None:
    """Make a warehouse of any size: floor, slots, articles, people, stock, weeks of sales."""
    from sim_hardware.world.warehouse.spec import Wish
    from stockhelm.sim_generate import sim_generate

    wish = Wish(
        bins=bins, robots=robots, skus=skus, people=people, zones=zones,
        orders_per_day=orders_per_day, cover_d=cover_days, seed=seed,
    )  # fmt: skip

    def generate(console: Console) -> int:
        try:
            sim_generate(directory, wish, console, map_file=map_file)
        except StartError as error:
            typer.echo(f"stockhelm: {error}", err=True)
            return USAGE
        return 0

    end_with(generate)


@app.command()
def doctor(
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of the broker: who gets in unasked, what is over soon."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what this machine has, what it lacks, what for, and how to get it."""
    from stockhelm.doctor import run_doctor

    if config is None:
        raise typer.Exit(run_doctor(json_out=as_json))
    from runtime.clock import SystemClock
    from stockhelm.broker import BrokerConfig
    from stockhelm.doctor_broker import look_at_broker

    with _named(config):
        more = look_at_broker(load_config(config, BrokerConfig), SystemClock())
    raise typer.Exit(run_doctor(json_out=as_json, more=more))


@app.command()
def gs1(
    texts: Annotated[
        list[str],
        typer.Argument(help="As a scanner sends it (GS as <GS>), or (01)... in brackets."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Say what GS1 data means, or why it is refused."""
    from edge.scanning.gs1 import explain_gs1

    found = [explain_gs1(text.replace("<GS>", "\x1d")) for text in texts]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for item in found:
            typer.echo(gs1_lines(item))
    raise typer.Exit(0 if all(item["valid"] for item in found) else 1)


def gs1_lines(item: dict[str, Any]) -> str:
    """Return one explained text for people."""
    text = item["text"].replace("\x1d", "<GS>")
    if not item["valid"]:
        return f"{text}: {item['code']}: {item['reason']}"
    parts = [f"  ({e['ai']}) {e['value']}  {e['title']}" for e in item["elements"]]
    return "\n".join([f"{text}: valid", *parts])


@app.command()
def cards(
    file: Annotated[Path, typer.Argument(help="HTML page to write: open it and print it.")],
) -> None:
    """Write a sheet to print with the barcodes of all commands, such as SH-PICK."""
    from stockhelm.cards import cards_page

    file.write_text(cards_page(), encoding="utf-8")
    typer.echo(f"{file}: open it in a browser, print it, cut it up")


@app.command()
def decode(
    images: Annotated[list[Path], typer.Argument(help="JPEG, PNG, WebP, ...")],
    *,
    as_json: AsJson = False,
) -> None:
    """Read the barcodes in pictures, as the edge's cameras do."""
    from edge.vision import command

    files = command.decode_files(images)
    typer.echo(command.as_json(files) if as_json else command.as_text(files))
    raise typer.Exit(1 if any(file.error for file in files) else 0)


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which of: {', '.join(BENCHES)}; none: all.")
    ] = None,
    *,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows here.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Measure all of what takes long, not a part.")
    ] = False,
) -> None:
    """Measure speed and quality beside peers, in one run."""
    from stockhelm.bench import run_bench

    raise typer.Exit(run_bench(names or [], json_file, full=full))
