"""Which robots a tick looks at."""

from __future__ import annotations

from central.fleet.news import News


def test_all_are_looked_at_first_then_only_those_with_news() -> None:
    news = News(3)
    assert news.take(0) == {0, 1, 2}
    assert news.take(0) == set()
    news.mark(1)
    news.mark(1)
    assert news.take(0) == {1}
    assert news.take(0) == set()


def test_whose_time_is_over_is_looked_at_once() -> None:
    news = News(2)
    news.take(0)
    news.look_after(0, 10)
    news.look_after(1, 5)
    assert news.take(5) == set()
    assert news.has_time(1)
    assert news.take(6) == {1}
    assert not news.has_time(1)
    assert news.has_time(0)
    assert news.take(100) == {0}
    assert news.take(200) == set()


def test_news_that_comes_after_a_look_is_for_the_next_one() -> None:
    news = News(2)
    looked = news.take(0)
    news.mark(0)
    looked.clear()
    assert news.take(0) == {0}
