"""Helping somebody in: by a link, by taking a lost factor away; and who must not."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import second_factors
from people.audit import AuditActs
from people.cards import MAX_TRIES, BirthDateNeeded, WrongBirthDate, issue_card
from people.entering import CardRefused, NewPasswordNeeded, Shown, enter
from people.hats import Hat, Whose, give_hat
from people.links import LinkLocked, StaffElsewhere, issue_link
from people.lost_factors import reset_factors, reset_on_the_machine
from people.notices import Notices
from people.organisations import Organisations
from people.passwords import set_password
from people.persons import Persons
from people.policy import Kind, Right
from people.refused import Forbidden, NotFound, NotSignedIn
from people.relations import grant
from people.second_factors import SecondStep, SignedInAs, second_ways
from people.sessions import Caller, session_person, start_session
from people.sign_in import sign_in
from people.step_up import FRESH, StepUpNeeded
from storage.engine import new_id

HOME, KEY, PASSWORD = "192.0.2.7", b"k" * 32, "синий трамвай"
BORN = date(1988, 5, 17)


@dataclass
class Place:
    """An organisation, and who administers it."""

    id: UUID
    admin: UUID

    async def caller(self, db: AsyncSession, now: datetime) -> Caller:
        return await signed_in(db, self.admin, now)


async def signed_in(db: AsyncSession, person_id: UUID, now: datetime) -> Caller:
    made = await start_session(db, person_id, "192.0.2.0/24", now, staff=True)
    return await session_person(db, made.token, now)


async def works(
    db: AsyncSession, person_id: UUID, place: UUID, now: datetime, kind: Kind = Kind.DUTY
) -> None:
    right = Right(actor_id=person_id, kind=kind, organisation_id=place, since=now)
    await grant(db, right, "test")


async def administered(db: AsyncSession, place: UUID, now: datetime) -> Place:
    row = Persons(id=new_id(), family_name="Тест", given_name="Гөлнара", created_at=now)
    row.language = "tt"
    db.add(row)
    await db.flush()
    await works(db, row.id, place, now, Kind.ADMINISTRATION)
    return Place(place, row.id)


@pytest.fixture
async def here(db: AsyncSession, clinic: Organisations, now: datetime) -> Place:
    """The clinic where doctor and patient are."""
    return await administered(db, clinic.id, now)


@pytest.fixture
async def school(db: AsyncSession, now: datetime) -> Place:
    """Another organisation."""
    row = Organisations(id=new_id(), kind="school", name="Школа")
    db.add(row)
    await db.flush()
    return await administered(db, row.id, now)


async def with_factor(db: AsyncSession, person: Persons, now: datetime) -> Caller:
    """A login, an application, and the session that set it up."""
    await set_password(db, person.id, "amina", PASSWORD, now)
    caller = await signed_in(db, person.id, now)
    proposed = await second_factors.begin_totp(db, KEY, caller, now)
    code = pyotp.TOTP(proposed.secret).at(now)
    await second_factors.confirm_totp(db, KEY, caller, code, now)
    return caller


async def link_of(db: AsyncSession, place: Place, person: Persons, now: datetime) -> str:
    actor = (await place.caller(db, now)).actor
    return (await issue_link(db, actor, person.id, place.id, now)).secret


async def show(
    db: AsyncSession, secret: str, now: datetime, born: date | None = None
) -> SignedInAs | SecondStep:
    return (await enter(db, Shown(secret, born), None, HOME, now)).found


async def test_a_school_gives_no_link_for_a_parent_who_works_at_a_clinic(
    db: AsyncSession, doctor: Persons, school: Place, now: datetime
) -> None:
    """Its administrator would set the doctor's password."""
    child = Persons(id=new_id(), family_name="Хасан", given_name="Сара", created_at=now)
    child.language = "ru"
    db.add(child)
    await db.flush()
    await works(db, child.id, school.id, now, Kind.CLASS)
    tie = Right(actor_id=doctor.id, kind=Kind.GUARDIANSHIP, subject_id=child.id, since=now)
    await grant(db, tie, "test")
    with pytest.raises(StaffElsewhere):
        await link_of(db, school, doctor, now)
    await with_factor(db, doctor, now)
    with pytest.raises(StaffElsewhere):
        await link_of(db, school, doctor, now)
    with pytest.raises(StaffElsewhere):
        await reset_factors(db, await school.caller(db, now), Whose(school.id, doctor.id), now)


async def test_who_works_in_two_places_is_helped_by_one_only_behind_a_second_factor(
    db: AsyncSession, doctor: Persons, here: Place, school: Place, now: datetime
) -> None:
    """And neither takes that away."""
    await link_of(db, here, doctor, now)
    await works(db, doctor.id, school.id, now)
    with pytest.raises(StaffElsewhere):
        await link_of(db, here, doctor, now)
    await with_factor(db, doctor, now)
    with pytest.raises(NewPasswordNeeded):
        await show(db, await link_of(db, here, doctor, now), now)
    for place in (here, school):
        with pytest.raises(StaffElsewhere):
            await reset_factors(db, await place.caller(db, now), Whose(place.id, doctor.id), now)


async def test_a_link_asks_for_the_date_of_birth_where_it_is_known(
    db: AsyncSession, patient: Persons, here: Place, now: datetime
) -> None:
    """Wrong ones end it, as they lock a card; the person hears of the link even at night."""
    open_to_all = await link_of(db, here, patient, now)
    assert isinstance(await show(db, open_to_all, now), SignedInAs)
    patient.born_on = BORN
    secret = await link_of(db, here, patient, now)
    with pytest.raises(BirthDateNeeded):
        await show(db, secret, now)
    for left in range(MAX_TRIES - 1, 0, -1):
        with pytest.raises(WrongBirthDate) as wrong:
            await show(db, secret, now + timedelta(minutes=1), date(1990, 1, left))
        assert wrong.value.params == {"tries_left": left}
    late = now + timedelta(minutes=2)
    with pytest.raises(LinkLocked):
        await show(db, secret, late, date(1990, 2, 1))
    with pytest.raises(CardRefused):
        await show(db, secret, late, BORN)
    assert isinstance(
        await show(db, await link_of(db, here, patient, late), late, BORN), SignedInAs
    )
    told = select(Notices.critical).where(Notices.code == "link_issued")
    assert set((await db.scalars(told)).all()) == {True}


async def test_a_link_ends_when_its_person_becomes_staff(
    db: AsyncSession, patient: Persons, here: Place, now: datetime
) -> None:
    """It would set the password of somebody who works there from then on."""
    secret = await link_of(db, here, patient, now)
    caller = await here.caller(db, now)
    await give_hat(db, caller, Whose(here.id, patient.id), Hat.DUTY, now)
    with pytest.raises(CardRefused):
        await show(db, secret, now)


async def test_a_lost_factor_is_taken_away_by_an_administrator(
    db: AsyncSession, doctor: Persons, here: Place, now: datetime
) -> None:
    """Sessions end, the password stays, the recovery codes go, the person is told."""
    theirs = await with_factor(db, doctor, now)
    token = (await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)).token
    caller, whose = await here.caller(db, now), Whose(here.id, doctor.id)
    with pytest.raises(StepUpNeeded):
        await reset_factors(db, caller, whose, now + FRESH + timedelta(seconds=1))
    with pytest.raises(Forbidden):
        await reset_factors(db, theirs, whose, now)
    with pytest.raises(Forbidden):
        await reset_factors(db, caller, Whose(here.id, here.admin), now)
    await reset_factors(db, caller, whose, now)
    with pytest.raises(NotSignedIn):
        await session_person(db, token, now)
    assert await second_ways(db, doctor.id) == []
    assert isinstance(await sign_in(db, "amina", PASSWORD, HOME, now), SignedInAs)
    told = select(Notices.critical).where(
        Notices.person_id == doctor.id, Notices.code == "factors_reset"
    )
    assert (await db.scalars(told)).all() == [True]
    kept = select(AuditActs.actor_id).where(AuditActs.act == "factors_reset")
    assert (await db.scalars(kept)).all() == [here.admin]


async def test_a_card_is_a_proof_only_for_who_has_one(
    db: AsyncSession, patient: Persons, here: Place, now: datetime
) -> None:
    """Whoever came by a link is not asked for a card."""
    theirs = await signed_in(db, patient.id, now)
    assert not (await second_factors.my_factors(db, theirs, now, required=True)).card
    await issue_card(db, (await here.caller(db, now)).actor, patient.id, here.id, now)
    assert (await second_factors.my_factors(db, theirs, now, required=True)).card


async def test_people_of_elsewhere_are_not_there(
    db: AsyncSession, patient: Persons, school: Place, now: datetime
) -> None:
    caller = await school.caller(db, now)
    with pytest.raises(NotFound):
        await reset_factors(db, caller, Whose(school.id, patient.id), now)


async def test_the_machines_operator_helps_whoever_lost_everything(
    db: AsyncSession, doctor: Persons, school: Place, now: datetime
) -> None:
    """The factors go, and a link gives a new password, wherever the person works."""
    await with_factor(db, doctor, now)
    await works(db, doctor.id, school.id, now, Kind.ADMINISTRATION)
    secret = await reset_on_the_machine(db, " AMINA ", now)
    assert secret is not None
    assert await second_ways(db, doctor.id) == []
    with pytest.raises(NewPasswordNeeded):
        await show(db, secret, now)
    with pytest.raises(NotFound):
        await reset_on_the_machine(db, "nobody", now)
