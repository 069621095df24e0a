"""Erasing a patient: other clinics' papers stand against it, and nothing plain outlives it."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api import erasure as door
from devices.frames import StreamHeader
from people import erasing as erasing_people
from people.audit import WRITE_PATH
from people.document_deliveries import DocumentDeliveries
from people.erasure import (
    ErasureReason,
    Erasures,
    NewErasure,
    NotErasable,
    erase,
    forget_erased,
    replay,
)
from people.keepers import keepers_of
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import Relations, actor_of, grant
from storage import erasure_log
from storage.engine import new_id
from storage.erasure_log import Erased
from storage.jobs import Work
from storage.objects import Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings
from telemed import erasing
from telemed.ecg import EcgChunks, open_stream
from telemed.ecg_chunks import pack, seal_chunks
from telemed.notes import NoteChange, VisitNotes, get_note, put_note
from telemed.visits import close_visit
from tests.telemed.clinic_house import House
from tests.telemed.document_desk import caller, school_of, signed


@pytest.fixture
async def stranger(db: AsyncSession, house: House, now: datetime) -> Actor:
    """The administrator of a second clinic, which knows the patient too."""
    row = Persons(id=new_id(), family_name="Чужая", given_name="Алина", created_at=now)
    db.add(row)
    await db.flush()
    for who, kind in ((row.id, Kind.ADMINISTRATION), (house.patient, Kind.ATTACHMENT)):
        there = Right(actor_id=who, kind=kind, organisation_id=house.other_clinic, since=now)
        await grant(db, there, "test")
    return await actor_of(db, row.id, now)


@pytest.fixture
async def home(stores: Settings, objects: Objects, tmp_path: Path) -> Settings:
    """A home whose log of erasures is this test's own."""
    for key in await objects.keys(erasure_log.PREFIX):
        await objects.delete(key)
    return replace(stores, home=tmp_path)


async def plain_chunks(
    db: AsyncSession, objects: Objects, house: House, now: datetime, count: int
) -> list[EcgChunks]:
    """Objects from before objects were sealed, oldest first."""
    header = StreamHeader(stream=uuid4(), rate_hz=360, gain_per_mv=200, baseline=1024, lead="II")
    stream = (await open_stream(db, house.recorder, header, now)).stream
    data = pack([b"plain frame"])
    chunks = [
        EcgChunks(
            stream=stream,
            first_sequence=number,
            last_sequence=number,
            started_at=now,
            last_started_at=now,
            object_key=f"ecg/{stream}/{number}",
            size=len(data),
            sha256=hashlib.sha256(data).digest(),
            created_at=now,
        )
        for number in range(count)
    ]
    for chunk in chunks:
        await objects.put(chunk.object_key, data)
        db.add(chunk)
        await db.flush()
    return chunks


async def erased(db: AsyncSession, person_id: UUID, now: datetime) -> None:
    await replay(db, [Erased(owner=person_id, at=now, reason="asked")], now)


@pytest.mark.parametrize("left", ["right", "visit"])
async def test_nobody_destroys_another_clinics_records(  # noqa: PLR0917 - the doctor, the stranger, stores
    db: AsyncSession,
    house: House,
    stranger: Actor,
    home: Settings,
    objects: Objects,
    now: datetime,
    left: str,
) -> None:
    """The patient has left that clinic; its doctor still reads the note that he wrote there."""
    doctor = await house.as_(db, house.doctor)
    await put_note(db, doctor, house.visit, NoteChange("Жалоб нет", 0), now)
    await close_visit(db, doctor, house.visit, now)
    over = Relations.actor_id == house.patient, Relations.organisation_id == house.clinic
    await db.execute(update(Relations).where(*over).values(until=now))
    if left == "visit":  # its doctor may have gone too: the record is the clinic's all the same
        theirs = Relations.subject_id == house.patient
        await db.execute(update(Relations).where(theirs).values(until=now))
    assert stranger.id is not None
    who = await caller(db, house, stranger.id, now)

    new = NewErasure(house.patient, ErasureReason.ASKED)
    with pytest.raises(NotErasable) as refused:
        await erase(db, home, objects, who, house.other_clinic, new, now)

    assert refused.value.params["reasons"] == ["records_elsewhere"]
    assert erasure_log.read(home) == []
    if left == "right":
        doctor = await house.as_(db, house.doctor)
        assert (await get_note(db, doctor, house.visit, now)).text == "Жалоб нет"


def test_the_door_to_erasing_asks_every_room() -> None:
    """A room that nobody imports would not be asked what it keeps for others."""
    assert {erasing, erasing_people} <= set(door.ROOMS)


async def test_nothing_plain_outlives_an_erasure(
    db: AsyncSession, house: House, objects: Objects, settings: Settings, now: datetime
) -> None:
    """Notes and objects from before there were keys; those that wait for their deletion too."""
    note = {"visit_id": house.visit, "text": "Жалоб нет", "version": 1}
    written = {"written_by": house.doctor, "written_at": now}
    await db.execute(insert(VisitNotes).values(note | written))
    later = now + timedelta(minutes=1)
    first = await plain_chunks(db, objects, house, now, 1)
    await seal_chunks(Work(db, objects, settings, now))
    assert first[0].old_key is not None
    chunks = await plain_chunks(db, objects, house, now, 1)
    plain = [first[0].old_key, chunks[0].object_key]
    assert [await objects.exists(key) for key in plain] == [True, True]

    await erased(db, house.patient, later)
    nowhere = S3Place("http://127.0.0.1:9", settings.s3_access_key, settings.s3_secret_key)
    away = S3Objects(replace(settings, outside_objects=nowhere))
    with pytest.raises(ObjectsAway):
        await forget_erased(Work(db, away, settings, later), str(house.patient))
    assert (await db.get_one(Erasures, house.patient)).done_at is None
    await forget_erased(Work(db, objects, settings, later), str(house.patient))

    assert (await db.get_one(Erasures, house.patient)).done_at == later
    assert [await objects.exists(key) for key in plain] == [False, False]
    row = select(VisitNotes.text, VisitNotes.sealed)
    assert (await db.execute(row, execution_options=WRITE_PATH)).all() == [(None, b"")]


async def test_a_lost_object_keeps_no_other_from_being_sealed(
    db: AsyncSession, house: House, objects: Objects, settings: Settings, now: datetime
) -> None:
    """Nor does a damaged one; both are asked for again a day later."""
    lost, damaged, whole = await plain_chunks(db, objects, house, now, 3)
    key = lost.object_key
    data = await objects.get(key)
    await objects.delete(key)
    await objects.put(damaged.object_key, b"something else")
    await seal_chunks(Work(db, objects, settings, now))
    assert (lost.sealed_at, lost.unread_at) == (None, now)
    assert (damaged.sealed_at, damaged.unread_at) == (None, now)
    assert whole.sealed_at == now

    await objects.put(key, data)
    soon, tomorrow = now + timedelta(hours=1), now + timedelta(days=1, hours=1)
    await seal_chunks(Work(db, objects, settings, soon))
    assert lost.sealed_at is None
    await seal_chunks(Work(db, objects, settings, tomorrow))
    state = await db.execute(
        select(EcgChunks.sealed_at, EcgChunks.old_key).where(EcgChunks.id == lost.id),
        execution_options=WRITE_PATH,
    )
    assert state.one() == (tomorrow, key)


async def test_a_school_keeps_what_was_handed_to_it(
    db: AsyncSession, house: House, stores: Settings, now: datetime
) -> None:
    """Of a pupil who has left too; not what it refused."""
    document = await signed(db, house, stores, now)
    given, _ = await school_of(db, house)
    school = given.organisation_id
    left = update(Relations).where(Relations.actor_id == house.patient)
    await db.execute(left.where(Relations.organisation_id == school).values(until=now))
    row = DocumentDeliveries(
        document_id=document.id, organisation_id=school, given_by=house.doctor, given_at=now
    )
    db.add(row)
    await db.flush()
    places = [one.organisation_id for one in await keepers_of(db, house.patient, now)]
    assert school in places
    row.answered_at, row.answered_by, row.accepted = now, house.administrator, False
    await db.flush()
    places = [one.organisation_id for one in await keepers_of(db, house.patient, now)]
    assert places == [house.clinic]
