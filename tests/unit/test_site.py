"""A site's CSV files: what is wrong is named by file, line and value."""

from __future__ import annotations

import pytest

from wire.site import ArticleRow, SiteError, parse_site, write_rows

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
