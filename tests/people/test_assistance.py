"""Acting at the desk: by the person's own code, at that desk, for half an hour, ended by either."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import assistance, codes, shares
from people.assistance import LASTS, Assistance, NewAssistance
from people.audit import AuditActs
from people.codes import CodeRefused
from people.consents import ConsentNotYours
from people.facts import RightsChanged, take
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound
from people.relations import Relations, actor_of, grant
from storage.engine import new_id


@pytest.fixture
async def clerk(db: AsyncSession, clinic: Organisations, now: datetime) -> Persons:
    """Sits at the desk of the clinic."""
    row = Persons(id=new_id(), family_name="Садыкова", given_name="Зәринә", created_at=now)
    row.language = "tt"
    db.add(row)
    await db.flush()
    hat = Right(actor_id=row.id, kind=Kind.CLERKSHIP, organisation_id=clinic.id, since=now)
    await grant(db, hat, "test")
    return row


async def begin(
    db: AsyncSession, helper: UUID, person: UUID, place: UUID, now: datetime
) -> Assistance:
    code = await codes.make(db, person, "assist", now)
    new = NewAssistance(code, place)
    return await assistance.start(db, await actor_of(db, helper, now), new, "10.0.0.1", now)


async def test_a_clerk_acts_for_whoever_showed_a_code(
    db: AsyncSession, clinic: Organisations, clerk: Persons, patient: Persons, now: datetime
) -> None:
    """At that desk, until half an hour is over; both sides see it."""
    made = await begin(db, clerk.id, patient.id, clinic.id, now)
    thing = Thing(subject_id=patient.id, organisation_id=clinic.id)
    helper = await actor_of(db, clerk.id, now)
    assert may(helper, Act.ASSIST, thing, now)
    assert not may(helper, Act.ASSIST, thing, now + LASTS)
    assert not may(helper, Act.SEE_RECORD, thing, now)
    assert not may(helper, Act.ASSIST, Thing(subject_id=patient.id, organisation_id=new_id()), now)
    (mine,) = await assistance.going_on(db, helper, now)
    (theirs,) = await assistance.going_on(db, await actor_of(db, patient.id, now), now)
    assert (mine.mine, theirs.mine, mine.id) == (True, False, made.id)
    assert {f.person_id for f in take(db) if isinstance(f, RightsChanged)} == {clerk.id, patient.id}
    rows = (await db.scalars(select(AuditActs))).all()
    assert [(one.act, one.subject_id) for one in rows] == [("assistance_started", patient.id)]


@pytest.mark.parametrize("ender", ["clerk", "patient"])
async def test_either_side_ends_it_at_once(
    *,
    db: AsyncSession,
    clinic: Organisations,
    clerk: Persons,
    patient: Persons,
    now: datetime,
    ender: str,
) -> None:
    """And nobody else can."""
    made = await begin(db, clerk.id, patient.id, clinic.id, now)
    stranger = Persons(id=new_id(), family_name="-", given_name="-", created_at=now, language="ru")
    db.add(stranger)
    await db.flush()
    with pytest.raises(NotFound):
        await assistance.stop(db, await actor_of(db, stranger.id, now), made.id, now)
    who = {"clerk": clerk, "patient": patient}[ender]
    soon = now + timedelta(minutes=1)
    await assistance.stop(db, await actor_of(db, who.id, soon), made.id, soon)
    helper = await actor_of(db, clerk.id, soon)
    assert not may(
        helper, Act.ASSIST, Thing(subject_id=patient.id, organisation_id=clinic.id), soon
    )
    with pytest.raises(NotFound):
        await assistance.helped(db, helper, made.id, soon)


async def test_who_does_not_sit_at_the_desk_takes_no_code(
    db: AsyncSession, clinic: Organisations, doctor: Persons, patient: Persons, now: datetime
) -> None:
    """A doctor scans other codes; a stranger to the place learns nothing of it."""
    with pytest.raises(Forbidden):
        await begin(db, doctor.id, patient.id, clinic.id, now)
    with pytest.raises(NotFound):
        await begin(db, doctor.id, patient.id, new_id(), now)


async def test_who_left_the_desk_acts_no_more(
    db: AsyncSession, clinic: Organisations, clerk: Persons, patient: Persons, now: datetime
) -> None:
    """Although the half hour is not over; the person helped never had the helper's view."""
    made = await begin(db, clerk.id, patient.id, clinic.id, now)
    with pytest.raises(Forbidden):
        await assistance.helped(db, await actor_of(db, patient.id, now), made.id, now)
    hat = await db.scalar(select(Relations).where(Relations.kind == Kind.CLERKSHIP.value))
    assert hat is not None
    hat.until = now + timedelta(minutes=1)
    await db.flush()
    later = now + timedelta(minutes=2)
    with pytest.raises(Forbidden):
        await assistance.helped(db, await actor_of(db, clerk.id, later), made.id, later)


async def test_nobody_helps_himself(
    db: AsyncSession, clinic: Organisations, clerk: Persons, now: datetime
) -> None:
    """One's own code at one's own desk."""
    with pytest.raises(Forbidden):
        await begin(db, clerk.id, clerk.id, clinic.id, now)


async def test_a_guardian_who_showed_the_code_is_told_sees_it_and_ends_it(
    db: AsyncSession, clinic: Organisations, clerk: Persons, patient: Persons, now: datetime
) -> None:
    """His word, his look: a parent at the desk with a small child."""
    patient.born_on = date(2018, 5, 20)
    parent = await guardian_of(db, patient, now)
    code = await shown(db, parent, patient, now)
    made = await taken(db, clerk, clinic, code, now)
    told = select(Notices.person_id).where(
        Notices.code.in_(["assistance_started", "assistance_for_child"])
    )
    assert set(await db.scalars(told)) == {patient.id, parent}
    actor = await actor_of(db, parent, now)
    (seen,) = await assistance.going_on(db, actor, now)
    assert (seen.id, seen.person.id, seen.mine) == (made.id, patient.id, False)
    with pytest.raises(Forbidden):
        await assistance.helped(db, actor, made.id, now)
    await assistance.stop(db, actor, made.id, now)
    assert await assistance.going_on(db, actor, now) == []


async def test_a_code_is_worth_nothing_once_its_shower_speaks_for_the_child_no_more(
    db: AsyncSession, clinic: Organisations, clerk: Persons, patient: Persons, now: datetime
) -> None:
    """Although he showed it while he did; nor does anybody show one for who decides alone."""
    patient.born_on = date(2018, 5, 20)
    parent = await guardian_of(db, patient, now)
    code = await shown(db, parent, patient, now)
    ended = update(Relations).where(Relations.actor_id == parent).values(until=now)
    await db.execute(ended)
    with pytest.raises(CodeRefused):
        await taken(db, clerk, clinic, code, now)
    patient.born_on = date(2010, 5, 20)
    other = await guardian_of(db, patient, now)
    with pytest.raises(ConsentNotYours):
        await shown(db, other, patient, now)


async def guardian_of(db: AsyncSession, child: Persons, now: datetime) -> UUID:
    """Somebody who answers for a child's health."""
    row = Persons(id=new_id(), family_name="-", given_name="-", created_at=now, language="ru")
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=Kind.CHILD_HEALTH, subject_id=child.id, since=now)
    await grant(db, right, "test")
    return row.id


async def shown(db: AsyncSession, shower: UUID, child: Persons, now: datetime) -> str:
    """The code a guardian shows for a child."""
    actor = await actor_of(db, shower, now)
    return (await shares.show_code(db, actor, "assist", child.id, now)).code


async def taken(
    db: AsyncSession, clerk: Persons, clinic: Organisations, code: str, now: datetime
) -> Assistance:
    """The desk takes a code."""
    new, helper = NewAssistance(code, clinic.id), await actor_of(db, clerk.id, now)
    return await assistance.start(db, helper, new, "10.0.0.1", now)
