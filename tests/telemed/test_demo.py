"""The demo region: whole, the same at every run, and alive whenever it is seeded.

Its passwords cost seconds, so it is seeded once, in a transaction that is never committed; each
test leaves it as it was.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

import eschool.demo
import people.demo
import telemed.demo
from eschool.lessons import get_lesson
from people.demo import CLINIC_7, GYMNASIUM_2, demo_id
from people.device_tokens import device_of
from people.document_checks import CheckState, check_line
from people.document_lists import of_person
from people.document_register import register
from people.documents import DocumentState, get_document
from people.persons import me
from people.received_documents import received
from people.relations import Relations, actor_of
from people.second_factors import SignedInAs
from people.sign_in import sign_in
from storage.engine import make_engine
from storage.settings import Settings
from telemed.demo_documents import seed_documents
from telemed.visits import Visits, VisitState, close_visit, get_visit, my_visits
from tests.telemed.clinic_house import NOW

KEY = b"k" * 32
LATE = datetime.fromisoformat("2026-03-02T20:58:31Z")  # two minutes to midnight in Kazan


pytestmark = pytest.mark.asyncio(loop_scope="module")
World = tuple[AsyncConnection, dict[str, Any]]


async def seed(db: AsyncSession, now: datetime, key: bytes = KEY) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for program in (people.demo, eschool.demo, telemed.demo):
        made |= await program.seed(db, key, now)
    return made


def _in(connection: AsyncConnection) -> AsyncSession:
    return AsyncSession(
        connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_database_url: str) -> AsyncIterator[World]:
    """The region, and what seeding it said."""
    engine = make_engine(shared_database_url)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        async with _in(connection) as db:
            made = await seed(db, NOW)
            await db.commit()
        yield connection, made
        await transaction.rollback()
    await engine.dispose()


@pytest.fixture
def made(world: World) -> dict[str, Any]:
    """What seeding it said."""
    return world[1]


@pytest_asyncio.fixture(loop_scope="module")
async def db(world: World) -> AsyncIterator[AsyncSession]:
    """A session in the region, of which nothing stays."""
    savepoint = await world[0].begin_nested()
    async with _in(world[0]) as session:
        yield session
    await savepoint.rollback()


def ids(made: dict[str, Any], kind: str) -> set[str]:
    return {one["id"] for one in made[kind]}


async def test_the_region_is_whole_and_the_second_run_changes_nothing(
    db: AsyncSession, made: dict[str, Any], now: datetime
) -> None:
    """Every role at every organisation; the same people, passwords, tokens and visits."""
    relations = select(func.count()).select_from(Relations)
    before = await db.scalar(relations)
    assert await seed(db, now + timedelta(minutes=7)) == made
    assert await db.scalar(relations) == before
    wanted = {"clinic": {"doctor": 2, "patient": 2, "administrator": 1}}
    wanted["school"] = {"teacher": 1, "pupil": 2, "administrator": 1}
    for place in made["organisations"]:
        here = [one for one in made["persons"] if one["organisation_id"] == place["id"]]
        for role, least in wanted[place["kind"]].items():
            assert sum(role in one["roles"] for one in here) >= least
    assert any({"parent", "patient"} <= set(one["roles"]) for one in made["persons"])
    patients = {one["id"] for one in made["persons"] if "patient" in one["roles"]}
    for patient in patients:
        kinds = {k for d in made["devices"] if d["person_id"] == patient for k in d["kinds"]}
        assert {"ecg", "blood_pressure", "glucose", "cholesterol_total"} <= kinds


async def test_what_is_printed_works(db: AsyncSession, made: dict[str, Any], now: datetime) -> None:
    """Logins sign in, tokens lead to their devices, both sides find visit and lesson."""
    for person in made["persons"]:
        who = (await me(db, person["id"], now)).roles
        assert {role.role.value for role in who} == set(person["roles"])
    amina = next(one for one in made["persons"] if one["login"] == "doctor.amina")
    found = await sign_in(db, amina["login"], amina["password"], "192.0.2.1", now)
    assert isinstance(found, SignedInAs)
    assert str(found.me.id) == amina["id"]
    device = made["devices"][0]
    assert str((await device_of(db, device["token"], now)).id) == device["id"]
    for visit in made["visits"]:
        for side in ("doctor_id", "patient_id"):
            actor = await actor_of(db, visit[side], now)
            assert str((await get_visit(db, actor, visit["id"], now)).id) == visit["id"]
    for lesson in made["lessons"]:
        teacher = await actor_of(db, lesson["teacher_id"], now)
        assert str((await get_lesson(db, teacher, lesson["id"], now)).id) == lesson["id"]


async def test_another_installation_has_other_passwords(
    db: AsyncSession, made: dict[str, Any], now: datetime
) -> None:
    """And a changed secret changes them where they are."""
    again = await people.demo.seed(db, b"x" * 32, now)
    amina = again["persons"][0]
    assert ids(again, "persons") == ids(made, "persons")
    assert amina["password"] != made["persons"][0]["password"]
    await sign_in(db, amina["login"], amina["password"], "192.0.2.1", now)


@pytest.mark.parametrize("hours", [0, 26])
async def test_there_is_a_visit_today_whenever_it_is_seeded(db: AsyncSession, hours: int) -> None:
    """Two minutes to midnight, and again on another day."""
    await telemed.demo.seed(db, KEY, LATE)
    now = LATE + timedelta(hours=hours)
    made = await telemed.demo.seed(db, KEY, now)
    pair = (demo_id("doctor.amina"), demo_id("patient.rinat"))
    for person in pair:
        today = await my_visits(db, await actor_of(db, person, now), None, now)
        held = [one for one in today if one.starts_at <= now < one.ends_at]
        assert {str(one.id) for one in held} & ids(made, "visits")


async def test_a_closed_visit_is_followed_by_a_new_one(
    db: AsyncSession, made: dict[str, Any], now: datetime
) -> None:
    """A used-up demo is seeded again."""
    first = made["visits"][0]
    row = await db.get_one(Visits, first["id"])
    await close_visit(db, await actor_of(db, row.doctor_id, now), row.id, now)
    again = (await telemed.demo.seed(db, KEY, now))["visits"][0]
    assert again["id"] != first["id"]
    assert again["patient_id"] == first["patient_id"]


async def test_a_newcomer_finds_a_signed_a_handed_over_and_a_revoked_document(
    db: AsyncSession, now: datetime, stores: Settings
) -> None:
    """In the register, at the school's office and at home; they verify as they are.

    A second run finds them and makes nothing; no doctor was with two people at once.
    """
    later = now + timedelta(hours=2)
    for at in (now, later):
        await seed_documents(db, stores.home, at)
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
    held = select(Visits.doctor_id, Visits.starts_at).where(Visits.state == VisitState.CLOSED.value)
    times = (await db.execute(held)).all()
    assert len(set(times)) == len(times) == 3
