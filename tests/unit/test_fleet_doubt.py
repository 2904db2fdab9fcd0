"""Robots that say odd things about what they do: no action is done by two of them, none waits."""

from __future__ import annotations

import msgspec
import pytest

from tests.build_fleet import FleetWorld, grid_site, node_id, transport
from wire.vda5050.messages import Action, ActionState, Node

CHARGER = node_id(0, 0)


def test_what_the_last_state_of_an_order_shows_as_done_is_not_done_again() -> None:
    world = FleetWorld(robots={"r0": node_id(0, 0), "r1": node_id(5, 4)})
    world.start_vehicles()
    world.submit(transport("T1", node_id(3, 0), node_id(3, 3)))
    lost = world.vehicles["r0"]
    assert world.runtime.run_until(lambda: bool(lost.ahead), 30)
    lost.is_lost = True  # so it seems to stand where it was, and is idle there once it has picked
    assert world.runtime.run_until(lambda: lost.done == ["pick0/T1"], 60)
    world.runtime.run_for(10)
    lost.find(lost.node)
    assert world.run_until_ended(1)
    assert world.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}
    assert world.events("T1")[-1] == "done"


def test_one_state_of_another_order_gives_no_action_away_that_is_on_its_way() -> None:
    world = FleetWorld(robots={"r0": node_id(0, 0), "r1": node_id(8, 4)}, width=9, height=8)
    world.start_vehicles()
    world.submit(transport("T1", node_id(0, 7), node_id(3, 3)))
    odd = world.vehicles["r0"]
    assert world.runtime.run_until(lambda: bool(odd.order_id), 30)
    odd.deaf = True
    assert world.runtime.run_until(lambda: bool(world.orders("r0")[-1].nodes[-1].actions), 60)
    mine, odd.order_id = odd.order_id, "somebody-else.7"
    odd.say()
    odd.order_id, odd.deaf = mine, False
    odd.answers = False  # nobody can take it back from there
    world.runtime.run_for(1)
    odd._take(world.orders("r0")[-1])
    assert world.run_until_ended(1)
    assert world.actions_done() == {"pick0/T1": 1, "drop1/T1": 1}


@pytest.mark.parametrize("is_on_it", [False, True])
def test_a_silent_robot_keeps_no_charger_that_it_does_not_stand_on(*, is_on_it: bool) -> None:
    robots = {"r0": node_id(1, 0) if is_on_it else node_id(5, 4), "r1": node_id(5, 0)}
    site = grid_site(6, 5, robots)
    charger = msgspec.structs.replace(site.nodes[CHARGER], kind="charger")
    nodes = {**site.nodes, CHARGER: charger}
    world = FleetWorld(robots=robots, site=msgspec.structs.replace(site, nodes=nodes))
    world.vehicles["r0"].charge = 10.0
    world.start_vehicles()
    world.runtime.run_for(10 if is_on_it else 3)
    silent = world.vehicles["r0"]
    silent.deaf = silent.dumb = True
    world.vehicles["r1"].charge = 12.0
    came = world.runtime.run_until(lambda: world.vehicles["r1"].node == CHARGER, 400)
    assert (silent.node == CHARGER) == is_on_it != came
    assert not world.floor.conflicts


def test_a_cancel_that_is_said_to_be_done_and_is_not_is_not_said_with_every_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = FleetWorld(robots={"r0": node_id(0, 0)})
    world.start_vehicles()
    odd = world.vehicles["r0"]
    world.runtime.run_for(2)
    heard: list[str] = []

    def only_say_so(action: Action) -> None:
        heard.append(action.action_type)
        odd.instants[action.action_id] = ActionState(
            action_id=action.action_id, action_type=action.action_type, action_status="FINISHED"
        )

    monkeypatch.setattr(odd, "_do_at_once", only_say_so)
    odd.e_stop = "MANUAL"
    odd.order_id = "somebody-else.7"
    odd.ahead = [Node(node_id=node_id(1, 0), sequence_id=2, released=True)]
    world.runtime.run_for(100)
    assert 2 <= heard.count("cancelOrder") <= 35
