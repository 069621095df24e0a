"""Erasing a person: what stands against it, what is gone, what stays, and doing it again."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec
import pytest
from card_world import person_with
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import erasure
from people.audit import AuditActs
from people.cards import Cards, issue_card
from people.closed_accounts import AccountClosed
from people.erasure import (
    Erasure,
    ErasureReason,
    Erasures,
    NewErasure,
    NotErasable,
    erase,
    forget_erased,
    replay,
)
from people.erasures_done import finish_erasures, list_erasures
from people.facts import RightsChanged, take
from people.holds import NewHold, lift_hold, list_holds, set_hold
from people.notices import Notices, notify
from people.organisations import Organisations
from people.passwords import Credentials
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.refused import Forbidden, NotFound
from people.relations import Relations, actor_of, grant
from people.sessions import Caller, Sessions, start_session
from people.step_up import StepUpNeeded
from storage import erasure_log
from storage.data_keys import KeyGone, key_of
from storage.engine import new_id
from storage.erasure_log import Erased
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings


def caller(actor: Actor, now: datetime) -> Caller:
    """Somebody who has just proved who he is."""
    assert actor.id is not None
    return Caller(new_id(), actor, actor.id, now)


@pytest.fixture
async def home(stores: Settings, objects: Objects, tmp_path: Path) -> Settings:
    """A home whose log of erasures is this test's own."""
    for key in await objects.keys(erasure_log.PREFIX):
        await objects.delete(key)
    return replace(stores, home=tmp_path)


class World(NamedTuple):
    """Everybody and everything an erasure meets."""

    db: AsyncSession
    home: Settings
    objects: Objects
    admin: Actor
    clinic: Organisations
    patient: Persons
    doctor: Persons

    async def erase(self, who: Caller, whom: UUID, now: datetime) -> Erasure:
        """Erase somebody because he asked."""
        new = NewErasure(whom, ErasureReason.ASKED)
        return await erase(self.db, self.home, self.objects, who, self.clinic.id, new, now)


@pytest.fixture
def world(  # noqa: PLR0917 - pytest gives them by name
    db: AsyncSession,
    home: Settings,
    objects: Objects,
    admin: Actor,
    clinic: Organisations,
    patient: Persons,
    doctor: Persons,
) -> World:
    """All of it together."""
    return World(db, home, objects, admin, clinic, patient, doctor)


async def test_an_erased_person_is_a_tombstone(world: World, now: datetime) -> None:
    """Key, name, ways in and notices are gone; the log has it, the audit speaks of the id."""
    db, home, _, admin, clinic, patient, _ = world
    await key_of(db, patient.id, now)
    db.add(Credentials(person_id=patient.id, login="rinat", password_hash="x", changed_at=now))
    await start_session(db, patient.id, "10.0.0.0/24", now, staff=False)
    await issue_card(db, admin, patient.id, clinic.id, now)
    await notify(db, patient.id, "link_issued", {}, now)
    take(db)

    done = await world.erase(caller(admin, now), patient.id, now)

    assert done.person_id == patient.id
    with pytest.raises(KeyGone):
        await key_of(db, patient.id, now)
    await db.refresh(patient)
    assert (patient.given_name, patient.born_on) == ("№", None)
    assert "Хасан" not in patient.family_name
    for table in (Credentials, Notices):
        query = select(func.count()).select_from(table).where(table.person_id == patient.id)
        assert await db.scalar(query) == 0
    live = [Sessions.person_id == patient.id, Sessions.live(now)]
    assert await db.scalar(select(func.count()).where(*live)) == 0
    card = select(Cards.revoked_at).where(Cards.person_id == patient.id)
    assert await db.scalar(card) == now
    assert (await actor_of(db, patient.id, now)).rights == ()
    with pytest.raises(AccountClosed):
        await start_session(db, patient.id, "10.0.0.0/24", now, staff=False)
    assert RightsChanged(at=now, person_id=patient.id) in take(db)
    assert erasure_log.read(home) == [Erased(owner=patient.id, at=now, reason="asked")]
    acts = select(AuditActs.details).where(
        AuditActs.act == "person_erased", AuditActs.subject_id == patient.id
    )
    assert await db.scalar(acts) == {"reason": "asked"}

    again = await world.erase(caller(admin, now), patient.id, now)
    assert again == done
    assert len(erasure_log.read(home)) == 1
    (shown,) = await list_erasures(db, home, caller(admin, now), clinic.id, now)
    assert (shown.person_id, shown.logged, shown.done) == (patient.id, True, False)
    assert "Хасан" not in shown.name


async def test_what_stands_against_it_is_said_in_words(world: World, now: datetime) -> None:
    """A hold, a visit ahead, a child, another organisation, work, oneself: nothing is written."""
    db, home, _, admin, clinic, patient, doctor = world
    other = Organisations(id=new_id(), kind="clinic", name="Другая")
    db.add(other)
    child = await person_with(db, Kind.ATTACHMENT, clinic.id, now, "Айдар")
    await db.flush()
    who = caller(admin, now)
    for right in (
        Right(
            actor_id=patient.id,
            kind=Kind.APPOINTMENT,
            subject_id=patient.id,
            organisation_id=clinic.id,
            about_id=new_id(),
            since=now,
        ),
        Right(actor_id=patient.id, kind=Kind.GUARDIANSHIP, subject_id=child.id, since=now),
        Right(actor_id=patient.id, kind=Kind.ATTACHMENT, organisation_id=other.id, since=now),
    ):
        await grant(db, right, "test")
    await set_hold(db, who, clinic.id, NewHold(person_id=patient.id, reason="суд"), now)

    async def against(person_id: UUID) -> list[str]:
        with pytest.raises(NotErasable) as refused:
            await world.erase(who, person_id, now)
        reasons: list[str] = refused.value.params["reasons"]
        return reasons

    assert await against(patient.id) == ["held", "visit_ahead", "elsewhere", "guardian"]
    assert await against(doctor.id) == ["employed"]
    assert await against(who.person_id) == ["oneself", "employed"]
    assert erasure_log.read(home) == []
    assert await db.get(Erasures, patient.id) is None


async def test_only_a_fresh_administrator_of_the_place_erases(world: World, now: datetime) -> None:
    """Strangers see nothing, colleagues may not, and nobody erases somebody of elsewhere."""
    db, home, _, admin, clinic, patient, doctor = world
    other = Organisations(id=new_id(), kind="clinic", name="Другая")
    db.add(other)
    await db.flush()
    foreign = await person_with(db, Kind.ADMINISTRATION, other.id, now, "Чужая")
    theirs = await person_with(db, Kind.ATTACHMENT, other.id, now, "Чужой")
    stale = Caller(new_id(), admin, caller(admin, now).person_id, now - timedelta(hours=1))
    for who, whom, refusal in (
        (caller(await actor_of(db, foreign.id, now), now), patient.id, NotFound),
        (caller(await actor_of(db, doctor.id, now), now), patient.id, Forbidden),
        (stale, patient.id, StepUpNeeded),
        (caller(admin, now), theirs.id, NotFound),
        (caller(admin, now), new_id(), NotFound),
    ):
        with pytest.raises(refusal):
            await world.erase(who, whom, now)
        with pytest.raises(refusal):
            await set_hold(db, who, clinic.id, NewHold(person_id=whom, reason="x"), now)
    assert erasure_log.read(home) == []


async def test_a_lifted_or_ended_hold_stands_against_nothing(world: World, now: datetime) -> None:
    """Lifting twice is lifting; a hold of another organisation is not lifted here."""
    db, _, _, admin, clinic, patient, _ = world
    who, later = caller(admin, now), now + timedelta(minutes=2)
    soon = NewHold(person_id=patient.id, reason="суд", until=now + timedelta(minutes=1))
    await set_hold(db, who, clinic.id, soon, now)
    hold = await set_hold(db, who, clinic.id, NewHold(person_id=patient.id, reason="жалоба"), now)
    assert [one.holds for one in await list_holds(db, admin, clinic.id, now)] == [True, True]
    with pytest.raises(NotFound):
        await lift_hold(db, who, clinic.id, new_id(), now)
    await lift_hold(db, who, clinic.id, hold.id, now)
    await lift_hold(db, who, clinic.id, hold.id, later)
    assert [one.holds for one in await list_holds(db, admin, clinic.id, later)] == [False, False]
    await world.erase(who, patient.id, later)


async def test_a_restored_backup_is_made_to_forget_again(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    """Also a person the backup does not know yet; done twice it changes nothing more."""
    await key_of(db, patient.id, now)
    unknown = new_id()
    entries = [Erased(owner=one, at=now, reason="asked") for one in (patient.id, unknown)]
    later = now + timedelta(days=1)
    assert await replay(db, entries, later) == 1
    assert await replay(db, entries, later) == 0
    for one in (patient.id, unknown):
        with pytest.raises(KeyGone):
            await key_of(db, one, later)
    tombstone = await db.get_one(Erasures, patient.id)
    assert (tombstone.erased_at, tombstone.organisation_id) == (now, None)
    await db.refresh(patient)
    assert patient.given_name == "№"
    assert (await key_of(db, doctor.id, later)).owner == doctor.id


async def test_rooms_forget_whom_was_erased_and_nobody_else(
    world: World, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job for somebody who is not erased takes nothing."""
    db, home, objects, _, _, patient, doctor = world
    asked: list[UUID] = []

    async def room(_: Work, person_id: UUID) -> None:
        asked.append(person_id)

    monkeypatch.setattr(erasure, "_forgets", [room])
    await replay(db, [Erased(owner=patient.id, at=now, reason="asked")], now)
    work = Work(db, objects, home, now)
    for person in (patient.id, doctor.id):
        await forget_erased(work, str(person))
    assert asked == [patient.id]
    assert (await db.get_one(Erasures, patient.id)).done_at == now


async def test_what_broke_off_is_shown_and_then_done(world: World, now: datetime) -> None:
    """A line of the log without its commit; not while he is held, or has come elsewhere since."""
    db, home, objects, admin, clinic, patient, doctor = world
    await key_of(db, patient.id, now)
    await erasure_log.append(home, objects, Erased(owner=patient.id, at=now, reason="court"))
    who, later = caller(admin, now), now + timedelta(hours=1)
    assert await list_erasures(db, home, who, clinic.id, now) == []  # it may be being done
    fresh = msgspec.structs.replace(who, proved_at=later)
    (left,) = await list_erasures(db, home, fresh, clinic.id, later)
    assert (left.unfinished, left.done, left.reason) == (True, False, "court")
    assert "Хасан" in left.name

    hold = await set_hold(db, fresh, clinic.id, NewHold(person_id=patient.id, reason="суд"), later)
    work = Work(db, objects, home, later)
    await finish_erasures(work)
    assert await db.get(Erasures, patient.id) is None
    await lift_hold(db, fresh, clinic.id, hold.id, later)
    other = Organisations(id=new_id(), kind="clinic", name="Вторая")
    db.add(other)
    await db.flush()
    there = Right(actor_id=patient.id, kind=Kind.ATTACHMENT, organisation_id=other.id, since=later)
    await grant(db, there, "test")
    await finish_erasures(work)
    assert (await key_of(db, patient.id, later)).owner == patient.id
    came = update(Relations).where(Relations.organisation_id == other.id)
    await db.execute(came.values(until=later))
    await finish_erasures(work)
    await finish_erasures(work)

    with pytest.raises(KeyGone):
        await key_of(db, patient.id, later)
    (shown,) = await list_erasures(db, home, fresh, clinic.id, later)
    assert (shown.person_id, shown.unfinished, shown.erased_at) == (patient.id, False, now)
    assert (await key_of(db, doctor.id, later)).owner == doctor.id


async def test_a_log_that_was_changed_is_not_believed(world: World, now: datetime) -> None:
    """The page says so of every row, and nothing is finished by it."""
    db, home, objects, admin, clinic, patient, _ = world
    await world.erase(caller(admin, now), patient.id, now)
    path = erasure_log.log_path(home)
    path.write_bytes(path.read_bytes().replace(b"asked", b"court"))
    (shown,) = await list_erasures(db, home, caller(admin, now), clinic.id, now)
    assert shown.logged is None
    with pytest.raises(erasure_log.BrokenLog):
        await finish_erasures(Work(db, objects, home, now + timedelta(hours=1)))
