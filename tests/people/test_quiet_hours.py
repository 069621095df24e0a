"""Quiet hours on the clock of the wall, over every change of it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.quiet_hours import DAY_MINUTES, QuietHours, zone_or_none

KAZAN = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")  # changes its clocks twice a year
minutes = st.integers(0, DAY_MINUTES - 1)
seconds = st.integers(1_704_067_200, 1_893_456_000)  # from 2024 to 2030
moments = seconds.map(lambda second: datetime.fromtimestamp(second, UTC))
zones = st.sampled_from([KAZAN, BERLIN, ZoneInfo("Asia/Kamchatka"), ZoneInfo("America/St_Johns")])


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"),
    [(21, 59, False), (22, 0, True), (3, 0, True), (6, 59, True), (7, 0, False), (12, 0, False)],
)
def test_the_usual_night_is_from_ten_to_seven_by_local_time(
    hour: int, minute: int, quiet: bool
) -> None:
    at = datetime(2026, 3, 2, hour, minute, tzinfo=KAZAN)
    assert QuietHours(KAZAN).quiet(at.astimezone(UTC)) is quiet


@given(zone=zones, begins=minutes, ends=minutes, now=moments)
def test_what_waits_goes_when_it_is_quiet_no_more_and_within_a_day(
    zone: ZoneInfo, begins: int, ends: int, now: datetime
) -> None:
    hours = QuietHours(zone, begins, ends)
    due = hours.not_before(now)
    assert now <= due <= now + timedelta(days=1, hours=1)
    assert (due == now) is (not hours.quiet(now))
    # In the hour that the clocks repeat, the same wall time comes twice: the second is quiet again.
    if due.astimezone(zone).utcoffset() == now.astimezone(zone).utcoffset():
        assert not hours.quiet(due)


@given(zone=zones, minute=minutes, now=moments)
def test_equal_ends_are_never_quiet(zone: ZoneInfo, minute: int, now: datetime) -> None:
    assert not QuietHours(zone, minute, minute).quiet(now)


def test_the_night_ends_in_the_morning_of_the_day_the_clocks_change() -> None:
    hours = QuietHours(BERLIN)
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 1:30, half an hour before the jump
    assert hours.not_before(spring) == datetime(2026, 3, 29, 5, tzinfo=UTC)
    autumn = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 2:30, for the first time
    assert hours.not_before(autumn) == datetime(2026, 10, 25, 6, tzinfo=UTC)


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../../etc/passwd", "/etc/localtime", "x\0y"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_or_none(name) is None
    assert zone_or_none("Europe/Moscow") == KAZAN
