"""A person of whom two clinics keep something is erased when both have agreed, and not before."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.audit import AuditActs
from people.erasure import ErasureReason, Erasures, NewErasure, NotErasable, erase
from people.erasure_answers import (
    BadAnswer,
    ErasureAsked,
    ErasureWord,
    NewErasureAnswer,
    NobodyToAsk,
    RequestOver,
    answer,
    ask,
    plan,
    withdraw,
)
from people.erasure_requests import (
    ANSWERED_WITHIN,
    ErasureRequest,
    ErasureRequests,
    KeepReason,
    RequestState,
    list_requests,
)
from people.holds import NewHold, lift_hold, set_hold
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Kind, Right
from people.refused import Forbidden, NotFound
from people.relations import Relations, grant
from people.retention import retain
from people.sessions import Caller
from people.step_up import StepUpNeeded
from storage import erasure_log
from storage.data_keys import KeyGone, key_of
from storage.engine import new_id
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed.notes import NoteChange, put_note
from telemed.visits import NewVisit, book, close_visit
from tests.telemed.clinic_house import House
from tests.telemed.document_desk import caller

AGREED = NewErasureAnswer(ErasureWord.AGREED)


class Two(NamedTuple):
    """Two clinics that know the patient; the first one treated him, the second asks."""

    db: AsyncSession
    home: Settings
    objects: Objects
    house: House
    keeper: UUID
    asker: UUID

    async def as_keeper(self, now: datetime) -> Caller:
        """The administrator of the clinic that treated him."""
        return await caller(self.db, self.house, self.keeper, now)

    async def as_asker(self, now: datetime) -> Caller:
        """The administrator of the clinic that wants him erased."""
        return await caller(self.db, self.house, self.asker, now)

    async def ask(self, now: datetime) -> ErasureRequest:
        """The second clinic asks."""
        new = NewErasure(self.house.patient, ErasureReason.ASKED)
        return await ask(self.db, await self.as_asker(now), self.house.other_clinic, new, now)

    async def answer(
        self, request: ErasureRequest, now: datetime, word: NewErasureAnswer = AGREED
    ) -> ErasureRequest:
        """The first one answers."""
        who, where = await self.as_keeper(now), self.house.clinic
        stores = (self.home, self.objects)
        return await answer(self.db, *stores, who, where, request.id, word, now)

    async def erase(self, now: datetime) -> object:
        """The second clinic erases."""
        new = NewErasure(self.house.patient, ErasureReason.ASKED)
        who, where = await self.as_asker(now), self.house.other_clinic
        return await erase(self.db, self.home, self.objects, who, where, new, now)

    async def told(self, person: UUID) -> list[str]:
        """Codes of a person's notices, in order."""
        query = select(Notices.code).where(Notices.person_id == person).order_by(Notices.id)
        return list((await self.db.scalars(query)).all())


@pytest.fixture
async def two(  # noqa: PLR0917 - pytest gives them by name
    db: AsyncSession,
    house: House,
    stores: Settings,
    objects: Objects,
    tmp_path: Path,
    now: datetime,
) -> Two:
    """The visit is over, nothing stands against an erasure but the other clinic."""
    for key in await objects.keys(erasure_log.PREFIX):
        await objects.delete(key)
    row = Persons(id=new_id(), family_name="Чужая", given_name="Алина", created_at=now)
    db.add(row)
    await db.flush()
    for who, kind in ((row.id, Kind.ADMINISTRATION), (house.patient, Kind.ATTACHMENT)):
        there = Right(actor_id=who, kind=kind, organisation_id=house.other_clinic, since=now)
        await grant(db, there, "test")
    await close_visit(db, await house.as_(db, house.doctor), house.visit, now)
    await key_of(db, house.patient, now)
    home = replace(stores, home=tmp_path)
    return Two(db, home, objects, house, house.administrator, row.id)


async def test_the_last_agreement_is_the_erasure(two: Two, now: datetime) -> None:
    """Asked, told, agreed: the key is gone, the log has it, both administrators are told."""
    db, house = two.db, two.house
    before = await plan(db, await two.as_asker(now), house.other_clinic, house.patient, now)
    assert (before.against, before.keepers, before.agreed) == (
        ["elsewhere", "records_elsewhere"],
        1,
        0,
    )
    looks = select(AuditActs.actor_id).where(AuditActs.act == "erasure_looked_up")
    assert (await db.scalars(looks)).all() == [two.asker]
    request = await two.ask(now)
    assert (request.state, request.ours, request.keepers, request.agreed) == ("open", True, 1, 0)
    (seen,) = await list_requests(db, (await two.as_keeper(now)).actor, house.clinic, now)
    assert (seen.id, seen.ours, seen.answer, seen.person.id) == (
        request.id,
        False,
        None,
        house.patient,
    )
    assert await two.told(two.keeper) == ["erasure_asked"]
    with pytest.raises(NotErasable):
        await two.erase(now)
    assert await db.get(Erasures, house.patient) is None
    assert erasure_log.read(two.home) == []

    later = now + timedelta(days=1)
    done = await two.answer(request, later)

    assert (done.state, done.answer) == (RequestState.DONE, "agreed")
    with pytest.raises(KeyGone):
        await key_of(db, house.patient, later)
    (line,) = erasure_log.read(two.home)
    assert (line.owner, line.reason) == (house.patient, "asked")
    row = await db.get_one(Erasures, house.patient)
    assert (row.organisation_id, row.erased_by) == (house.other_clinic, two.keeper)
    assert await two.told(two.asker) == ["erasure_done"]


async def test_a_refusal_says_why_and_an_agreement_does_not(two: Two, now: datetime) -> None:
    """Anything else is no answer."""
    request = await two.ask(now)
    for word in (
        NewErasureAnswer(ErasureWord.REFUSED),
        NewErasureAnswer(ErasureWord.AGREED, KeepReason.DISPUTE),
    ):
        with pytest.raises(BadAnswer):
            await two.answer(request, now, word)
    assert erasure_log.read(two.home) == []


async def test_refused_with_a_reason(two: Two, now: datetime) -> None:
    """The reason is shown to whoever asked; who it was is not."""
    db, house = two.db, two.house
    request = await two.ask(now)
    await two.answer(request, now, NewErasureAnswer(ErasureWord.REFUSED, KeepReason.MUST_KEEP))
    (seen,) = await list_requests(db, (await two.as_asker(now)).actor, house.other_clinic, now)
    assert (seen.state, seen.why, seen.answer) == ("refused", "must_keep", None)
    with pytest.raises(RequestOver):
        await two.answer(request, now)
    with pytest.raises(NotErasable):
        await two.erase(now)
    assert (await key_of(db, house.patient, now)).owner == house.patient
    assert erasure_log.read(two.home) == []
    assert await two.told(two.asker) == ["erasure_refused"]
    again = await two.ask(now + timedelta(days=1))
    assert again.state is RequestState.OPEN


async def test_silence_is_no_agreement(two: Two, now: datetime) -> None:
    """A request that nobody answered in time is over, and a late word destroys nothing."""
    db, house = two.db, two.house
    request = await two.ask(now)
    late = now + ANSWERED_WITHIN
    with pytest.raises(RequestOver):
        await two.answer(request, late)
    with pytest.raises(NotErasable):
        await two.erase(late)
    (seen,) = await list_requests(db, (await two.as_asker(late)).actor, house.other_clinic, late)
    assert seen.state is RequestState.OVER
    assert await list_requests(db, (await two.as_keeper(late)).actor, house.clinic, late) == []


async def test_a_word_is_none_about_what_came_later(two: Two, now: datetime) -> None:
    """A hold stops the erasure; by the time it is lifted the keeper has seen him again."""
    db, house = two.db, two.house
    keeper = await two.as_keeper(now)
    hold = await set_hold(
        db, keeper, house.clinic, NewHold(person_id=house.patient, reason="жалоба"), now
    )
    with pytest.raises(NotErasable) as refused:
        await two.ask(now)
    assert refused.value.params["reasons"] == ["held"]
    await lift_hold(db, keeper, house.clinic, hold.id, now)
    request = await two.ask(now)
    hold = await set_hold(
        db, keeper, house.clinic, NewHold(person_id=house.patient, reason="жалоба"), now
    )
    waits = await two.answer(request, now)
    assert (waits.state, waits.answer) == (RequestState.OPEN, "agreed")
    assert await two.told(two.asker) == ["erasure_agreed"]
    (seen,) = await list_requests(db, (await two.as_asker(now)).actor, house.other_clinic, now)
    assert (seen.keepers, seen.agreed) == (1, 1)
    with pytest.raises(NotErasable) as refused:
        await two.erase(now)
    assert refused.value.params["reasons"] == ["held"]

    later = now + timedelta(days=2)
    new = NewVisit(
        organisation_id=house.clinic,
        patient_id=house.patient,
        doctor_id=house.doctor,
        starts_at=later,
        ends_at=later + timedelta(hours=1),
    )
    visit = await book(db, await house.as_(db, house.administrator, later), new, later)
    await close_visit(db, await house.as_(db, house.doctor, later), visit, later)
    await lift_hold(db, await two.as_keeper(later), house.clinic, hold.id, later)

    with pytest.raises(NotErasable) as refused:
        await two.erase(later)
    assert "records_elsewhere" in refused.value.params["reasons"]
    assert erasure_log.read(two.home) == []
    done = await two.answer(request, later + timedelta(minutes=1))
    assert done.state is RequestState.DONE


async def test_who_asked_erases_when_what_stood_against_it_is_gone(two: Two, now: datetime) -> None:
    """Every keeper has agreed by then: nobody is asked twice."""
    db, house = two.db, two.house
    request = await two.ask(now)
    hold = await set_hold(
        db,
        await two.as_asker(now),
        house.other_clinic,
        NewHold(person_id=house.patient, reason="суд"),
        now,
    )
    await two.answer(request, now)
    await lift_hold(db, await two.as_asker(now), house.other_clinic, hold.id, now)
    await two.erase(now)
    row = await db.get_one(ErasureRequests, request.id, populate_existing=True)
    assert (row.ended, row.ended_at) == ("done", now)
    with pytest.raises(KeyGone):
        await key_of(db, house.patient, now)


async def test_who_asked_has_a_word_about_what_came_since(two: Two, now: datetime) -> None:
    """Seen again at the place that asked: the other's agreement alone destroys nothing there."""
    db, house = two.db, two.house
    request = await two.ask(now)
    later = now + timedelta(days=9)
    again = Right(
        actor_id=house.foreign_doctor,
        subject_id=house.patient,
        kind=Kind.RECORD,
        organisation_id=house.other_clinic,
        since=later,
    )
    await grant(db, again, "test")
    waits = await two.answer(request, later)
    assert (waits.state, waits.answer) == (RequestState.OPEN, "agreed")
    assert (await key_of(db, house.patient, later)).owner == house.patient
    assert erasure_log.read(two.home) == []
    assert await two.told(two.asker) == ["erasure_agreed"]
    await two.erase(later)
    assert len(erasure_log.read(two.home)) == 1


async def test_a_word_is_none_about_a_note_of_later(two: Two, now: datetime) -> None:
    """The doctor of a visit that is over may still write."""
    db, house = two.db, two.house
    request = await two.ask(now)
    new = NewHold(person_id=house.patient, reason="суд")
    hold = await set_hold(db, await two.as_asker(now), house.other_clinic, new, now)
    await two.answer(request, now)
    later = now + timedelta(hours=1)
    doctor = await house.as_(db, house.doctor, later)
    await put_note(db, doctor, house.visit, NoteChange("Звонил: хуже", 0), later)
    await lift_hold(db, await two.as_asker(later), house.other_clinic, hold.id, later)
    with pytest.raises(NotErasable) as refused:
        await two.erase(later)
    assert refused.value.params["reasons"] == ["elsewhere", "records_elsewhere"]
    assert erasure_log.read(two.home) == []


async def test_one_request_at_a_time_and_taken_back_at_will(two: Two, now: datetime) -> None:
    """The other clinic answers the one there is; a withdrawn one is agreed to by nobody."""
    db, house = two.db, two.house
    request = await two.ask(now)
    mine = NewErasure(house.patient, ErasureReason.COURT)
    with pytest.raises(ErasureAsked):
        await two.ask(now)
    with pytest.raises(ErasureAsked):
        await ask(db, await two.as_keeper(now), house.clinic, mine, now)
    with pytest.raises(NotFound):  # not its own
        await withdraw(db, await two.as_keeper(now), house.clinic, request.id, now)
    for _ in range(2):
        await withdraw(db, await two.as_asker(now), house.other_clinic, request.id, now)
    with pytest.raises(RequestOver):
        await two.answer(request, now)

    alone = NewErasure(house.other_patient, ErasureReason.ASKED)
    with pytest.raises(NobodyToAsk):
        await ask(db, await two.as_keeper(now), house.clinic, alone, now)


async def test_only_fresh_administrators_of_keepers_answer(two: Two, now: datetime) -> None:
    """Nor the one who asked for himself, nor whoever is to be erased, nor a doctor."""
    db, house = two.db, two.house
    request = await two.ask(now)
    stores = (two.home, two.objects)
    doctor = await caller(db, house, house.doctor, now)
    keeper = await two.as_keeper(now)
    stale = msgspec.structs.replace(keeper, proved_at=now - timedelta(hours=1))
    for who, where, refusal in (
        (await two.as_asker(now), house.other_clinic, NotFound),
        (await two.as_asker(now), house.clinic, NotFound),
        (doctor, house.clinic, Forbidden),
        (stale, house.clinic, StepUpNeeded),
    ):
        with pytest.raises(refusal):
            await answer(db, *stores, who, where, request.id, AGREED, now)
    with pytest.raises(NotFound):
        await answer(db, *stores, await two.as_keeper(now), house.clinic, new_id(), AGREED, now)
    hat = Right(
        actor_id=house.patient, kind=Kind.ADMINISTRATION, organisation_id=house.clinic, since=now
    )
    await grant(db, hat, "test")
    himself = await caller(db, house, house.patient, now)
    with pytest.raises(NotErasable) as refused:
        await answer(db, *stores, himself, house.clinic, request.id, AGREED, now)
    assert refused.value.params["reasons"] == ["oneself"]
    assert await db.get(Erasures, house.patient) is None


async def test_a_clinic_that_keeps_nothing_more_need_not_agree(two: Two, now: datetime) -> None:
    """And one that came to know him meanwhile must."""
    db, house = two.db, two.house
    third = new_id()
    await db.execute(
        update(Relations)
        .where(Relations.actor_id == house.patient, Relations.organisation_id == house.clinic)
        .values(until=now)
    )
    request = await two.ask(now)
    db.add(Organisations(id=third, kind="school", name="Третья"))
    await db.flush()
    there = Right(
        actor_id=house.patient, kind=Kind.CLASS, organisation_id=third, about_id=new_id(), since=now
    )
    await grant(db, there, "test")
    waits = await two.answer(request, now)
    assert waits.state is RequestState.OPEN
    (seen,) = await list_requests(db, (await two.as_asker(now)).actor, house.other_clinic, now)
    assert (seen.keepers, seen.agreed) == (2, 1)
    assert erasure_log.read(two.home) == []


async def test_requests_go_a_year_after_their_end(two: Two, now: datetime) -> None:
    """With their answers; the audit keeps who asked and who answered what."""
    request = await two.ask(now)
    await two.answer(request, now, NewErasureAnswer(ErasureWord.REFUSED, KeepReason.IN_CARE))
    count = select(func.count()).select_from(ErasureRequests)
    for days, left in ((364, 1), (366, 0)):
        await retain(Work(two.db, two.objects, two.home, now + timedelta(days=days)))
        assert await two.db.scalar(count) == left
