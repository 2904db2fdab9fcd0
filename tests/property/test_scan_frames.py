"""Any bytes on a serial line: nothing raises, and every good line among garbage comes through."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wire.answers import Code
from wire.frames import LINE_BYTES_MAX, DroppedLine, LineUnframer

good_lines = st.text(
    st.sampled_from([chr(c) for c in range(0x20, 0x7F)] + ["\x1d"]),
    min_size=1, max_size=LINE_BYTES_MAX,
)  # fmt: skip
endings = st.sampled_from([b"\r", b"\n", b"\r\n"])
garbage = st.binary(max_size=700)


def feed_in_pieces(unframer: LineUnframer, data: bytes, cuts: list[int]) -> list[str | DroppedLine]:
    found: list[str | DroppedLine] = []
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        found += unframer.feed(data[start:end])
    return found


cut_places = st.lists(st.integers(0, 2_000), max_size=20)


@given(st.lists(garbage, max_size=8))
def test_any_bytes_give_lines_or_reasons_and_bounded_memory(chunks: list[bytes]) -> None:
    unframer = LineUnframer()
    for chunk in chunks:
        for found in unframer.feed(chunk):
            if isinstance(found, DroppedLine):
                assert found.reason in {"too_long", "malformed"}
                assert found.text.isascii()
            else:
                assert 0 < len(found) <= LINE_BYTES_MAX
                assert found.isascii()
        assert len(unframer._buffer) <= LINE_BYTES_MAX
    unframer.give_up()
    assert not unframer.pending


@given(st.lists(st.tuples(garbage, good_lines, endings), min_size=1, max_size=6), cut_places)
def test_good_lines_among_garbage_all_come_through(
    rounds: list[tuple[bytes, str, bytes]], cuts: list[int]
) -> None:
    data = b"".join(noise + b"\n" + line.encode() + end for noise, line, end in rounds)
    lines = [f for f in feed_in_pieces(LineUnframer(), data, cuts) if isinstance(f, str)]
    wanted = iter(lines)
    assert all(any(line == got for got in wanted) for _, line, _ in rounds), "in their order"


@given(st.lists(st.tuples(good_lines, endings), max_size=8), cut_places)
def test_how_the_bytes_are_cut_changes_nothing(
    lines: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    data = b"".join(line.encode() + end for line, end in lines)
    assert feed_in_pieces(LineUnframer(), data, cuts) == [line for line, _ in lines]


def test_a_line_over_the_limit_is_told_once_and_the_next_one_comes_through() -> None:
    unframer = LineUnframer()
    found = unframer.feed(b"x" * LINE_BYTES_MAX + b"yz" + b"w" * 900 + b"\r\nnext\r\n")
    assert [f if isinstance(f, str) else f.reason for f in found] == ["too_long", "next"]


def test_a_half_line_is_given_up_with_its_beginning() -> None:
    unframer = LineUnframer()
    assert unframer.feed(b"]C101040063") == []
    half = unframer.give_up()
    assert half is not None
    assert half.reason == Code.HALF_LINE
    assert "]C101040063" in half.text
    assert unframer.feed(b"81333931\n") == ["81333931"]


def test_a_control_byte_spoils_its_line_and_no_other() -> None:
    found = LineUnframer().feed(b"a\x00b\nc\x1dd\n")
    assert [f if isinstance(f, str) else f.reason for f in found] == ["malformed", "c\x1dd"]
