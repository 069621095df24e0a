"""Demo documents: there after the first run, and not one more after the second."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

import eschool.demo
import people.demo
from people.demo import CLINIC_7, GYMNASIUM_2, demo_id
from people.document_checks import CheckState, check_line
from people.document_lists import of_person
from people.document_register import register
from people.documents import DocumentState, get_document
from people.received_documents import received
from people.relations import actor_of
from storage.settings import Settings
from telemed.demo_documents import seed_documents

KEY = b"k" * 32


async def test_a_newcomer_finds_a_signed_a_handed_over_and_a_revoked_document(
    db: AsyncSession, now: datetime, settings: Settings
) -> None:
    """In the register, at the school's office and at home; they verify as they are."""
    for program in (people.demo, eschool.demo):
        await program.seed(db, KEY, now)
    later = now + timedelta(hours=2)
    for at in (now, later):
        await seed_documents(db, settings.home, at)
    head = await actor_of(db, demo_id("admin.gulnara"), later)
    page = await register(db, head, demo_id(CLINIC_7), later)
    assert sorted((one.kind.value, one.state.value) for one in page.documents) == [
        ("certificate", "signed"),
        ("conclusion", "signed"),
        ("referral", "revoked"),
    ]
    office = await actor_of(db, demo_id("admin.svetlana"), later)
    there = (await received(db, office, demo_id(GYMNASIUM_2), later)).documents
    assert [one.person.id for one in there] == [demo_id("pupil.aidar")]
    olga = await actor_of(db, demo_id("patient.olga"), later)
    (mine,) = (await of_person(db, olga, demo_id("patient.olga"), later)).documents
    assert mine.state is DocumentState.REVOKED
    line = (await get_document(db, olga, mine.id, later)).views[0].line
    assert (await check_line(db, line, "192.0.2.0/24", later)).state is CheckState.REVOKED
