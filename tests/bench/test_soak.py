"""What the soak calls flat."""

from bench.rtc_soak import flat

MB = 1_000_000


def test_a_beginning_may_grow_and_the_last_third_may_not() -> None:
    """Two per cent and a megabyte more than the third before, and not one descriptor."""
    warm = [50 * MB, 80 * MB, 90 * MB]
    assert flat([*warm, *[100 * MB] * 3, *[102.9 * MB] * 3], [9, 12, 12] + [14] * 6) == []
    assert flat([*warm, *[100 * MB] * 3, *[103.1 * MB] * 3], [14] * 9) == [
        "memory grew from 100.0 to 103.1 MB"
    ]
    assert flat([100 * MB] * 9, [14] * 8 + [15]) == ["descriptors grew from 14 to 15"]
