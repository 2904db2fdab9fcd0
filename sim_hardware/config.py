"""Configuration of the simulated floor."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime.bus import BusOptions, TlsFiles, Will
from wire.messages import Bin, Name

Share = Annotated[float, Meta(ge=0, le=1)]
Quirk = Literal[
    "silent-after-reconnect", "node-states-never-emptied", "wrong-header-ids", "late-states"
]
"""Ways in which robots on the market depart from the standard."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration; an unknown key stops the start."""


class SimBroker(Section, frozen=True, kw_only=True):
    """Where the message broker listens. Devices come as themselves, everybody else as `floor`."""

    host: str = "127.0.0.1"
    """Name or address of the broker; with `tls` one that its certificate names."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 1883
    """Its port."""
    tls: TlsFiles = TlsFiles()

    def options(self, name: str, client_id: str, will: Will | None = None) -> BusOptions:
        """Return how `name` reaches it; `{name}` in the files' names is theirs."""
        tls = self.tls
        return BusOptions(
            client_id=client_id,
            host=self.host,
            port=self.port,
            will=will,
            tls=TlsFiles(
                ca=tls.ca,
                certificate=tls.certificate.replace("{name}", name),
                key=tls.key.replace("{name}", name),
            )
            if tls.ca
            else None,
        )


class SimScanner(Section, frozen=True, kw_only=True):
    """A person's scanner: at the end of a serial line (`path`), or over MQTT (no path)."""

    device_id: Name
    """As in the edge's `[[scanners]]`."""
    person_id: Name
    """Who holds it; simulated too."""
    path: str = ""
    """Where the line's device end appears; empty: over MQTT."""


class SimErrors(Section, frozen=True, kw_only=True):
    """How often people do what they should not, as a share of the times they could."""

    persons: tuple[Name, ...] = ()
    """Whom this is about; none: all who stand in no other row."""
    misplace: Share = 0.0
    """Of putaways: the goods go into the neighbouring bin, the right one is scanned."""
    miscount: Share = 0.0
    """Of counts and of units taken: one more or one less than what is scanned."""
    wrong_pick: Share = 0.0
    """Of picks: the neighbouring face's article is taken, the right one is scanned."""
    forget_scan: Share = 0.0
    """Of moves: it is done and nothing is scanned."""
    steal: Share = 0.0
    """Of tasks: one or two units of what is there vanish."""
    trust_paper: Share = 0.0
    """Of pallets with something else on them: received as what the paper says."""
    pause: Share = 0.0
    """Of tasks: a break comes before it."""
    pause_s: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    """World seconds of a break, in the mean."""


class SimOptics(Section, frozen=True, kw_only=True):
    """What lens, light and dirt do to the pictures of cameras and drones."""

    cameras: tuple[Name, ...] = ()
    """Which cameras and drones this is about; none: all that stand in no other row."""
    tilt: Annotated[float, Meta(ge=0, le=0.4)] = 0.02
    """How far a corner may be off, as a share of the picture's width: perspective."""
    blur_px: Annotated[float, Meta(ge=0, le=20)] = 0.7
    """Standard deviation of the blur."""
    noise: Annotated[float, Meta(ge=0, le=100)] = 5.0
    """Standard deviation of the noise, grey levels."""
    light_min: Annotated[float, Meta(gt=0, le=4)] = 0.7
    """Darkest light: 1 is right."""
    light_max: Annotated[float, Meta(gt=0, le=4)] = 1.1
    """Brightest light."""
    glare: Share = 0.0
    """Share of the picture's width that a reflection bleaches."""
    occlusion: Share = 0.0
    """Share of the picture that something in front of the rack hides."""
    dirt: Share = 0.0
    """Share of the lens that is smeared."""
    damage: Share = 0.0
    """Share of each label that is scratched or torn off."""


class SimCamera(Section, frozen=True, kw_only=True):
    """A fixed camera: it serves JPEG snapshots of some bins, or says what it sees there."""

    camera_id: Name
    """Its name."""
    url: str = ""
    """Where it serves its pictures; this process opens that port. Not at level `sighting`."""
    bins: tuple[Bin, ...]
    """What it sees."""
    level: Literal["picture", "sighting"] = "picture"
    """`picture`: it renders what it sees. `sighting`: it decodes by itself and says over MQTT which
    labels are in view (for big simulations)."""
    period_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 5.0
    """Seconds between two looks at level `sighting`."""
    miss_share: Share = 0.0
    """Of labels in view at level `sighting`: not decoded in one look."""


class SimDrone(Section, frozen=True, kw_only=True):
    """A drone: an autopilot behind a telemetry radio, and a camera."""

    drone_id: Name
    """Its name."""
    path: str
    """Where its radio's device end appears."""
    camera_url: str
    """Where it serves its pictures."""
    system_id: Annotated[int, Meta(ge=1, le=255)] = 1
    """MAVLink system id."""
    origin_lat_deg: float = 0.0
    """As in the edge's configuration."""
    origin_lon_deg: float = 0.0
    """As in the edge's configuration."""
    home_x_m: float = 0.0
    """Where it stands at first."""
    home_y_m: float = 0.0
    """Where it stands at first."""
    wind_mps: Annotated[float, Meta(ge=0, le=15)] = 0.0
    """Mean wind: it slows what flies against it and moves what hovers."""
    wind_from_deg: Annotated[float, Meta(ge=0, le=360)] = 270.0
    """Where the wind comes from: 0 is north (y), 90 is east (x)."""
    gust_share: Share = 0.3
    """How much gusts add to the wind and take from it."""
    battery_s: Annotated[float, Meta(gt=0, le=36_000)] = 1_200.0
    """World seconds in the air on a full battery, without wind."""
    reserve_share: Share = 0.1
    """It returns when what is left would bring it home with less than this."""
    link_lost_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    """It returns after so long without a heartbeat from its ground station; 0: it never does."""


Version = Literal["2.0.0", "2.1.0", "3.0.0"]


class SimRobot(Section, frozen=True, kw_only=True):
    """A robot that is not like the others."""

    serial: Name
    """As in robots.csv."""
    quirks: tuple[Quirk, ...] = ()
    """Where its firmware departs from the standard."""
    version: Version = "2.0.0"
    """The version of VDA 5050 that it speaks."""


class SimRobotBody(Section, frozen=True, kw_only=True):
    """How the robots' bodies behave; by default a light load changes nothing."""

    lift_s: Annotated[float, Meta(ge=0, le=120)] = 0.0
    """World seconds to lift to the upper shelf, on top of the handling; a low shelf takes less."""
    load_speed_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Share of the top speed that a fully loaded robot drives at."""
    load_power_share: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """How much more a fully loaded robot draws when it drives."""
    lift_energy_share: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    """Share of the battery that one lift takes."""
    taper_from: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Charge from which the charging current falls, to a tenth at full; 1: it never does."""
    slip_per_m: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """How much further the wheels turn than the robot goes, in the mean."""
    position_loss_per_km: Annotated[float, Meta(ge=0, le=1_000)] = 0.0
    """How often a robot loses its position in a kilometre."""
    relocate_s: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    """World seconds until a robot that lost its position finds it again."""
    yields_to_people: bool = False
    """Whether robots slow down near people."""
    chargers_at_once: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """So many chargers give current at the same time, first come first served; 0: all."""


class SimSuppliers(Section, frozen=True, kw_only=True):
    """How suppliers deliver: when, how much, and whether it is what was ordered."""

    supplier_ids: tuple[Name, ...] = ()
    """Whom this is about; none: all who stand in no other row."""
    lead: Literal["uniform", "lognormal", "gamma"] = "uniform"
    """How lead times spread about the supplier's own."""
    lead_spread: Annotated[float, Meta(ge=0, le=3)] = 0.2
    """Half the width of the uniform spread, or the coefficient of variation, share of the lead."""
    late_share: Share = 0.0
    """Of deliveries: they come later than that."""
    late_d: Annotated[float, Meta(ge=0, le=365)] = 1.0
    """How many days later, in the mean."""
    short_share: Share = 0.0
    """Of lines: less comes than was ordered."""
    over_share: Share = 0.0
    """Of lines: more comes than was ordered."""
    off_by: Share = 0.2
    """How much less or more, at most."""
    wrong_share: Share = 0.0
    """Of lines: another article of the supplier stands on the pallet."""
    damaged_share: Share = 0.0
    """Of units: they arrive broken and nobody receives them."""
    parts_max: Annotated[int, Meta(ge=1, le=20)] = 1
    """In how many lorries an order may come."""
    part_gap_d: Annotated[float, Meta(ge=0, le=60)] = 0.5
    """Days between two lorries of one order, in the mean."""


class SimPromotion(Section, frozen=True, kw_only=True):
    """Customers buy more of something for some days."""

    what: str
    """GTIN-14, SKU, or a word of the article's name such as `umbrella`."""
    factor: Annotated[float, Meta(ge=0, le=1_000)]
    """How many times as much."""
    from_day: Annotated[float, Meta(ge=0)] = 0.0
    """When it begins; the site opens on day 0."""
    to_day: Annotated[float, Meta(gt=0)] = 1e6
    """When it ends."""


class SimWeather(Section, frozen=True, kw_only=True):
    """The weather over the site, which some articles sell by."""

    kind: Literal["fair", "drawn"] = "fair"
    """`fair`: it is always dry, until somebody says otherwise. `drawn`: by the seed."""
    rain_share: Share = 0.25
    """Share of the time in which it rains."""
    spell_h: Annotated[float, Meta(gt=0, le=1_000)] = 6.0
    """Hours (24 to a sales day) that a spell of weather lasts, in the mean."""
    rain_factor: Annotated[float, Meta(ge=1, le=1_000)] = 8.0
    """How many times as many umbrellas and rain capes are sold when it pours (10 mm/h)."""


class SimPlanner(Section, frozen=True, kw_only=True):
    """The person at the desk, where nobody real sits there."""

    person_id: Name = "planner"
    """As it stands beside the decisions."""
    delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 20.0
    """Seconds from when a proposal waits to the decision, in the mean."""
    reject_share: Share = 0.0
    """Of proposals: rejected."""
    asleep: bool = False
    """Whether nothing is decided until somebody wakes them."""


class SimOrders(Section, frozen=True, kw_only=True):
    """Where customer orders come from: drawn at a rate, or replayed from a file of daily sales."""

    kind: Literal["generated", "file"] = "generated"
    """Drawn, or replayed from a file."""
    day_s: Annotated[float, Meta(ge=1)] = 60.0
    """Real seconds per sales day (the same number stands in central's planning.day_s)."""
    orders_per_day: Annotated[float, Meta(ge=0)] = 30.0
    """Drawn orders on a usual day."""
    path: str = ""
    """CSV with the columns `date,sku,quantity`."""
    first_date: str = ""
    """First sales date to replay (the days before it are history); empty: the file's first."""
    weekday_factors: tuple[Annotated[float, Meta(ge=0, le=100)], ...] = ()
    """How much is sold on each day of the week, 1 is usual: 7 numbers, or none."""
    yearly_swing: Share = 0.0
    """How much more is sold in the best week of the year than in the mean."""
    yearly_best_day: Annotated[float, Meta(ge=0, le=365)] = 350.0
    """Which day of the year is the best one; day 0 of the site is day 0 of the year."""
    trend_per_day: Annotated[float, Meta(ge=-0.5, le=0.5)] = 0.0
    """How much more is sold each day than on day 0, as a share."""
    lines_weights: tuple[Annotated[float, Meta(ge=0)], ...] = ()
    """Weights of orders with 1, 2, 3 ... lines; none: 0.5, 0.3, 0.2."""
    units_weights: tuple[Annotated[float, Meta(ge=0)], ...] = ()
    """Weights of lines with 1, 2, 3 ... units; none: 0.4, 0.3, 0.18, 0.12."""


class SimConfig(Section, frozen=True, kw_only=True):
    """Everything the simulated floor needs to know."""

    site_id: Name
    """Name of the site: part of every topic."""
    site_dir: str
    """Folder of the site's CSV files."""
    gln: Annotated[str, Meta(pattern=r"^[0-9]{13}\Z")]
    """The site's Global Location Number, as at the edges: labels carry it."""
    truth_file: str
    """Where the truth is written, on SIGUSR1 (the world then stands still) and at the end."""
    broker: SimBroker = SimBroker()
    seed: int = 0
    """Decides all chance."""
    speed: Annotated[float, Meta(gt=0, le=100)] = 4.0
    """How much faster than real the world moves."""
    interface_name: Name = "uagv"
    """First level of the robots' VDA 5050 topics."""
    scanners: tuple[SimScanner, ...] = ()
    cameras: tuple[SimCamera, ...] = ()
    drones: tuple[SimDrone, ...] = ()
    orders: SimOrders = SimOrders()
    promotions: tuple[SimPromotion, ...] = ()
    weather: SimWeather = SimWeather()
    suppliers: tuple[SimSuppliers, ...] = ()
    errors: tuple[SimErrors, ...] = ()
    optics: tuple[SimOptics, ...] = ()
    robots: tuple[SimRobot, ...] = ()
    robot_body: SimRobotBody = SimRobotBody()
    planner: SimPlanner = SimPlanner()
    stray_scan_share: Annotated[float, Meta(ge=0, le=1)] = 0.03
    """Share of scans that first hit a label which is no GS1 code (a poster, a parcel)."""
    robot_max_speed_mps: Annotated[float, Meta(gt=0, le=10)] = 1.5
    """Top speed of a robot, in its world."""
    battery_hours: Annotated[float, Meta(gt=0)] = 8.0
    """How long a charge lasts."""
