"""Duplicates, late ones, gaps: the same readings end in the same state, however they came."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from devices.order import RIVALS, Gap, Numbered, Order, Verdict, number

START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


def numbered(sequence: int, minute: int = 0, content: str = "a") -> Numbered:
    return Numbered(sequence, START + timedelta(minutes=minute), content.encode())


def taken(readings: list[Numbered], window: int = 4096) -> Order:
    order = Order(window=window)
    for one in readings:
        order.take(one)
    return order


def test_what_came_before_is_a_repeat_and_what_differs_is_a_reuse() -> None:
    order = Order()
    assert order.take(numbered(5)) is Verdict.NEW
    assert order.take(numbered(5)) is Verdict.REPEATED
    assert order.take(numbered(5, content="b")) is Verdict.REUSED
    assert order.take(numbered(3)) is Verdict.NEW
    assert order.reused() == (5,)
    assert order.highest == 5


def test_a_missing_number_is_a_gap_until_it_comes() -> None:
    order = taken([numbered(2), numbered(7), numbered(3)])
    assert order.gaps() == (Gap(4, 6),)
    order.take(numbered(5))
    assert order.gaps() == (Gap(4, 4), Gap(6, 6))


def test_below_the_window_only_the_store_knows() -> None:
    order = taken([numbered(1), numbered(10)], window=4)
    assert order.take(numbered(6)) is Verdict.OLD
    assert order.take(numbered(7)) is Verdict.NEW
    assert [one.sequence for one in order.snapshot().readings] == [7, 10]


def test_a_window_is_of_at_least_one_number() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Order(window=0)


def test_readings_under_one_number_end_the_same_in_every_order() -> None:
    """More rivals than are kept, and one that came with two times."""
    rivals = [numbered(1, minute, content) for minute, content in enumerate("abcdef")]
    rivals.append(numbered(1, 9, "a"))
    ends = {taken(list(order)).snapshot() for order in permutations(rivals)}
    assert len(ends) == 1
    assert len(ends.pop().readings) == RIVALS


@given(
    st.lists(
        st.builds(
            numbered, st.integers(0, 60), st.integers(0, 3), st.sampled_from(["a", "b", "c"])
        ),
        max_size=40,
    ),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_any_shuffle_with_repeats_ends_in_the_same_state(
    readings: list[Numbered], window: int, draw: Any
) -> None:
    shuffled = readings + draw.sample(readings, len(readings) // 2)
    draw.shuffle(shuffled)
    one, other = taken(readings, window), taken(shuffled, window)
    assert one.snapshot() == other.snapshot()
    assert one.gaps() == other.gaps()
    assert Order(window=window, known=one.snapshot()).snapshot() == one.snapshot()


class Links(RuleBasedStateMachine):
    """A device's readings come by two links, each with its own delays, repeats and restarts."""

    produced: Bundle[Numbered] = Bundle("produced")

    @initialize(window=st.integers(1, 12))
    def begin(self, window: int) -> None:
        self.window = window
        self.first, self.second = Order(window=window), Order(window=window)
        self.made: list[Numbered] = []
        self.waiting: list[Numbered] = []
        self.next = 0

    @rule(target=produced, skipped=st.integers(0, 3), content=st.sampled_from("ab"))
    def measure(self, skipped: int, content: str) -> Numbered:
        self.next += skipped
        one = numbered(self.next, self.next, content)
        self.next += 1
        self._send(one)
        return one

    @rule(target=produced, one=produced, content=st.sampled_from("abc"), minute=st.integers(0, 5))
    def count_anew(self, one: Numbered, content: str, minute: int) -> Numbered:
        again = numbered(one.sequence, minute, content)
        self._send(again)
        return again

    @rule(one=produced)
    def repeat(self, one: Numbered) -> None:
        self.first.take(one)
        self.waiting.append(one)

    @rule(at=st.integers(0, 1000))
    def deliver_out_of_turn(self, at: int) -> None:
        if self.waiting:
            self.second.take(self.waiting.pop(at % len(self.waiting)))

    @rule()
    def restart(self) -> None:
        self.first = Order(window=self.window, known=self.first.snapshot())

    @invariant()
    def both_end_alike(self) -> None:
        """Once all is delivered; the second link gets the rest backwards."""
        if not self.made:
            return
        rest = Order(window=self.window, known=self.second.snapshot())
        for one in reversed(self.waiting):
            rest.take(one)
        assert rest.snapshot() == self.first.snapshot()
        assert rest.gaps() == self.first.gaps()
        kept = {one.sequence for one in self.first.snapshot().readings}
        assert len(kept) <= self.window
        assert kept == {
            one.sequence for one in self.made if one.sequence > self.first.highest - self.window
        }

    def _send(self, one: Numbered) -> None:
        self.made.append(one)
        self.first.take(one)
        self.waiting.append(one)


Links.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLinks = Links.TestCase


def test_a_record_has_the_same_number_at_every_download() -> None:
    at = datetime(2026, 3, 10, 8, 0)  # noqa: DTZ001 - a device's own time has no zone
    values = {"systolic": 128.0, "diastolic": 82.0}
    assert number(None, at, values) == number(None, at, dict(reversed(values.items())))
    assert number(None, at, values) != number(None, at, values | {"systolic": 129.0})
    assert number(None, at, values) != number(None, at + timedelta(seconds=1), values)


def test_a_meter_that_counts_anew_uses_no_number_twice() -> None:
    before, after = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
    assert number(1, before, {"glucose": 5.5}) != number(1, after, {"glucose": 5.5})


def test_the_number_is_made_as_the_page_makes_it() -> None:
    """The layout the page shares: seconds, then the device's own number or a checksum."""
    at = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
    seconds = int(at.timestamp())
    assert number(258, at, {}) == seconds * 2**21 + 2**20 + 258
    assert number(None, at, {"glucose": 5.5}) == seconds * 2**21 + 83424
    assert number(7, None, {}) == 2**20 + 7


@given(
    st.none() | st.integers(0, 2**16 - 1),
    st.none() | st.datetimes(),
    st.dictionaries(st.text(max_size=4), st.floats(), max_size=3),
)
def test_any_number_fits_what_a_reading_may_carry(
    sequence: int | None, at: datetime | None, values: dict[str, float]
) -> None:
    assert 0 <= number(sequence, at, values) < 2**53
