"""What goes over the wire, written by hand from the standard: a mistake in the types shows here."""

from __future__ import annotations

from wire.vda5050.codec import decode, encode, parameters
from wire.vda5050.messages import (
    Action,
    ActionState,
    AgvPosition,
    BatteryState,
    Connection,
    Edge,
    EdgeState,
    InstantActions,
    Node,
    NodePosition,
    NodeState,
    Order,
    Reference,
    SafetyState,
    State,
    VehicleError,
    header,
)

AT_NS = 1_769_846_709_120_999_999  # 2026-01-31 08:05:09.120 UTC
HEAD = (
    b'"timestamp":"2026-01-31T08:05:09.120Z","version":"2.0.0",'
    b'"manufacturer":"acme","serialNumber":"agv-1"'
)

ORDER = (
    b'{"headerId":7,' + HEAD + b',"orderId":"T1.agv-1.7","orderUpdateId":1,'
    b'"nodes":['
    b'{"nodeId":"N1","sequenceId":4,"released":true,'
    b'"nodePosition":{"x":1.5,"y":-3.0,"mapId":"FC1"},"actions":[]},'
    b'{"nodeId":"N2","sequenceId":6,"released":true,'
    b'"nodePosition":{"x":3.0,"y":-3.0,"theta":0.5,"allowedDeviationXY":0.2,'
    b'"allowedDeviationTheta":0.1,"mapId":"FC1"},'
    b'"actions":[{"actionType":"pick","actionId":"pick/T1","blockingType":"HARD",'
    b'"actionParameters":[{"key":"stationType","value":"bin"},{"key":"units","value":12}]}]}],'
    b'"edges":[{"edgeId":"N1--N2","sequenceId":5,"released":true,'
    b'"startNodeId":"N1","endNodeId":"N2","maxSpeed":1.2,"actions":[]}]}'
)


def test_an_order_update_is_written_as_the_standard_says() -> None:
    pick = Action(
        action_type="pick",
        action_id="pick/T1",
        action_parameters=parameters({"stationType": "bin", "units": 12}),
    )
    order = Order(
        **header("acme", "agv-1", header_id=7, now_ns=AT_NS),
        order_id="T1.agv-1.7",
        order_update_id=1,
        nodes=(
            Node(
                node_id="N1",
                sequence_id=4,
                released=True,
                node_position=NodePosition(x=1.5, y=-3.0, map_id="FC1"),
            ),
            Node(
                node_id="N2",
                sequence_id=6,
                released=True,
                node_position=NodePosition(
                    x=3.0,
                    y=-3.0,
                    theta=0.5,
                    allowed_deviation_xy=0.2,
                    allowed_deviation_theta=0.1,
                    map_id="FC1",
                ),
                actions=(pick,),
            ),
        ),
        edges=(
            Edge(
                edge_id="N1--N2",
                sequence_id=5,
                released=True,
                start_node_id="N1",
                end_node_id="N2",
                max_speed=1.2,
            ),
        ),
    )
    assert encode(order) == ORDER
    assert decode(ORDER, Order) == order


STATE = (
    b'{"headerId":0,' + HEAD + b',"orderId":"","orderUpdateId":0,"lastNodeId":"N1",'
    b'"lastNodeSequenceId":4,"driving":true,"paused":false,"operatingMode":"AUTOMATIC",'
    b'"nodeStates":[{"nodeId":"N2","sequenceId":6,"released":true}],'
    b'"edgeStates":[{"edgeId":"N1--N2","sequenceId":5,"released":true}],'
    b'"agvPosition":{"x":2.25,"y":-3.0,"theta":0.0,"mapId":"FC1","positionInitialized":true},'
    b'"actionStates":[{"actionId":"pick/T1","actionType":"pick","actionStatus":"FAILED",'
    b'"resultDescription":"bin is empty"}],'
    b'"batteryState":{"batteryCharge":80.5,"charging":false},'
    b'"errors":[{"errorType":"orderError","errorReferences":'
    b'[{"referenceKey":"orderId","referenceValue":"T1"}],"errorDescription":"busy",'
    b'"errorLevel":"WARNING"}],"safetyState":{"eStop":"NONE","fieldViolation":false}}'
)


def test_a_state_is_written_as_the_standard_says() -> None:
    state = State(
        **header("acme", "agv-1", header_id=0, now_ns=AT_NS),
        last_node_id="N1",
        last_node_sequence_id=4,
        driving=True,
        paused=False,
        node_states=(NodeState(node_id="N2", sequence_id=6),),
        edge_states=(EdgeState(edge_id="N1--N2", sequence_id=5),),
        agv_position=AgvPosition(x=2.25, y=-3.0, map_id="FC1"),
        action_states=(
            ActionState(
                action_id="pick/T1",
                action_type="pick",
                action_status="FAILED",
                result_description="bin is empty",
            ),
        ),
        battery_state=BatteryState(battery_charge=80.5),
        errors=(
            VehicleError(
                error_type="orderError",
                error_description="busy",
                error_references=(Reference(reference_key="orderId", reference_value="T1"),),
            ),
        ),
        safety_state=SafetyState(),
    )
    assert encode(state) == STATE
    assert decode(STATE, State) == state


def test_instant_actions_stand_under_the_key_actions() -> None:
    message = InstantActions(
        **header("acme", "agv-1", header_id=3, now_ns=AT_NS),
        actions=(Action(action_type="stateRequest", action_id="a1", blocking_type="NONE"),),
    )
    assert encode(message) == (
        b'{"headerId":3,' + HEAD + b',"actions":[{"actionType":"stateRequest","actionId":"a1",'
        b'"blockingType":"NONE"}]}'
    )


def test_a_connection_is_written_as_the_standard_says() -> None:
    message = Connection(
        **header("acme", "agv-1", header_id=0, now_ns=AT_NS), connection_state="CONNECTIONBROKEN"
    )
    assert encode(message) == b'{"headerId":0,' + HEAD + b',"connectionState":"CONNECTIONBROKEN"}'
