"""The pilot, message by message: a mission flown, and every way in which one can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.drones import core
from firmware_bridge.drones.core import (
    Arrived,
    Battery,
    CommandAnswered,
    Deed,
    Ended,
    Heard,
    Heartbeat,
    ItemCurrent,
    ItemReached,
    ItemWanted,
    Phase,
    Pilot,
    Position,
    SendCommand,
    SendCount,
    SendItem,
    UploadAnswered,
)
from firmware_bridge.drones.plan import Origin, Plan, Stop, make_plan

ORIGIN = Origin(lat_deg=52.5, lon_deg=13.4)
STOPS = (
    Stop(x_m=3, y_m=1, z_m=1.8, yaw_deg=0),
    Stop(x_m=9, y_m=1, z_m=0.6, yaw_deg=0),
)
ARM, START, HOME = 400, 300, 20
ON_GROUND, IN_AIR = Heartbeat(armed=False, autopilot=3), Heartbeat(armed=True, autopilot=3)
ITEMS = 5  # home, take-off, two stops, return


def place(x_m: float, y_m: float, z_m: float) -> Position:
    return Position(*ORIGIN.to_geo(x_m, y_m), z_m)


class Flight:
    """A pilot, its clock, and all that it did."""

    def __init__(self, timeout_s: float = 600) -> None:
        self.pilot = Pilot(origin=ORIGIN, timeout_s=timeout_s)
        self.now_s = 1_000.0
        self.deeds: list[Deed] = []

    def begin(self) -> Flight:
        def plan(start: tuple[int, int], *, home_item: bool) -> Plan:
            return make_plan(STOPS, origin=ORIGIN, hold_s=4, start=start, home_item=home_item)

        self.deeds += self.pilot.begin(plan, self.now_ns)
        return self

    @property
    def now_ns(self) -> int:
        return round(self.now_s * core.NS_PER_S)

    def hear(self, *messages: Heard) -> list[Deed]:
        """Hear these now; return what was done about them."""
        done = [deed for message in messages for deed in self.pilot.heard(message, self.now_ns)]
        self.deeds += done
        return done

    def wait(self, seconds: float, *, beat: Heartbeat | None = None) -> list[Deed]:
        """Let time pass in ticks, with a heartbeat each second if the drone is to be there."""
        done: list[Deed] = []
        for tick in range(round(seconds * 5)):
            self.now_s += 0.2
            if beat is not None and tick % 5 == 0:
                done += self.pilot.heard(beat, self.now_ns)
            done += self.pilot.tick(self.now_ns)
        self.deeds += done
        return done

    @property
    def ended(self) -> list[Ended]:
        return [deed for deed in self.deeds if isinstance(deed, Ended)]

    # --- how far a flight has come --------------------------------------------------------------

    def there(self) -> Flight:
        self.begin()
        self.hear(ON_GROUND, place(0, 0, 0), Battery(90))
        assert self.pilot.phase is Phase.UPLOAD
        return self

    def uploaded(self) -> Flight:
        self.there()
        self.hear(*(ItemWanted(seq) for seq in range(ITEMS)), UploadAnswered(0))
        assert self.pilot.phase is Phase.ARM
        return self

    def armed(self) -> Flight:
        self.uploaded()
        self.hear(CommandAnswered(ARM, 0), IN_AIR)
        assert self.pilot.phase is Phase.START
        return self

    def flying(self) -> Flight:
        self.armed()
        self.hear(CommandAnswered(START, 0), ItemCurrent(1))
        assert self.pilot.phase is Phase.FLY
        return self


def commands(deeds: list[Deed]) -> list[int]:
    return [deed.command for deed in deeds if isinstance(deed, SendCommand)]


def test_a_mission_is_uploaded_armed_started_flown_and_ends_when_landed() -> None:
    flight = Flight().begin()
    done = flight.hear(ON_GROUND, Battery(90))
    assert commands(done) == [511, 511]  # it is asked to say where it is
    assert flight.hear(place(0, 0, 0)) == [SendCount(ITEMS)]
    assert flight.hear(ItemWanted(0), ItemWanted(1)) == [SendItem(0), SendItem(1)]
    assert flight.hear(ItemWanted(2), ItemWanted(3), ItemWanted(4))[-1] == SendItem(4)
    assert flight.hear(UploadAnswered(0)) == [SendCommand(ARM, (1.0,))]
    assert flight.hear(CommandAnswered(ARM, 0)) == [SendCommand(START, (0.0, 0.0))]
    assert flight.hear(CommandAnswered(START, 0), IN_AIR, ItemReached(1), ItemCurrent(2)) == []
    assert flight.hear(ItemReached(2)) == [Arrived(0)]
    assert flight.hear(ItemCurrent(3), ItemReached(3)) == [Arrived(1)]
    assert flight.hear(ItemCurrent(4), ItemReached(4), IN_AIR) == []
    assert flight.hear(ON_GROUND) == [Ended(ok=True, detail="flown: 2 stops")]
    assert flight.pilot.phase is Phase.IDLE


def test_a_drone_without_a_home_item_is_sent_one_item_less() -> None:
    flight = Flight().begin()
    flight.hear(Heartbeat(armed=False, autopilot=12), place(0, 0, 0), Battery(None))
    assert flight.deeds[-1] == SendCount(ITEMS - 1)


def test_arrival_is_told_by_position_and_once() -> None:
    flight = Flight().flying()
    assert flight.hear(ItemCurrent(2), place(3, 1.5, 1.8)) == []
    assert flight.hear(place(3, 1.2, 1.8)) == [Arrived(0)]
    assert flight.hear(place(3, 1, 1.8), ItemReached(2)) == []


def test_passing_another_stop_on_the_way_is_no_arrival() -> None:
    flight = Flight().flying()
    assert flight.hear(ItemCurrent(3), place(3, 1, 1.8)) == []


def test_arrival_at_the_next_stop_is_told_though_the_radio_lost_that_it_flew_on() -> None:
    flight = Flight().flying()
    assert flight.hear(ItemReached(2), place(9, 1, 0.6)) == [Arrived(0), Arrived(1)]


def test_a_second_mission_can_follow() -> None:
    flight = Flight().flying()
    flight.hear(ItemReached(2), ItemReached(3), ON_GROUND)
    flight.uploaded()
    assert flight.ended == [Ended(ok=True, detail="flown: 2 stops")]


# --- what is lost is said again ----------------------------------------------------------------


def test_a_lost_count_is_said_again_and_the_mission_goes_on() -> None:
    flight = Flight().there()
    assert flight.wait(1.8, beat=ON_GROUND) == [SendCount(ITEMS)]
    assert flight.hear(ItemWanted(0)) == [SendItem(0)]


def test_a_lost_item_is_said_again_whoever_asks_first() -> None:
    flight = Flight().there()
    flight.hear(ItemWanted(0))
    assert flight.wait(1.8, beat=ON_GROUND) == [SendItem(0)]
    assert flight.hear(ItemWanted(0)) == [SendItem(0)]


def test_a_lost_arm_is_said_again_with_a_rising_confirmation() -> None:
    flight = Flight().uploaded()
    assert flight.wait(3.2, beat=ON_GROUND) == [
        SendCommand(ARM, (1.0,), 1),
        SendCommand(ARM, (1.0,), 2),
    ]


@pytest.mark.parametrize(
    ("come_so_far", "told_otherwise", "phase"),
    [
        pytest.param(Flight.uploaded, IN_AIR, Phase.START, id="armed"),
        pytest.param(Flight.armed, ItemReached(1), Phase.FLY, id="took off"),
        pytest.param(Flight.armed, ItemCurrent(2), Phase.FLY, id="on its way"),
    ],
)
def test_a_lost_answer_is_made_good_by_what_the_drone_does(
    come_so_far: Callable[[Flight], Flight], told_otherwise: Heard, phase: Phase
) -> None:
    flight = come_so_far(Flight())
    flight.hear(told_otherwise)
    assert flight.pilot.phase is phase


@pytest.mark.parametrize(
    ("come_so_far", "beat", "doing"),
    [
        pytest.param(Flight.there, ON_GROUND, "uploading", id="count"),
        pytest.param(Flight.uploaded, ON_GROUND, "arming", id="arm"),
    ],
)
def test_what_is_never_answered_on_the_ground_ends_the_mission(
    come_so_far: Callable[[Flight], Flight], beat: Heartbeat, doing: str
) -> None:
    flight = come_so_far(Flight())
    flight.wait(20, beat=beat)
    assert flight.ended == [Ended(ok=False, detail=f"no answer while {doing}, asked 10 times")]


def test_a_start_that_is_never_answered_calls_the_armed_drone_home() -> None:
    flight = Flight().armed()
    done = flight.wait(18, beat=IN_AIR)
    assert commands(done)[:9] == [START] * 9
    assert HOME in commands(done)
    assert flight.ended == []
    flight.hear(ON_GROUND)
    assert flight.ended == [
        Ended(ok=False, detail="no answer while starting, asked 10 times, after 0 of 2 stops")
    ]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "why"),
    [(4, "no space"), (2, "unsupported frame"), (14, "denied"), (99, "result 99")],
)
def test_a_refused_upload_ends_the_mission(result: int, why: str) -> None:
    flight = Flight().there()
    flight.hear(ItemWanted(0), UploadAnswered(result))
    assert flight.ended == [Ended(ok=False, detail=f"upload refused: {why}")]


def test_an_upload_that_broke_off_is_begun_anew_a_few_times() -> None:
    flight = Flight().there()
    for result in (15, 13, 1, 15):
        assert flight.hear(UploadAnswered(result)) == [SendCount(ITEMS)]
    assert flight.hear(UploadAnswered(15)) == [Ended(ok=False, detail="upload refused: cancelled")]


def test_a_lost_answer_to_the_whole_mission_begins_the_upload_anew() -> None:
    flight = Flight().there()
    flight.hear(*(ItemWanted(seq) for seq in range(ITEMS)))
    last = SendItem(ITEMS - 1)
    assert flight.wait(4.8, beat=ON_GROUND) == [last, last, SendCount(ITEMS)]


def test_a_late_yes_to_an_earlier_upload_is_no_answer() -> None:
    flight = Flight().there()
    assert flight.hear(ItemWanted(0), UploadAnswered(0)) == [SendItem(0)]
    assert flight.pilot.phase is Phase.UPLOAD


def test_items_that_do_not_exist_are_not_sent() -> None:
    flight = Flight().there()
    assert flight.hear(ItemWanted(ITEMS), ItemWanted(60_000)) == []


def test_a_drone_that_asks_for_ever_is_given_up() -> None:
    flight = Flight().there()
    for _ in range(10 * ITEMS + 1):
        flight.hear(ItemWanted(0))
    assert flight.ended == [
        Ended(ok=False, detail="upload: the drone asks for the same items for ever")
    ]


def test_refused_arming_ends_the_mission() -> None:
    flight = Flight().uploaded()
    flight.hear(CommandAnswered(ARM, 2))
    assert flight.ended == [Ended(ok=False, detail="arming refused: denied")]


def test_arming_that_is_refused_for_now_is_asked_for_again() -> None:
    flight = Flight().uploaded()
    assert flight.hear(CommandAnswered(ARM, 1)) == []
    assert commands(flight.wait(1.8, beat=ON_GROUND)) == [ARM]
    flight.hear(CommandAnswered(ARM, 0))
    assert flight.pilot.phase is Phase.START


def test_a_refused_start_calls_the_armed_drone_home() -> None:
    flight = Flight().armed()
    assert flight.hear(CommandAnswered(START, 4)) == [SendCommand(HOME, ())]
    flight.hear(ON_GROUND)
    assert flight.ended[0].detail == "start of the mission refused: failed, after 0 of 2 stops"


def test_answers_to_other_commands_change_nothing() -> None:
    flight = Flight().uploaded()
    assert flight.hear(CommandAnswered(511, 3), CommandAnswered(START, 0)) == []
    assert flight.pilot.phase is Phase.ARM


# --- what happens outside ----------------------------------------------------------------------


def test_without_a_heartbeat_the_mission_ends_after_a_while() -> None:
    flight = Flight().begin()
    flight.wait(29)
    assert flight.ended == []
    flight.wait(2)
    assert flight.ended == [Ended(ok=False, detail="no heartbeat from the drone")]


def test_an_old_heartbeat_does_not_count() -> None:
    flight = Flight()
    flight.hear(ON_GROUND, place(0, 0, 0), Battery(90))
    flight.now_s += 60
    flight.begin()
    assert SendCount(ITEMS) not in flight.deeds
    assert flight.hear(ON_GROUND) == [SendCount(ITEMS)]


def test_a_mission_waits_for_the_battery_and_says_why_it_did_not_begin() -> None:
    flight = Flight().begin()
    flight.hear(Battery(12), place(0, 0, 0))
    flight.wait(31, beat=ON_GROUND)
    assert flight.ended == [Ended(ok=False, detail="battery at 12 %: 30 % are needed to start")]
    flight.begin()
    flight.hear(Battery(30), ON_GROUND)
    assert flight.pilot.phase is Phase.UPLOAD


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ([place(0, 0, 0)], "how full its battery is"),
        ([Battery(90)], "where it is"),
    ],
)
def test_a_drone_that_does_not_say_enough_is_not_flown(said: list[Heard], missing: str) -> None:
    flight = Flight().begin()
    flight.hear(*said)
    flight.wait(31, beat=ON_GROUND)
    assert flight.ended == [Ended(ok=False, detail=f"the drone does not say {missing}")]


def test_a_drone_left_in_the_air_is_called_home_first() -> None:
    flight = Flight().begin()
    flight.hear(IN_AIR, place(5, 5, 2), Battery(90))
    assert set(commands(flight.wait(4, beat=IN_AIR))) == {HOME}
    flight.hear(ON_GROUND)
    assert flight.deeds[-1] == SendCount(ITEMS)


def test_a_low_battery_in_the_air_brings_the_drone_home() -> None:
    flight = Flight().flying()
    flight.hear(ItemReached(2))
    assert flight.hear(Battery(14)) == [SendCommand(HOME, ())]
    flight.hear(CommandAnswered(HOME, 0), ON_GROUND)
    assert flight.ended == [Ended(ok=False, detail="battery at 14 %, after 1 of 2 stops")]


def test_a_drone_that_lands_by_itself_ends_the_mission_not_well() -> None:
    flight = Flight().flying()
    flight.hear(ItemReached(2), ON_GROUND)
    assert flight.ended == [Ended(ok=False, detail="landed by itself after 1 of 2 stops")]


def test_a_flight_that_takes_too_long_is_called_home_until_it_obeys() -> None:
    flight = Flight(timeout_s=60).flying()
    done = flight.wait(70, beat=IN_AIR)
    assert commands(done).count(HOME) >= 5
    flight.hear(CommandAnswered(HOME, 0))
    assert commands(flight.wait(10, beat=IN_AIR)) == []
    flight.hear(ON_GROUND)
    assert flight.ended == [
        Ended(ok=False, detail="not done in 60 s, while flying, after 0 of 2 stops")
    ]


def test_a_drone_that_never_lands_is_given_up_after_a_while() -> None:
    flight = Flight(timeout_s=60).flying()
    flight.wait(200, beat=IN_AIR)
    assert flight.ended[0].detail.endswith("after 0 of 2 stops; not seen to land")


def test_a_drone_not_heard_of_in_the_air_is_given_up_after_half_a_minute() -> None:
    flight = Flight().flying()
    flight.pilot.link_lost()
    flight.wait(29)
    assert flight.ended == []
    flight.wait(2)
    assert flight.ended == [Ended(ok=False, detail="no heartbeat for 30 s, while flying")]


def test_a_short_silence_in_the_air_changes_nothing() -> None:
    flight = Flight().flying()
    flight.pilot.link_lost()
    flight.wait(20)
    flight.hear(IN_AIR, ItemReached(2), ItemReached(3), ON_GROUND)
    assert flight.ended == [Ended(ok=True, detail="flown: 2 stops")]


def test_abort_on_the_ground_ends_and_in_the_air_calls_home() -> None:
    flight = Flight().there()
    assert flight.pilot.abort("stopped", flight.now_ns) == [Ended(ok=False, detail="stopped")]
    flight = Flight().flying()
    assert flight.pilot.abort("stopped", flight.now_ns) == [SendCommand(HOME, ())]
    assert Flight().pilot.abort("stopped", 0) == []


HEARD = st.one_of(
    st.sampled_from([ON_GROUND, IN_AIR]),
    st.builds(ItemWanted, st.integers(-1, 6)),
    st.builds(UploadAnswered, st.integers(0, 15)),
    st.builds(CommandAnswered, st.sampled_from([ARM, START, HOME, 511]), st.integers(0, 6)),
    st.builds(ItemReached, st.integers(0, 6)),
    st.builds(ItemCurrent, st.integers(0, 6)),
    st.builds(Battery, st.integers(0, 100)),
    st.builds(place, st.floats(0, 10), st.floats(0, 2), st.floats(0, 2)),
    st.none(),
)


@given(st.lists(HEARD, max_size=60))
def test_whatever_is_heard_a_mission_ends_exactly_once(messages: list[Heard | None]) -> None:
    flight = Flight(timeout_s=60).begin()
    for message in messages:
        if message is None:
            flight.wait(1)
        else:
            flight.hear(message)
    flight.wait(400)
    assert len(flight.ended) == 1
    assert flight.pilot.phase is Phase.IDLE
    stops = [deed.stop for deed in flight.deeds if isinstance(deed, Arrived)]
    assert len(set(stops)) == len(stops)
