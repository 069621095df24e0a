"""Device tokens, and what a person sees of themselves."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.device_tokens import (
    MANUAL,
    Devices,
    NewDevice,
    add_device,
    device_alive,
    device_of,
    hand_of,
    list_devices,
    revoke_device,
    store_hands,
)
from people.organisations import OrganisationKind, Organisations, today_of
from people.persons import MyChanges, Persons, RoleName, me, update_me
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound, NotSignedIn
from people.relations import grant
from storage.engine import new_id

CUFF = NewDevice("Тонометр", "cuff", ["blood_pressure"])


async def test_a_token_leads_to_its_device_and_person(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """And is given once: the store has its digest."""
    made, token = await add_device(db, Actor(patient.id), patient.id, CUFF, now)
    known = await device_of(db, token, now)
    assert (known.id, known.person_id, known.kinds) == (made.id, patient.id, ("blood_pressure",))
    row = await db.get_one(Devices, made.id)
    assert row.token_sha256 is not None
    assert token.encode() not in row.token_sha256
    listed = await list_devices(db, Actor(patient.id), patient.id, now)
    assert [(one.id, one.last_seen_at) for one in listed] == [(made.id, now)]


async def test_a_device_writes_for_its_person_and_reads_nothing(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    """Write-only, bound to one person."""
    made, _ = await add_device(db, Actor(patient.id), patient.id, CUFF, now)
    thing = Thing(subject_id=patient.id)
    granted = {act for act in Act if may(made.actor, act, thing, now)}
    anyone = {Act.SIGN_IN, Act.LOOK_AT_SERVICE}
    assert granted - anyone == {Act.SEND_READINGS, Act.SEND_ECG}
    assert not may(made.actor, Act.SEND_READINGS, Thing(subject_id=doctor.id), now)


async def test_a_revoked_token_is_worth_nothing(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """At once, and its sockets are told."""
    made, token = await add_device(db, Actor(patient.id), patient.id, CUFF, now)
    assert await device_alive(db, made.id)
    await revoke_device(db, Actor(patient.id), made.id, now)
    assert facts.take(db) == [facts.DeviceRevoked(at=now, person_id=patient.id, device_id=made.id)]
    with pytest.raises(NotSignedIn):
        await device_of(db, token, now)
    assert not await device_alive(db, made.id)
    assert await list_devices(db, Actor(patient.id), patient.id, now) == []


async def test_nobody_adds_lists_or_revokes_another_persons_device(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    """Not even the doctor."""
    made, token = await add_device(db, Actor(patient.id), patient.id, CUFF, now)
    with pytest.raises(Forbidden):
        await add_device(db, Actor(doctor.id), patient.id, CUFF, now)
    with pytest.raises(Forbidden):
        await list_devices(db, Actor(doctor.id), patient.id, now)
    with pytest.raises(NotFound):
        await revoke_device(db, Actor(doctor.id), made.id, now)
    assert (await device_of(db, token, now)).id == made.id


async def test_the_hand_is_one_row_a_person_and_not_in_the_list(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """However often it is stored."""
    hand = hand_of(patient.id, ("glucose",), now)
    await store_hands(db, [hand])
    await store_hands(db, [hand_of(patient.id, ("glucose",), now + timedelta(1))])
    row = await db.get_one(Devices, hand.id)
    assert (row.kind, row.token_sha256, row.created_at) == (MANUAL, None, now)
    assert await list_devices(db, Actor(patient.id), patient.id, now) == []
    with pytest.raises(NotFound):
        await revoke_device(db, Actor(patient.id), hand.id, now)


async def test_me_shows_every_hat_once(
    db: AsyncSession, doctor: Persons, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """A doctor who is a patient and a parent of two."""
    for child in (patient.id, new_child(db, now)):
        right = Right(actor_id=doctor.id, kind=Kind.GUARDIANSHIP, subject_id=child, since=now)
        await db.flush()
        await grant(db, right, "test")
    where = {"organisation_id": clinic.id, "since": now}
    await grant(db, Right(actor_id=doctor.id, kind=Kind.ATTACHMENT, **where), "test")
    await grant(db, Right(actor_id=doctor.id, kind=Kind.ADMINISTRATION, **where), "test")
    found = await me(db, doctor.id, now)
    assert [(one.role, one.organisation_name) for one in found.roles] == [
        (RoleName.ADMINISTRATOR, "Поликлиника"),
        (RoleName.PATIENT, "Поликлиника"),
        (RoleName.DOCTOR, "Поликлиника"),
        (RoleName.PARENT, None),
    ]
    assert {one.organisation_kind for one in found.roles} == {OrganisationKind.CLINIC, None}
    assert found.staff
    assert found.name == "Амина Хасан"


def new_child(db: AsyncSession, now: datetime) -> object:
    child = Persons(id=new_id(), family_name="", given_name="", created_at=now)
    db.add(child)
    return child.id


async def test_a_patient_is_no_staff(db: AsyncSession, patient: Persons, now: datetime) -> None:
    """Staff idle out sooner; patients do not."""
    assert not (await me(db, patient.id, now)).staff


async def test_an_unknown_person_is_not_found(db: AsyncSession, now: datetime) -> None:
    """Neither read nor changed."""
    nobody = new_id()
    with pytest.raises(NotFound):
        await me(db, nobody, now)
    with pytest.raises(NotFound):
        await update_me(db, Actor(nobody), nobody, MyChanges("en"), now)


async def test_one_changes_ones_own_language_only(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    """The three languages are equal."""
    changed = await update_me(db, Actor(patient.id), patient.id, MyChanges("tt"), now)
    assert changed.language == "tt"
    with pytest.raises(Forbidden):
        await update_me(db, Actor(patient.id), doctor.id, MyChanges("en"), now)


async def test_today_is_the_organisations_day(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """Half past ten in the evening of UTC is tomorrow in Kazan."""
    late = now.replace(hour=22, minute=30)
    assert (await today_of(db, patient.id, late)).day == late.day + 1
    assert (await today_of(db, new_id(), late)).day == late.day
