"""The digital profile: the code opens nothing, the person does; for one doctor, fields and a time."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from msgspec import structs
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import shares
from people.audit import AuditActs
from people.codes import CodeRefused
from people.consent_texts import ConsentTextChanged
from people.consents import ConsentNotYours
from people.facts import RightsChanged, take
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound
from people.relations import Relations, actor_of, grant
from people.shares import Answer, Field, NewScan, Scan, Share, ShareNotAsked, ShareState
from storage.engine import new_id

EVERYTHING: list[Field] = ["identity", "readings", "visits"]
NETWORK = "10.0.0.7"


async def scanned(
    db: AsyncSession,
    clinic: Organisations,
    doctor: Persons,
    shower: UUID,
    now: datetime,
    *,
    about: UUID | None = None,
) -> Scan:
    """Somebody shows a code and a doctor scans it."""
    shown = await shares.show_code(db, await actor_of(db, shower, now), "share_profile", about, now)
    new = NewScan(code=shown.code, organisation_id=clinic.id, fields=EVERYTHING)
    return await shares.scan(db, await actor_of(db, doctor.id, now), new, NETWORK, now)


async def sees(
    db: AsyncSession, clinic: Organisations, who: UUID, whose: UUID, at: datetime
) -> bool:
    """Whether the policy lets a doctor into a record."""
    thing = Thing(subject_id=whose, organisation_id=clinic.id)
    return may(await actor_of(db, who, at), Act.SEE_RECORD, thing, at)


async def another(
    db: AsyncSession, now: datetime, *rights: Right, born: date | None = None
) -> UUID:
    """One more person; a right's actor is filled in."""
    row = Persons(id=new_id(), family_name="Б", given_name="А", born_on=born, created_at=now)
    db.add(row)
    await db.flush()
    for right in rights:
        await grant(db, structs.replace(right, actor_id=row.id), "test")
    return row.id


async def test_what_was_confirmed_is_open_until_its_time(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """The doctor learns whose it is only then; not what was not chosen; and nothing afterwards."""
    asked = await scanned(db, clinic, doctor, patient.id, now)
    assert (asked.state, asked.person_id, asked.name) == (ShareState.ASKED, None, None)
    assert not await sees(db, clinic, doctor.id, patient.id, now)
    me = await actor_of(db, patient.id, now)
    (shown,) = await shares.my_shares(db, me, now)
    assert (shown.asked_by.id, shown.organisation.id) == (doctor.id, clinic.id)
    assert shown.asked_fields == EVERYTHING
    answer = Answer(fields=["readings"], version=1, hours=2)
    opened = await shares.confirm(db, me, asked.id, answer, now)
    assert (opened.state, opened.fields) == (ShareState.SHARED, ["readings"])
    stands = await shares.get_scan(db, await actor_of(db, doctor.id, now), asked.id, now)
    assert (stands.person_id, stands.name, stands.fields) == (patient.id, None, ["readings"])
    last, over = now + timedelta(minutes=119), now + timedelta(hours=2)
    for at, open_then in ((now, True), (last, True), (over, False)):
        assert await sees(db, clinic, doctor.id, patient.id, at) is open_then
        fields = await shares.scope(db, doctor.id, patient.id, clinic.id, at)
        assert fields == (frozenset({"readings"}) if open_then else frozenset())
    assert (await shares.my_shares(db, me, over))[0].state is ShareState.ENDED


async def test_a_doctor_who_left_reads_no_more_how_his_asking_stands(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """Nor whose record it was, though it was opened to him."""
    asked = await scanned(db, clinic, doctor, patient.id, now)
    me = await actor_of(db, patient.id, now)
    await shares.confirm(db, me, asked.id, Answer(fields=EVERYTHING, version=1), now)
    left = now + timedelta(minutes=1)
    await db.execute(
        update(Relations)
        .where(Relations.actor_id == doctor.id, Relations.kind == Kind.DUTY.value)
        .values(until=left)
    )
    with pytest.raises(NotFound):
        await shares.get_scan(db, await actor_of(db, doctor.id, left), asked.id, left)


async def test_it_is_closed_at_once_and_both_are_told(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """Closing twice is closing; the acts are in the audit and the person has a notice."""
    me = await actor_of(db, patient.id, now)
    asked = await scanned(db, clinic, doctor, patient.id, now)
    await shares.confirm(db, me, asked.id, Answer(fields=EVERYTHING, version=1), now)
    take(db)
    for _ in range(2):
        closed = await shares.end_share(db, me, asked.id, now)
        assert closed.state is ShareState.ENDED
    assert {fact.person_id for fact in take(db) if isinstance(fact, RightsChanged)} == {
        doctor.id,
        patient.id,
    }
    assert not await sees(db, clinic, doctor.id, patient.id, now)
    assert await shares.scope(db, doctor.id, patient.id, clinic.id, now) == frozenset()
    query = select(AuditActs.details).where(AuditActs.subject_id == patient.id)
    words = [details["what"] for details in (await db.scalars(query)).all()]
    assert sorted(words) == ["asked", "code_shown", "confirmed", "ended"]
    told = select(Notices.code).where(Notices.person_id == patient.id, Notices.about_id == asked.id)
    assert (await db.scalars(told)).all() == ["share_asked"]


async def test_a_code_is_used_up_by_the_scan_whatever_is_answered(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """A second doctor with the same code is refused; an answer is given once, and in time."""
    me = await actor_of(db, patient.id, now)
    shown = await shares.show_code(db, me, "share_profile", None, now)
    new = NewScan(code=shown.code, organisation_id=clinic.id, fields=EVERYTHING)
    duty = Right(actor_id=clinic.id, kind=Kind.DUTY, organisation_id=clinic.id, since=now)
    second = await another(db, now, duty)
    asked = await shares.scan(db, await actor_of(db, doctor.id, now), new, NETWORK, now)
    with pytest.raises(CodeRefused):
        await shares.scan(db, await actor_of(db, second, now), new, NETWORK, now)
    with pytest.raises(NotFound):
        await shares.get_scan(db, await actor_of(db, second, now), asked.id, now)
    await shares.refuse(db, me, asked.id, now)
    yes = Answer(fields=EVERYTHING, version=1)
    with pytest.raises(ShareNotAsked) as refused:
        await shares.confirm(db, me, asked.id, yes, now)
    assert refused.value.params == {"state": "refused"}
    late = await scanned(db, clinic, doctor, patient.id, now)
    with pytest.raises(ShareNotAsked) as missed:
        await shares.confirm(db, me, late.id, yes, late.answer_until)
    assert missed.value.params == {"state": "missed"}
    with pytest.raises(ConsentTextChanged):
        await shares.confirm(db, me, late.id, Answer(fields=EVERYTHING, version=2), now)
    assert not await sees(db, clinic, doctor.id, patient.id, now)


async def test_only_a_doctor_of_that_clinic_asks(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """Not its clerk, not a teacher of a school, not a doctor of another clinic; no code is lost."""
    school = Organisations(id=new_id(), kind="school", name="Гимназия")
    elsewhere = Organisations(id=new_id(), kind="clinic", name="Айболит")
    db.add_all([school, elsewhere])
    await db.flush()
    me = await actor_of(db, patient.id, now)
    shown = await shares.show_code(db, me, "share_profile", None, now)
    cases = (
        (Kind.CLERKSHIP, clinic.id, clinic.id, Forbidden),
        (Kind.DUTY, school.id, school.id, Forbidden),
        (Kind.DUTY, elsewhere.id, clinic.id, NotFound),
    )
    for kind, place, at_place, refusal in cases:
        right = Right(actor_id=place, kind=kind, organisation_id=place, since=now)
        somebody = await actor_of(db, await another(db, now, right), now)
        new = NewScan(code=shown.code, organisation_id=at_place, fields=EVERYTHING)
        with pytest.raises(refusal):
            await shares.scan(db, somebody, new, NETWORK, now)
    new = NewScan(code=shown.code, organisation_id=clinic.id, fields=EVERYTHING)
    asked = await shares.scan(db, await actor_of(db, doctor.id, now), new, NETWORK, now)
    assert asked.state is ShareState.ASKED


async def test_a_guardian_opens_the_record_of_a_child_under_15(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """The child itself may not, nor may a stranger; at 15 it is the other way round."""
    child = await another(db, now, born=date(2013, 1, 1))
    over_child = Right(actor_id=child, kind=Kind.CHILD_HEALTH, subject_id=child, since=now)
    parent = await another(db, now, over_child)
    with pytest.raises(ConsentNotYours):
        await scanned(db, clinic, doctor, child, now)
    with pytest.raises(NotFound):
        await scanned(db, clinic, doctor, patient.id, now, about=child)
    asked = await scanned(db, clinic, doctor, parent, now, about=child)
    told = select(Notices.person_id).where(Notices.about_id == asked.id)
    assert set(await db.scalars(told)) == {parent, child}
    yes = Answer(fields=["visits"], version=1)
    opened: list[Share] = []
    for who, refusal in ((child, ConsentNotYours), (patient.id, NotFound), (parent, None)):
        actor = await actor_of(db, who, now)
        if refusal is None:
            opened.append(await shares.confirm(db, actor, asked.id, yes, now))
            continue
        with pytest.raises(refusal):
            await shares.confirm(db, actor, asked.id, yes, now)
    assert [one.person.id for one in opened] == [child]
    assert await sees(db, clinic, doctor.id, child, now)
    grown = datetime(2028, 1, 2, tzinfo=now.tzinfo)
    with pytest.raises(ConsentNotYours):
        await scanned(db, clinic, doctor, parent, grown, about=child)
