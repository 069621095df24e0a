"""When a reading was taken, whatever the device's clock says."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.clock import KEPT, DeviceClock
from devices.measurement import DeviceFlag

KAZAN = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
HOME = DeviceClock(KAZAN)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A time as a device tells it: without a zone."""
    return datetime(year, month, day, hour, minute)  # noqa: DTZ001


LOCAL_NOW = local(2026, 3, 10, 11, 0)


def test_a_right_clock_is_believed_as_it_is() -> None:
    found = HOME.repair(local(2026, 3, 9, 22, 30), NOW)
    assert (found.taken_at, found.flags) == (datetime(2026, 3, 9, 19, 30, tzinfo=UTC), ())


def test_minutes_are_as_good_as_right() -> None:
    clock = HOME.seen(LOCAL_NOW - timedelta(seconds=45), NOW, read=True)
    found = clock.repair(local(2026, 3, 10, 9, 0), NOW)
    assert (found.taken_at, found.flags) == (datetime(2026, 3, 10, 6, 0, tzinfo=UTC), ())


def test_a_clock_an_hour_fast_is_put_right_and_it_is_said() -> None:
    clock = HOME.seen(LOCAL_NOW + timedelta(hours=1), NOW, read=True)
    found = clock.repair(local(2026, 3, 10, 9, 0), NOW)
    assert found.taken_at == datetime(2026, 3, 10, 5, 0, tzinfo=UTC)
    assert found.flags == (DeviceFlag.CLOCK_REPAIRED,)
    assert found.doubt_s < 60


def test_a_clock_that_began_at_1970_is_read_off_what_it_shows_now() -> None:
    clock = HOME.seen(local(1970, 1, 2, 0, 0), NOW, read=True)
    found = clock.repair(local(1970, 1, 1, 22, 0), NOW)
    assert found.taken_at == NOW - timedelta(hours=2)
    assert found.flags == (DeviceFlag.CLOCK_REPAIRED,)


def test_a_clock_never_set_and_never_seen_leaves_the_time_of_arrival() -> None:
    found = HOME.repair(local(1970, 1, 1, 22, 0), NOW)
    assert (found.taken_at, found.flags) == (NOW, (DeviceFlag.TIME_OF_ARRIVAL,))
    assert found.doubt_s == float("inf")


@pytest.mark.parametrize(("device", "clock_set"), [(None, True), (LOCAL_NOW, False)])
def test_a_reading_sent_as_it_was_taken_needs_no_clock(
    device: datetime | None, clock_set: bool
) -> None:
    found = HOME.repair(device, NOW, live=True, clock_set=clock_set)
    assert (found.taken_at, found.flags) == (NOW, (DeviceFlag.TIME_OF_ARRIVAL,))
    assert found.doubt_s == 60


def test_a_live_reading_shows_how_wrong_the_clock_is() -> None:
    found = HOME.repair(local(2024, 6, 1, 12, 0), NOW, live=True)
    assert (found.taken_at, found.flags) == (NOW, (DeviceFlag.CLOCK_REPAIRED,))


def test_nothing_is_taken_after_it_arrived() -> None:
    found = HOME.repair(local(2026, 3, 11, 11, 0), NOW)
    assert found.taken_at == NOW
    assert found.flags == (DeviceFlag.CLOCK_REPAIRED,)
    assert found.doubt_s == 86400


def test_a_zone_nobody_told_is_read_off_the_clock_and_flagged() -> None:
    clock = DeviceClock().seen(LOCAL_NOW + timedelta(seconds=20), NOW)
    found = clock.repair(local(2026, 3, 10, 9, 0), NOW)
    assert found.taken_at == datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
    assert found.flags == (DeviceFlag.ZONE_ASSUMED,)


def test_without_any_hint_the_zone_is_a_guess_as_wide_as_the_world() -> None:
    found = DeviceClock().repair(local(2026, 3, 9, 9, 0), NOW)
    assert found.flags == (DeviceFlag.ZONE_ASSUMED,)
    assert found.doubt_s == 14 * 3600


def test_an_hour_that_comes_twice_in_autumn_is_flagged() -> None:
    berlin = DeviceClock(ZoneInfo("Europe/Berlin"))
    found = berlin.repair(local(2025, 10, 26, 2, 30), datetime(2025, 10, 26, 6, 0, tzinfo=UTC))
    assert found.flags == (DeviceFlag.ZONE_ASSUMED,)


def test_readings_from_before_the_clock_was_set_keep_its_old_error() -> None:
    """An hour fast for ten days, then set right: each reading is read off its own stretch."""
    clock = HOME
    for day in range(10):
        at = NOW - timedelta(days=20 - day)
        clock = clock.seen(LOCAL_NOW - timedelta(days=20 - day, hours=-1), at, read=True)
    for day in range(5):
        at = NOW - timedelta(days=5 - day)
        clock = clock.seen(LOCAL_NOW - timedelta(days=5 - day), at, read=True)
    early = clock.repair(LOCAL_NOW - timedelta(days=15, hours=-1), NOW)
    late = clock.repair(LOCAL_NOW - timedelta(days=3), NOW)
    assert early.taken_at == NOW - timedelta(days=15)
    assert late.taken_at == NOW - timedelta(days=3)
    assert (early.flags, late.flags) == ((DeviceFlag.CLOCK_REPAIRED,), ())


def test_a_time_that_was_shown_twice_is_as_doubtful_as_the_choice() -> None:
    clock = HOME.seen(LOCAL_NOW, NOW, read=True)
    back = NOW + timedelta(minutes=10)
    clock = clock.seen(LOCAL_NOW + timedelta(minutes=10, hours=-1), back, read=True)
    found = clock.repair(LOCAL_NOW, NOW + timedelta(hours=2))
    assert found.doubt_s >= 3600


def test_one_reading_late_on_its_way_does_not_move_the_clock() -> None:
    clock = HOME
    for day in range(8):
        clock = clock.seen(LOCAL_NOW - timedelta(days=day), NOW - timedelta(days=day))
    clock = clock.seen(LOCAL_NOW - timedelta(hours=30), NOW - timedelta(hours=26))
    found = clock.repair(LOCAL_NOW - timedelta(hours=30), NOW)
    assert (found.taken_at, found.flags) == (NOW - timedelta(hours=30), ())


@given(
    offset_s=st.floats(-40_000_000, 40_000_000),
    drift=st.floats(-3e-4, 3e-4),
    seed=st.integers(0, 1000),
)
def test_a_clock_off_and_drifting_is_told_within_half_a_minute(
    offset_s: float, drift: float, seed: int
) -> None:
    """Thirty looks over a month, each a few seconds late; a stored reading in between."""
    draw = random.Random(seed)  # noqa: S311 - jitter
    begun = NOW - timedelta(days=30)

    def shown(at: datetime) -> datetime:
        ahead = offset_s + drift * (at - begun).total_seconds()
        return (at + timedelta(hours=3, seconds=ahead)).replace(tzinfo=None)

    clock = HOME
    for day in range(30):
        at = begun + timedelta(days=day)
        clock = clock.seen(shown(at), at + timedelta(seconds=draw.uniform(0, 8)))
    taken_at = begun + timedelta(days=draw.uniform(0, 29))
    found = clock.repair(shown(taken_at), NOW)
    off_s = abs((found.taken_at - taken_at).total_seconds())
    if DeviceFlag.CLOCK_REPAIRED in found.flags:
        assert off_s <= 30
    elif DeviceFlag.TIME_OF_ARRIVAL not in found.flags:
        assert off_s <= 70
    else:
        pytest.fail("the clock was seen thirty times")


moments = st.lists(
    st.tuples(st.datetimes(), st.floats(0, 4e9).map(lambda s: datetime.fromtimestamp(s, UTC))),
    max_size=12,
)


@given(
    moments,
    st.none() | st.datetimes(),
    st.datetimes(timezones=st.just(UTC), min_value=local(2000, 1, 1)),
    st.booleans(),
    st.sampled_from([None, KAZAN, ZoneInfo("America/New_York")]),
    st.randoms(use_true_random=False),
)
def test_any_clock_gives_a_time_not_after_arrival_the_same_in_any_order(  # noqa: PLR0917
    seen: list[tuple[datetime, datetime]],
    device: datetime | None,
    arrived_at: datetime,
    live: bool,
    zone: ZoneInfo | None,
    draw: random.Random,
) -> None:
    one = DeviceClock(zone)
    for shown, at in seen:
        one = one.seen(shown, at)
    draw.shuffle(seen)
    other = DeviceClock(zone)
    for shown, at in seen:
        other = other.seen(shown, at)
    found = one.repair(device, arrived_at, live=live)
    assert found == other.repair(device, arrived_at, live=live)
    assert found.taken_at <= arrived_at
    assert found.doubt_s >= 0


def test_a_clock_forgets_its_oldest_looks() -> None:
    clock = HOME
    for minute in range(KEPT + 10):
        clock = clock.seen(LOCAL_NOW, NOW + timedelta(minutes=minute))
    assert len(clock.moments) == KEPT
    assert clock.moments[0].at_s == (NOW + timedelta(minutes=10)).timestamp()
