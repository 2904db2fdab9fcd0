"""Simulated scanners and the people who hold them, against a reader written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sim_hardware.config import SimScanner
from tests.sim_floor import GLN, SITE, Bench, Reader, make_bench
from wire import topics
from wire.codec import decode
from wire.messages import CountStop, DeviceScan, DeviceStatus, EndedTask, PersonTask
from wire.site import OpeningRow

SERIAL, MQTT = "p3", "p5"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


def face(bench: Bench, units_min: int = 5) -> OpeningRow:
    """Return the stock of a pick face that holds some units."""
    return next(
        row
        for row in bench.site.opening
        if bench.site.bins[row.bin_id].kind == "pick" and row.units >= units_min
    )


def pick(row: OpeningRow, units: int = 3, task_id: str = "T1", order: str = "O1") -> PersonTask:
    return PersonTask(
        task_id=task_id, kind="pick", gtin=row.gtin, units=units,
        from_place=f"bin:{row.bin_id}", to_place=f"tote:{order}", order_id=order,
    )  # fmt: skip


def texts(reader: Reader, person: str) -> list[str]:
    return [text for device, text in reader.scans if device == f"scanner-{person}"]


def refuse(part: str, answer: str) -> Callable[[str, str], str | None]:
    return lambda _device, text: answer if part in text else None


@pytest.mark.parametrize("person", [SERIAL, MQTT])
def test_a_pick_is_mode_bin_article_and_then_the_goods_lie_in_the_tote(
    bench: Bench, person: str
) -> None:
    reader, row = Reader(bench), face(bench)
    bench.give_tasks(person, pick(row))
    bench.runtime.run_for(20)
    assert texts(reader, person) == [
        "]C191SH-PICK",
        f"]C1414{GLN}254{row.bin_id}",
        f"]C101{row.gtin}303",
    ]
    assert bench.units(f"bin:{row.bin_id}", row.gtin) == row.units - 3
    assert bench.units("tote:O1", row.gtin) == 3
    truth = bench.floor.truth()
    assert truth.tasks_done[person] == {"pick": 1}
    assert (truth.in_flight_bins, truth.units_missing) == ([], {})


def test_the_mode_is_said_once_and_one_piece_by_its_own_barcode(bench: Bench) -> None:
    reader, row = Reader(bench), face(bench)
    bench.give_tasks(SERIAL, pick(row, 1, "T1"), pick(row, 2, "T2"))
    bench.runtime.run_for(25)
    label = f"]C1414{GLN}254{row.bin_id}"
    assert texts(reader, SERIAL) == [
        "]C191SH-PICK", label, f"]E0{row.gtin[1:]}", label, f"]C101{row.gtin}302",
    ]  # fmt: skip


@pytest.mark.parametrize("person", [SERIAL, MQTT])
def test_after_a_bad_beep_the_goods_go_back(bench: Bench, person: str) -> None:
    reader, row = Reader(bench, refuse("]C101", "too_many: 0 are left")), face(bench)
    bench.give_tasks(person, pick(row))
    bench.runtime.run_for(8)
    assert texts(reader, person)[-1].startswith("]C101")
    assert bench.units(f"bin:{row.bin_id}", row.gtin) == row.units
    truth = bench.floor.truth()
    assert truth.scan_refusals["too_many"] >= 1
    assert (truth.in_flight_bins, truth.tasks_done[person]) == ([], {})
    bench.runtime.run_for(300)
    assert len([t for t in texts(reader, person) if t.startswith("]C101")]) == 5  # tries end


def test_a_bin_is_in_flight_from_the_hand_to_the_beep(bench: Bench) -> None:
    reader, row = Reader(bench, refuse("]C101", "silence")), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    reached = bench.runtime.run_until(lambda: texts(reader, SERIAL)[-1:] != [] and (
        texts(reader, SERIAL)[-1].startswith("]C101")), 20)  # fmt: skip
    assert reached
    assert bench.floor.truth().in_flight_bins == [row.bin_id]
    assert bench.units(f"person:{SERIAL}", row.gtin) == 3


def scanned(reader: Reader) -> int:
    """Return how often the serial person scanned an article."""
    return len([text for text in texts(reader, SERIAL) if text.startswith("]C101")])


@pytest.mark.parametrize("some_left", [False, True])
def test_no_beep_and_the_task_is_done_or_less_means_counted(
    bench: Bench, *, some_left: bool
) -> None:
    reader, row = Reader(bench, refuse("]C101", "silence")), face(bench)
    less = msgspec.structs.replace(pick(row), units=2, done_units=3)
    left = [less] if some_left else []
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_until(lambda: bool(bench.floor.truth().in_flight_bins), 20)
    bench.runtime.run_for(1)
    done = () if some_left else (EndedTask(task_id="T1", end="done", own_units=3),)
    bench.give_tasks(SERIAL, *left, ended=done)  # the books had it: only the beep was lost
    bench.runtime.run_for(4 if some_left else 8)
    assert scanned(reader) == 1
    assert bench.units(f"person:{SERIAL}", row.gtin) + bench.units("tote:O1", row.gtin) == 3


def test_no_beep_and_the_task_still_there_means_scan_again(bench: Bench) -> None:
    lost = ["]C101"]

    def verdict(_device: str, text: str) -> str | None:
        if lost and text.startswith(lost[0]):
            lost.clear()
            return "silence"
        return None

    reader, row = Reader(bench, verdict), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_for(30)
    assert len([t for t in texts(reader, SERIAL) if t.startswith("]C101")]) == 2
    assert bench.units("tote:O1", row.gtin) == 3


def test_a_refused_second_scan_of_a_counted_task_is_settled_by_the_screen(bench: Bench) -> None:
    answers = ["silence", "too_many: all 3 are done already"]

    def verdict(_device: str, text: str) -> str | None:
        return answers.pop(0) if answers and text.startswith("]C101") else None

    reader, row = Reader(bench, verdict), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_until(lambda: not answers, 30)
    bench.give_tasks(SERIAL, ended=(EndedTask(task_id="T1", end="done", own_units=3),))
    bench.runtime.run_for(30)
    assert scanned(reader) == 2
    assert bench.units("tote:O1", row.gtin) == 3
    assert bench.floor.truth().in_flight_bins == []


@pytest.mark.parametrize("end", ["handed_on", "withdrawn", "done", ""])
@pytest.mark.parametrize("second", ["ok", "already: 3 are booked", "no_task: nobody asks for it"])
def test_no_beep_and_the_task_is_gone_uncounted_means_scan_again_and_then_the_edge_decides(
    bench: Bench, end: str, second: str
) -> None:
    answers: list[str | None] = ["silence", None if second == "ok" else second]

    def verdict(_device: str, text: str) -> str | None:
        return answers.pop(0) if answers and text.startswith("]C101") else None

    reader, row = Reader(bench, verdict), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_until(lambda: len(answers) == 1, 20)
    gone = (EndedTask(task_id="T1", end=end),) if end else ()  # done: with another one's scan
    bench.give_tasks(SERIAL, ended=gone)
    bench.runtime.run_for(30)
    assert scanned(reader) == 2
    kept = 0 if second.startswith("no_task") else 3
    assert bench.units("tote:O1", row.gtin) == kept
    assert bench.units(f"bin:{row.bin_id}", row.gtin) == row.units - kept
    assert bench.floor.truth().in_flight_bins == []


def test_the_mqtt_scanner_repeats_the_identical_message_until_it_is_answered(bench: Bench) -> None:
    row = face(bench)
    bench.give_tasks(MQTT, pick(row))
    bench.runtime.run_for(120)  # nobody answers
    wanted = topics.DEVICE_SCAN.of(site=SITE, device=f"scanner-{MQTT}")
    payloads = bench.payloads(wanted)
    assert len(payloads) >= 55
    assert len(set(payloads)) == 1
    reader = Reader(bench)
    bench.runtime.run_for(20)
    scans = [decode(payload, DeviceScan) for payload in bench.payloads(wanted)]
    assert [s.seq for s in scans] == sorted(s.seq for s in scans)
    assert {s.seq for s in scans} == {1, 2, 3}
    assert len({s.boot_epoch for s in scans}) == 1
    assert texts(reader, MQTT)[-1] == f"]C101{row.gtin}303"
    assert bench.units("tote:O1", row.gtin) == 3


def test_a_mqtt_scanner_is_born_and_dies(bench: Bench) -> None:
    wanted = topics.DEVICE_STATUS.of(site=SITE, device=f"scanner-{MQTT}")
    assert decode(bench.payloads(wanted)[-1], DeviceStatus).online
    bench.floor.stop()
    bench.runtime.run_for(0.1)
    assert not decode(bench.payloads(wanted)[-1], DeviceStatus).online


def test_noise_and_half_answers_on_the_line_are_no_beeps(bench: Bench) -> None:
    row = face(bench)
    said: list[bytes] = []
    lane = bench.runtime.lane("line")
    port = bench.runtime.ports.open(
        f"port-{SERIAL}", 9600, lane, lambda chunks: said.extend(d for d, _ in chunks), print
    )
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_until(lambda: len(said) == 1, 20)
    port.write(b"\x00zz\x07no_ta")
    bench.runtime.run_for(0.5)
    assert len(said) == 1
    port.write(b"sk: nothing here\r\n\x06")
    bench.runtime.run_for(0.5)
    truth = bench.floor.truth()
    assert truth.scan_refusals == {"no_task": 1}
    counters = bench.metrics.snapshot().counters
    assert counters[f"scanner_noise_bytes{{scanner-{SERIAL}}}"] == 3
    assert counters[f"late_beeps{{scanner-{SERIAL}}}"] == 1


def test_a_hurried_person_hits_a_wrong_label_and_then_the_right_one(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, stray_scan_share=1.0)
    good = ("]C191SH-", "]C1414", "]C101")
    reader = Reader(bench, lambda _d, t: None if t.startswith(good) else "not_gs1: not for us")
    row = face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_for(20)
    heard = texts(reader, SERIAL)
    assert [t.startswith(good) for t in heard] == [False, True] * 3
    truth = bench.floor.truth()
    assert (truth.strays_scanned, truth.strays_accepted) == (3, 0)
    assert truth.scan_refusals == {"not_gs1": 3}
    assert truth.tasks_done[SERIAL] == {"pick": 1}


def test_receiving_takes_what_the_lorry_brought(bench: Bench) -> None:
    reader, gtin = Reader(bench), bench.site.opening[0].gtin
    bench.floor.world.stock.arrive("supplier:S1", gtin, 48)
    task = PersonTask(task_id="R1", kind="receive", gtin=gtin, units=48,
                      from_place="supplier:S1", to_place="bin:DOCK-1")  # fmt: skip
    bench.give_tasks("p1", task)
    bench.runtime.run_for(20)
    assert texts(reader, "p1") == [
        "]C191SH-RECEIVE", f"]C1414{GLN}254DOCK-1", f"]C101{gtin}3048",
    ]  # fmt: skip
    assert bench.units("bin:DOCK-1", gtin) == 48
    assert bench.units("supplier:S1", gtin) == 0


@pytest.mark.parametrize("refused", ["", "]C101", "]C1414952132100001825" + "4A-"])
def test_putting_away_goes_from_bin_to_bin_or_back(bench: Bench, refused: str) -> None:
    reader = Reader(bench, refuse(refused, "wrong_bin: no") if refused else refuse("~", ""))
    gtin = bench.site.opening[0].gtin
    goal = next(b for b in bench.site.bins if b.startswith("A-"))
    bench.floor.world.stock.arrive("bin:DOCK-1", gtin, 24)
    before = bench.units(f"bin:{goal}", gtin)
    task = PersonTask(task_id="P1", kind="putaway", gtin=gtin, units=24,
                      from_place="bin:DOCK-1", to_place=f"bin:{goal}")  # fmt: skip
    bench.give_tasks("p1", task)
    bench.runtime.run_for(20)
    bench.give_tasks("p1")
    bench.runtime.run_for(20)
    heard = texts(reader, "p1")
    assert heard[:3] == ["]C191SH-PUTAWAY", f"]C1414{GLN}254DOCK-1", f"]C101{gtin}3024"]
    if not refused:
        assert heard[3:] == [f"]C1414{GLN}254{goal}"]
        assert bench.units(f"bin:{goal}", gtin) == before + 24
    else:
        assert "]C191SH-CANCEL" in heard
        assert bench.units("bin:DOCK-1", gtin) == 24
    assert bench.floor.truth().in_flight_bins == []


def test_a_count_says_what_is_there_also_nothing(bench: Bench) -> None:
    reader, row = Reader(bench), face(bench)
    empty = next(
        b
        for b in bench.site.bins
        if b.startswith("A-") and not bench.floor.world.stock_at(f"bin:{b}")
    )
    other = bench.site.opening[0].gtin
    tasks = (
        PersonTask(task_id="C1", kind="count", gtin="", units=0,
                   from_place=f"bin:{row.bin_id}", to_place=f"bin:{row.bin_id}"),
        PersonTask(task_id="C2", kind="count", gtin=other, units=0,
                   from_place=f"bin:{empty}", to_place=f"bin:{empty}"),
    )  # fmt: skip
    bench.give_tasks("p3", *tasks)
    bench.runtime.run_for(60)
    assert [t for t in texts(reader, "p3") if not t.startswith("]C1414")] == [
        "]C191SH-COUNT", f"]C101{row.gtin}30{row.units}", f"]C101{other}300",
    ]  # fmt: skip


def test_a_person_counts_the_bins_of_a_round_one_after_the_other(bench: Bench) -> None:
    reader = Reader(bench)
    held = [row for row in bench.site.opening if row.bin_id.startswith("B-") and row.units > 1]
    one, two = held[:2]
    stops = (
        CountStop(bin_id=one.bin_id, gtins=(one.gtin,)), CountStop(bin_id=two.bin_id),
    )  # fmt: skip
    task = PersonTask(task_id="C1", kind="count", gtin="", units=2, from_place=f"bin:{one.bin_id}",
                      to_place=f"bin:{one.bin_id}", stops=stops)  # fmt: skip
    bench.give_tasks("p3", task)
    bench.runtime.run_for(120)
    assert [t for t in texts(reader, "p3") if t.startswith("]C101")] == [
        f"]C101{one.gtin}30{one.units}", f"]C101{two.gtin}30{two.units}",
    ]  # fmt: skip


def test_where_nothing_is_nothing_is_scanned(bench: Bench) -> None:
    reader, gtin = Reader(bench), bench.site.opening[0].gtin
    task = PersonTask(task_id="R1", kind="receive", gtin=gtin, units=5,
                      from_place="supplier:S1", to_place="bin:DOCK-1")  # fmt: skip
    bench.give_tasks("p1", task)
    bench.runtime.run_for(200)
    assert not [t for t in texts(reader, "p1") if t.startswith("]C101")]
    assert bench.floor.truth().tasks_done["p1"] == {}


def test_a_task_is_done_in_parts_when_not_all_of_it_is_there(bench: Bench) -> None:
    reader, gtin = Reader(bench), bench.site.opening[0].gtin
    world = bench.floor.world
    world.stock.arrive("supplier:S1", gtin, 5)
    task = PersonTask(task_id="R1", kind="receive", gtin=gtin, units=8,
                      from_place="supplier:S1", to_place="bin:DOCK-1")  # fmt: skip
    bench.give_tasks("p1", task)
    bench.runtime.run_for(12)
    world.stock.arrive("supplier:S1", gtin, 9)
    bench.runtime.run_for(60)
    counted = [t for t in texts(reader, "p1") if t.startswith("]C101")]
    assert counted == [f"]C101{gtin}305", f"]C101{gtin}303"]
    assert bench.units("bin:DOCK-1", gtin) == 8


def test_a_task_that_is_withdrawn_on_the_way_is_left(bench: Bench) -> None:
    reader, row = Reader(bench), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_for(0.2)
    bench.give_tasks(SERIAL)
    bench.runtime.run_for(20)
    assert texts(reader, SERIAL) == []
    assert bench.units(f"bin:{row.bin_id}", row.gtin) == row.units


def test_in_a_frozen_world_nobody_moves(bench: Bench) -> None:
    reader, row = Reader(bench), face(bench)
    bench.give_tasks(SERIAL, pick(row))
    bench.runtime.run_for(1)
    bench.floor.freeze()
    bench.runtime.run_for(0.1)
    before = (len(reader.scans), bench.floor.truth())
    bench.runtime.run_for(60)
    assert (len(reader.scans), bench.floor.truth()) == before


def test_two_scanners_in_one_hand_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scanners: p1 has two scanners, expected one"):
        make_bench(
            tmp_path,
            scanners=(
                SimScanner(device_id="a", person_id="p1"),
                SimScanner(device_id="b", person_id="p1"),
            ),
        )
    with pytest.raises(ValueError, match=r"person 'p9', who is not in people\.csv"):
        make_bench(tmp_path, scanners=(SimScanner(device_id="a", person_id="p9"),))
