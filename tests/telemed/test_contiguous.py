"""How far a stream is stored without a hole."""

from hypothesis import given
from hypothesis import strategies as st

from telemed.ecg import contiguous


@given(st.sets(st.integers(0, 30)), st.integers(-1, 5))
def test_contiguous_stops_at_the_first_missing(numbers: set[int], last: int) -> None:
    """As a walk one by one would."""
    expected = last
    while expected + 1 in numbers:
        expected += 1
    assert contiguous(last, [(n, n) for n in numbers]) == expected
