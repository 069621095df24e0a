"""Papers of a person (files, documents): taken along in the archive, gone with an erased person."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api import runner
from api.exports import ROOMS
from people import erasing, exporting, exports, files
from people.audit import WRITE_PATH, AuditReads
from people.document_checks import CheckState, check_file
from people.document_contents import Conclusion
from people.document_deliveries import DocumentDeliveries
from people.document_prints import object_key
from people.documents import (
    Document,
    Documents,
    DocumentTexts,
    DocumentViews,
    get_document,
)
from people.erasure import forget_erased, replay
from people.exports import Source
from people.files import Files
from people.refused import NotFound
from storage.data_keys import key_of
from storage.engine import new_id
from storage.erasure_log import Erased
from storage.file_checks import Judged, Kind
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings
from telemed import visit_files
from telemed.visit_documents import NewDocument, draft
from tests.telemed.clinic_house import House
from tests.telemed.document_desk import caller, print_all, signed

CONCLUSION = Conclusion(text="Жалоб нет")


class Papers(NamedTuple):
    """Two files about the patient, a document that is signed, one that is not."""

    report: UUID
    taken_back: UUID
    document: Document
    draft: Document

    async def report_key(self, db: AsyncSession) -> str:
        """Where the report lies."""
        query = select(Files.object_id).where(Files.id == self.report)
        object_id = (await db.scalars(query, execution_options=WRITE_PATH)).one()
        return files.object_key(object_id, "whole")


@pytest.fixture
async def papers(  # noqa: PLR0917 - what papers are made of
    db: AsyncSession,
    house: House,
    objects: Objects,
    stores: Settings,
    now: datetime,
    tmp_path: Path,
) -> Papers:
    """The patient's papers, printed and stored."""
    body = tmp_path / "body"
    body.write_text("Гемоглобин 140")
    size, key = body.stat().st_size, await key_of(db, house.patient, now)
    judged = Judged(kind=Kind.TEXT, kept=body, size=size, preview=None, preview_size=None)
    doctor, ids = await house.as_(db, house.doctor), []
    for name in ("Анализ.txt", "Не тот.txt"):
        stored = await files.put(objects, key, judged)
        new = files.NewFile(new_id(), name, size)
        ids.append((await visit_files.add(db, doctor, house.visit, new, stored, now)).id)
    await visit_files.remove(db, doctor, house.visit, ids[1], now)
    document = await signed(db, house, stores, now, CONCLUSION)
    await print_all(db, objects, stores, document, now)
    begun = await draft(db, doctor, house.visit, NewDocument(CONCLUSION), now)
    report, taken_back = ids
    return Papers(report, taken_back, document, begun)


async def taken(
    db: AsyncSession, objects: Objects, house: House, who: UUID, now: datetime
) -> zipfile.ZipFile:
    """The archive of somebody."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[AsyncSession]:
        yield db

    source = Source(transaction, objects, await caller(db, house, who, now), now)
    pieces = [piece async for piece in exports.archive(source)]
    return zipfile.ZipFile(io.BytesIO(b"".join(pieces)))


async def test_a_person_takes_files_and_signed_documents_along(
    db: AsyncSession, house: House, objects: Objects, papers: Papers, now: datetime
) -> None:
    """As the pages show them: no draft, nothing taken back, and nobody else's; it is recorded."""
    archive = await taken(db, objects, house, house.patient, now)
    folder, document = f"documents/{papers.document.id}", papers.document

    assert archive.read(f"files/{papers.report}.txt").decode() == "Гемоглобин 140"
    file = json.loads(archive.read(f"files/{papers.report}.json"))
    assert (file["name"], file["lost"]) == ("Анализ.txt", False)
    body = archive.read(f"{folder}/full.json")
    print_ = archive.read(f"{folder}/full.pdf")
    assert json.loads(body)["body"]["content"]["text"] == "Жалоб нет"
    for found in (body, print_):
        assert (await check_file(db, found, "10.0.0.0/24", now)).state is CheckState.GENUINE
    about = json.loads(archive.read(f"{folder}/about.json"))
    assert about["document"]["number"] == document.number
    assert [one["to"] for one in about["deliveries"]] == [None]
    names = " ".join(archive.namelist())
    assert str(papers.taken_back) not in names
    assert str(papers.draft.id) not in names
    reads = select(func.count()).where(
        AuditReads.actor_id == house.patient, AuditReads.tables == ["files"]
    )
    assert await db.scalar(reads) == 1

    for other in (house.other_patient, house.doctor):
        theirs = (await taken(db, objects, house, other, now)).namelist()
        assert not [name for name in theirs if name.startswith(("files/", "documents/"))]


async def test_what_lost_its_object_keeps_nobody_from_the_rest(
    db: AsyncSession, house: House, objects: Objects, papers: Papers, now: datetime
) -> None:
    """It is named as lost."""
    await objects.delete(await papers.report_key(db))
    archive = await taken(db, objects, house, house.patient, now)
    assert json.loads(archive.read(f"files/{papers.report}.json"))["lost"] is True
    assert archive.read(f"documents/{papers.document.id}/full.pdf").startswith(b"%PDF-")


async def test_papers_of_an_erased_person_are_gone_and_the_register_answers(  # noqa: PLR0917
    db: AsyncSession,
    house: House,
    objects: Objects,
    stores: Settings,
    papers: Papers,
    now: datetime,
) -> None:
    """Names, words, drafts and where they went at once; prints a day later; not before erasure."""
    archive = await taken(db, objects, house, house.patient, now)
    paper = archive.read(f"documents/{papers.document.id}/full.pdf")
    query = select(DocumentViews.id).where(DocumentViews.document_id == papers.document.id)
    print_key = object_key((await db.scalars(query)).one())
    work, person = Work(db, objects, stores, now), str(house.patient)
    await erasing.delete_prints(work, person)
    assert await objects.exists(print_key)

    await replay(db, [Erased(owner=house.patient, at=now, reason="asked")], now)
    await forget_erased(work, person)
    await forget_erased(work, person)

    rows = await db.execute(
        select(Files.sealed_name, Files.removed_at).where(Files.owner_id == house.patient),
        execution_options=WRITE_PATH,
    )
    assert rows.all() == [(b"", now)] * 2
    for table in (DocumentTexts, DocumentDeliveries):
        count = select(func.count()).where(table.document_id == papers.document.id)
        assert await db.scalar(count, execution_options=WRITE_PATH) == 0
    assert (await db.scalars(select(Documents.id))).all() == [papers.document.id]
    doctor = await house.as_(db, house.doctor)
    with pytest.raises(NotFound):
        await get_document(db, doctor, papers.document.id, now)
    assert (await check_file(db, paper, "10.0.0.0/24", now)).state is CheckState.GENUINE

    at = "SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = 'people.delete_prints'"
    assert set((await db.scalars(text(at))).all()) == {now + timedelta(days=1)}
    await erasing.delete_prints(work, person)
    assert not await objects.exists(print_key)


def test_the_house_takes_papers_into_both() -> None:
    """A room that nobody imports would be left out."""
    assert erasing in runner.JOBS
    assert exporting in ROOMS
