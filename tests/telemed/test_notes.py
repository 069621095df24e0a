"""The note of a visit: the doctor's, and nobody overwrites what they have not read."""

import asyncio
from datetime import datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import facts
from people.audit import WRITE_PATH, AuditReads
from people.refused import Forbidden, NotFound
from storage.data_keys import CannotOpen, KeyGone, destroy
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed.notes import (
    Note,
    NoteChange,
    NoteChanged,
    VisitNotes,
    get_note,
    put_note,
    seal_notes,
)
from telemed.visits import close_visit
from tests.telemed.clinic_house import House, furnish


async def test_a_note_begins_empty_and_keeps_the_last_text(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Each change has the next version."""
    doctor = await house.as_(db, house.doctor)
    assert await get_note(db, doctor, house.visit, now) == Note("", 0)
    facts.take(db)
    assert await put_note(db, doctor, house.visit, NoteChange("Жалоб нет", 0), now) == Note(
        "Жалоб нет", 1
    )
    await put_note(db, doctor, house.visit, NoteChange("Жалоб нет.", 1), now)
    assert await get_note(db, doctor, house.visit, now) == Note("Жалоб нет.", 2)
    assert [type(one) for one in facts.take(db)] == [facts.NoteWritten] * 2


@pytest.mark.parametrize("version", [0, 1, 7])
async def test_a_change_of_a_text_not_read_is_refused_with_the_current_one(
    db: AsyncSession, house: House, now: datetime, version: int
) -> None:
    """From another tab."""
    doctor = await house.as_(db, house.doctor)
    for known, word in enumerate(("a", "b")):
        await put_note(db, doctor, house.visit, NoteChange(word, known), now)
    with pytest.raises(NoteChanged) as refused:
        await put_note(db, doctor, house.visit, NoteChange("c", version), now)
    assert (refused.value.status, refused.value.code) == (409, "note_changed")
    assert refused.value.params == {"text": "b", "version": 2}


@pytest.mark.parametrize("known", [0, 1])
async def test_the_same_change_again_gets_the_same_answer(
    db: AsyncSession, house: House, now: datetime, known: int
) -> None:
    """The answer was lost on the way."""
    doctor = await house.as_(db, house.doctor)
    for version in range(known + 1):
        stored = await put_note(db, doctor, house.visit, NoteChange("x", version), now)
    again = await put_note(db, doctor, house.visit, NoteChange("x", known), now)
    assert again == stored == Note("x", known + 1)


async def test_the_patient_neither_reads_nor_writes_it(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """The visit is visible, the note is not."""
    patient = await house.as_(db, house.patient)
    with pytest.raises(Forbidden):
        await get_note(db, patient, house.visit, now)
    with pytest.raises(Forbidden):
        await put_note(db, patient, house.visit, NoteChange("x", 0), now)


@pytest.mark.parametrize("who", ["colleague", "foreign_doctor", "other_patient", "administrator"])
async def test_a_stranger_finds_no_note(
    db: AsyncSession, house: House, now: datetime, who: str
) -> None:
    """As with the visit."""
    actor = await house.as_(db, getattr(house, who))
    with pytest.raises(NotFound):
        await get_note(db, actor, house.visit, now)
    with pytest.raises(NotFound):
        await put_note(db, actor, house.visit, NoteChange("x", 0), now)


async def test_a_note_is_finished_after_the_visit(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """By the doctor who held it."""
    await close_visit(db, await house.as_(db, house.doctor), house.visit, now)
    doctor = await house.as_(db, house.doctor)
    assert (await put_note(db, doctor, house.visit, NoteChange("Итог", 0), now)).version == 1


async def test_reading_a_note_leaves_a_trace(db: AsyncSession, house: House, now: datetime) -> None:
    """Also an empty one."""
    await get_note(db, await house.as_(db, house.doctor), house.visit, now)
    assert (await db.scalars(select(AuditReads.tables))).all() == [["visit_notes"]]


async def test_of_two_tabs_writing_at_once_one_is_told(engine: AsyncEngine, now: datetime) -> None:
    """Both had read the empty note."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)

    async def write(text: str) -> str:
        async with AsyncSession(engine) as db, db.begin():
            doctor = await house.as_(db, house.doctor)
            try:
                await put_note(db, doctor, house.visit, NoteChange(text, 0), now)
            except NoteChanged as refused:
                return str(refused.params["text"])
            return ""

    told = await asyncio.gather(write("a"), write("b"))
    assert sorted(told) in (["", "a"], ["", "b"])


async def test_a_note_lies_sealed_for_its_visit_and_version(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """An older text, put back into its row by somebody who can write the table, opens not."""
    doctor = await house.as_(db, house.doctor)
    await put_note(db, doctor, house.visit, NoteChange("Жалоб нет", 0), now)
    row = select(VisitNotes.text, VisitNotes.sealed)
    plain, older = (await db.execute(row, execution_options=WRITE_PATH)).one()
    assert plain is None
    assert older is not None
    assert "Жалоб".encode() not in older
    await put_note(db, doctor, house.visit, NoteChange("Кашель", 1), now)
    await db.execute(update(VisitNotes).values(sealed=older))
    with pytest.raises(CannotOpen):
        await get_note(db, doctor, house.visit, now)


async def test_a_plain_note_is_read_and_then_sealed(
    db: AsyncSession, house: House, now: datetime, objects: Objects, settings: Settings
) -> None:
    """As the version before this one wrote it, word for word: it may still run beside."""
    doctor = await house.as_(db, house.doctor)
    old = text(
        "INSERT INTO visit_notes (visit_id, text, version, written_by, written_at) "
        "VALUES (:visit, 'Жалоб нет', 1, :doctor, :now)"
    )
    await db.execute(old, {"visit": house.visit, "doctor": house.doctor, "now": now})
    assert await get_note(db, doctor, house.visit, now) == Note("Жалоб нет", 1)
    await seal_notes(Work(db, objects, settings, now))
    query = select(VisitNotes.text)
    assert await db.scalar(query, execution_options=WRITE_PATH) is None
    assert await get_note(db, doctor, house.visit, now) == Note("Жалоб нет", 1)


async def test_the_note_of_somebody_whose_key_is_destroyed_is_gone(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Neither read nor written any more."""
    doctor = await house.as_(db, house.doctor)
    await put_note(db, doctor, house.visit, NoteChange("Жалоб нет", 0), now)
    await destroy(db, house.patient, now)
    with pytest.raises(KeyGone):
        await get_note(db, doctor, house.visit, now)
    with pytest.raises(KeyGone):
        await put_note(db, doctor, house.visit, NoteChange("x", 1), now)
