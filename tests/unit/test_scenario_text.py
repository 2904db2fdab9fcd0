"""Scenario texts: what is read, and what each mistake is told with file, line and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim_hardware.faults.kinds import KINDS
from sim_hardware.scenarios.model import Expect, FaultOn, Scan, Scenario, ScenarioError
from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.scenarios.words import parse_time
from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_site import PORTS, check_scenario, write_site

HEAD = "SCENARIO Test\nSITE demo skus=5 robots=2\nRUN 60 s\n"


def parse(lines: str) -> Scenario:
    return parse_scenario(HEAD + lines, "x.scn")


def error_of(lines: str, base: Path | None = None) -> str:
    """Return what is said about these lines; they begin with line 4."""
    with pytest.raises(ScenarioError) as raised:
        check_scenario(parse(lines), base or Path())
    return str(raised.value)


def test_a_scenario_is_read_word_for_word() -> None:
    found = parse_scenario(
        "SCENARIO Rain # today\n# Somebody\n# scans.\n\nSITE demo seed=3 skus=5\nDAY 2 min\n"
        "SPEED 4\n"
        "WITH errors misplace=2 % persons=p3,p4\nRUN 1:30\n"
        'AT 0:05 SCAN scanner-guest RAW "]C1# no comment"  # a comment\n'
        "AT 10 s FAULT serial-drop scanner-1 share=5 % direction=both FOR 0.5 min\n"
        "AT 1 min EXPECT inventory accuracy >= 99.5 % WITHIN 10 s\n"
        "EXPECT process edge A is up\n",
        "x.scn",
    )
    assert (found.title, found.about) == ("Rain", "Somebody scans.")
    assert (found.day_s, found.speed, found.run_s) == (120.0, 4.0, 90.0)
    assert (found.site.options["seed"], found.site.options["skus"]) == (3.0, 5.0)
    assert found.settings[0].values == {"misplace": "2 %", "persons": "p3,p4"}
    scan, fault, expect, end = (step.action for step in found.steps)
    assert scan == Scan(device="scanner-guest", what="RAW", value="]C1# no comment")
    assert isinstance(fault, FaultOn)
    assert (fault.kind, fault.target, fault.for_s) == ("serial-drop", "scanner-1", 30.0)
    assert fault.values == {"share": "5 %", "direction": "both"}
    assert expect == Expect(
        form="inventory accuracy", given={}, compare=">=", value=99.5, within_s=10.0
    )
    assert isinstance(end, Expect)
    assert end.given == {"process": "edge A", "up": "up"}
    assert [step.at_s for step in found.steps] == [5.0, 10.0, 60.0, None]
    assert found.steps[0].text.endswith('RAW "]C1# no comment"')


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:30", 30), ("1:02:03", 3723), ("90 s", 90), ("1.5 min", 90), ("2h", 7200), ("0:01.5", 1.5),
     ("30", None), ("soon", None), ("1:7", None), ("-5 s", -5)],
)  # fmt: skip
def test_times(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SPED 4", ('x.scn:4: unknown word "SPED"; did you mean SPEED? Expected one of SCENARIO,'
         " SITE, WITH, DAY, SPEED, RUN, AT, EXPECT")),
        ("FAULT unplug scanner-1", "when before it; write: AT 0:30 FAULT unplug scanner-1"),
        ("AT 0:10 FALT scanner-1", ('x.scn:4: unknown word "FALT"; did you mean FAULT? Expected one'
         " of SCAN, FAULT, END, DO, EXPECT")),
        ("AT 0:10 FAULT unplug scanner-1 FOR 40 d", "expected more than 0 and at most 30 d"),
        ("AT -5 s DO approve all", "x.scn:4: AT -5: expected a time after the start, not"),
        ("AT noon DO approve all", "AT noon: expected a time such as 2:30, 150 s or 2.5 min"),
        ("AT 2:00 DO approve all", ("x.scn:4: AT 2 min is after the end: the run is over at 1 min"
         " (RUN in line 3); expected an earlier time, or a longer RUN")),
        ("AT 0:10", "nothing happens then; expected one of SCAN, FAULT, END, DO, EXPECT"),
        ("RUN 2 min", "x.scn:4: a second RUN; the first is in line 3"),
        ("SPEED 0", "SPEED 0: expected a number, more than 0 and at most 100"),
        ("AT 0:10 SCAN scanner-guest BIN Z-9", 'unknown bin "Z-9"; there is: '),
        ("AT 0:10 SCAN scanner-gest BIN B-01-01-1", ('unknown scanner "scanner-gest"; did you'
         " mean scanner-guest? There is: scanner-guest, scanner-guest-2")),
        ("AT 0:10 SCAN scanner-1 CARD PICK", ("scanner-1 is in the hands of somebody who works with"
         " it; expected a visitor's scanner: scanner-guest, scanner-guest-2")),
        ("AT 0:10 SCAN scanner-guest ARTICLE SKU-099", ('unknown article "SKU-099"; did you'
         " mean SKU-005? There is: SKU-001, SKU-002, SKU-003, SKU-004, SKU-005")),
        ("AT 0:10 FAULT unplug scanner-1 for 20 s", "expected FOR before a time; write: FAULT"),
        ("AT 0:10 FAULT kill-edge A", "did you mean FAULT kill-edge edge A?"),
        ("EXPECT orders filled >= 0", "orders filled >= 0: that always holds; expected"),
        ("EXPECT orders lost < 0", "orders lost < 0: that never holds; expected a comparison"),
        ("EXPECT robot agv-1 is tired", 'unknown condition "tired"; there is: well, blocked,'),
        ("EXPECT seconds off edge A >= 1.5", "expected a whole number; write: EXPECT seconds off"),
        ("AT 0:10 SCAN scanner-guest CARD LOOK", 'unknown card "LOOK"; expected one of RECEIVE,'),
        ('AT 0:10 SCAN scanner-guest RAW "open', '"open: expected a closing "'),
        ("AT 0:10 FAULT serial-stal scanner-1", 'unknown fault "serial-stal"'),
        ("AT 0:10 FAULT serial-stall scanner-5", "scanner-5"),
        ("AT 0:10 FAULT wrong-header-ids agv-9", "agv-9"),
        ("AT 0:10 FAULT serial-drop scanner-1 share=5 m", "share=5 m: expected a number, then one"),
        ("AT 0:10 FAULT serial-drop scanner-1 shar=5 %", "did you mean share?"),
        ("AT 0:10 FAULT serial-drop scanner-1 share=5", "; for 5 % write share=5 %"),
        ("AT 0:10 FAULT cloudburst", "is missing; write: FAULT cloudburst site"),
        ("AT 0:10 FAULT cloudburst rain=9 mm/h FOR 5 s", "; write: FAULT cloudburst site"),
        ("AT 0:10 FAULT robot-slip", ("missing; write: FAULT robot-slip agv-1 (a robot; there is:"
         " agv-1, agv-2)")),
        ("AT 0:10 FAULT kill-edge edge-A", ("did you mean FAULT kill-edge edge A? There is: edge A,"
         " edge B")),
        ("AT 0:10 FAULT demand-surge PEN", "expected an article or all of this site; there is"),
        ("AT 0:10 FAULT serial-stall scanner-1 FOR ever", "FOR ever: expected a time such as"),
        ("AT 0:10 END serial-stall scanner-1", "expected an earlier FAULT of that name"),
        ("AT 0:10 DO aprove all", 'deed "aprove all"; did you mean approve all? Expected one of'),
        ("AT 0:10 DO approve everything", "did you mean approve all? Expected one of: approve all"),
        ("AT 0:10 DO approve buy", "did you mean approve refill B-01-01-1? Expected one of: "),
        ("EXPECT order filled >= 3", "did you mean orders filled >= 3? Expected one of: "),
        ("AT 0:10 DO order SKU-001 xmany", '"many": expected a whole number'),
        ("AT 0:10 DO approve refil B-01-01-1", 'proposal "refil"; did you mean refill? There is: '),
        ("EXPECT answer scanner-1 is next", ("scanner-1 is in the hands of somebody who works with"
         " it; expected a visitor's scanner: scanner-guest, scanner-guest-2")),
        ("EXPECT answer scanner-gust is next", "did you mean scanner-guest?"),
        ("EXPECT book are true", "did you mean books are true?"),
        ("EXPECT orders filled", "expected one of = != < <= > >= and a number after it, got"),
        ("EXPECT orders filled 3", "after it, got 3; write: EXPECT orders filled >= 3"),
        ("EXPECT orders filled >=3", "after it, got >=3; write: EXPECT orders filled >= 3"),
        ("EXPECT orders filled == 3", "after it, got == 3; write: EXPECT orders filled = 3"),
        ("EXPECT books are true now", '"now": expected the end of the line'),
        ("EXPECT inventory accuracy >= 99 m", "and a number % after it, got >= 99 m"),
        ("EXPECT inventory accuracy >= 0.99", ("and a number % after it, got >= 0.99; write: EXPECT"
         " inventory accuracy >= 99 %")),
        ("EXPECT inventory accuracy >= 95", "write: EXPECT inventory accuracy >= 95 %"),
        ("EXPECT inventory accuracy >= 101 %", "accuracy >= 101 %: expected 0 to 100 %; write: "),
        ("EXPECT orders created >= 1.5", (">= 1.5: expected a whole number; write: EXPECT orders"
         " created >= 2")),
        ("EXPECT tasks done pick => 5", "got => 5; write: EXPECT tasks done pick >= 5"),
        ("EXPECT tasks done pick =< 5", "got =< 5; write: EXPECT tasks done pick <= 5"),
        ("EXPECT tasks done jump >= 1", 'unknown task "jump"; there is: receive, putaway, refill'),
        ("EXPECT promise P10 holds", 'unknown promise "P10"; did you mean P1? There is: P1, P2'),
        ("EXPECT process edge C is up", 'process "edge C"; did you mean edge B? There is: '),
        ("EXPECT books are true WITHIN 5 s", "WITHIN: at the end there is no time left"),
        ("AT 0:50 EXPECT orders filled >= 3 WITHIN 5 min", ("until 350 s, and the run is over at"
         " 1 min (RUN in line 3); expected a shorter WITHIN, or a longer RUN; write: RUN 350 s")),
        ("EXPECT scans refused unknown_bim = 1", "did you mean unknown_bin?"),
        ("WITH erors misplace=1 %", 'section "erors"; did you mean errors? There is: '),
        ("WITH errors misplac=1 %", "did you mean misplace?"),
        ("WITH errors misplace=150 %", "WITH errors: misplace=150 %: expected a number <= 1"),
        ("WITH planner delay_s=5 s", "delay_s=5 s: expected a number; write delay_s=5 (seconds)"),
        ("WITH planner delay_s=2 min", "a number; write delay_s=120 (seconds)"),
        ("WITH suppliers late_d=12 h", "a number; write late_d=0.5 (days)"),
        ("WITH planner delay_s=soon", "WITH planner: delay_s=soon: expected a number"),
        ("WITH planner asleep=maybe", "asleep=maybe: expected true or false"),
        ("WITH weather kind=drwn", "kind=drwn: expected fair or drawn; did you mean drawn?"),
        ("WITH errors misplace=5", "; for per cent write misplace=5 %"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_the_way_out(line: str, said: str) -> None:
    text = error_of(line)
    assert text.startswith("x.scn:4: ")
    assert said in text


def test_mistakes_of_all_kinds_are_named_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    file = tmp_path / "x.scn"
    file.write_text(
        HEAD + "AT 0:40 FAULT robot-slip agv-9\n"  # 4: a name
        "AT 0:10 FALT x\n"  # 5: a word
        "WITH errors misplac=1 %\n"  # 6: a setting
        "AT 0:20 FAULT serial-stal scanner-1\n"  # 7: a word
        "AT 0:30 END serial-stall scanner-1\n"  # nothing wrong, but for line 7
        "WITH erors misplace=1 %\n"  # 9: a setting
        "AT 0:50 END unplug scanner-3\n"  # 10: nothing was unplugged
        "EXPECT process edge-A is up\n"  # 11: a name
        "EXPECT orders filled 3\n"  # 12: a comparison
    )
    with pytest.raises(ScenarioError) as raised:
        read_scenario(file)
    lines = str(raised.value).splitlines()
    assert [line.removeprefix(f"{file}:").partition(": ")[0] for line in lines] == [
        "4", "5", "6", "7", "9", "10", "11", "12",
    ]  # fmt: skip


def test_where_the_site_cannot_be_read_no_name_is_called_wrong(tmp_path: Path) -> None:
    file = tmp_path / "x.scn"
    file.write_text("SCENARIO T\nSITE demo skus=x\nRUN 10\nAT 0:01 FAULT robot-slip agv-9\n")
    with pytest.raises(ScenarioError) as raised:
        read_scenario(file)
    assert [mistake.line for mistake in raised.value.mistakes] == [2, 3]


def test_every_mistake_is_named_at_once() -> None:
    text = error_of("AT 0:10 FALT x\nEXPECT nothing\nRUN 1 s\n")
    assert [line.partition(": ")[0] for line in text.splitlines()] == [
        "x.scn:4", "x.scn:5", "x.scn:6",
    ]  # fmt: skip


def test_a_scenario_without_a_run_or_title_is_refused() -> None:
    with pytest.raises(ScenarioError) as raised:
        parse_scenario("SITE demo\n", "x.scn")
    assert "x.scn:1: expected a line `SCENARIO title`" in str(raised.value)
    assert "x.scn:1: expected a line `RUN 10 min`" in str(raised.value)


def test_a_range_is_said_in_whole_numbers() -> None:
    with pytest.raises(ScenarioError, match=r"seed=9999999999: expected 0 to 2,147,483,648$"):
        parse_scenario("SCENARIO Test\nSITE demo seed=9999999999\nRUN 5 s\n", "x.scn")


@pytest.mark.parametrize("options", ["skus=0", "skus=many", "robots=1.5", "colour=2", "bins=60"])
def test_a_site_that_cannot_be_generated_is_refused(options: str) -> None:
    with pytest.raises(ScenarioError, match=r"^x\.scn:2: "):
        parse_scenario(f"SCENARIO Test\nSITE demo {options}\nRUN 5 s\n", "x.scn")


def generated(options: str) -> Scenario:
    return parse_scenario(f"SCENARIO T\nSITE generated {options}\nRUN 5 s\n", "x.scn")


def test_a_site_may_be_generated_by_its_size(tmp_path: Path) -> None:
    demo = write_site(
        generated("bins=90 skus=7 robots=4 zones=2 people=6 orders=50"),
        tmp_path,
        tmp_path,
        7,
        PORTS,
    )
    site = demo.site
    assert (len(site.bins), len(site.articles), len(site.robots)) == (90, 7, 4)
    assert demo.edges == tuple(sorted({row.edge_id for row in site.bins.values()}))
    assert len(demo.edges) == 2
    assert len(site.people) == 6 + 2  # the visitors


def test_a_warehouse_that_cannot_be_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        ScenarioError, match=r"^x\.scn:2: no such warehouse: skus 60: expected 1 to"
    ):
        check_scenario(generated("bins=50 skus=60"), tmp_path)


def folder_of(tmp_path: Path, **changed: str) -> Path:
    """Return a folder with a small site in it, some files of it replaced."""
    texts = {
        "bins": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units\n"
        "A-1,A,reserve,1.0,1.0,0.5,N1,,50\nP-1,A,pack,3,0,0,N2,,50\n",
        "articles": "gtin,sku,name,case_units,price_cents,supplier_id\n"
        "4006381333931,PEN,Pen,10,100,S1\n",
        "suppliers": "supplier_id,name,lead_time_d\nS1,Seller,1\n",
        "nodes": "node_id,x_m,y_m,kind\nN1,1.0,0.0,way\nN2,3.0,0.0,way\n",
        "edges": "from_node,to_node\nN1,N2\nN2,N1\n",
        "robots": "manufacturer,serial,node_id\nhelm,agv-1,N1\nhelm,agv-2,N2\n",
        "opening": "bin_id,gtin,units\nA-1,4006381333931,10\n",
        **changed,
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"robots": "manufacturer,serial,node_id\nhelm,agv-1,N1\nhelm,agv-2,N1\n"},
         "robots.csv line 3"),
        ({"nodes": "node_id,x_m,y_m,kind\nN1,1.0,1.0,way\nN2,3.0,0.0,way\n"},
         "robots.csv line 2: agv-1 stands at N1, inside the rack of bin A-1; expected a node"),
        ({"opening": "bin_id,gtin,units\nA-1,4006381333931,51\n"}, "opening.csv line 2"),
        ({"opening": "bin_id,gtin,units\nA-1,4006381333948,1\n"}, "opening.csv line 2"),
        ({"bins": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units\n"
          "A-1,A,reserve,1,1,0,N1,,50\nA-1,B,reserve,1,1,0,N1,,50\n"}, "bins.csv line 3"),
    ],
)  # fmt: skip
def test_an_impossible_world_is_refused_with_its_file_and_line(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    folder_of(tmp_path, **changed)
    scenario = parse_scenario("SCENARIO T\nSITE folder .\nRUN 5 s\n", "x.scn")
    with pytest.raises(ScenarioError) as raised:
        check_scenario(scenario, tmp_path)
    assert str(raised.value).startswith("x.scn:2: ")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "name",
    # To build the site of 500 robots takes longer than all the others together.
    [pytest.param(n, marks=pytest.mark.soak) if n == "500-robots" else n for n in library_names()],
)
def test_the_library_has_no_mistake(name: str) -> None:
    path = find_scenario(name)
    scenario = read_scenario(path)
    check_scenario(scenario, path.parent)
    assert scenario.title
    assert scenario.about, "say below the title what it shows"


def test_every_kind_of_fault_happens_in_a_scenario_of_the_library() -> None:
    happen = {
        step.action.kind
        for name in library_names()
        for step in read_scenario(find_scenario(name)).steps
        if isinstance(step.action, FaultOn)
    }
    assert sorted(set(KINDS) - happen) == []


@pytest.mark.parametrize("option", ["robots", "skus"])
def test_a_generated_site_may_be_larger_than_the_demo(option: str) -> None:
    found = parse_scenario(f"SCENARIO T\nSITE generated {option}=500\nRUN 5 s\n", "x.scn")
    assert found.site.option(option) == 500
    with pytest.raises(ScenarioError, match=rf"x\.scn:2: {option}=500: expected 1 to "):
        parse_scenario(f"SCENARIO T\nSITE demo {option}=500\nRUN 5 s\n", "x.scn")
