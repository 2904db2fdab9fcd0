"""A site's CSV files: what is wrong is named by file, line and value."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.site import FILES, ArticleRow, SiteError, parse_site, write_rows

BINS = """bin_id,edge_id,kind,x_m,y_m,z_m,node_id,gtin,capacity_units
A-01,A,reserve,1,2,0,n1,4006381333931,40
A-02,A,dock,1,4,0,n2,,
"""
ARTICLES = """gtin,sku,name,case_units,price_cents,supplier_id
4006381333931,PEN,"Pen, blue",10,120,s1
"""
NODES = "node_id,x_m,y_m,kind\nn1,1,1,way\nn2,3,1,way\n"


def site(**files: str) -> dict[str, str]:
    texts = {"bins.csv": BINS, "articles.csv": ARTICLES, "nodes.csv": NODES}
    return texts | {name.replace("_csv", ".csv"): text for name, text in files.items()}


def test_a_small_site_is_read_and_gtins_become_14_digits() -> None:
    found = parse_site(site())
    assert found.bins["A-01"].gtin == "04006381333931"
    assert found.articles["04006381333931"].name == "Pen, blue"
    assert found.edge_bins("A").keys() == {"A-01", "A-02"}


def test_two_files_are_enough() -> None:
    texts = {"bins.csv": BINS, "articles.csv": ARTICLES}
    assert len(parse_site(texts).bins) == 2


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"bins_csv": BINS.replace("reserve", "shelf")}, "bins.csv line 2: kind 'shelf'"),
        ({"bins_csv": BINS.replace("n2", "n9")}, "bins.csv line 3: node_id 'n9' is not in nodes"),
        ({"bins_csv": BINS.replace("A-02", "A-01")}, "bins.csv line 3: 'A-01' stands there twice"),
        ({"bins_csv": BINS.replace("A-02", "a-02")}, "bins.csv line 3: Expected `str` matching"),
        ({"bins_csv": BINS.replace(",40", ",0")}, "bins.csv line 2: Expected `int` >= 1"),
        ({"articles_csv": ARTICLES.replace("931,", "932,")}, "articles.csv line 2: GTIN"),
        ({"articles_csv": ARTICLES.replace(",120,", ",")}, "articles.csv line 2: expected 6 cells"),
        ({"opening_csv": "bin_id,gtin,units\nX,4006381333931,1\n"}, "opening.csv line 2: bin 'X'"),
        ({"edges_csv": "from_node,to_node\nn1,n7\n"}, "edges.csv line 2: node 'n7'"),
        (
            {"bins_csv": BINS.replace("capacity_units", "capacty")},
            "bins.csv line 2: Object contains",
        ),
    ],
)
def test_what_is_wrong_is_named(files: dict[str, str], text: str) -> None:
    with pytest.raises(SiteError) as caught:
        parse_site(site(**files))
    assert text in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SiteError, match=r"articles\.csv: missing"):
        parse_site({"bins.csv": BINS})


def test_rows_are_written_as_they_are_read() -> None:
    rows = list(parse_site(site()).articles.values())
    again = parse_site(site(articles_csv=write_rows(rows, ArticleRow)))
    assert list(again.articles.values()) == rows


# --- how spreadsheets write ---------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_files_of_any_system_and_of_spreadsheets_are_read(line_end: str) -> None:
    texts = {name: "\ufeff" + text.replace("\n", line_end) for name, text in site().items()}
    assert parse_site(texts) == parse_site(site())


def test_the_line_is_that_of_the_file_also_after_empty_ones_and_broken_cells() -> None:
    text = ARTICLES.replace("Pen, blue", "Pen,\nblue") + "\n\n4012345678901,PAD,Pad,5,x,s1\n"
    with pytest.raises(SiteError, match=r"articles\.csv line 6: Expected `int`"):
        parse_site(site(articles_csv=text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ARTICLES.replace("Pen, blue", "x" * 131_073), "articles.csv line 2: is no CSV: field"),
        (ARTICLES.replace(",sku,", ",gtin,"), "articles.csv line 1: a column stands there twice"),
        (ARTICLES + "4012345678901,PAD,Pad,5,1,s1,8,9\n", "articles.csv line 3: expected 6 cells"),
    ],
)
def test_what_is_no_table_is_named(text: str, says: str) -> None:
    with pytest.raises(SiteError) as caught:
        parse_site(site(articles_csv=text))
    assert says in str(caught.value)


# --- what cannot be ------------------------------------------------------------------------------

ROBOTS = "manufacturer,serial,node_id\nacme,agv-1,n1\n"
PEOPLE = "person_id,name,edge_id,roles\np1,Ann,A,pick count\n"
SUPPLIERS = "supplier_id,name,lead_time_d\ns1,Ink Ltd,2\n"
OPENING = "bin_id,gtin,units\nA-01,4006381333931,30\n"
PAD = "4012345678901,PAD,Pad,5,1,s1\n"


def test_a_whole_site_is_taken() -> None:
    found = parse_site(
        site(
            robots_csv=ROBOTS, people_csv=PEOPLE, suppliers_csv=SUPPLIERS, opening_csv=OPENING,
            edges_csv="from_node,to_node\nn1,n2\nn2,n1\n", articles_csv=ARTICLES + PAD,
        )
    )  # fmt: skip
    assert (len(found.robots), len(found.people), len(found.opening)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            {"robots_csv": ROBOTS + "acme,agv-1,n2\n"},
            "robots.csv line 3: 'acme/agv-1' stands there twice: delete one",
        ),
        (
            {"robots_csv": ROBOTS + "acme,agv-2,n1\n"},
            "robots.csv line 3: on node 'n1' stands acme/agv-1 already: give each robot its own",
        ),
        (
            {"robots_csv": ROBOTS.replace("n1", "n7")},
            "robots.csv line 2: node 'n7' is not in nodes.csv: add it there",
        ),
        (
            {"robots_csv": ROBOTS, "nodes_csv": ""},
            "robots.csv line 2: node 'n1' is not in nodes.csv: add it there",
        ),
        (
            {"suppliers_csv": SUPPLIERS.replace("s1", "s2")},
            "articles.csv line 2: supplier_id 's1' is not in suppliers.csv: add it there",
        ),
        (
            {"people_csv": PEOPLE.replace(",A,", ",Z,")},
            "people.csv line 2: edge_id 'Z' has no bins, expected one of bins.csv: A",
        ),
        (
            {"people_csv": PEOPLE.replace("count", "counts")},
            "people.csv line 2: role 'counts', expected some of receive putaway pick count",
        ),
        (
            {"nodes_csv": NODES.replace("3,1,way", "3,1,parking")},
            "nodes.csv line 3: kind 'parking', expected one of way, station, charger",
        ),
        (
            {"edges_csv": "from_node,to_node\nn1,n2\nn2,n2\n"},
            "edges.csv line 3: a lane from 'n2' to itself, expected another to_node",
        ),
        (
            {"opening_csv": OPENING + "A-01,4006381333931,11\n"},
            "opening.csv line 3: 41 units in bin 'A-01', expected at most its capacity_units",
        ),
        (
            {"articles_csv": ARTICLES + PAD.replace("PAD", "PEN")},
            "articles.csv line 3: sku 'PEN' is that of 04006381333931 already: give each article",
        ),
        (
            {"articles_csv": ARTICLES.replace(",120,", f",{2**53 + 1},")},
            "articles.csv line 2: Expected `int` <= 9007199254740992",
        ),
        ({"bins_csv": BINS.replace("A-02", '"A-02\n"')}, "bins.csv line 4: Expected `str` match"),
        ({"bins_csv": BINS.replace("1,4,0,n2", "nan,4,0,n2")}, "bins.csv line 3: "),
        ({"suppliers_csv": SUPPLIERS.replace(",2\n", ",nan\n")}, "suppliers.csv line 2: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_line_and_the_way_out(
    files: dict[str, str], text: str
) -> None:
    with pytest.raises(SiteError) as caught:
        parse_site(site(**files))
    assert text in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(FILES)), st.text(max_size=200)))
def test_any_text_is_a_site_or_a_site_error(texts: dict[str, str]) -> None:
    with suppress(SiteError):
        parse_site(site() | texts)
