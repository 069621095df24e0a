"""One person, many hats: what one hat gives comes from that hat alone."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.guardian_rights import Say, Scope, Window, rights_of
from people.policy import ACTS, Act, Actor, Kind, Reach, Right, Thing, may

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
ME, CHILD, PATIENT, OTHER = PEOPLE = [UUID(int=n) for n in range(1, 5)]
CLINIC, SCHOOL, FAR = PLACES = [UUID(int=n) for n in range(11, 14)]
ABOUT = [UUID(int=n) for n in range(21, 24)]
OF_THE_FAMILY = {Kind.GUARDIANSHIP, Kind.CHILD_HEALTH, Kind.CHILD_SCHOOL}

people, places = st.sampled_from(PEOPLE), st.sampled_from(PLACES)
times = st.sampled_from([NOW - HOUR, NOW, NOW + HOUR])
rights = st.builds(
    Right,
    actor_id=st.just(ME),
    kind=st.sampled_from(Kind),
    subject_id=st.none() | people,
    organisation_id=st.none() | places,
    about_id=st.none() | st.sampled_from(ABOUT),
    since=times,
    until=st.none() | times,
)
things = st.builds(
    Thing,
    subject_id=st.none() | people,
    organisation_id=st.none() | places,
    about=st.lists(st.sampled_from(ABOUT), max_size=2).map(tuple),
)
# A doctor of the clinic, teacher of the school and parent of CHILD, all at once.
DOCTOR = tuple(
    Right(actor_id=ME, kind=kind, organisation_id=CLINIC, since=NOW, **more)
    for kind, more in (
        (Kind.DUTY, {}),
        (Kind.APPOINTMENT, {"subject_id": PATIENT, "about_id": ABOUT[0]}),
        (Kind.SHARE, {"subject_id": OTHER, "about_id": ABOUT[1]}),
    )
)
TEACHER = tuple(
    Right(actor_id=ME, kind=kind, organisation_id=SCHOOL, since=NOW, **more)
    for kind, more in ((Kind.DUTY, {}), (Kind.TEACHING, {"about_id": ABOUT[2]}))
)
PARENT = tuple(
    rights_of(
        Say(
            id=ABOUT[0],
            guardian_id=ME,
            child_id=CHILD,
            born_on=date(2018, 5, 20),
            zone="Europe/Moscow",
        ),
        NOW,
    )
)
HATS = (DOCTOR, TEACHER, PARENT)


# A visit, a lesson, a record: what a right of every kind is made to fit.
THINGS = (
    Thing(subject_id=PATIENT, organisation_id=CLINIC, about=(ABOUT[0],)),
    Thing(organisation_id=SCHOOL, about=(ABOUT[2],)),
    Thing(subject_id=PATIENT, organisation_id=CLINIC),
)


def hat_of(right: Right) -> object:
    """What a right is worn with: the family, a device, or one organisation."""
    if right.kind in OF_THE_FAMILY:
        return "family"
    return "device" if right.kind is Kind.DEVICE else right.organisation_id


@given(things, st.sampled_from(Act))
def test_three_hats_give_what_each_gives_and_no_more(thing: Thing, act: Act) -> None:
    """Whatever is done as all three could be done as one of them."""
    at_once = may(Actor(ME, DOCTOR + TEACHER + PARENT), act, thing, NOW)
    assert at_once is any(may(Actor(ME, hat), act, thing, NOW) for hat in HATS)


def fitting(kind: Kind, thing: Thing, place: UUID | None) -> Right:
    return Right(
        actor_id=ME,
        kind=kind,
        subject_id=thing.subject_id,
        organisation_id=place,
        about_id=next(iter(thing.about), None),
        since=NOW,
    )


@pytest.mark.parametrize("thing", THINGS, ids=["visit", "lesson", "record"])
def test_a_hat_elsewhere_completes_none_here(thing: Thing) -> None:
    """Every pair of kinds, one worn here and one elsewhere, for every act."""
    for one in (fitting(kind, thing, thing.organisation_id) for kind in Kind):
        for other in (fitting(kind, thing, FAR) for kind in Kind):
            if hat_of(one) == hat_of(other):
                continue
            for act in Act:
                apart = any(may(Actor(ME, (right,)), act, thing, NOW) for right in (one, other))
                together = may(Actor(ME, (one, other)), act, thing, NOW)
                assert together is apart, (one.kind, other.kind, act)


@given(st.lists(rights, max_size=8), things, st.sampled_from(Act))
def test_no_two_hats_make_a_third(held: list[Right], thing: Thing, act: Act) -> None:
    """For any rights at all: those of one organisation, or the family's, are enough or nothing."""
    hats: dict[object, list[Right]] = {}
    for one in held:
        hats.setdefault(hat_of(one), []).append(one)
    apart = [Actor(ME, tuple(hat)) for hat in hats.values()] or [Actor(ME)]
    together = may(Actor(ME, tuple(held)), act, thing, NOW)
    assert together is any(may(one, act, thing, NOW) for one in apart)


@given(st.lists(rights, max_size=8), things, st.sampled_from(Act))
def test_an_office_elsewhere_reaches_nothing_here(
    held: list[Right], thing: Thing, act: Act
) -> None:
    """Tenants: but for one's own, one's child's and one's device's, rights are of the place."""
    here = tuple(
        one
        for one in held
        if one.organisation_id == thing.organisation_id or hat_of(one) in {"family", "device"}
    )
    assert may(Actor(ME, here), act, thing, NOW) is may(Actor(ME, tuple(held)), act, thing, NOW)


@given(things, st.sampled_from([a for a in Act if a is not Act.ACCOUNT]))
def test_a_parents_hat_opens_the_child_and_nobody_else(thing: Thing, act: Act) -> None:
    """Not the class mate, not the neighbour in the clinic."""
    if thing.subject_id not in {ME, CHILD}:
        nobody = all(rule.reach is not Reach.ANYONE for rule in ACTS[act])
        assert may(Actor(ME, PARENT), act, thing, NOW) is not nobody


windows = st.lists(st.tuples(times, times).map(sorted).map(lambda pair: Window(*pair)), max_size=3)


@given(windows, windows, st.sampled_from([a for a in Act if a is not Act.SIGN_IN]))
def test_a_court_takes_from_the_family_only(
    health: list[Window], school: list[Window], act: Act
) -> None:
    """What a doctor who is a parent sees of patients is not the court's matter."""
    limited = tuple(
        rights_of(
            Say(
                id=ABOUT[0],
                guardian_id=ME,
                child_id=CHILD,
                born_on=date(2018, 5, 20),
                zone="Europe/Moscow",
                closed={Scope.HEALTH: health, Scope.SCHOOL: school},
            ),
            NOW,
        )
    )
    visit = Thing(subject_id=PATIENT, organisation_id=CLINIC, about=(ABOUT[0],))
    before = may(Actor(ME, DOCTOR + PARENT), act, visit, NOW)
    assert may(Actor(ME, DOCTOR + limited), act, visit, NOW) is before
    of_child = Thing(subject_id=CHILD, organisation_id=CLINIC)
    if may(Actor(ME, limited), act, of_child, NOW):
        assert may(Actor(ME, PARENT), act, of_child, NOW)
