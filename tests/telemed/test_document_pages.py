"""Lists of documents in pages, and who is told of a newer version and of a revocation."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.document_deliveries import DocumentDeliveries, give_to_school
from people.document_drafts import next_version
from people.document_lists import of_person
from people.document_register import register
from people.document_signing import Revocation, SignDocument, revoke, sign
from people.documents import PAGE, Documents, DocumentState, DocumentViews
from people.notices import Notices
from people.received_documents import received
from people.refused import Forbidden, NotFound
from storage.engine import insert_many, new_id
from storage.settings import Settings
from tests.telemed.clinic_house import House
from tests.telemed.document_desk import caller, school_of, signed

COUNT = 2 * PAGE + 1


async def _many(db: AsyncSession, house: House, now: datetime, school: UUID) -> list[UUID]:
    """Signed certificates, several of one moment, that a school was given; the newest first."""
    ids = sorted((new_id() for _ in range(COUNT)), reverse=True)
    times = [now - timedelta(minutes=at // 4) for at in range(COUNT)]
    documents = [
        {
            "id": one,
            "series_id": one,
            "version": 1,
            "organisation_id": house.clinic,
            "subject_id": house.patient,
            "about_id": house.visit,
            "kind": "certificate",
            "state": DocumentState.SIGNED.value,
            "changes": 1,
            "made_by": house.doctor,
            "made_at": at,
            "number": f"2026-{one.int % 10**9:09d}-{n}",
            "signed_by": house.doctor,
            "signed_at": at,
        }
        for n, (one, at) in enumerate(zip(ids, times, strict=True))
    ]
    views = [
        {
            "id": new_id(),
            "document_id": one["id"],
            "audience": "school",
            "code": str(one["id"]),
            "organisation_id": house.clinic,
            "kind": "certificate",
            "number": one["number"],
            "signed_on": now.date(),
            "body_sha256": b"",
            "line": "",
        }
        for one in documents
    ]
    given = [
        {
            "id": one["id"],
            "document_id": one["id"],
            "organisation_id": school,
            "given_by": house.patient,
            "given_at": one["made_at"],
        }
        for one in documents
    ]
    await insert_many(db, Documents, documents)
    await insert_many(db, DocumentViews, views)
    await insert_many(db, DocumentDeliveries, given)
    return ids


async def test_every_list_shows_everything_once_page_by_page(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Rows of one moment too; a place in somebody else's list is no place."""
    new, cast = await school_of(db, house)
    ids = await _many(db, house, now, new.organisation_id)
    patient = await house.as_(db, house.patient)
    admin = await house.as_(db, house.administrator)

    async def mine(before: UUID | None) -> tuple[list[UUID], bool]:
        page = await of_person(db, patient, house.patient, now, before=before)
        return [one.id for one in page.documents], page.more

    async def issued(before: UUID | None) -> tuple[list[UUID], bool]:
        found = await register(db, admin, house.clinic, now, before=before)
        return [one.id for one in found.documents], found.more

    async def at_school(before: UUID | None) -> tuple[list[UUID], bool]:
        school = new.organisation_id
        page = await received(db, cast["clerk"], school, now, before=before)
        return [one.id for one in page.documents], page.more

    for ask in (mine, issued, at_school):
        first, more = await ask(None)
        second, again = await ask(first[-1])
        third, end = await ask(second[-1])
        assert (len(first), more, again, end) == (PAGE, True, True, False)
        assert first + second + third == ids
        with pytest.raises(NotFound):
            await ask(new_id())


async def test_the_register_is_the_administrators_and_names_no_patient(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    done = await signed(db, house, settings, now)
    admin = await house.as_(db, house.administrator)
    page = await register(db, admin, house.clinic, now)
    assert [(one.id, one.number, one.state) for one in page.documents] == [
        (done.id, done.number, DocumentState.SIGNED)
    ]
    said = repr(page)
    assert str(house.patient) not in said
    assert done.subject.name not in said
    with pytest.raises(Forbidden):
        await register(db, await house.as_(db, house.doctor), house.clinic, now)
    for stranger, place in ((house.administrator, house.other_clinic), (house.patient, new_id())):
        with pytest.raises(NotFound):
            await register(db, await house.as_(db, stranger), place, now)


async def _told(db: AsyncSession, person: UUID | None) -> list[tuple[str, object, UUID | None]]:
    query = select(Notices).where(Notices.person_id == person).order_by(Notices.at, Notices.id)
    rows = (await db.scalars(query)).all()
    return [(row.code, row.params.get("by"), row.about_id) for row in rows if "docum" in row.code]


async def test_whoever_was_given_a_document_is_told_of_the_next_version_and_of_a_revocation(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """The school too, by its office; the newer one is not the school's until it is given it."""
    new, cast = await school_of(db, house)
    school, clerk = new.organisation_id, cast["clerk"]
    doctor = await caller(db, house, house.doctor, now)
    patient = await house.as_(db, house.patient)
    first = await signed(db, house, settings, now)
    await give_to_school(db, patient, first.id, new, now)
    later = now + timedelta(minutes=1)
    again = await next_version(db, doctor.actor, first.id, later)
    second = await sign(db, doctor, again.id, SignDocument(1), later, home=settings.home)
    assert await _told(db, clerk.id) == [
        ("school_document_received", None, school),
        ("school_document_superseded", second.number, school),
    ]
    assert await _told(db, house.patient) == [
        ("document_signed", None, first.id),
        ("document_superseded", second.number, second.id),
    ]
    assert len((await received(db, clerk, school, later)).documents) == 1
    await give_to_school(db, patient, second.id, new, later)
    last = later + timedelta(minutes=1)
    await revoke(db, doctor, second.id, Revocation("Ошибка в датах"), last)
    assert (await _told(db, clerk.id))[2:] == [
        ("school_document_received", None, school),
        ("school_document_revoked", None, school),
    ]
    assert (await _told(db, house.patient))[2:] == [("document_revoked", None, second.id)]
    states = [one.state for one in (await received(db, clerk, school, last)).documents]
    assert states == [DocumentState.REVOKED, DocumentState.SUPERSEDED]
