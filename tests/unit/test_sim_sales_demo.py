"""A demo on real sales with more articles than the site has places for."""

from __future__ import annotations

from pathlib import Path

from runtime.config import load_config
from sim_hardware.config import SimConfig
from sim_hardware.world.order_file import read_order_file
from stockhelm.demo_site import Ports, read_sales, write_demo


def test_only_the_best_sellers_are_replayed(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    lines = [f"2024-01-{day:02},sku{n},{n + 1}" for day in (1, 2, 3) for n in range(50)]
    path.write_text("\n".join(["date,sku,quantity", *lines]) + "\n", encoding="utf-8")
    sales = read_sales(path)
    demo = write_demo(
        tmp_path / "demo",
        seed=1,
        speed=4.0,
        ports=Ports(broker=1883, desk=8000, pictures=8001),
        sales=sales,
    )
    orders = load_config(demo.config("sim"), SimConfig).orders
    gtins = {row.sku: row.gtin for row in demo.site.articles.values()}
    days = read_order_file(Path(orders.path), gtins, first_date=orders.first_date)
    assert orders.first_date == "2024-01-02"
    assert [sorted(units for _, units in day) for day in days] == [list(range(11, 51))] * 2
