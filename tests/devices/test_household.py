"""Homes whose devices live: the same days for one seed, and lies that the decoders see through."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from device_peer import desk

from devices import life
from devices.gatt.to_measurement import Refusal
from devices.household import HUMAN, NONE, Faults, Home, day, readings
from devices.kinds import Kind
from devices.life import Person
from devices.measurement import Measurement, NoReading, check
from devices.simulate import main, parted

KAZAN = ZoneInfo("Europe/Moscow")
MONDAY = date(2026, 3, 2)
DAYS = [MONDAY + timedelta(days=n) for n in range(14)]
LATER = datetime(2026, 3, 20, tzinfo=UTC)
SIX_WEEKS = timedelta(weeks=6)
PERSON = Person(seed="somebody", systolic=148, diastolic=90, glucose=7.5, meal_rise=3.5)


def lived(
    faults: Faults = NONE, kinds: tuple[Kind, ...] = (Kind.BLOOD_PRESSURE,), days: int = 14
) -> list[Measurement | Refusal]:
    return list(readings(Home(PERSON, KAZAN, faults), kinds, DAYS[:days]))


def good(found: list[Measurement | Refusal]) -> list[Measurement]:
    return [one for one in found if isinstance(one, Measurement)]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_device_whose_readings_are_believed(kind: Kind) -> None:
    found = lived(kinds=(kind,), days=2 if kind is Kind.CGM_GLUCOSE else 14)
    assert found
    assert all(isinstance(one, Measurement) for one in found)
    checked = [check(one, LATER) for one in good(found)]
    assert {one.kind for one in checked} == {kind}
    assert len({one.sequence for one in checked}) == len(found)
    assert not {"repeat_advised", "clock_repaired"} & {f for one in checked for f in one.flags}


def test_the_same_seed_gives_the_same_days_whoever_asks_and_in_whatever_order() -> None:
    kinds = tuple(kind for kind in Kind if kind is not Kind.CGM_GLUCOSE)
    whole = lived(HUMAN, kinds, 3)
    apart = [
        one
        for on in DAYS[:3]
        for one in readings(Home(PERSON, KAZAN, HUMAN), reversed(kinds), [on])
    ]
    assert Counter(map(repr, whole)) == Counter(map(repr, apart))
    other = Home(Person(seed="somebody else"), KAZAN, HUMAN)
    assert list(readings(other, kinds, DAYS[:3])) != whole


def test_mornings_and_evenings_have_two_pressures_a_minute_apart() -> None:
    found = good(lived(days=1))
    minutes = [one.taken_at.astimezone(KAZAN) for one in found]
    assert len(found) == 4
    assert [at.hour < 12 for at in minutes] == [True, True, False, False]
    assert timedelta(minutes=1) <= minutes[1] - minutes[0] < timedelta(minutes=2)


def test_a_meal_raises_glucose_and_is_written_beside_it() -> None:
    found = good(lived(kinds=(Kind.GLUCOSE,)))
    means = {
        mark: [one.values["glucose"] for one in found if mark in {f.value for f in one.flags}]
        for mark in ("before_meal", "after_meal", "fasting", "bedtime")
    }
    assert {len(values) for values in means.values()} == {14}
    assert sum(means["after_meal"]) > sum(means["before_meal"]) + 14


def test_treatment_is_seen_in_the_numbers() -> None:
    """The same days with and without it: nothing on the first, all of it after six weeks."""
    treated = Person(seed="t", systolic=150, treated_since=MONDAY, systolic_fall=20)
    plain = Person(seed="t", systolic=150)
    for on, fall in ((MONDAY, 0), (MONDAY + timedelta(days=21), 10), (DAYS[0] + SIX_WEEKS, 20)):
        at = datetime(on.year, on.month, on.day, 7, tzinfo=KAZAN)
        found = life.pressure(plain, at)[0] - life.pressure(treated, at)[0]
        assert found == pytest.approx(fall, abs=1)


@pytest.mark.parametrize(
    ("faults", "kind", "flag"),
    [
        ("cuff=1", Kind.BLOOD_PRESSURE, "cuff_loose"),
        ("strip=1", Kind.GLUCOSE, "sample_too_small"),
        ("finger=1", Kind.SPO2, "weak_signal"),
        ("sensor=1", Kind.CGM_GLUCOSE, "calibration_needed"),
    ],
)
def test_a_device_in_doubt_says_so_and_the_flag_arrives(faults: str, kind: Kind, flag: str) -> None:
    found = good(lived(Faults.parse(faults), (kind,), 1))
    assert found
    assert all(flag in {f.value for f in one.flags} for one in found)


def test_a_failed_measurement_and_a_control_solution_are_no_readings() -> None:
    assert {
        one.reason if isinstance(one, Refusal) else "" for one in lived(Faults(failed=1), days=2)
    } == {NoReading.MEASUREMENT_FAILED}
    found = lived(Faults(control=1), (Kind.GLUCOSE,), 2)
    refused = [one.reason for one in found if isinstance(one, Refusal)]
    assert refused == [NoReading.CONTROL_SOLUTION] * 2
    assert len(good(found)) == 8


@pytest.mark.parametrize("off", ["clock=5400", "clock=-700000000"])
def test_a_wrong_clock_is_put_right(off: str) -> None:
    """Ninety minutes fast, or somewhere in the past century's last years."""
    right, wrong = good(lived(days=2)), good(lived(Faults.parse(off), days=2))
    apart = [abs(a.taken_at - b.taken_at) for a, b in zip(right, wrong, strict=True)]
    assert max(apart) <= timedelta(minutes=1)
    assert {f.value for one in wrong for f in one.flags} == {"clock_repaired"}


@pytest.mark.parametrize("text", ["mood", "cuff=2", "cuff=x", "clock_s=3", "seed=1"])
def test_a_fault_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("=")[0] + "|could not convert"):
        Faults.parse(text)


def test_faults_have_usual_amounts() -> None:
    assert Faults.parse("cuff, clock") == Faults(cuff=0.1, clock_s=3600)
    assert Faults.parse("") == NONE


def test_a_sensor_speaks_three_times_an_hour_of_fifteen_minutes_each() -> None:
    said = list(day(Home(PERSON, KAZAN), Kind.CGM_GLUCOSE, MONDAY))
    assert len(said) == 96
    assert len(good(lived(kinds=(Kind.CGM_GLUCOSE,), days=1))) == 288


def test_glucose_is_a_curve_and_not_a_scatter() -> None:
    """From one five minutes to the next it moves little, over the day a lot."""
    start = datetime(2026, 3, 2, tzinfo=KAZAN)
    curve = [life.glucose(PERSON, start + timedelta(minutes=5 * n)) for n in range(288)]
    steps = [abs(later - before) for before, later in pairwise(curve)]
    assert sorted(steps)[len(steps) // 2] < 0.2
    assert max(steps) < 1.5
    assert max(curve) - min(curve) > 2


def test_the_program_sends_days_of_a_home_and_says_what_was_no_reading(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with desk() as peer:
        words = ["--server", peer.url, "--token", "t", "--ecg", "none", "--bp", "none"]
        more = ["--days", "3", "--readings", "1", "--every", "0", "--speed", "1000"]
        code = main([*words, *more, "--faults", "failed=0.5,clock=3600"])
        sent = [one for body in peer.bodies for one in body["readings"]]
    told = capsys.readouterr()
    assert code == 0, told.err
    assert {one["kind"] for one in sent} == {"blood_pressure"}
    assert {flag for one in sent for flag in one["flags"]} == {"clock_repaired"}
    assert [one["taken_at"] for one in sent] == sorted(one["taken_at"] for one in sent)
    assert f"stored {len(sent)} readings of 3 days" in told.out
    assert "characteristic 2A35: measurement_failed" in told.err


def test_the_program_counts_no_refused_reading_as_stored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with desk() as peer:
        peer.refuse_values_above = 0
        words = ["--server", peer.url, "--token", "t", "--ecg", "none", "--bp", "none"]
        assert main([*words, "--days", "1", "--readings", "1", "--every", "0"]) == 0
    assert "stored 0 readings of 1 days" in capsys.readouterr().out


def test_faults_of_the_recording_and_of_the_home_stand_in_one_list() -> None:
    frames, home = parted("cuff=0.2, electrode=3@40,repeat")
    assert (frames.repeat, frames.electrode != (), home) == (True, True, Faults(cuff=0.2))
    with pytest.raises(ValueError, match="no such fault: fire"):
        parted("fire")
