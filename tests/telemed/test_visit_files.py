"""Files of a visit: quotas that hold at once, rows and objects that lost each other."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import files, lost_files
from people.audit import WRITE_PATH
from people.files import FileIdUsed, Files, FilesFull, NewFile, Stored, plain_name
from people.holds import LegalHolds
from people.kept_files import kept_files
from people.notices import Notices
from people.refused import Forbidden, NotFound
from storage.data_keys import DataKeys, destroy, key_of
from storage.engine import new_id
from storage.file_checks import Judged, Kind
from storage.jobs import Work
from storage.objects import Objects
from storage.sealed_objects import DamagedObject, put_sealed
from storage.settings import Settings
from telemed import visit_files
from tests.telemed.clinic_house import House, furnish


def new(name: str = "a.txt", size: int = 10) -> NewFile:
    """A file with an id of its own."""
    return NewFile(new_id(), name, size)


def lies(size: int = 10) -> Stored:
    """Something that lies in the store, as far as the rows know."""
    return Stored(new_id(), Kind.TEXT, size, None)


async def add(
    db: AsyncSession, house: House, stored: Stored, now: datetime, who: UUID | None = None
) -> UUID:
    """Hand a file in as the patient, or as somebody."""
    actor = await house.as_(db, who or house.patient)
    return (await visit_files.add(db, actor, house.visit, new(), stored, now)).id


async def test_a_person_has_room_for_so_much_and_no_more(
    db: AsyncSession, house: House, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told before a byte is taken, and again when it is kept."""
    monkeypatch.setattr(files, "PERSON_BYTES", 25)
    patient = await house.as_(db, house.patient)
    taken = [await add(db, house, lies(), now) for _ in range(2)]
    with pytest.raises(FilesFull) as refused:
        await visit_files.begin(db, patient, house.visit, new(), now)
    assert refused.value.params == {"whose": "person"}
    with pytest.raises(FilesFull):
        await add(db, house, lies(), now)
    await add(db, house, lies(), now, house.doctor)
    await visit_files.remove(db, patient, house.visit, taken[0], now)
    with pytest.raises(FilesFull):  # its objects stay for a day: in turn they would fill the store
        await add(db, house, lies(), now)
    await add(db, house, lies(5), now)


async def test_a_small_picture_takes_room_too(
    db: AsyncSession, house: House, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the store as the file does."""
    monkeypatch.setattr(files, "PERSON_BYTES", 25)
    shown = Stored(new_id(), Kind.TEXT, 10, 10)
    await add(db, house, shown, now)
    with pytest.raises(FilesFull):
        await add(db, house, lies(), now)


@pytest.mark.parametrize(
    ("limit", "most", "whose"),
    [
        ("ORGANISATION_BYTES", 15, "organisation"),
        ("ABOUT_FILES", 1, "thing"),
        ("PERSON_FILES", 1, "person"),
    ],
)
async def test_each_limit_is_its_own(  # noqa: PLR0917 - a case, and the house
    db: AsyncSession,
    house: House,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    most: int,
    whose: str,
) -> None:
    """Of the place, of one visit, and in number."""
    monkeypatch.setattr(files, limit, most)
    await add(db, house, lies(), now)
    with pytest.raises(FilesFull) as refused:
        await add(db, house, lies(), now)
    assert refused.value.params == {"whose": whose}


async def test_of_two_files_for_the_last_place_one_gets_it(
    engine: AsyncEngine, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both had been told that there is room."""
    monkeypatch.setattr(files, "ORGANISATION_BYTES", 15)
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        await key_of(db, house.patient, now)

    async def hand_in(who: UUID) -> bool:
        async with AsyncSession(engine) as db, db.begin():
            actor = await house.as_(db, who)
            mine = new()
            await visit_files.begin(db, actor, house.visit, mine, now)
            both.append(who)
            while len(both) < 2:  # noqa: ASYNC110 - the other one's task
                await asyncio.sleep(0)
            try:
                await visit_files.add(db, actor, house.visit, mine, lies(), now)
            except FilesFull:
                return False
            return True

    both: list[UUID] = []
    async with asyncio.timeout(30):
        kept = await asyncio.gather(hand_in(house.patient), hand_in(house.doctor))
    assert sorted(kept) == [False, True]


async def test_an_id_that_was_taken_back_is_not_used_again(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """A late repeat does not bring back what was removed."""
    patient, mine = await house.as_(db, house.patient), new()
    await visit_files.add(db, patient, house.visit, mine, lies(), now)
    await visit_files.remove(db, patient, house.visit, mine.id, now)
    with pytest.raises(FileIdUsed):
        await visit_files.begin(db, patient, house.visit, mine, now)


async def test_a_visit_that_is_over_takes_no_more_though_nobody_closed_it(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """What is there stays readable."""
    await add(db, house, lies(), now)
    later = now + timedelta(hours=14)
    patient = await house.as_(db, house.patient)
    with pytest.raises(Forbidden):
        await visit_files.begin(db, patient, house.visit, new(), later)
    assert len(await visit_files.visit_files(db, patient, house.visit, later)) == 1


async def test_of_an_erased_patient_there_is_nothing_to_see(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Not even names: they were sealed."""
    one = await add(db, house, lies(), now)
    await destroy(db, house.patient, now)
    doctor = await house.as_(db, house.doctor)
    with pytest.raises(NotFound):
        await visit_files.visit_files(db, doctor, house.visit, now)
    with pytest.raises(NotFound):
        await visit_files.find(db, doctor, house.visit, one, now)


@pytest.mark.parametrize(
    ("name", "kind", "kept"),
    [
        ("Анализ.pdf", Kind.PDF, "Анализ.pdf"),
        ("C:\\fakepath\\..\\a.pdf", Kind.PDF, "a.pdf"),
        ("a\r\nb\u202e.pdf", Kind.PDF, "a b .pdf"),
        ("photo.png", Kind.JPEG, "photo.jpg"),
        ("../../.pdf", Kind.PDF, ".pdf"),
        (f"{'ә' * 300}.jpg", Kind.PNG, f"{'ә' * 194}.png"),
    ],
)
def test_a_name_is_one_line_with_the_ending_of_what_it_is(name: str, kind: Kind, kept: str) -> None:
    """However it came."""
    assert plain_name(name, kind) == kept


class Kept(NamedTuple):
    """A file, and what its objects are named by."""

    id: UUID
    object_id: UUID


@pytest.fixture
async def kept(  # noqa: PLR0917 - what a file is made of
    db: AsyncSession,
    house: House,
    objects: Objects,
    now: datetime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Kept:
    """A file with its objects, in a corner of the bucket of this test's own."""
    corner = f"files-{new_id()}/"
    for module in (files, lost_files):
        monkeypatch.setattr(module, "OBJECTS", corner)
    body = tmp_path / "body"
    body.write_bytes(b"0123456789")
    key = await key_of(db, house.patient, now)
    judged = Judged(kind=Kind.TEXT, kept=body, size=10, preview=body, preview_size=10)
    file = await add(db, house, await files.put(objects, key, judged), now)
    await files.put(objects, key, judged)  # a commit that failed
    query = select(Files.object_id).where(Files.id == file)
    (object_id,) = await db.scalars(query, execution_options=WRITE_PATH)
    return Kept(file, object_id)


async def test_what_is_read_back_is_what_was_handed_in_or_nothing(
    kept: Kept, house: House, objects: Objects, db: AsyncSession, now: datetime
) -> None:
    """Held against the digest that its row keeps sealed; a part of it against its length only."""
    row = await db.get_one(Files, kept.id, execution_options=WRITE_PATH)
    key = await key_of(db, house.patient, now)
    whole, small = files.found(row, key), files.found(row, key, preview=True)
    assert whole.sha256 == small.sha256 == hashlib.sha256(b"0123456789").digest()
    assert whole.sha256 not in (row.sealed_digest or b""), "it tells what somebody has"
    assert await _read(objects, whole) == await _read(objects, small) == b"0123456789"
    assert [one async for one in kept_files(db, objects)] == [(kept.id, True)]
    for other, part in ((b"9876543210", b"987"), (b"0", None)):
        await put_sealed(objects, whole.object_key, other, key, whole.about)
        with pytest.raises(DamagedObject):
            await _read(objects, whole)
        if part is not None:
            assert await _read(objects, whole, 3) == part
        assert [one async for one in kept_files(db, objects)] == [(kept.id, False)]
    row.sealed_digest = None  # of before there were any
    await put_sealed(objects, whole.object_key, b"9876543210", key, whole.about)
    assert await _read(objects, files.found(row, key)) == b"9876543210"


async def test_a_file_whose_key_is_missing_is_not_taken_for_one_of_somebody_erased(
    kept: Kept, house: House, objects: Objects, db: AsyncSession, now: datetime
) -> None:
    """A drill that leaves it out passes while nobody can open it."""
    await db.execute(delete(DataKeys).where(DataKeys.owner == house.patient))
    assert [one async for one in kept_files(db, objects)] == [(kept.id, False)]
    await destroy(db, house.patient, now)
    assert [one async for one in kept_files(db, objects)] == []


async def _read(objects: Objects, found: files.FoundFile, length: int | None = None) -> bytes:
    """Its first bytes, or all of them."""
    pieces = files.read(objects, found, 0, found.size if length is None else length)
    return b"".join([piece async for piece in pieces])


class Night:
    """The job, run some days after now."""

    def __init__(self, db: AsyncSession, objects: Objects, settings: Settings) -> None:
        self.db, self.objects, self.settings = db, objects, settings

    async def __call__(self, days: float) -> list[str]:
        """Run it; give what is left, without the prefix."""
        at = datetime.now(UTC) + timedelta(days=days)
        await lost_files.reconcile(Work(self.db, self.objects, self.settings, at))
        left = await self.objects.keys(files.OBJECTS)
        return [key.removeprefix(files.OBJECTS) for key in left]

    async def lost(self, file: UUID) -> bool:
        """Whether the file is marked."""
        query = select(Files.lost_at).where(Files.id == file)
        return await self.db.scalar(query, execution_options=WRITE_PATH) is not None

    async def told(self, person_id: UUID) -> list[tuple[str, object]]:
        """Notices of somebody."""
        query = select(Notices.code, Notices.params).where(Notices.person_id == person_id)
        return [(code, params) for code, params in (await self.db.execute(query)).all()]


@pytest.fixture
def night(db: AsyncSession, objects: Objects, stores: Settings) -> Night:
    """The job."""
    return Night(db, objects, stores)


async def test_objects_without_a_row_go_after_a_day_and_others_stay(
    kept: Kept, night: Night
) -> None:
    """An upload is never as long as a day."""
    assert len(await night(0.9)) == 4
    assert await night(1.1) == [f"{kept.object_id}/preview", f"{kept.object_id}/whole"]
    assert not await night.lost(kept.id)


async def test_a_row_without_an_object_is_marked_and_told_once_until_it_is_back(
    kept: Kept, night: Night, house: House, objects: Objects
) -> None:
    """By whoever administers the place."""
    key = files.object_key(kept.object_id, "whole")
    sealed = await objects.get(key)
    await objects.delete(key)
    await night(2)
    await night(3)
    assert await night.lost(kept.id)
    assert await night.told(house.administrator) == [("files_lost", {"count": 1})]
    assert await night.told(house.doctor) == []
    await objects.put(key, sealed)
    await night(4)
    assert not await night.lost(kept.id)


async def test_what_was_taken_back_goes_a_day_later(
    kept: Kept, night: Night, house: House, db: AsyncSession, now: datetime
) -> None:
    """A backup that runs counts on it."""
    patient = await house.as_(db, house.patient)
    await visit_files.remove(db, patient, house.visit, kept.id, now)
    await db.execute(update(Files).values(removed_at=datetime.now(UTC)))
    assert len([key for key in await night(0.9) if str(kept.object_id) in key]) == 2
    assert await night(1.1) == []
    query = select(Files.id).execution_options(**WRITE_PATH)
    assert (await db.scalars(query)).all() == []


async def test_what_was_taken_back_stays_while_a_hold_is_on_the_person(
    kept: Kept, night: Night, house: House, db: AsyncSession
) -> None:
    """Somebody may need it as evidence."""
    await db.execute(update(Files).values(removed_at=datetime.now(UTC)))
    hold = LegalHolds(
        organisation_id=house.clinic,
        person_id=house.patient,
        reason="суд",
        set_by=house.administrator,
        set_at=datetime.now(UTC),
    )
    db.add(hold)
    await db.flush()
    left = await night(2)
    assert left == [f"{kept.object_id}/preview", f"{kept.object_id}/whole"]
    hold.lifted_at = datetime.now(UTC)
    await db.flush()
    assert await night(2) == []


async def test_files_of_whoever_was_erased_go_too(
    kept: Kept, night: Night, house: House, db: AsyncSession, now: datetime
) -> None:
    """What nobody can open takes up room."""
    assert len(await night(2)) == 2
    await destroy(db, house.patient, now)
    assert len(await night(3)) == 2, "marked now"
    assert f"{kept.object_id}/whole" not in await night(4.1)
