"""A hold in a bucket with object lock: nobody deletes the person's objects, with any keys."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import held_objects
from people.held_objects import hold_new_objects, hold_objects
from people.holds import NewHold, lift_hold, set_hold
from people.persons import Persons
from storage.jobs import Work
from storage.objects import ObjectsAway
from storage.s3 import S3Objects
from storage.settings import Settings
from tests.telemed.clinic_house import House, furnish
from tests.telemed.document_desk import caller
from tests.telemed.test_erasing import plain_chunks
from tests.telemed.test_health_retention import asked_for


@pytest.fixture
async def locked(stores: Settings) -> AsyncIterator[S3Objects]:
    """A store whose bucket was made with object lock."""
    store = S3Objects(replace(stores, s3_bucket=f"locked-{uuid4().hex[:8]}"))
    store.client.make_bucket(store.bucket, stores.s3_region, object_lock=True)
    yield store
    store.close()


def versions(store: S3Objects) -> int:
    found = store.client.list_objects(store.bucket, recursive=True, include_version=True)
    return len(list(found))


async def test_what_is_held_is_deleted_by_nobody_until_the_hold_is_lifted(
    db: AsyncSession, house: House, locked: S3Objects, stores: Settings, now: datetime
) -> None:
    """Set and lifted with the person's hold; others' objects are left alone."""
    (held,) = await plain_chunks(db, locked, house, now, 1)
    await locked.put("ecg/somebody/else", b"x")
    work = Work(db, locked, stores, now)
    who = await caller(db, house, house.administrator, now)
    new = NewHold(person_id=house.patient, reason="суд")
    hold = await set_hold(db, who, house.clinic, new, now)
    assert await asked_for(db, "people.hold_objects") == 1
    await hold_objects(work, house.patient)

    with pytest.raises(ObjectsAway, match="AccessDenied"):
        await locked.delete(held.object_key)
    assert hashlib.sha256(await locked.get(held.object_key)).digest() == held.sha256
    await locked.delete("ecg/somebody/else")
    assert versions(locked) == 1

    await lift_hold(db, who, house.clinic, hold.id, now)
    await hold_objects(work, house.patient)
    await locked.delete(held.object_key)
    assert versions(locked) == 0  # gone, and not only hidden


async def test_what_came_later_is_held_too_and_let_go_when_the_day_has_come(
    db: AsyncSession, house: House, locked: S3Objects, stores: Settings, now: datetime
) -> None:
    """The daily look; an object that is lost stops nobody."""
    who = await caller(db, house, house.administrator, now)
    day = now + timedelta(days=2)
    new = NewHold(person_id=house.patient, reason="суд", until=day)
    await set_hold(db, who, house.clinic, new, now)
    lost, there = await plain_chunks(db, locked, house, now, 2)
    await locked.delete(lost.object_key)
    for at, on in ((now, True), (day + timedelta(hours=1), False)):
        await hold_new_objects(Work(db, locked, stores, at))
        assert await asked_for(db, "people.hold_objects") == 1  # the one that waits will do
        await hold_objects(Work(db, locked, stores, at), house.patient)
        bucket = locked.bucket
        assert locked.client.is_object_legal_hold_enabled(bucket, there.object_key) is on


async def test_what_is_stored_meanwhile_does_not_wait_for_the_store(
    engine: AsyncEngine,
    locked: S3Objects,
    stores: Settings,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of objects take minutes: a reading (a foreign key) goes on, another hold waits."""
    async with AsyncSession(engine) as db, db.begin():
        person = (await furnish(db)).patient
    free: dict[str, bool] = {}

    async def room(_: AsyncSession, person_id: UUID) -> list[str]:
        async with engine.connect() as other:
            row = select(Persons.id).where(Persons.id == person_id)
            key = row.with_for_update(key_share=True, read=True, skip_locked=True)
            free["foreign key"] = await other.scalar(key) is not None
            hold = row.with_for_update(skip_locked=True)
            free["hold"] = await other.scalar(hold) is not None
        return []

    monkeypatch.setattr(held_objects, "_lies", [room])
    async with AsyncSession(engine) as db:
        await hold_objects(Work(db, locked, stores, now), person)
    assert free == {"foreign key": True, "hold": False}


async def test_a_bucket_without_object_lock_is_left_alone(
    db: AsyncSession, house: House, objects: S3Objects, stores: Settings, now: datetime
) -> None:
    """As the house's own is: the hold stands in the house, and objects are deleted as ever."""
    assert not await objects.locks()
    (chunk,) = await plain_chunks(db, objects, house, now, 1)
    who = await caller(db, house, house.administrator, now)
    await set_hold(db, who, house.clinic, NewHold(person_id=house.patient, reason="суд"), now)
    work = Work(db, objects, stores, now)
    await hold_objects(work, house.patient)
    await hold_new_objects(work)
    await objects.delete(chunk.object_key)
    assert not await objects.exists(chunk.object_key)
