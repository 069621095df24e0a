"""Hats given and taken: each with a trace, never the last administrator's, nobody of elsewhere."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.audit import AuditActs
from people.cards import issue_card, shown_card
from people.closed_accounts import AccountClosed
from people.facts import RightsChanged, SessionEnded
from people.hats import (
    Hat,
    HatNotHere,
    LastAdministrator,
    LetGo,
    Whose,
    give_hat,
    let_go,
    take_back,
    take_hat,
)
from people.organisations import Organisations
from people.people_list import Which, list_people
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound
from people.relations import actor_of, grant
from people.sessions import Caller, session_alive, start_session
from people.step_up import StepUpNeeded
from storage.engine import new_id

HOUR = timedelta(hours=1)


@pytest.fixture
async def head(db: AsyncSession, clinic: Organisations, now: datetime) -> Persons:
    """The only administrator of the clinic."""
    return await person(db, clinic, "Гөлнара", Kind.ADMINISTRATION, now)


@pytest.fixture
async def abroad(db: AsyncSession) -> Organisations:
    """A school with nobody of the clinic in it."""
    row = Organisations(id=new_id(), kind="school", name="Гимназия")
    db.add(row)
    await db.flush()
    return row


async def person(
    db: AsyncSession, place: Organisations, name: str, kind: Kind, now: datetime
) -> Persons:
    row = Persons(id=new_id(), family_name="Сафина", given_name=name, created_at=now)
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=kind, organisation_id=place.id, since=now)
    await grant(db, right, "test")
    return row


async def caller(
    db: AsyncSession, who: Persons, now: datetime, *, proved_at: datetime | None = None
) -> Caller:
    return Caller(new_id(), await actor_of(db, who.id, now), who.id, proved_at or now)


async def works(db: AsyncSession, who: Persons, place: Organisations, now: datetime) -> bool:
    """Whether somebody wears the hat of a doctor or teacher."""
    actor: Actor = await actor_of(db, who.id, now)
    return may(actor, Act.SCAN_QR, Thing(organisation_id=place.id), now)


async def test_a_hat_is_given_taken_and_told_of(
    db: AsyncSession, clinic: Organisations, head: Persons, patient: Persons, now: datetime
) -> None:
    """Rooms judge anew at once; the audit says who gave what to whom, and in which order."""
    me, whose = await caller(db, head, now), Whose(clinic.id, patient.id)
    facts.take(db)
    await give_hat(db, me, whose, Hat.DUTY, now)
    await give_hat(db, me, whose, Hat.DUTY, now)
    assert await works(db, patient, clinic, now)
    later = now + timedelta(minutes=1)
    await take_hat(db, me, whose, Hat.DUTY, later)
    assert not await works(db, patient, clinic, later)
    told = [fact for fact in facts.take(db) if isinstance(fact, RightsChanged)]
    assert {fact.person_id for fact in told} == {patient.id}
    acts = select(AuditActs.act, AuditActs.actor_id, AuditActs.details).where(
        AuditActs.subject_id == patient.id, AuditActs.act.in_(["give_hat", "take_hat"])
    )
    kept = [(row.act, row.actor_id, row.details) for row in await db.execute(acts)]
    assert kept[0] == ("give_hat", head.id, {"hat": "duty"})
    assert sorted(act for act, _, _ in kept) == ["give_hat", "give_hat", "take_hat"]


async def test_taking_one_hat_leaves_the_others(
    db: AsyncSession, clinic: Organisations, head: Persons, doctor: Persons, now: datetime
) -> None:
    """A doctor who was a patient too is one still."""
    me, whose = await caller(db, head, now), Whose(clinic.id, doctor.id)
    await give_hat(db, me, whose, Hat.ATTACHMENT, now)
    await take_hat(db, me, whose, Hat.DUTY, now + HOUR / 60)
    rights = (await actor_of(db, doctor.id, now + HOUR / 60)).rights
    assert [right.kind for right in rights] == [Kind.ATTACHMENT]


async def test_whoever_becomes_staff_signs_in_anew(
    db: AsyncSession, clinic: Organisations, head: Persons, patient: Persons, now: datetime
) -> None:
    """The session of a card must not grow into a doctor's; a doctor's second hat ends none."""
    session = await start_session(db, patient.id, "192.0.2.0/24", now, staff=False)
    me, whose = await caller(db, head, now), Whose(clinic.id, patient.id)
    await give_hat(db, me, whose, Hat.DUTY, now)
    assert not await session_alive(db, session.id, now)
    session = await start_session(db, patient.id, "192.0.2.0/24", now, staff=True)
    await give_hat(db, me, whose, Hat.CLERKSHIP, now)
    assert await session_alive(db, session.id, now)


async def test_a_card_ends_with_its_place_and_when_its_person_becomes_staff(
    db: AsyncSession, clinic: Organisations, head: Persons, patient: Persons, now: datetime
) -> None:
    """What lies in a drawer opens nothing any more."""
    me, whose = await caller(db, head, now), Whose(clinic.id, patient.id)
    _, first = await issue_card(db, me.actor, patient.id, clinic.id, now)
    await let_go(db, me, whose, now)
    assert await shown_card(db, first) is None
    await take_back(db, me, whose, now)
    _, second = await issue_card(db, me.actor, patient.id, clinic.id, now)
    assert await shown_card(db, second) is not None
    await give_hat(db, me, whose, Hat.CLERKSHIP, now)
    assert await shown_card(db, second) is None


async def test_the_last_administrator_stays(
    db: AsyncSession, clinic: Organisations, head: Persons, doctor: Persons, now: datetime
) -> None:
    """Neither the hat nor the person goes while there is no other."""
    me, own = await caller(db, head, now), Whose(clinic.id, head.id)
    with pytest.raises(LastAdministrator):
        await take_hat(db, me, own, Hat.ADMINISTRATION, now)
    with pytest.raises(LastAdministrator):
        await let_go(db, me, own, now)
    await give_hat(db, me, Whose(clinic.id, doctor.id), Hat.ADMINISTRATION, now)
    await take_hat(db, me, own, Hat.ADMINISTRATION, now + HOUR / 60)
    with pytest.raises(NotFound):
        await list_people(db, await actor_of(db, head.id, now + HOUR), clinic.id, now + HOUR)


async def test_who_is_let_go_is_out_at_once_and_can_be_taken_back(
    db: AsyncSession, clinic: Organisations, head: Persons, doctor: Persons, now: datetime
) -> None:
    """Rights and sessions end, no new one begins, no hat is given; then all of it can be again."""
    session = await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    me, whose = await caller(db, head, now), Whose(clinic.id, doctor.id)
    facts.take(db)
    await let_go(db, me, whose, now)
    assert {type(fact) for fact in facts.take(db)} == {SessionEnded, RightsChanged}
    assert not await session_alive(db, session.id, now)
    assert not await works(db, doctor, clinic, now)
    with pytest.raises(AccountClosed):
        await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    with pytest.raises(LetGo):
        await give_hat(db, me, whose, Hat.DUTY, now)
    shown = await list_people(db, me.actor, clinic.id, now, which="let_go")
    assert [(one.id, one.account_closed) for one in shown.people] == [(doctor.id, True)]
    await take_back(db, me, whose, now)
    await give_hat(db, me, whose, Hat.DUTY, now)
    await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    assert await works(db, doctor, clinic, now)


async def test_an_organisation_closes_nobodys_account_who_belongs_elsewhere(
    *,
    db: AsyncSession,
    clinic: Organisations,
    abroad: Organisations,
    head: Persons,
    doctor: Persons,
    now: datetime,
) -> None:
    """A teacher of a school stays one, whatever the clinic thinks of the doctor."""
    right = Right(actor_id=doctor.id, kind=Kind.DUTY, organisation_id=abroad.id, since=now)
    await grant(db, right, "test")
    await let_go(db, await caller(db, head, now), Whose(clinic.id, doctor.id), now)
    await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    assert await works(db, doctor, abroad, now)
    assert not await works(db, doctor, clinic, now)


async def test_a_guardian_who_is_let_go_keeps_the_account(
    *,
    db: AsyncSession,
    clinic: Organisations,
    head: Persons,
    doctor: Persons,
    patient: Persons,
    now: datetime,
) -> None:
    """A nurse who is a mother too comes in as a mother; her cards of here are over."""
    right = Right(actor_id=doctor.id, kind=Kind.GUARDIANSHIP, subject_id=patient.id, since=now)
    await grant(db, right, "test")
    await let_go(db, await caller(db, head, now), Whose(clinic.id, doctor.id), now)
    await start_session(db, doctor.id, "192.0.2.0/24", now, staff=False)
    assert not await works(db, doctor, clinic, now)


async def test_whoever_is_taken_back_comes_in_whichever_place_closed_the_account(
    *,
    db: AsyncSession,
    clinic: Organisations,
    abroad: Organisations,
    head: Persons,
    doctor: Persons,
    now: datetime,
) -> None:
    """The last to let go closed it; the first may be the one that takes back."""
    right = Right(actor_id=doctor.id, kind=Kind.DUTY, organisation_id=abroad.id, since=now)
    await grant(db, right, "test")
    other = await person(db, abroad, "Светлана", Kind.ADMINISTRATION, now)
    me = await caller(db, head, now)
    await let_go(db, me, Whose(clinic.id, doctor.id), now)
    await let_go(db, await caller(db, other, now), Whose(abroad.id, doctor.id), now)
    with pytest.raises(AccountClosed):
        await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    await take_back(db, me, Whose(clinic.id, doctor.id), now)
    await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)


async def test_two_last_administrators_cannot_take_each_others_hat(
    db: AsyncSession, clinic: Organisations, head: Persons, doctor: Persons, now: datetime
) -> None:
    """Whoever stood in line meanwhile asked before, and is judged as it is now."""
    first = await caller(db, head, now)
    await give_hat(db, first, Whose(clinic.id, doctor.id), Hat.ADMINISTRATION, now)
    second = await caller(db, doctor, now)
    admin = Hat.ADMINISTRATION
    await take_hat(db, first, Whose(clinic.id, doctor.id), admin, now + HOUR / 60)
    for verb in (let_go, take_back):
        with pytest.raises(Forbidden):
            await verb(db, second, Whose(clinic.id, head.id), now)
    with pytest.raises(Forbidden):
        await take_hat(db, second, Whose(clinic.id, head.id), admin, now)
    with pytest.raises(LastAdministrator):
        await take_hat(db, first, Whose(clinic.id, head.id), admin, now)


async def test_another_organisation_does_not_open_a_closed_account(
    *,
    db: AsyncSession,
    clinic: Organisations,
    abroad: Organisations,
    head: Persons,
    doctor: Persons,
    now: datetime,
) -> None:
    """Whoever never belonged to it is not there for its administrator."""
    await let_go(db, await caller(db, head, now), Whose(clinic.id, doctor.id), now)
    other = await person(db, abroad, "Светлана", Kind.ADMINISTRATION, now)
    for verb in (take_back, let_go):
        with pytest.raises(NotFound):
            await verb(db, await caller(db, other, now), Whose(abroad.id, doctor.id), now)
    with pytest.raises(NotFound):
        await give_hat(db, await caller(db, other, now), Whose(abroad.id, doctor.id), Hat.DUTY, now)
    with pytest.raises(AccountClosed):
        await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)


async def test_hats_need_the_administrator_and_a_fresh_proof(
    *,
    db: AsyncSession,
    clinic: Organisations,
    abroad: Organisations,
    head: Persons,
    doctor: Persons,
    now: datetime,
) -> None:
    """404 to strangers, 403 to members, step-up for an administrator who proved long ago."""
    whose = Whose(clinic.id, doctor.id)
    other = await person(db, abroad, "Светлана", Kind.ADMINISTRATION, now)
    with pytest.raises(NotFound):
        await give_hat(db, await caller(db, other, now), whose, Hat.ADMINISTRATION, now)
    with pytest.raises(Forbidden):
        await give_hat(db, await caller(db, doctor, now), whose, Hat.ADMINISTRATION, now)
    stale = await caller(db, head, now, proved_at=now - HOUR)
    with pytest.raises(StepUpNeeded):
        await give_hat(db, stale, whose, Hat.ADMINISTRATION, now)


async def test_a_school_has_no_patients(
    db: AsyncSession, abroad: Organisations, now: datetime
) -> None:
    """A hat that means nothing there is refused."""
    chief = await person(db, abroad, "Светлана", Kind.ADMINISTRATION, now)
    with pytest.raises(HatNotHere):
        await give_hat(
            db, await caller(db, chief, now), Whose(abroad.id, chief.id), Hat.ATTACHMENT, now
        )


@pytest.mark.parametrize(
    ("which", "search", "found"),
    [
        ("here", "", ["Гөлнара", "Амина", "Ринат"]),
        ("staff", "", ["Гөлнара", "Амина"]),
        ("here", "ами сан", ["Амина"]),
        ("here", "%", []),
        ("let_go", "", []),
    ],
)
@pytest.mark.usefixtures("doctor", "patient")
async def test_the_list_shows_the_organisations_own(
    *,
    db: AsyncSession,
    clinic: Organisations,
    head: Persons,
    now: datetime,
    which: Which,
    search: str,
    found: list[str],
) -> None:
    """By words of the name, by staff; a percent sign is a percent sign."""
    actor = await actor_of(db, head.id, now)
    shown = await list_people(db, actor, clinic.id, now, which=which, search=search)
    assert sorted(one.name.split()[0] for one in shown.people) == sorted(found)
    assert shown.count == len(found)


async def test_a_long_list_comes_page_by_page(
    db: AsyncSession, clinic: Organisations, head: Persons, now: datetime
) -> None:
    """Nobody twice, nobody left out."""
    for n in range(70):
        await person(db, clinic, f"Имя{n % 3}", Kind.ATTACHMENT, now)
    actor = await actor_of(db, head.id, now)
    first = await list_people(db, actor, clinic.id, now)
    second = await list_people(db, actor, clinic.id, now, after=first.next)
    assert (len(first.people), len(second.people), second.next) == (50, 21, None)
    assert len({one.id for one in [*first.people, *second.people]}) == 71


async def test_a_list_goes_on_behind_its_own_people_only(
    db: AsyncSession, clinic: Organisations, abroad: Organisations, head: Persons, now: datetime
) -> None:
    """Whoever was let go meanwhile was on the page; somebody of elsewhere is nobody."""
    far = await person(db, abroad, "Светлана", Kind.DUTY, now)
    me = await caller(db, head, now)
    for nobody in (far.id, new_id()):
        with pytest.raises(NotFound):
            await list_people(db, me.actor, clinic.id, now, after=nobody)
    gone = await person(db, clinic, "Айрат", Kind.ATTACHMENT, now)
    await let_go(db, me, Whose(clinic.id, gone.id), now)
    found = await list_people(db, me.actor, clinic.id, now, after=gone.id)
    assert [one.id for one in found.people] == [head.id]
