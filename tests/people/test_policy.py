"""The law itself: what each relation gives, and that nothing else does."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.policy import ACTS, ANONYMOUS, Act, Actor, Kind, Reach, Right, Thing, may, require
from people.refused import Forbidden

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DOCTOR, PATIENT, CLINIC, OTHER_CLINIC, VISIT = (UUID(int=n) for n in range(1, 6))
VISIT_THING = Thing(subject_id=PATIENT, organisation_id=CLINIC, about=(VISIT,))


def right(kind: Kind, actor: UUID = DOCTOR, **more: object) -> Right:
    fields = {"organisation_id": CLINIC, "since": NOW - timedelta(days=1)} | more
    return Right(actor_id=actor, kind=kind, **fields)  # type: ignore[arg-type]


DUTY = right(Kind.DUTY)
APPOINTMENT = right(Kind.APPOINTMENT, subject_id=PATIENT, about_id=VISIT)
RECORD = right(Kind.RECORD, subject_id=PATIENT, about_id=VISIT)
LIVE_ACTS = {Act.JOIN_VISIT, Act.OPEN_VISIT, Act.ADD_VISIT_FILE}
PAPERS = {
    Act.SEE_VISIT,
    Act.CLOSE_VISIT,
    Act.SEE_VISIT_READINGS,
    Act.SEE_VISIT_ECG,
    Act.ATTACH_ECG_STRIP,
    Act.READ_NOTE,
    Act.WRITE_NOTE,
    Act.SEE_DOCUMENT,
    Act.WRITE_DOCUMENT,
    Act.SEE_VISIT_FILES,
}
# The doctor's, and of the papers what an administrator does as well.
OFFICES = {Act.REVOKE_DOCUMENT, Act.SEE_VISIT_QUALITY}
ANYONES = {Act.SIGN_IN, Act.LOOK_AT_SERVICE}
# Rules do not know clinics from schools: duty gives these anywhere; verbs ask where they belong.
ON_DUTY = ANYONES | {Act.WATCH_SCHOOL_LESSON, Act.SCAN_QR, Act.BREAK_GLASS}
ALL_OF_A_VISIT = ON_DUTY | LIVE_ACTS | PAPERS | OFFICES
TEACHER, PUPIL, SCHOOL, LESSON, CLASS = (UUID(int=n) for n in range(11, 16))
LESSON_THING = Thing(organisation_id=SCHOOL, about=(LESSON, CLASS))
IN_CLASS = {Act.SEE_LESSON, Act.JOIN_LESSON, Act.WATCH_LESSON}


def acts(actor: Actor, thing: Thing) -> set[Act]:
    return {act for act in Act if may(actor, act, thing, NOW)}


def test_every_act_has_a_rule() -> None:
    """An act without a row would be given to nobody and serve nothing."""
    assert set(ACTS) == set(Act)


def test_nobody_signed_in_gets_only_what_anyone_gets() -> None:
    """Also for a thing that is nobody's."""
    assert acts(ANONYMOUS, VISIT_THING) == ANYONES
    assert acts(ANONYMOUS, Thing()) == ANYONES


def test_a_doctor_with_an_appointment_holds_the_visit() -> None:
    """Everything about this visit, and nothing of booking."""
    assert acts(Actor(DOCTOR, (DUTY, APPOINTMENT)), VISIT_THING) == ALL_OF_A_VISIT


def test_a_record_gives_the_papers_and_nothing_live() -> None:
    """After closing."""
    assert acts(Actor(DOCTOR, (DUTY, RECORD)), VISIT_THING) == ON_DUTY | PAPERS | OFFICES


def test_a_doctor_who_left_the_clinic_holds_nothing() -> None:
    """Duty is asked for beside the appointment."""
    assert acts(Actor(DOCTOR, (APPOINTMENT, RECORD)), VISIT_THING) == ANYONES
    elsewhere = right(Kind.DUTY, organisation_id=OTHER_CLINIC)
    assert acts(Actor(DOCTOR, (elsewhere, APPOINTMENT)), VISIT_THING) == ANYONES


def test_a_patient_sees_the_visit_but_neither_opens_it_nor_reads_the_note() -> None:
    """The patient's side."""
    mine = right(Kind.APPOINTMENT, PATIENT, subject_id=PATIENT, about_id=VISIT)
    allowed = acts(Actor(PATIENT, (mine,)), VISIT_THING)
    assert Act.JOIN_VISIT in allowed
    assert {Act.SEE_VISIT, Act.SEE_VISIT_READINGS, Act.SEE_VISIT_ECG} <= allowed
    assert not {Act.OPEN_VISIT, Act.CLOSE_VISIT, Act.READ_NOTE, Act.WRITE_NOTE} & allowed
    assert Act.ATTACH_ECG_STRIP not in allowed


def test_a_patient_cannot_join_when_the_appointment_is_over() -> None:
    """The visit stays visible as one's own."""
    allowed = acts(Actor(PATIENT), VISIT_THING)
    assert Act.SEE_VISIT in allowed
    assert Act.JOIN_VISIT not in allowed


@pytest.mark.parametrize("role", [Kind.DUTY, Kind.ADMINISTRATION, Kind.ATTACHMENT])
def test_a_role_alone_opens_no_visit(role: Kind) -> None:
    """Colleagues and administrators see no patients by being there."""
    given = acts(Actor(DOCTOR, (right(role),)), VISIT_THING)
    assert not given & (LIVE_ACTS | PAPERS)
    assert (given >= OFFICES) is (role is Kind.ADMINISTRATION)


def test_an_appointment_about_another_visit_gives_nothing() -> None:
    """Of the same patient at the same clinic."""
    other = right(Kind.APPOINTMENT, subject_id=PATIENT, about_id=uuid4())
    assert acts(Actor(DOCTOR, (DUTY, other)), VISIT_THING) == ON_DUTY


def at_school(kind: Kind, actor: UUID, about: UUID | None = None, school: UUID = SCHOOL) -> Right:
    return right(kind, actor, organisation_id=school, about_id=about)


def test_a_teacher_on_duty_leads_the_lesson_he_teaches() -> None:
    """With the duty ended, or elsewhere, or for another lesson he does not."""
    duty = at_school(Kind.DUTY, TEACHER)
    teaches = at_school(Kind.TEACHING, TEACHER, LESSON)
    all_of_it = ON_DUTY | IN_CLASS | {Act.LEAD_LESSON, Act.SEE_LESSON_QUALITY}
    assert acts(Actor(TEACHER, (duty, teaches)), LESSON_THING) == all_of_it
    assert acts(Actor(TEACHER, (teaches,)), LESSON_THING) == ANYONES
    elsewhere = at_school(Kind.DUTY, TEACHER, school=CLINIC)
    assert acts(Actor(TEACHER, (elsewhere, teaches)), LESSON_THING) == ANYONES
    another = at_school(Kind.TEACHING, TEACHER, uuid4())
    assert acts(Actor(TEACHER, (duty, another)), LESSON_THING) == ON_DUTY


def test_a_pupil_of_the_class_sits_in_the_lesson_and_leads_nothing() -> None:
    """Nor does who is of the class at another school."""
    pupil = at_school(Kind.CLASS, PUPIL, CLASS)
    whole_class = ANYONES | IN_CLASS | {Act.WATCH_SCHOOL_LESSON}
    assert acts(Actor(PUPIL, (pupil,)), LESSON_THING) == whole_class
    abroad = at_school(Kind.CLASS, PUPIL, CLASS, school=CLINIC)
    assert acts(Actor(PUPIL, (abroad,)), LESSON_THING) == ANYONES


def test_a_pupil_of_another_class_watches_only_what_is_for_the_school() -> None:
    """When he left the school, nothing."""
    beside = at_school(Kind.CLASS, PUPIL, uuid4())
    assert acts(Actor(PUPIL, (beside,)), LESSON_THING) == ANYONES | {Act.WATCH_SCHOOL_LESSON}
    left = right(Kind.CLASS, PUPIL, organisation_id=SCHOOL, about_id=CLASS, until=NOW)
    assert acts(Actor(PUPIL, (left,)), LESSON_THING) == ANYONES


@pytest.mark.parametrize("kind", [Kind.ADMINISTRATION, Kind.ATTACHMENT, Kind.GUARDIANSHIP])
def test_no_other_hat_opens_a_lesson(kind: Kind) -> None:
    """Of an administrator only the timetable is."""
    allowed = acts(Actor(TEACHER, (at_school(kind, TEACHER, CLASS),)), LESSON_THING)
    assert not allowed & (IN_CLASS | {Act.LEAD_LESSON, Act.WATCH_SCHOOL_LESSON})


def test_a_right_of_somebody_else_gives_nothing() -> None:
    """Rows are matched by their holder, not by who carries them."""
    assert acts(Actor(uuid4(), (DUTY, APPOINTMENT)), VISIT_THING) == ANYONES


@pytest.mark.parametrize(
    ("since", "until", "live"),
    [
        (NOW, None, True),
        (NOW + timedelta(microseconds=1), None, False),
        (NOW - timedelta(days=1), NOW, False),
        (NOW - timedelta(days=1), NOW + timedelta(microseconds=1), True),
    ],
)
def test_a_right_holds_from_since_to_until(
    since: datetime, until: datetime | None, live: bool
) -> None:
    """The first moment counts, the last one no more."""
    held = right(Kind.APPOINTMENT, subject_id=PATIENT, about_id=VISIT, since=since, until=until)
    assert may(Actor(DOCTOR, (DUTY, held)), Act.SEE_VISIT, VISIT_THING, NOW) is live


def test_require_refuses_what_may_denies() -> None:
    """And says nothing when it is allowed."""
    require(Actor(PATIENT), Act.SEE_VISIT, VISIT_THING, NOW)
    with pytest.raises(Forbidden):
        require(Actor(DOCTOR), Act.SEE_VISIT, VISIT_THING, NOW)


ids = st.sampled_from([UUID(int=n) for n in range(1, 5)])
maybe_ids = st.none() | ids
times = st.sampled_from([NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)])
rights = st.builds(
    Right,
    actor_id=ids,
    kind=st.sampled_from(Kind),
    subject_id=maybe_ids,
    organisation_id=maybe_ids,
    about_id=maybe_ids,
    since=times,
    until=st.none() | times,
)
things = st.builds(
    Thing,
    subject_id=maybe_ids,
    organisation_id=maybe_ids,
    about=st.lists(ids, max_size=2).map(tuple),
)
SOMEBODYS = [a for a in Act if not any(r.reach is Reach.ANYONE for r in ACTS[a])]


@given(ids, st.lists(rights, max_size=5), things, st.sampled_from(SOMEBODYS))
def test_without_rights_only_what_is_ones_own(
    person: UUID, held: list[Right], thing: Thing, act: Act
) -> None:
    """Deny by default: rights of other people never help."""
    foreign = tuple(one for one in held if one.actor_id != person)
    allowed = may(Actor(person, foreign), act, thing, NOW)
    assert allowed is (may(Actor(person), act, thing, NOW))
    if thing.subject_id != person:
        assert not allowed


@given(ids, st.lists(rights, min_size=1, max_size=5), things, st.sampled_from(Act), st.data())
def test_removing_a_relation_never_grants(
    person: UUID, held: list[Right], thing: Thing, act: Act, data: st.DataObject
) -> None:
    """Rights only add up."""
    without = list(held)
    without.pop(data.draw(st.integers(0, len(held) - 1)))
    if may(Actor(person, tuple(without)), act, thing, NOW):
        assert may(Actor(person, tuple(held)), act, thing, NOW)


@given(ids, st.lists(rights, max_size=6), things, st.sampled_from(SOMEBODYS))
def test_no_right_reaches_into_another_organisation(
    person: UUID, held: list[Right], thing: Thing, act: Act
) -> None:
    """What is not one's own, nor of one's device, needs a right in that very organisation."""
    abroad = tuple(
        one
        for one in held
        if one.organisation_id != thing.organisation_id and one.kind is not Kind.DEVICE
    )
    if thing.subject_id != person:
        assert not may(Actor(person, abroad), act, thing, NOW)
