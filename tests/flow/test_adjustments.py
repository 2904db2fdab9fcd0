"""Corrections by hand: asked in another process, booked by the edge that owns the bin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event, select
from typer.testing import CliRunner, Result

from central import tables as t
from central.config import TaskingConfig
from central.ledger.times import utc_text
from central.ledger.verify import verify_ledger
from stockhelm import ledger_cli
from stockhelm.cli import app
from tests.central_world import CUP, PEN, TEXTS, CentralWorld


def make_world(tmp_path: Path, **config: Any) -> CentralWorld:
    world = CentralWorld(tmp_path, **config)
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "central.toml").write_text(
        f'site_id = "FC1"\nsite_dir = "{tmp_path}"\ndata_dir = "{tmp_path}"\n'
        f'database_url = "{config.get("database_url", "")}"\n'
    )
    world.open_stock()
    return world


@pytest.fixture
def world(tmp_path: Path) -> CentralWorld:
    return make_world(tmp_path)


def ledger(world: CentralWorld, *arguments: str) -> Result:
    command, *rest = arguments
    told = ["ledger", command, "--config", str(world.folder / "central.toml"), *rest]
    with patch.object(ledger_cli, "SystemClock", lambda: world.rt.clock):
        return CliRunner().invoke(app, told)


def adjust(world: CentralWorld, *arguments: str, bin_id: str = "A-01", article: str = "PEN") -> Any:
    who = ("--reason", "damaged", "--person", "pat", "--json")
    found = ledger(world, "adjust", "--bin", bin_id, "--article", article, *who, *arguments)
    return json.loads(found.stdout) | {"code": found.exit_code}


def test_the_owning_edge_books_the_difference_with_reason_and_person(world: CentralWorld) -> None:
    answer = adjust(world, "--to", "77")
    assert (answer["code"], answer["edge"], answer["by_units"]) == (0, "A", -3)
    assert answer["text"] == (f"A-01 holds 80 x {PEN}; edge A books -3 as damaged of pat")
    assert world.balance("bin:A-01") == 80
    world.rt.run_for(3.0)
    assert (world.balance("bin:A-01"), world.balance("loss:")) == (77, 3)
    assert world.edges["B"].commands == []
    (move,) = world.rows(select(t.movement).where(t.movement.c.to_place == "loss:"))
    assert (move.edge_id, move.reason, move.person_id) == ("A", "damaged", "pat")
    assert [row.status for row in world.rows(select(t.edge_command))] == ["done"]
    assert verify_ledger(world.engine).balanced


def test_central_takes_no_write_lock_to_look_for_what_others_wrote(world: CentralWorld) -> None:
    world.rt.run_for(5.0)
    begun: list[str] = []

    @event.listens_for(world.engine, "before_cursor_execute")
    def _note(_conn: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if statement.startswith("BEGIN"):
            begun.append(statement)

    world.rt.run_for(5.0)
    assert set(begun) == {"BEGIN"}
    assert len(begun) >= 4


def test_what_is_found_comes_from_where_things_are_found(world: CentralWorld) -> None:
    assert adjust(world, "--by", "5", bin_id="B-13", article=CUP)["by_units"] == 5
    world.rt.run_for(3.0)
    assert (world.balance("bin:B-13", CUP), world.balance("found:", CUP)) == (15, -5)
    assert verify_ledger(world.engine).balanced


def test_the_same_command_again_is_answered_the_same_and_booked_once(world: CentralWorld) -> None:
    mine = ("--command-id", "mine-1")
    first = adjust(world, "--by", "-2", *mine)
    assert adjust(world, "--by", "-2", *mine) == first
    world.rt.run_for(3.0)
    assert adjust(world, "--by", "-2", *mine) == first
    world.rt.run_for(3.0)
    assert world.balance("bin:A-01") == 78
    other = adjust(world, "--by", "-2", *mine, bin_id="A-02")
    assert (other["code"], other["ok"]) == (1, False)
    assert other["text"] == "command mine-1 was given before, for something else: take a new id"


def test_a_second_correction_counts_on_the_first_though_it_is_not_booked(
    world: CentralWorld,
) -> None:
    adjust(world, "--to", "70", "--command-id", "c1")
    again = adjust(world, "--to", "70", "--command-id", "c2")
    assert again["text"] == f"A-01 holds 80 x {PEN} (-10 is under way) already: nothing is booked"
    assert adjust(world, "--to", "75", "--command-id", "c3")["by_units"] == 5
    refused = adjust(world, "--by", "-76", "--command-id", "c4")
    assert refused["code"] == 1
    assert refused["text"].endswith("(-5 is under way): it cannot hold 76 less")
    world.rt.run_for(3.0)
    assert world.balance("bin:A-01") == 75


def test_promises_that_no_longer_fit_are_told_and_go(world: CentralWorld) -> None:
    for person in world.people.values():
        person.idle = True
    world.order("O1", (PEN, 20))
    world.rt.run_for(1.0)
    answer = adjust(world, "--to", "8", bin_id="B-11")
    assert answer["text"].endswith(
        "; 12 units too many are promised there: the newest tasks lose them"
    )
    world.rt.run_for(3.0)
    assert world.balance("bin:B-11") == 8
    assert verify_ledger(world.engine).balanced


def test_what_its_edge_never_books_is_given_up_and_the_bin_is_counted(tmp_path: Path) -> None:
    world = make_world(tmp_path, tasking=TaskingConfig(record_give_up_s=20.0, record_after_s=2.0))
    world.edges["A"].deaf = True
    adjust(world, "--by", "-1")
    world.rt.run_for(40.0)
    assert [row.status for row in world.rows(select(t.edge_command))][:1] == ["dropped"]
    (proposal,) = world.proposals("count")
    assert "did not write down adjust/" in proposal.reason
    assert adjust(world, "--to", "80")["text"].endswith("already: nothing is booked")


def test_the_history_of_a_bin_says_who_why_and_when(world: CentralWorld) -> None:
    world.rt.run_for(1.0)
    adjust(world, "--to", "77")
    world.rt.run_for(3.0)
    adjust(world, "--to", "78", "--command-id", "later")
    said = ledger(world, "history", "--bin", "A-01")
    assert said.exit_code == 0
    head, waiting, booked, opening = said.stdout.splitlines()
    assert head.split() == ["when", "units", "article", "where", "why", "who", "task"]
    assert waiting.endswith("+1  Pen      from found:    damaged  pat        (waits for its edge)")
    assert booked.split()[1:] == ["-3", "Pen", "to", "loss:", "damaged", "pat"]
    assert opening.split()[1:] == ["+80", "Pen", "from", "opening:", "opening", "scanner-A"]
    found = json.loads(ledger(world, "history", "--bin", "A-01", "--json").stdout)
    rows = found["movements"]
    assert [(row["by_units"], row["is_booked"]) for row in rows] == [
        (1, False), (-3, True), (80, True),
    ]  # fmt: skip
    assert rows[0]["event_id"] == "adjust/later"
    assert rows[1]["observed_at"].endswith("Z")
    limited = ledger(world, "history", "--bin", "A-01", "--limit", "1", "--article", "CUP")
    assert limited.stdout == "A-01: nothing was moved there\n"


def test_the_stock_of_a_past_time_is_told(world: CentralWorld) -> None:
    world.rt.run_for(10.0)
    before_ns = world.shared.now_ns()
    world.rt.run_for(10.0)
    world.edges["B"].move(PEN, 4, "bin:B-11", "tote:O1")
    late_ns = before_ns - 1
    world.rt.run_for(10.0)
    known_ns = world.shared.now_ns()
    world.rt.run_for(10.0)
    world.edges["B"].move(CUP, 1, "bin:B-13", "tote:O1", observed_at_ns=late_ns)
    world.rt.run_for(5.0)
    at = utc_text(before_ns)

    def units(*more: str) -> dict[str, int]:
        found = ledger(world, "stock", "--json", *more)
        assert found.exit_code == 0, found.output
        return {
            f"{row['place']} {row['sku']}": row["units"]
            for row in json.loads(found.stdout)["stock"]
        }

    then = units("--at", at)
    assert then == {"bin:A-01 PEN": 80, "bin:B-11 PEN": 20, "bin:B-12 PEN": 4, "bin:B-13 CUP": 9}
    assert units("--at", at, "--known-at", utc_text(known_ns))["bin:B-13 CUP"] == 10
    now = utc_text(world.shared.now_ns())
    assert units("--at", now)["bin:B-11 PEN"] == 16
    assert units("--at", now, "--all")["tote:O1 PEN"] == 4
    assert units("--at", at, "--bin", "B-11") == {"bin:B-11 PEN": 20}
    assert units("--at", at, "--article", CUP[1:]) == {"bin:B-13 CUP": 9}
    said = ledger(world, "stock", "--at", at, "--article", "CUP").stdout.splitlines()
    assert said == [
        f"stock at {at}:", "place  article         name  units", f"B-13   {CUP}  Cup       9",
    ]  # fmt: skip
    assert ledger(world, "stock", "--at", "1970-01-02").stdout == (
        "stock at 1970-01-02T00:00:00.000Z: nothing\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("stock", "--at", "yesterday"), 2, "--at 'yesterday': expected a time like 2026-11-01T12"),
        (("stock", "--at", "1950-01-01"), 2, "from 1970 to April 2262"),
        (("stock", "--at", "2262-04-12"), 2, "from 1970 to April 2262"),
        (("stock", "--bin", "Z-99"), 1, "bin 'Z-99': is not in bins.csv"),
        (("stock", "--article", "4006381333932"), 1, "check digit is 2, expected 1"),
        (("stock", "--article", "05000000000005"), 1, "is not in articles.csv"),
        (("history", "--bin", "Z-99"), 1, "bin 'Z-99': is not in bins.csv"),
        (("history",), 2, "Missing option '--bin'"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "x", "--person", "p"), 2,
         "expected either --to N"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "x", "--person", "p",
          "--to", "1", "--by", "1"), 2, "expected either --to N"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "two words", "--person", "p",
          "--to", "1"), 1, "reason 'two words': expected 1 to 40 letters"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "x", "--person", "p",
          "--to", "1", "--lot", "L" * 21), 1, "expected at most 20 characters that can be read"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "x", "--person", "p",
          "--to", "-1"), 1, "expected 0 units or more in the bin, got -1"),
        (("adjust", "--bin", "A-01", "--article", "PEN", "--reason", "x", "--person", "p",
          "--by", "-81"), 1, "A-01 holds 80 x 04006381333931: it cannot hold 81 less"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_and_has_its_code(
    world: CentralWorld, arguments: tuple[str, ...], code: int, says: str
) -> None:
    found = ledger(world, *arguments)
    assert found.exit_code == code
    assert says in found.output


def test_books_that_are_not_there_are_named(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.kill()
    (tmp_path / "central.db").unlink()
    found = ledger(world, "stock")
    assert found.exit_code == 1
    assert "central.db': there is no such file: central makes it when it starts" in str(
        found.exception
    )
    assert not (tmp_path / "central.db").exists()


@pytest.mark.parametrize("command", ["verify", "rebuild"])
@pytest.mark.parametrize(("content", "says"), [
    (None, "there is no such file"), (b"", "the file is empty"),
])  # fmt: skip
def test_books_that_are_lost_are_not_whole(
    tmp_path: Path, command: str, content: bytes | None, says: str
) -> None:
    world = make_world(tmp_path)
    world.kill()
    file = tmp_path / "central.db"
    for name in ("central.db", "central.db-wal", "central.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)
    found = ledger(world, command)
    assert found.exit_code == 1
    assert says in str(found.exception)
    assert (file.read_bytes() if file.exists() else None) == content


def test_verify_and_rebuild_answer_programs_too(world: CentralWorld) -> None:
    world.rt.run_for(3.0)
    whole = ledger(world, "verify", "--json")
    found = json.loads(whole.stdout)
    assert (whole.exit_code, found["ok"], found["lines"][0][:6]) == (0, True, "whole:")
    with world.engine.begin() as conn:
        conn.execute(t.balance.update().where(t.balance.c.place == "bin:A-01").values(units=1))
    wrong = ledger(world, "verify", "--json")
    found = json.loads(wrong.stdout)
    assert (wrong.exit_code, found["ok"]) == (1, False)
    assert f"  bin:A-01 {PEN}: balance 1, its movements sum up to 80" in found["lines"]
    made = ledger(world, "rebuild", "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["ok"] is True
    assert world.balance("bin:A-01") == 80


def test_corrections_and_past_stock_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    world = make_world(tmp_path, database_url=postgres_url)
    answer = adjust(world, "--to", "77")
    assert answer["by_units"] == -3
    world.rt.run_for(3.0)
    assert world.balance("bin:A-01") == 77
    found = json.loads(ledger(world, "history", "--bin", "A-01", "--json").stdout)
    assert [row["by_units"] for row in found["movements"]] == [-3, 80]
    whole = ledger(world, "verify")
    assert (whole.exit_code, whole.stdout[:6]) == (0, "whole:")
    assert ledger(world, "rebuild").exit_code == 0
    stock = json.loads(ledger(world, "stock", "--json", "--bin", "A-01").stdout)
    assert [row["units"] for row in stock["stock"]] == [77]
    world.kill()
