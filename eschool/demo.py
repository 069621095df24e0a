"""Demo classes and lessons: for each teacher one lesson that has just begun, and the next one.

`python -m eschool.demo --json`, after people.demo. A run finds the lessons of this hour or puts new
ones into the timetable.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import Lessons, NewLesson, add_class, enrol, schedule
from people.consent_asked import needed
from people.consent_rules import Hand, Purpose
from people.consent_texts import current_texts
from people.consents import NewConsent, agreed, give
from people.demo import GYMNASIUM_2, SCHOOL_15, demo_id, guardians, program, rounded
from people.households import guardians_of
from people.organisations import Organisations
from people.policy import Kind
from people.relations import actor_of

# School → administrator, class, pupils, lessons (teacher, title, subject, lessons of 45 min ahead).
SCHOOLS = {
    GYMNASIUM_2: (
        "admin.svetlana",
        "7А",
        ("pupil.aidar", "pupil.sofia", "pupil.ilnaz", "pupil.daria", "pupil.mark"),
        (
            ("teacher.zulfiya", "Сүз төркемнәре", "Татар теле", 0),
            ("teacher.anna", "Дискриминант", "Алгебра", 1),
        ),
    ),
    SCHOOL_15: (
        "admin.farid",
        "5Б",
        ("pupil.kamila", "pupil.artem"),
        (
            ("teacher.marat", "Реки Татарстана", "География", 0),
            ("teacher.marat", "Карта и масштаб", "География", 1),
        ),
    ),
}
_EARLIER = timedelta(minutes=5)
_LESSON = timedelta(minutes=45)
_PERIOD = timedelta(minutes=60)


async def seed(db: AsyncSession, _key: bytes, now: datetime) -> dict[str, Any]:
    """Make what is not there yet; give the lessons that are not over."""
    start = rounded(now) - _EARLIER
    lessons: list[dict[str, Any]] = []
    for school, (administrator, class_name, pupils, planned) in SCHOOLS.items():
        actor = await actor_of(db, demo_id(administrator), now)
        class_id = await add_class(db, actor, demo_id(school), class_name, now)
        for pupil in pupils:
            await enrol(db, actor, class_id, demo_id(pupil), now)
        await guardians(db, actor, school, pupils, now)
        teachers = {teacher for teacher, *_ in planned}
        await _agree_to_recording(db, school, (*sorted(teachers), *pupils), now)
        for teacher, title, subject, ahead in planned:
            new = NewLesson(
                organisation_id=demo_id(school),
                class_id=class_id,
                teacher_id=demo_id(teacher),
                title=title,
                subject=subject,
                starts_at=start + ahead * _PERIOD,
                ends_at=start + ahead * _PERIOD + _LESSON,
            )
            lessons.append(await _lesson(db, demo_id(administrator), new, now))
    return {"lessons": lessons}


async def _agree_to_recording(
    db: AsyncSession, school: str, logins: Collection[str], now: datetime
) -> None:
    """Let everybody agree whose word is needed; a child without a guardian here stays without."""
    school_id, purpose = demo_id(school), Purpose.RECORDING_LESSON
    place = await db.get_one(Organisations, school_id)
    version = (await current_texts(db, [school_id]))[school_id, purpose].version
    ids = [demo_id(login) for login in logins]
    for person_id in {*ids} - await agreed(db, ids, purpose, school_id, now, scope="school"):
        hands = await needed(db, person_id, place, now)
        own = [person_id] if Hand.OWN in hands else []
        parents = await guardians_of(db, person_id, now, Kind.CHILD_SCHOOL)
        for giver_id in own + (parents[:1] if Hand.GUARDIAN in hands else []):
            new = NewConsent(
                organisation_id=school_id,
                purpose=purpose,
                version=version,
                person_id=person_id,
                audience="school",
            )
            await give(db, await actor_of(db, giver_id, now), new, now)


async def _lesson(
    db: AsyncSession, administrator_id: UUID, new: NewLesson, now: datetime
) -> dict[str, Any]:
    """Find the same lesson that is not over, or put one into the timetable."""
    query = (
        select(Lessons)
        .where(
            Lessons.teacher_id == new.teacher_id,
            Lessons.class_id == new.class_id,
            Lessons.title == new.title,
            Lessons.ends_at > now,
            Lessons.ended_at.is_(None),
        )
        .order_by(Lessons.starts_at)
        .limit(1)
    )
    row = await db.scalar(query)
    if row is None:
        await schedule(db, await actor_of(db, administrator_id, now), new, now)
        row = await db.get_one(Lessons, new.id)
    return {
        "id": str(row.id),
        "title": row.title,
        "teacher_id": str(row.teacher_id),
        "organisation_id": str(row.organisation_id),
        "starts_at": row.starts_at.isoformat(),
    }


if __name__ == "__main__":
    program(seed, "Make the demo classes and lessons around now.")
