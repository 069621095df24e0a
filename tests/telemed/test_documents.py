"""Documents: drafted, signed, numbered without gaps, followed by versions, revoked."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import document_checks
from people.audit import WRITE_PATH, AuditActs
from people.document_checks import CheckState
from people.document_contents import (
    Audience,
    Certificate,
    Conclusion,
    ConsentRecord,
    Content,
    Referral,
)
from people.document_drafts import (
    DocumentChanged,
    DocumentNotDraft,
    DraftChange,
    change,
    discard,
    next_version,
)
from people.document_files import own_file
from people.document_lists import of_person, of_visit
from people.document_register import issued
from people.document_signing import Revocation, SignDocument, revoke, sign
from people.documents import (
    BadDocument,
    Document,
    DocumentErased,
    DocumentNotSigned,
    DocumentState,
    DocumentTexts,
    DocumentViews,
    get_document,
)
from people.notices import Notices
from people.policy import Kind
from people.refused import Forbidden, NotFound, OutOfRange
from people.relations import Relations
from people.step_up import StepUpNeeded
from storage import signing
from storage.data_keys import destroy
from storage.engine import sessions
from storage.objects import Objects
from storage.settings import Settings
from telemed.visit_documents import NewDocument, draft
from tests.telemed.clinic_house import NOW, House, furnish
from tests.telemed.document_desk import ILL, caller, signed


async def test_a_draft_is_its_doctors_alone_and_another_tab_overwrites_nothing(
    db: AsyncSession, house: House, now: datetime
) -> None:
    doctor = await house.as_(db, house.doctor)
    patient = await house.as_(db, house.patient)
    made = await draft(db, doctor, house.visit, NewDocument(Conclusion()), now)
    assert (made.state, made.number, made.changes) == (DocumentState.DRAFT, None, 1)
    read = DraftChange(Conclusion(text="Здорова."), made.changes)
    assert (await change(db, doctor, made.id, read, now)).content == Conclusion(text="Здорова.")
    with pytest.raises(DocumentChanged):
        await change(db, doctor, made.id, read, now)
    with pytest.raises(NotFound):
        await get_document(db, patient, made.id, now)
    assert await of_visit(db, patient, house.visit, now) == []
    for stranger in (house.colleague, house.foreign_doctor, house.other_patient):
        with pytest.raises(NotFound):
            await get_document(db, await house.as_(db, stranger), made.id, now)
    await discard(db, doctor, made.id, now)
    assert await of_visit(db, doctor, house.visit, now) == []


async def test_a_signed_document_has_a_number_is_told_of_and_changes_no_more(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    doctor = await caller(db, house, house.doctor, now)
    done = await signed(db, house, settings, now)
    assert (done.state, done.number) == (DocumentState.SIGNED, "2026-000001")
    assert [view.audience for view in done.views] == ["full", "school"]
    patient = await house.as_(db, house.patient)
    assert (await get_document(db, patient, done.id, now)).content == ILL
    assert [one.id for one in (await of_person(db, patient, house.patient, now)).documents] == [
        done.id
    ]
    told = select(Notices.code).where(Notices.person_id == house.patient)
    assert "document_signed" in (await db.scalars(told)).all()
    with pytest.raises(DocumentNotDraft):
        await sign(db, doctor, done.id, SignDocument(1), now, home=settings.home)
    with pytest.raises(DocumentNotDraft):
        await change(db, doctor.actor, done.id, DraftChange(ILL, 1), now)
    with pytest.raises(Forbidden):
        await discard(db, patient, done.id, now)


async def test_signing_asks_for_a_fresh_proof_and_for_all_that_is_needed(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    doctor = await caller(db, house, house.doctor, now)
    stale = msgspec.structs.replace(doctor, proved_at=now - timedelta(minutes=6))
    made = await draft(db, doctor.actor, house.visit, NewDocument(ILL), now)
    with pytest.raises(StepUpNeeded):
        await sign(db, stale, made.id, SignDocument(1), now, home=settings.home)
    with pytest.raises(DocumentChanged):
        await sign(db, doctor, made.id, SignDocument(0), now, home=settings.home)
    backwards = Certificate(absent_from=ILL.absent_until, absent_until=ILL.absent_from)
    wanting: dict[Content, set[str]] = {
        Conclusion(): {"content.text"},
        Referral(to="ЛОР"): {"content.reason"},
        Certificate(): {"content.absent_from", "content.absent_until"},
        backwards: {"content.absent_until"},
        ConsentRecord(): {"content.purpose"},
    }
    for content, fields in wanting.items():
        begun = await draft(db, doctor.actor, house.visit, NewDocument(content), now)
        with pytest.raises(BadDocument) as refused:
            await sign(db, doctor, begun.id, SignDocument(1), now, home=settings.home)
        assert {error.field for error in refused.value.errors} == fields
    with pytest.raises(BadDocument):
        await draft(db, doctor.actor, house.visit, NewDocument(Conclusion(text="漢")), now)


async def test_what_a_school_is_signed_holds_no_word_of_the_diagnosis(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    """Neither its JSON, nor the JSON inside its print."""
    done = await signed(db, house, settings, now)
    patient = await house.as_(db, house.patient)
    full, school = [
        (await own_file(db, objects, patient, done.id, (audience, "json"), now=now)).content
        for audience in (Audience.FULL, Audience.SCHOOL)
    ]
    assert ILL.diagnosis in full.decode()
    for word in (ILL.diagnosis, ILL.icd10, "diagnosis"):
        assert word not in school.decode()
    assert msgspec.json.decode(school)["body"]["content"] == {
        "absent_from": "2026-03-02",
        "absent_until": "2026-03-05",
        "sports_until": "2026-03-19",
    }


async def test_nothing_a_document_says_lies_open_in_the_database(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """And when the person's key is destroyed nobody reads it; the register still answers."""
    done = await signed(db, house, settings, now)
    kept = await db.scalars(
        select(DocumentTexts.sealed).where(DocumentTexts.document_id == done.id),
        execution_options=WRITE_PATH,
    )
    sealed = b"".join(kept.all())
    assert len(sealed) > 1000
    assert ILL.diagnosis.encode() not in sealed
    await destroy(db, house.patient, now)
    with pytest.raises(DocumentErased):
        await get_document(db, await house.as_(db, house.patient), done.id, now)
    found = await document_checks.check_line(db, done.views[0].line, "192.0.2.0/24", now)
    assert found.state is CheckState.GENUINE


async def test_a_next_version_supersedes_and_a_revoked_document_says_so(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    doctor = await caller(db, house, house.doctor, now)
    first = await signed(db, house, settings, now)
    again = await next_version(db, doctor.actor, first.id, now)
    assert (again.version, again.content) == (2, first.content)
    assert (await next_version(db, doctor.actor, first.id, now)).id == again.id
    assert (await _state(db, first, now)) is CheckState.GENUINE
    second = await sign(db, doctor, again.id, SignDocument(1), now, home=settings.home)
    assert second.number == "2026-000002"
    assert (await _state(db, first, now)) is CheckState.SUPERSEDED
    with pytest.raises(DocumentNotSigned):
        await revoke(db, doctor, first.id, Revocation("Ошибка в датах"), now)
    with pytest.raises(OutOfRange):
        await revoke(db, doctor, second.id, Revocation("нет"), now)
    gone = await revoke(db, doctor, second.id, Revocation("Ошибка в датах"), now)
    assert gone.state is DocumentState.REVOKED
    said = await get_document(db, doctor.actor, second.id, now)
    assert said.reason == "Ошибка в датах"
    assert (await _state(db, second, now)) is CheckState.REVOKED
    patient = await caller(db, house, house.patient, now)
    with pytest.raises(Forbidden):
        await revoke(db, patient, second.id, Revocation("Ошибка в датах"), now)


async def test_the_administrator_revokes_what_a_doctor_who_left_signed_and_reads_none_of_it(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    """Found by its number; the look and the deed are in the audit, and nobody else may."""
    done = await signed(db, house, settings, now)
    kept = await draft(
        db, await house.as_(db, house.doctor), house.visit, NewDocument(Conclusion()), now
    )
    await db.execute(
        update(Relations)
        .where(Relations.actor_id == house.doctor, Relations.kind == Kind.DUTY.value)
        .values(until=now)
    )
    why, number = Revocation("Ошибка в датах"), done.number or ""
    left = await caller(db, house, house.doctor, now)
    with pytest.raises(NotFound):
        await revoke(db, left, done.id, why, now)
    colleague = await caller(db, house, house.colleague, now)
    with pytest.raises(NotFound):
        await revoke(db, colleague, done.id, why, now)
    with pytest.raises(Forbidden):
        await issued(db, colleague.actor, house.clinic, number, now)
    admin = await caller(db, house, house.administrator, now)
    with pytest.raises(NotFound):
        await issued(db, admin.actor, house.other_clinic, number, now)
    assert await issued(db, admin.actor, house.clinic, "2026-000099", now) == []
    found = await issued(db, admin.actor, house.clinic, number, now)
    assert [(one.id, one.number, one.subject.id) for one in found] == [
        (done.id, number, house.patient)
    ]
    stale = msgspec.structs.replace(admin, proved_at=now - timedelta(minutes=6))
    with pytest.raises(StepUpNeeded):
        await revoke(db, stale, done.id, why, now)
    with pytest.raises(NotFound):  # a draft is its doctor's alone
        await revoke(db, admin, kept.id, why, now)
    assert (await revoke(db, admin, done.id, why, now)).state is DocumentState.REVOKED
    assert (await _state(db, done, now)) is CheckState.REVOKED
    with pytest.raises(NotFound):
        await get_document(db, admin.actor, done.id, now)
    with pytest.raises(NotFound):
        await own_file(db, objects, admin.actor, done.id, (Audience.FULL, "json"), now=now)
    patient = await house.as_(db, house.patient)
    assert (await get_document(db, patient, done.id, now)).reason == "Ошибка в датах"
    acts = select(AuditActs.act).where(AuditActs.actor_id == house.administrator)
    assert {"revoke_document", "document_revoked"} <= set((await db.scalars(acts)).all())


async def _state(db: AsyncSession, document: Document, now: datetime) -> CheckState:
    line = document.views[0].line
    return (await document_checks.check_line(db, line, "192.0.2.0/24", now)).state


async def test_numbers_have_no_gap_when_signings_meet_and_some_are_taken_back(
    engine: AsyncEngine, settings: Settings
) -> None:
    """Twelve at once, every third rolled back; a new year begins with 1 in the clinic's own zone."""
    new_session = sessions(engine)
    async with new_session() as db, db.begin():
        house = await furnish(db)
        doctor = await caller(db, house, house.doctor, NOW)
        drafts = [
            (await draft(db, doctor.actor, house.visit, NewDocument(ILL), NOW)).id
            for _ in range(12)
        ]

    async def one(at: int) -> str | None:
        async with new_session() as db:
            asked = SignDocument(1)
            done = await sign(db, doctor, drafts[at], asked, NOW, home=settings.home)
            if at % 3 == 0:
                await db.rollback()
                return None
            await db.commit()
            return done.number

    given = sorted(filter(None, await asyncio.gather(*(one(at) for at in range(12)))))
    assert given == [f"2026-{n:06d}" for n in range(1, 9)]
    turn = datetime(2026, 12, 31, 21, 30, tzinfo=UTC)  # 00:30 in Kazan
    async with new_session() as db, db.begin():
        late = await caller(db, house, house.doctor, turn)
        done = await sign(db, late, drafts[0], SignDocument(1), turn, home=settings.home)
        assert done.number == "2027-000001"


async def test_a_line_of_another_house_and_one_flipped_character_are_forged(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """And who sends many such waits, while earnest questions never do."""
    line = (await signed(db, house, settings, now)).views[0].line
    other = signing.line(b"x" * 32, {"c": "a"})
    flipped = line[:-1] + ("A" if line[-1] != "A" else "B")
    for network, forged in (("a", other), ("b", flipped), ("c", "")):
        found = await document_checks.check_line(db, forged, network, now)
        assert found == document_checks.Checked(state=CheckState.FORGED)
    for _ in range(60):
        genuine = await document_checks.check_line(db, line, "192.0.2.0/24", now)
    assert genuine.number == "2026-000001"
    assert house.patient.hex not in repr(genuine)


async def test_a_restored_house_that_forgot_a_document_says_that_and_not_forged(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    done = await signed(db, house, settings, now)
    view = await db.scalar(
        select(DocumentViews).where(DocumentViews.document_id == done.id).limit(1)
    )
    assert view is not None
    line = view.line
    await db.delete(view)
    await db.flush()
    found = await document_checks.check_line(db, line, "192.0.2.0/24", now)
    assert found.state is CheckState.UNREGISTERED
