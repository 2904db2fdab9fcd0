"""Every relative link of README.md and docs/ leads to a file, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings as the common hosts make them."""
    headings = HEADING.findall(FENCED.sub("", page))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def broken(page: Path, text: str) -> list[str]:
    """Return the relative links in `text`, as it stands at `page`, that lead nowhere."""
    found = []
    for link in LINK.findall(INLINE_CODE.sub("", FENCED.sub("", text))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_ours = target.exists() and ROOT in (target, *target.parents)
        if not is_ours or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(readme)}
    missing = [p for p in PAGES[1:] if p not in linked and p.parent not in linked]
    assert missing == []


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("docs/flow.md", True),
        ("docs/", True),
        ("LICENSE", True),
        ("https://example.com/x", True),
        ("#try-it", True),
        ("docs/nowhere.md", False),
        ("../outside", False),
        ("#no-such-heading", False),
    ],
)
def test_a_link_that_leads_nowhere_is_found_out(link: str, *, leads: bool) -> None:
    assert broken(ROOT / "README.md", f"see [this]({link}) there") == ([] if leads else [link])
    assert broken(ROOT / "README.md", f"```\n[this]({link})\n```\n") == []
