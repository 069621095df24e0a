"""The demo region: whole, the same at every run, and alive whenever it is seeded."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

import eschool.demo
import people.demo
import telemed.demo
from eschool.lessons import get_lesson
from people.device_tokens import device_of
from people.persons import me
from people.relations import Relations, actor_of
from people.second_factors import SignedInAs
from people.sign_in import sign_in
from telemed.visits import Visits, close_visit, get_visit, my_visits

KEY = b"k" * 32
LATE = datetime.fromisoformat("2026-03-02T20:58:31Z")  # two minutes to midnight in Kazan


async def seed(db: AsyncSession, now: datetime, key: bytes = KEY) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for program in (people.demo, eschool.demo, telemed.demo):
        made |= await program.seed(db, key, now)
    return made


def ids(made: dict[str, Any], kind: str) -> set[str]:
    return {one["id"] for one in made[kind]}


async def test_the_region_is_whole_and_the_second_run_changes_nothing(
    db: AsyncSession, now: datetime
) -> None:
    """Every role at every organisation; the same people, passwords, tokens and visits."""
    made = await seed(db, now)
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


async def test_what_is_printed_works(db: AsyncSession, now: datetime) -> None:
    """Logins sign in, tokens lead to their devices, both sides find visit and lesson."""
    made = await seed(db, now)
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


async def test_another_installation_has_other_passwords(db: AsyncSession, now: datetime) -> None:
    """And a changed secret changes them where they are."""
    made = await seed(db, now)
    again = await seed(db, now, b"x" * 32)
    amina = again["persons"][0]
    assert ids(again, "persons") == ids(made, "persons")
    assert amina["password"] != made["persons"][0]["password"]
    await sign_in(db, amina["login"], amina["password"], "192.0.2.1", now)


@pytest.mark.parametrize("hours", [0, 26])
async def test_there_is_a_visit_today_whenever_it_is_seeded(db: AsyncSession, hours: int) -> None:
    """Two minutes to midnight, and again on another day."""
    await seed(db, LATE)
    now = LATE + timedelta(hours=hours)
    made = await seed(db, now)
    pair = (people.demo.demo_id("doctor.amina"), people.demo.demo_id("patient.rinat"))
    for person in pair:
        today = await my_visits(db, await actor_of(db, person, now), None, now)
        held = [one for one in today if one.starts_at <= now < one.ends_at]
        assert {str(one.id) for one in held} & ids(made, "visits")


async def test_a_closed_visit_is_followed_by_a_new_one(db: AsyncSession, now: datetime) -> None:
    """A used-up demo is seeded again."""
    first = (await seed(db, now))["visits"][0]
    row = await db.get_one(Visits, first["id"])
    await close_visit(db, await actor_of(db, row.doctor_id, now), row.id, now)
    again = (await seed(db, now))["visits"][0]
    assert again["id"] != first["id"]
    assert again["patient_id"] == first["patient_id"]
