"""A layout file of VDMA's LIF becomes nodes and lanes; whatever is not used is named."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stockhelm.cli import app
from stockhelm.lif import LifLayout, read_lif
from stockhelm.lif_notes import LifError
from wire.site import EdgeRow, NodeRow

TUG, FORK = "acme.tug", "acme.fork"
Layout = dict[str, Any]


def node(node_id: str, x: float, y: float, *types: str, **more: Any) -> Layout:
    """Return a node for these vehicle types (none named: for both)."""
    properties = [{"vehicleTypeId": kind, **more} for kind in types or (TUG, FORK)]
    return {
        "nodeId": node_id, "mapId": "hall", "nodePosition": {"x": x, "y": y},
        "vehicleTypeNodeProperties": properties,
    }  # fmt: skip


def edge(start: str, end: str, *types: str, **more: Any) -> Layout:
    """Return an edge for these vehicle types (none named: for both)."""
    properties = [
        {"vehicleTypeId": kind, "rotationAllowed": True, "maxSpeed": 1.5, **more}
        for kind in types or (TUG, FORK)
    ]
    return {
        "edgeId": f"{start}-{end}", "startNodeId": start, "endNodeId": end,
        "vehicleTypeEdgeProperties": properties,
    }  # fmt: skip


def action(kind: str, **more: Any) -> Layout:
    return {"actionType": kind, "blockingType": "HARD", "requirementType": "CONDITIONAL", **more}


LIF: Layout = {
    "metaInformation": {
        "projectIdentification": "hall 1", "creator": "tests",
        "exportTimestamp": "2026-03-01T12:00:00.00Z", "lifVersion": "1.0.0",
    },
    "layouts": [
        {
            "layoutId": "L1", "layoutName": "hall", "layoutVersion": "1", "layoutLevelId": "0",
            "nodes": [
                node("gate", 0, 0, actions=[action("pick"), action("drop")]),
                node("a", 4, 0),
                node("b", 4, 3),
                node("narrow", 8, 0, TUG),
                node("power", 0, 3, actions=[action("startCharging")]),
            ],
            "edges": [
                edge("gate", "a"), edge("a", "gate"), edge("a", "b", maxRotationSpeed=0.75),
                edge("b", "a"), edge("a", "narrow", TUG), edge("narrow", "a", TUG),
                edge("b", "power", maxSpeed=0.5),
            ],
            "stations": [
                {"stationId": "S1", "interactionNodeIds": ["b"],
                 "stationPosition": {"x": 4, "y": 4, "theta": 0}},
            ],
        }
    ],
}  # fmt: skip


def read(lif: Layout, *layouts: str) -> LifLayout:
    return read_lif(json.dumps(lif).encode(), layouts)


def changed(*path: str | int, to: Any) -> Layout:
    """Return the layout with one place of its first layout changed."""
    lif = copy.deepcopy(LIF)
    place: Any = lif["layouts"][0]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return lif


def test_nodes_lanes_stations_chargers_and_restrictions_are_read() -> None:
    found = read(LIF)
    turn_m = round(1.5 * 1.5707963 / 0.75, 2)
    assert found.nodes == (
        NodeRow(node_id="gate", x_m=0, y_m=0, kind="station"),
        NodeRow(node_id="a", x_m=4, y_m=0),
        NodeRow(node_id="b", x_m=4, y_m=3, kind="station", turn_cost_m=turn_m),
        NodeRow(node_id="narrow", x_m=8, y_m=0),
        NodeRow(node_id="power", x_m=0, y_m=3, kind="charger"),
    )
    lanes = {(e.from_node, e.to_node): e for e in found.edges}
    assert len(lanes) == 7
    assert lanes["gate", "a"] == EdgeRow(from_node="gate", to_node="a", speed_m_s_max=1.5)
    assert lanes["a", "narrow"].robot_types == TUG
    assert lanes["b", "power"].speed_m_s_max == 0.5
    assert ("power", "b") not in lanes
    assert found.types == (FORK, TUG)
    assert [str(note) for note in found.notes.notes] == [
        (
            "layouts: mapId 'hall': orders name the site's site_id as their map; to do: let site_id"
            " be the name of the robots' map"
        )
    ]


E0 = ("edges", 0, "vehicleTypeEdgeProperties", 0)
N0 = ("nodes", 0, "vehicleTypeNodeProperties", 0)
NOTED = (
    (changed("nodes", 1, "nodeId", to="a b"),
     "layouts[0].nodes[1]: left out: nodeId 'a b', x 4, y 0: expected an id of letters, digits"),
    (changed("nodes", 1, "nodeId", to="gate"),
     "layouts[0].nodes[1]: left out: nodeId 'gate' is taken; to do: give each node its own id"),
    (changed("nodes", 1, "nodePosition", to={"x": 4}), "nodeId 'a', x 4, y None"),
    (changed("nodes", 1, to=7), "layouts[0].nodes[1]: left out: 7, expected an object"),
    (changed("nodes", 1, "colour", to="red"),
     "layouts[0].nodes[1].colour: is not known in LIF 1.0.0: not used; to do: nothing, unless"),
    (changed("nodes", 1, "vehicleTypeNodeProperties", to=[]),
     "layouts[0].nodes[1].vehicleTypeNodeProperties: names no vehicle type: taken as open to all"),
    (changed(*N0, "theta", to=1.57), "Properties[0].theta: robots stand on nodes as they come"),
    (changed(*N0, "actions", to=[action("waitForTrigger", requirementType="REQUIRED")]),
     "Properties[0].actions[0]: waitForTrigger is required here, and is not sent; to do: have"),
    (changed(*N0, "vehicleTypeId", to=""), "Properties[0]: left out: vehicleTypeId is ''"),
    (changed("nodes", 2, "nodePosition", to={"x": 4, "y": 0.5}),
     "node b: is 0.50 m from node a: robots on both may touch"),
    (changed("edges", 0, "endNodeId", to="nowhere"),
     "layouts[0].edges[0]: left out: startNodeId 'gate', endNodeId 'nowhere': expected two nodes"),
    (changed("edges", 0, "vehicleTypeEdgeProperties", to=[]),
     "layouts[0].edges[0]: left out: no vehicle type may drive here"),
    (changed("edges", 0, to=edge("a", "gate")), "a second edge from a to gate: taken as one"),
    (changed(*E0, "trajectory", to={"degree": 1}),
     "layouts[0].edges[0].vehicleTypeEdgeProperties[0].trajectory: the lane counts as a straight"),
    (changed(*E0, "rotationAtEndNodeAllowed", to="NONE"), "NodeAllowed: turning may be forbid"),
    (changed(*E0, "maxHeight", to=2.0), "[0].maxHeight: not observed: leave the edge out"),
    (changed(*E0, "loadRestriction", to={"loaded": False, "unloaded": True}),
     "Properties[0].loadRestriction: only for robots with a load, or only without: closed for"),
    (changed(*E0, "maxSpeed", to=-1), "[0].maxSpeed: -1, expected over 0 to 100: not used"),
    (changed("edges", 4, to=edge("a", "narrow")), f"{FORK} may not stand on node narrow: closed"),
    (changed("edges", to="none"), "layouts[0].edges: left out: 'none', expected a list"),
    (changed("stations", 0, "interactionNodeIds", to=["b", "z"]),
     "layouts[0].stations[0].interactionNodeIds[1]: left out: node 'z' is not in these layouts"),
    (changed("stations", 0, "interactionNodeIds", to=[]),
     "layouts[0].stations[0]: left out: interactionNodeIds is []"),
    (LIF | {"metaInformation": {"lifVersion": "2.0.0"}}, "lifVersion is '2.0.0', expected 1.x.x"),
    (LIF | {"origins": []}, "origins: is not known in LIF 1.0.0"),
)  # fmt: skip


@pytest.mark.parametrize(("lif", "said"), NOTED, ids=range(len(NOTED)))
def test_what_is_not_used_is_named(lif: Layout, said: str) -> None:
    found = read(lif)
    assert said in "\n".join(str(note) for note in found.notes.notes)
    assert found.notes.left_out_count == sum(note.is_left_out for note in found.notes.notes)


def test_an_edge_that_a_type_may_not_take_is_open_to_the_others() -> None:
    closed = changed(*E0, "loadRestriction", to={"loaded": False, "unloaded": True})
    assert read(closed).edges[0].robot_types == FORK


FLOORS = LIF | {
    "layouts": [
        *LIF["layouts"],
        {"layoutId": "L2", "layoutLevelId": "1", "nodes": [node("up", 0, 0)], "edges": []},
    ]
}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"no", "is no JSON: "),
        (b"[]", "expected an object with metaInformation and layouts, found list"),
        (b'{"layouts": 3}', "expected an object with metaInformation and layouts, found layouts"),
        (json.dumps(FLOORS).encode(), "several floors (levels 0, 1; maps hall): a site is one fl"),
    ],
)
def test_what_is_no_layout_of_one_floor_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(LifError) as refused:
        read_lif(payload)
    assert said in str(refused.value)


def test_one_of_several_layouts_may_be_chosen() -> None:
    assert [row.node_id for row in read(FLOORS, "L2").nodes] == ["up"]
    with pytest.raises(LifError, match="has no layout 'L3', expected one of L1, L2"):
        read(FLOORS, "L3")


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["import", "lif", *map(str, words)])
    return result.exit_code, result.output


def test_the_command_writes_a_site_that_can_be_read(tmp_path: Path) -> None:
    file, site = tmp_path / "hall.lif.json", tmp_path / "site"
    file.write_text(json.dumps(LIF))
    code, said = run(file, site)
    assert code == 0
    assert "5 nodes (1 charger, 2 station, 2 way), 7 lanes, 2 of them not for every" in said
    assert (site / "nodes.csv").read_text().splitlines()[:2] == [
        "node_id,x_m,y_m,kind,turn_cost_m", "gate,0.0,0.0,station,0.0",
    ]  # fmt: skip
    assert "a,narrow,acme.tug,1.5" in (site / "edges.csv").read_text()
    assert "hall.lif.json: layouts: mapId" in (site / "lif-notes.txt").read_text()
    (site / "bins.csv").write_text("bin_id,edge_id,kind,x_m,y_m,z_m,node_id\nA-1,A,dock,0,0,0,x\n")
    (site / "articles.csv").write_text("gtin,sku,name,case_units,price_cents,supplier_id\n")
    assert run(file, site) == (
        2, f"stockhelm: {site}/nodes.csv is there already: say --replace to write over it\n"
    )  # fmt: skip
    code, said = run(file, site, "--replace")
    assert code == 0
    assert "other files do not fit yet" in said
    assert "node_id 'x' is not in nodes.csv" in said


def test_nothing_is_written_of_a_file_that_is_not_wholly_understood(tmp_path: Path) -> None:
    file, site = tmp_path / "hall.json", tmp_path / "site"
    file.write_text(json.dumps(changed("nodes", 1, "nodeId", to="a b")))
    code, said = run(file, site)
    assert code == 1
    assert "hall.json: layouts[0].nodes[1]: left out: nodeId 'a b'" in said
    assert "nothing is written: 7 places are left out" in said
    assert "(and 5 more such, at layouts[0].edges[1], layouts[0].edges[2], ...)" in said
    assert not site.exists()
    code, said = run(file, site, "--partial", "--json")
    assert code == 0
    told = json.loads(said)
    assert (told["nodes"], told["edges"], told["left_out"], told["written"]) == (4, 1, 7, True)
    assert len(told["notes"]) == 8
    assert run(tmp_path / "none.json", site, "--replace")[0] == 1
