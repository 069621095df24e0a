"""QR cards: who makes one, who has one, and what ends it."""

from datetime import datetime
from uuid import UUID

import pytest
from card_world import BORN, Desk, person_with, session_of, show
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.cards import (
    Cards,
    NewCards,
    StaffHaveNoCards,
    issue_card,
    issue_sheet,
    list_holders,
    revoke_card,
    revoke_cards_of,
)
from people.entering import CardRefused, StaffNeedPassword
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.refused import Forbidden, NotFound, OutOfRange
from people.relations import actor_of, grant
from people.sessions import Sessions
from storage.engine import new_id


async def ended_at(db: AsyncSession, session_id: UUID) -> datetime | None:
    """When a session ended, as the store says."""
    return await db.scalar(select(Sessions.ended_at).where(Sessions.id == session_id))


async def test_the_store_holds_no_secret(db: AsyncSession, secret: str, now: datetime) -> None:
    """Only its SHA-256; 160 bits need no slow hash."""
    await show(db, secret, now, born=BORN)
    card = (await db.scalars(select(Cards))).one()
    assert len(card.secret_sha256) == 32
    assert len(secret) == 27
    assert secret not in card.number


async def test_a_new_card_ends_the_one_before_and_what_it_opened(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """One live card a person and organisation; sockets of the old one hear of it."""
    opened = session_of(await show(db, desk.secret, now, born=BORN)).session
    facts.take(db)
    _, second = await issue_card(db, desk.admin, desk.patient.id, desk.clinic.id, now)
    ended = [fact for fact in facts.take(db) if isinstance(fact, facts.SessionEnded)]
    assert [fact.session_id for fact in ended] == [opened.id]
    with pytest.raises(CardRefused):
        await show(db, desk.secret, now, born=BORN)
    session_of(await show(db, second, now, born=BORN))


async def test_a_revoked_card_ends_its_sessions_and_no_others(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """Revoking twice finds nothing."""
    school = Organisations(id=new_id(), kind="school", name="Школа")
    db.add(school)
    await db.flush()
    pupil = Right(actor_id=desk.patient.id, kind=Kind.CLASS, organisation_id=school.id, since=now)
    await grant(db, pupil, "test")
    head = await person_with(db, Kind.ADMINISTRATION, school.id, now)
    _, other = await issue_card(
        db, await actor_of(db, head.id, now), desk.patient.id, school.id, now
    )
    mine = session_of(await show(db, desk.secret, now, born=BORN)).session
    theirs = session_of(await show(db, other, now, born=BORN)).session
    card_id = (await db.get_one(Sessions, mine.id)).opened_by
    assert card_id is not None
    await revoke_card(db, desk.admin, desk.clinic.id, card_id, now)
    assert await ended_at(db, mine.id) == now
    assert await ended_at(db, theirs.id) is None
    with pytest.raises(NotFound):
        await revoke_card(db, desk.admin, desk.clinic.id, card_id, now)
    await revoke_cards_of(db, desk.patient.id, now)
    assert await ended_at(db, theirs.id) == now


async def test_nobody_but_the_organisations_administrator_makes_or_ends_a_card(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A doctor is refused; to an administrator of elsewhere the organisation is not there."""
    elsewhere = Organisations(id=new_id(), kind="clinic", name="Другая")
    db.add(elsewhere)
    await db.flush()
    stranger = await person_with(db, Kind.ADMINISTRATION, elsewhere.id, now)
    card_id = (await db.scalars(select(Cards.id))).one()
    for who, refusal in ((doctor, Forbidden), (desk.patient, Forbidden), (stranger, NotFound)):
        actor = await actor_of(db, who.id, now)
        with pytest.raises(refusal):
            await issue_card(db, actor, desk.patient.id, desk.clinic.id, now)
        with pytest.raises(refusal):
            await revoke_card(db, actor, desk.clinic.id, card_id, now)
        with pytest.raises(refusal):
            await list_holders(db, actor, desk.clinic.id, now)
    theirs = await actor_of(db, stranger.id, now)
    with pytest.raises(NotFound):
        await issue_card(db, theirs, desk.patient.id, elsewhere.id, now)
    with pytest.raises(NotFound):
        await revoke_card(db, theirs, elsewhere.id, card_id, now)


async def test_staff_have_no_cards_and_an_old_one_is_worth_nothing(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A card must not be a way around the second factor, also for who became staff later."""
    with pytest.raises(StaffHaveNoCards):
        await issue_card(db, desk.admin, doctor.id, desk.clinic.id, now)
    right = Right(
        actor_id=desk.patient.id, kind=Kind.DUTY, organisation_id=desk.clinic.id, since=now
    )
    await grant(db, right, "test")
    with pytest.raises(StaffNeedPassword):
        await show(db, desk.secret, now, born=BORN)


async def test_a_guardian_of_a_pupil_has_a_card_of_the_school(
    db: AsyncSession, admin: Actor, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """Though no right of the guardian names the organisation; strangers have none."""
    father = Persons(
        id=new_id(), family_name="Вәлиев", given_name="Дамир", language="tt", created_at=now
    )
    db.add(father)
    await db.flush()
    with pytest.raises(NotFound):
        await issue_card(db, admin, father.id, clinic.id, now)
    tie = Right(actor_id=father.id, kind=Kind.GUARDIANSHIP, subject_id=patient.id, since=now)
    await grant(db, tie, "test")
    card, _ = await issue_card(db, admin, father.id, clinic.id, now)
    assert len(card.number) == 12


async def test_a_sheet_is_made_whole_or_not_at_all(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A name twice is one card; too many or none is refused by the field."""
    sheet = await issue_sheet(
        db, desk.admin, desk.clinic.id, NewCards([desk.patient.id, desk.patient.id]), now
    )
    assert [card.name for card in sheet.cards] == ["Ринат Хасан"]
    assert sheet.organisation_name == "Поликлиника"
    for ids in ([], [new_id() for _ in range(101)]):
        with pytest.raises(OutOfRange) as refused:
            await issue_sheet(db, desk.admin, desk.clinic.id, NewCards(ids), now)
        assert refused.value.errors[0].field == "person_ids"
    before = await db.scalar(select(func.count()).select_from(Cards))
    with pytest.raises(StaffHaveNoCards):
        async with db.begin_nested():
            await issue_sheet(
                db, desk.admin, desk.clinic.id, NewCards([desk.patient.id, doctor.id]), now
            )
    assert await db.scalar(select(func.count()).select_from(Cards)) == before


async def test_the_list_of_holders_is_paged_and_searched(
    db: AsyncSession, admin: Actor, secret: str, clinic: Organisations, now: datetime
) -> None:
    """By name, without staff, everybody once."""
    assert secret
    for number in range(60):
        await person_with(db, Kind.ATTACHMENT, clinic.id, now, f"Әхмәтов{number:02}")
    first = await list_holders(db, admin, clinic.id, now)
    assert len(first.holders) == 50
    assert first.next is not None
    second = await list_holders(db, admin, clinic.id, now, after=UUID(first.next))
    names = [holder.name for holder in (*first.holders, *second.holders)]
    assert len(set(names)) == len(names) == 61
    assert second.next is None
    found = await list_holders(db, admin, clinic.id, now, search="хасан рин")
    assert [(one.name, one.card is not None) for one in found.holders] == [("Ринат Хасан", True)]
    assert (await list_holders(db, admin, clinic.id, now, search="%")).holders == []
    other = Organisations(id=new_id(), kind="clinic", name="Чужая")
    db.add(other)
    await db.flush()
    far = await person_with(db, Kind.ATTACHMENT, other.id, now, "Аааа")
    with pytest.raises(NotFound):
        await list_holders(db, admin, clinic.id, now, after=far.id)
