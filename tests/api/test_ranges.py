"""Ranges as RFC 9110 §14 has them, for one range."""

import pytest

from api.ranges import Part, Unsatisfiable, part_of


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 10)),
        ("bytes=90-500", (90, 10)),
        ("bytes=-7", (93, 7)),
        ("bytes=-500", (0, 100)),
        ("BYTES = 5 - 6", (5, 2)),
        ("bytes=99-", (99, 1)),
    ],
)
def test_one_range_is_a_part_of_the_file(header: str, part: tuple[int, int]) -> None:
    assert part_of(header, 100) == Part(*part)


@pytest.mark.parametrize(
    "header",
    [
        *("", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6"),
        *("lines=0-1", "bytes=a-b", "bytes=0x1-2", "bytes=" + "9" * 5000 + "-"),
    ],
)
def test_what_is_no_single_range_is_answered_with_the_whole(header: str) -> None:
    assert part_of(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        part_of(header, 100)
