"""Age steps: whole years, birthdays in a zone, and what of them a guardian may see."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.ages import TEEN_DECIDES, age_on, birthday, is_minor, local_day, turns
from people.guardian_rights import Say, Scope, Window, rights_of
from people.policy import Act, Actor, Kind, Thing, may

BORN = date(2012, 5, 20)
GUARDIAN, CHILD, TIE = (UUID(int=n) for n in (1, 2, 3))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
KINDS = {
    Kind.GUARDIANSHIP: None,
    Kind.CHILD_SCHOOL: Act.SEE_CHILD_SCHOOL,
    Kind.CHILD_HEALTH: Act.SEE_CHILD_HEALTH,
}


def say(**more: object) -> Say:
    fields = {"born_on": BORN, "zone": "Europe/Moscow"} | more
    return Say(id=TIE, guardian_id=GUARDIAN, child_id=CHILD, **fields)  # type: ignore[arg-type]


def sees(one: Say, at: datetime, since: datetime = NOW) -> set[Kind]:
    """What the rights written at `since` give at `at`."""
    return {right.kind for right in rights_of(one, since) if right.live(at)}


@pytest.mark.parametrize(
    ("born_on", "day", "age"),
    [
        (date(2012, 5, 20), date(2026, 5, 19), 13),
        (date(2012, 5, 20), date(2026, 5, 20), 14),
        (date(2012, 2, 29), date(2027, 2, 28), 14),
        (date(2012, 2, 29), date(2027, 3, 1), 15),
        (date(2012, 2, 29), date(2028, 2, 29), 16),
        (date(2026, 5, 20), date(2026, 3, 2), 0),
    ],
)
def test_a_year_is_full_on_the_birthday(born_on: date, day: date, age: int) -> None:
    """Who was born on 29 February waits for 1 March."""
    assert age_on(born_on, day) == age


def test_without_a_date_of_birth_a_person_is_grown_up() -> None:
    """Nobody guards whose age nobody knows."""
    assert not is_minor(None, NOW.date())
    assert is_minor(BORN, NOW.date())
    assert not is_minor(BORN, birthday(BORN, 18))


@given(
    st.dates(date(1990, 1, 1), date(2026, 1, 1)),
    st.integers(1, 20),
    st.sampled_from(["Europe/Moscow", "Asia/Kamchatka", "America/New_York", "UTC"]),
)
def test_the_age_changes_at_the_first_moment_of_the_birthday(
    born_on: date, years: int, zone: str
) -> None:
    """In the zone of the child, to the microsecond."""
    moment = turns(born_on, years, zone)
    assert age_on(born_on, local_day(moment, zone)) == years
    assert age_on(born_on, local_day(moment - timedelta(microseconds=1), zone)) == years - 1


def test_health_closes_at_fifteen_and_all_at_eighteen() -> None:
    """By themselves: the rights written years before say so."""
    decides, grown = (turns(BORN, years, "Europe/Moscow") for years in (15, 18))
    tick = timedelta(microseconds=1)
    assert sees(say(), decides - tick) == set(KINDS)
    assert sees(say(), decides) == {Kind.GUARDIANSHIP, Kind.CHILD_SCHOOL}
    assert sees(say(), grown - tick) == {Kind.GUARDIANSHIP, Kind.CHILD_SCHOOL}
    assert sees(say(), grown) == set()


def test_a_teen_opens_health_for_as_long_as_he_says() -> None:
    """Never beyond the 18th birthday."""
    decides, grown = (turns(BORN, years, "Europe/Moscow") for years in (15, 18))
    shared = say(shared=[Window(decides + DAY, decides + 3 * DAY)])
    assert Kind.CHILD_HEALTH not in sees(shared, decides)
    assert Kind.CHILD_HEALTH in sees(shared, decides + DAY)
    assert Kind.CHILD_HEALTH not in sees(shared, decides + 3 * DAY)
    assert sees(say(shared=[Window(NOW, grown + DAY)]), grown) == set()


def test_a_court_closes_one_side_and_leaves_the_other() -> None:
    """And what ends by itself opens by itself."""
    shut = say(closed={Scope.HEALTH: [Window(NOW, NOW + DAY)]})
    assert sees(shut, NOW) == {Kind.GUARDIANSHIP, Kind.CHILD_SCHOOL}
    assert sees(shut, NOW + DAY) == set(KINDS)


times = st.integers(-400, 3000).map(lambda days: NOW + timedelta(days=days))
windows = st.lists(st.tuples(times, times).map(sorted).map(lambda w: Window(*w)), max_size=4)
says = st.builds(
    lambda born, health, school, shared: say(
        born_on=born, closed={Scope.HEALTH: health, Scope.SCHOOL: school}, shared=shared
    ),
    st.dates(date(2008, 1, 1), date(2025, 1, 1)),
    windows,
    windows,
    windows,
)


@given(says, times)
def test_rights_are_what_the_rules_say_at_every_moment(one: Say, at: datetime) -> None:
    """The windows against the rules told once more, moment by moment."""
    at = max(at, NOW)
    tie = at < one.grown_up_at
    shut = {scope: any(w.since <= at < w.until for w in one.closed[scope]) for scope in Scope}
    shared = any(w.since <= at < w.until for w in one.shared)
    told = {
        Kind.GUARDIANSHIP: tie,
        Kind.CHILD_SCHOOL: tie and not shut[Scope.SCHOOL],
        Kind.CHILD_HEALTH: tie
        and (at < turns(one.born_on, TEEN_DECIDES, one.zone) or shared)
        and not shut[Scope.HEALTH],
    }
    held = rights_of(one, NOW)
    actor, thing = Actor(GUARDIAN, tuple(held)), Thing(subject_id=CHILD)
    for kind, act in KINDS.items():
        assert any(r.kind is kind and r.live(at) for r in held) is told[kind]
        if act is not None:
            assert may(actor, act, thing, at) is told[kind]
    # One right at a time: an end that is written ends all there is.
    for kind in KINDS:
        assert sum(r.kind is kind and r.live(at) for r in held) <= 1


@given(says, windows, times)
def test_another_limit_never_opens_anything(one: Say, more: list[Window], at: datetime) -> None:
    """Nor does one share less."""
    at = max(at, NOW)
    narrower = say(
        born_on=one.born_on,
        closed={scope: [*one.closed[scope], *more] for scope in Scope},
        shared=one.shared[1:],
    )
    assert sees(narrower, at) <= sees(one, at)
