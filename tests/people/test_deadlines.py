"""Deadlines by working days: the days of real years, and what holds for every calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.deadlines import (
    APPEAL,
    Calendar,
    Ladder,
    NoWorkingDay,
    Standing,
    feasts,
    standing,
)

KAZAN = ZoneInfo("Europe/Moscow")
PLAIN = Calendar(KAZAN)
days = st.dates(date(2020, 1, 1), date(2035, 12, 31))
zones = st.sampled_from([KAZAN, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kamchatka")])
# Within a month of each other, so that lists and deadlines meet.
near = st.dates(date(2026, 4, 20), date(2026, 6, 20))
calendars = st.builds(
    Calendar,
    zones,
    st.frozensets(near, max_size=6),
    st.frozensets(near, max_size=6),
)
moments = st.integers(1_777_000_000, 1_781_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
hours = st.integers(0, 24 * 40).map(lambda n: timedelta(hours=n))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KAZAN).astimezone(UTC)


@pytest.mark.parametrize(
    ("year", "off"),
    [
        (2024, ["02-23", "03-08", "05-01", "05-09", "06-12", "11-04"]),
        (2025, ["02-24", "03-10", "05-01", "05-09", "06-12", "11-04"]),
        (2026, ["02-23", "03-09", "05-01", "05-11", "06-12", "11-04"]),
    ],
)
def test_a_feast_on_a_weekend_moves_the_day_off_to_the_next_working_day(
    year: int, off: list[str]
) -> None:
    after_new_year = [day for day in feasts(year) if day > date(year, 1, 8)]
    assert sorted(f"{day:%m-%d}" for day in after_new_year if day.weekday() < 5) == off


def test_a_year_with_days_off_moved_by_the_government_is_a_year_with_its_list() -> None:
    """2025, decree 1335 of 4 October 2024: the days off of two feasts went to May and June."""
    off = [(5, 2), (5, 8), (6, 13), (11, 3), (12, 31)]
    year = Calendar(
        KAZAN,
        off=frozenset(date(2025, month, day) for month, day in off),
        worked=frozenset({date(2025, 2, 24), date(2025, 3, 10), date(2025, 11, 1)}),
    )
    assert year.after(date(2025, 4, 30), 1) == date(2025, 5, 5)
    assert year.after(date(2025, 5, 7), 1) == date(2025, 5, 12)
    assert year.after(date(2025, 3, 7), 1) == date(2025, 3, 10)
    assert year.between(date(2024, 12, 31), date(2025, 12, 31)) == 247  # as published


def test_what_was_published_for_a_year_goes_before_the_law_in_general() -> None:
    monday, saturday, feast = date(2026, 8, 31), date(2026, 5, 16), date(2026, 11, 4)
    tatarstan = Calendar(KAZAN, off=frozenset({monday}), worked=frozenset({saturday, feast}))
    assert [tatarstan.working(day) for day in (monday, saturday, feast)] == [False, True, True]
    assert [PLAIN.working(day) for day in (monday, saturday, feast)] == [True, False, False]
    both = frozenset({monday})
    assert not Calendar(KAZAN, off=both, worked=both).working(monday)


@pytest.mark.parametrize(
    ("now", "holder", "left", "overdue"),
    [
        ("2026-03-02 09:00", "owner", 10, False),  # the day it came does not count
        ("2026-03-05 12:00", "owner", 8, False),  # the third working day
        ("2026-03-10 23:59", "owner", 6, False),  # the fifth: a weekend and the 9th lie between
        ("2026-03-11 00:00", "head", 5, False),
        ("2026-03-13 23:59", "head", 3, False),  # the eighth
        ("2026-03-14 00:00", "region", 2, False),
        ("2026-03-17 23:59", "region", 1, False),  # the tenth
        ("2026-03-18 00:00", "region", 0, True),
    ],
)
def test_an_appeal_passes_on_after_the_fifth_and_eighth_day_and_is_over_after_the_tenth(
    now: str, holder: str, left: int, overdue: bool
) -> None:
    found = standing(APPEAL, PLAIN, _at("2026-03-02 15:30"), _at(now))
    assert (found.holder, found.days_left, found.overdue) == (holder, left, overdue)
    assert found.due_at == _at("2026-03-18 00:00")


def test_the_day_something_came_is_that_of_the_region() -> None:
    late = datetime(2026, 3, 2, 22, tzinfo=UTC)  # one in the night of the 3rd in Kazan
    assert standing(APPEAL, PLAIN, late, late).due_at == _at("2026-03-19 00:00")


@given(calendar=calendars, day=days, count=st.integers(0, 30))
def test_so_many_working_days_later_there_lie_so_many_working_days_between(
    calendar: Calendar, day: date, count: int
) -> None:
    later = calendar.after(day, count)
    assert calendar.between(day, later) == count
    assert count == 0 or calendar.working(later)


@given(calendar=calendars, came=moments, waited=hours, more=hours)
def test_time_only_brings_a_deadline_nearer_and_higher(
    calendar: Calendar, came: datetime, waited: timedelta, more: timedelta
) -> None:
    before = standing(APPEAL, calendar, came, came + waited)
    after = standing(APPEAL, calendar, came, came + waited + more)
    assert before.due_at == after.due_at
    assert before.level <= after.level
    assert before.days_left >= after.days_left
    assert before.overdue <= after.overdue


@given(calendar=calendars, came=moments, waited=hours)
def test_nothing_changes_until_it_says_so_and_then_something_does(
    calendar: Calendar, came: datetime, waited: timedelta
) -> None:
    def state(at: datetime) -> tuple[str, int, bool]:
        found = standing(APPEAL, calendar, came, at)
        return found.holder, found.level, found.overdue

    now = came + waited
    found = standing(APPEAL, calendar, came, now)
    if found.changes_at is None:
        assert found.overdue
        assert state(now + timedelta(days=400)) == state(now)
        return
    assert found.changes_at > now
    assert state(found.changes_at - timedelta(microseconds=1)) == state(now)
    assert state(found.changes_at) != state(now)


@given(calendar=calendars, came=moments, extra=near)
def test_one_more_day_off_never_brings_the_end_forward(
    calendar: Calendar, came: datetime, extra: date
) -> None:
    freer = Calendar(calendar.zone, calendar.off | {extra}, calendar.worked)
    due, later = (standing(APPEAL, one, came, came).due_at for one in (calendar, freer))
    assert later >= due


@given(calendar=calendars, came=moments, waited=hours)
def test_there_is_time_left_as_long_as_it_is_not_overdue(
    calendar: Calendar, came: datetime, waited: timedelta
) -> None:
    found: Standing = standing(APPEAL, calendar, came, came + waited)
    assert (found.days_left == 0) is found.overdue
    assert found.days_left <= APPEAL.due_after
    assert calendar.working(calendar.local_day(found.due_at - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("holders", "passes", "due"),
    [(("a",), (5,), 10), (("a", "b", "c"), (8, 5), 10), (("a", "b"), (0,), 10), (("a",), (), 0)],
)
def test_a_ladder_without_its_rungs_is_none(
    holders: tuple[str, ...], passes: tuple[int, ...], due: int
) -> None:
    with pytest.raises(ValueError, match="rise"):
        Ladder(holders, passes, due)


def test_a_calendar_without_working_days_is_a_mistake() -> None:
    start = date(2026, 5, 1)
    never = Calendar(KAZAN, frozenset(start + timedelta(days=n) for n in range(100)))
    with pytest.raises(NoWorkingDay):
        never.after(start, 1)
