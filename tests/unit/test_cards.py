"""The command cards: every command has one, the page says what it does, and scanners read it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from typer.testing import CliRunner

from edge.scanning.cards import USES, card_text, cards_markdown
from edge.scanning.gs1 import COMMANDS, CommandLabel, read_label
from stockhelm.cards import CARD_MM, cards_page
from stockhelm.cli import app


def test_every_command_has_a_use_on_the_page_and_none_is_of_no_command() -> None:
    assert list(dict.fromkeys(use.command for use in USES)) == sorted(
        COMMANDS, key=[use.command for use in USES].index
    )
    assert all(f"| `SH-{command}` |" in cards_markdown() for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_printed_card_is_read_as_its_command(command: str) -> None:
    code = zxingcpp.create_barcode(card_text(command), zxingcpp.BarcodeFormat.Code128, gs1=True)
    picture = np.array(zxingcpp.write_barcode_to_image(code, scale=2, add_quiet_zones=True))
    [found] = zxingcpp.read_barcodes(picture)
    text = found.symbology_identifier + found.bytes.decode()
    assert read_label(text) == CommandLabel(command)


def test_the_sheet_has_a_card_for_each_command(tmp_path: Path) -> None:
    page = tmp_path / "cards.html"
    done = CliRunner().invoke(app, ["cards", str(page)])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert text == cards_page()
    assert len(re.findall("<svg ", text)) == len(COMMANDS)
    assert re.findall(r"<h2>SH-([A-Z-]+)</h2>", text) == list(COMMANDS)
    wide_mm = [float(found) for found in re.findall(r'<svg width="([0-9.]+)mm"', text)]
    assert len(wide_mm) == len(COMMANDS)
    assert max(wide_mm) <= CARD_MM, "none is cut off at the edge of its card"
    assert "`" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), "it needs nothing else"
