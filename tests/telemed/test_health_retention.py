"""A health record goes whole, when its last entry is past the time an operator names."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api import runner
from devices.measurement import Kind as MeasurementKind
from devices.measurement import Measurement
from people import erasing as erasing_people
from people import files, health_retention, lost_files
from people.audit import WRITE_PATH, AuditActs
from people.document_checks import CheckState, check_line
from people.document_contents import Conclusion
from people.document_prints import object_key
from people.documents import (
    DocumentErased,
    Documents,
    DocumentTexts,
    DocumentViews,
    get_document,
)
from people.erasing import delete_prints
from people.files import Files
from people.health_retention import before, forget_record, over, retain_health
from people.holds import LegalHolds
from people.policy import Actor, Kind
from storage.data_keys import key_of
from storage.engine import Base, new_id
from storage.file_checks import Judged
from storage.file_checks import Kind as FileKind
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed import retaining, visit_files
from telemed.ecg import EcgChunks, EcgStreams
from telemed.ecg_strips import Content, EcgStrips, NewStrip, attach
from telemed.ecg_trace import Lead
from telemed.notes import NoteChange, VisitNotes, put_note
from telemed.reading_tables import ReadingDays, ReadingHours, Readings
from telemed.readings import apply, incoming
from telemed.retaining import delete_recordings
from telemed.visits import Visits, close_visit
from tests.telemed.clinic_house import House
from tests.telemed.document_desk import print_all, signed
from tests.telemed.test_erasing import plain_chunks

YEARS = 25
TABLES: Sequence[type[Base]] = (
    *(Visits, VisitNotes, EcgStreams, EcgChunks, EcgStrips, DocumentTexts),
    *(Readings, ReadingHours, ReadingDays),
)
Jobs = Callable[[datetime], Work]


@pytest.fixture
async def jobs(db: AsyncSession, objects: Objects, stores: Settings) -> Jobs:
    """What a job is given at a moment, where an operator keeps records for 25 years."""
    told = replace(stores, keep_health_records_years=YEARS)
    return lambda at: Work(db, objects, told, at)


@pytest.fixture
async def record(  # noqa: PLR0917 - what a record is made of
    db: AsyncSession,
    house: House,
    objects: Objects,
    stores: Settings,
    tmp_path: Path,
    now: datetime,
) -> UUID:
    """The patient's: a visit with a note, a file, a signed document, a pressure and an ECG."""
    doctor = await house.as_(db, house.doctor)
    await put_note(db, doctor, house.visit, NoteChange("Жалоб нет", 0), now)
    body = tmp_path / "body"
    body.write_text("Гемоглобин 140")
    size, key = body.stat().st_size, await key_of(db, house.patient, now)
    judged = Judged(kind=FileKind.TEXT, kept=body, size=size, preview=None, preview_size=None)
    stored = await files.put(objects, key, judged)
    new = files.NewFile(new_id(), "Анализ.txt", size)
    await visit_files.add(db, doctor, house.visit, new, stored, now)
    values = {"systolic": 128.0, "diastolic": 82.0, "pulse": 71.0}
    measured = Measurement(
        kind=MeasurementKind.BLOOD_PRESSURE, sequence=1, taken_at=now, values=values, unit="mmHg"
    )
    await apply(db, incoming(house.cuff, [measured], now))
    await plain_chunks(db, objects, house, now, 1)
    await _strip(db, doctor, house.visit, now)
    document = await signed(db, house, stores, now, Conclusion(text="Жалоб нет"))
    await print_all(db, objects, stores, document, now)
    await close_visit(db, doctor, house.visit, now)
    return document.id


async def _strip(db: AsyncSession, doctor: Actor, visit: UUID, now: datetime) -> None:
    new = NewStrip(id=new_id(), from_us=0, until_us=1, speed_mm_s=25, gain_mm_mv=10)
    kept = Content(
        asked=new,
        lead=Lead(name="I", rate_hz=250, gain_per_mv=1, baseline=0),
        started_at_us=0,
        payload=b"",
        beats=[],
        caption=[],
        filter="",
        scale="",
        timezone="Europe/Moscow",
    )
    await attach(db, doctor, visit, new_id(), new, kept, b"%PDF", now)


async def left(db: AsyncSession) -> dict[str, int]:
    """How many rows of health there are, where there are any."""
    found = {}
    for table in TABLES:
        query = select(func.count()).select_from(table)
        found[table.__tablename__] = await db.scalar(query, execution_options=WRITE_PATH) or 0
    query = select(func.count()).where(Files.removed_at.is_(None))
    found["files"] = await db.scalar(query, execution_options=WRITE_PATH) or 0
    return {name: count for name, count in found.items() if count}


async def asked_for(db: AsyncSession, name: str) -> int:
    """Jobs of a name that wait."""
    count = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name")
    return await db.scalar(count, {"name": name}) or 0


async def test_a_record_past_its_time_goes_whole(
    db: AsyncSession, house: House, jobs: Jobs, record: UUID, now: datetime
) -> None:
    """The day before nothing does; of the document its number stays, and verifies."""
    there = await left(db)
    assert there.keys() >= {table.__tablename__ for table in TABLES} | {"files"}
    early = now.replace(year=now.year + YEARS) + timedelta(hours=1)
    late = early + timedelta(days=2)  # the visit ends in an hour, days are counted whole
    await forget_record(jobs(early), house.patient)
    await retain_health(jobs(early))
    assert await left(db) == there
    assert await asked_for(db, "people.forget_record") == 0

    await retain_health(jobs(late))
    assert await asked_for(db, "people.forget_record") == 1
    doctor = await house.as_(db, house.doctor, late)
    assert Kind.RECORD in {right.kind for right in doctor.rights}
    await forget_record(jobs(late), house.patient)

    assert await left(db) == {}
    doctor = await house.as_(db, house.doctor, late)
    assert Kind.RECORD not in {right.kind for right in doctor.rights}
    kept = select(AuditActs.details).where(AuditActs.act == "record_time_over")
    assert await db.scalar(kept) == {"years": "25"}
    row = await db.get_one(Documents, record)
    assert (row.state, row.number is None) == ("signed", False)
    line = await db.scalar(select(DocumentViews.line).where(DocumentViews.document_id == record))
    assert line is not None
    answer = await check_line(db, line, "10.0.0.0/24", late)
    assert answer.state is CheckState.GENUINE
    patient = await house.as_(db, house.patient, late)
    with pytest.raises(DocumentErased):
        await get_document(db, patient, record, late)
    assert await over(db, before(late, YEARS), late) == []  # and is not found again
    assert (await key_of(db, house.patient, late)).owner == house.patient  # the person lives here


async def test_objects_go_a_day_later_and_only_those_without_a_row(  # noqa: PLR0917 - pytest gives them by name
    db: AsyncSession, house: House, objects: Objects, jobs: Jobs, record: UUID, now: datetime
) -> None:
    """A backup that runs counts on them until then; a job that comes by mistake takes nothing."""
    recording = select(EcgChunks.object_key, EcgChunks.stream)
    (row,) = (await db.execute(recording, execution_options=WRITE_PATH)).all()
    view = await db.scalar(select(DocumentViews.id).where(DocumentViews.document_id == record))
    assert view is not None
    kept = select(Files.object_id)
    object_id = (await db.scalars(kept, execution_options=WRITE_PATH)).one()
    keys = [row.object_key, object_key(view), files.object_key(object_id, "whole")]
    streams = [row.stream.hex]

    async def there() -> list[bool]:
        return [await objects.exists(key) for key in keys]

    await delete_recordings(jobs(now), streams)
    await delete_prints(jobs(now), str(house.patient))
    assert await there() == [True, True, True]

    late = now.replace(year=now.year + YEARS) + timedelta(days=2)
    await forget_record(jobs(late), house.patient)
    assert await there() == [True, True, True]
    assert await asked_for(db, "telemed.delete_recordings") == 1
    assert await asked_for(db, "people.delete_prints") == 1
    await delete_recordings(jobs(late), streams)
    await delete_prints(jobs(late), str(house.patient))
    await lost_files.reconcile(jobs(late + timedelta(days=2)))
    assert await there() == [False, False, False]


@pytest.mark.parametrize("why", ["held", "newer", "unset", "longer"])
async def test_a_record_stays_while_somebody_needs_it(  # noqa: PLR0917 - pytest gives them by name
    db: AsyncSession, house: House, jobs: Jobs, record: UUID, why: str, now: datetime
) -> None:
    """Held; measured lately; without the operator's word; with a longer one by the time it runs."""
    late = now.replace(year=now.year + YEARS) + timedelta(days=2)
    work = jobs(late)
    if why == "held":
        reason = {"reason": "суд", "set_by": house.administrator, "set_at": now}
        db.add(LegalHolds(organisation_id=house.clinic, person_id=house.patient, **reason))
        await db.flush()
    elif why == "newer":
        newer = update(ReadingDays).values(since=late - timedelta(days=9))
        await db.execute(newer, execution_options={"synchronize_session": False})
    else:
        years = None if why == "unset" else YEARS + 1
        work = replace(work, settings=replace(work.settings, keep_health_records_years=years))
    there = await left(db)
    await retain_health(work)
    assert await asked_for(db, "people.forget_record") == 0
    await forget_record(work, house.patient)
    assert await left(db) == there
    assert (await db.get_one(Documents, record)).state == "signed"


@pytest.mark.parametrize("taken_before", [timedelta(days=1), timedelta(days=366 * YEARS)])
async def test_a_reading_that_no_day_has_counted_keeps_the_record(  # noqa: PLR0917 - pytest gives them by name
    db: AsyncSession,
    house: House,
    jobs: Jobs,
    record: UUID,
    taken_before: timedelta,
    now: datetime,
) -> None:
    """Of the one who is to go every reading is asked: what a clock years behind sent came lately."""
    late = now.replace(year=now.year + YEARS) + timedelta(days=2)
    row = {
        "id": new_id(),
        "person_id": house.patient,
        "device_id": house.cuff.id,
        "sequence": 99,
        "kind": "pulse",
        "taken_at": late - taken_before,
        "received_at": late,
        "values": {"pulse": 70.0},
        "unit": "/min",
        "sent_values": {"pulse": 70.0},
        "sent_unit": "/min",
        "flags": [],
        "content": b"x",
    }
    db.add(Readings(**row))
    await db.flush()
    there = await left(db)
    assert await over(db, before(late, YEARS), late) == [house.patient]
    await forget_record(jobs(late), house.patient)
    assert await left(db) == there
    assert (await db.get_one(Documents, record)).state == "signed"


async def test_whoever_is_kept_in_the_end_stands_in_nobodys_way(
    db: AsyncSession, house: House, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one night's number of them would be found every night, and nobody else."""
    monkeypatch.setattr(health_retention, "_AT_ONCE", 1)
    people = {house.patient, house.other_patient}
    pulse = {"kind": "pulse", "name": "pulse", "since": now - timedelta(days=9999)}
    sums = {"n": 1, "low": 70, "high": 70, "total": 70}
    db.add_all(ReadingDays(person_id=one, **pulse, **sums) for one in people)
    await db.execute(update(Visits).values(patient_id=house.administrator))
    await db.flush()
    found = set[UUID]()
    for days in range(40):  # by chance never: 2^-39
        at = now + timedelta(days=days)
        found |= set(await over(db, before(at, YEARS), at))
    assert found == people


def test_years_are_counted_by_the_calendar(now: datetime) -> None:
    """Of a leap day it is the day before, so that nothing goes too early."""
    assert before(now, 25) == now.replace(year=now.year - 25)
    leap = now.replace(year=2028, month=2, day=29)
    assert before(leap, 25) == leap.replace(year=2003, day=28)


def test_the_runner_does_what_every_room_says() -> None:
    """A room that nobody imports would keep what is past its time."""
    assert {retaining, erasing_people} <= set(runner.JOBS)
