"""A school with two classes and one lesson: people who sit in it, and people who do not."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lesson_room import open_lesson
from eschool.lessons import NewLesson, add_class, enrol, schedule
from people.consent_rules import Purpose
from people.consent_texts import ConsentTexts
from people.consents import Consents
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.relations import Relations, actor_of, grant
from storage.engine import new_id

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SINCE = NOW - timedelta(days=1)  # the timetable is older than the lesson
LESSON = timedelta(minutes=45)
OVER = NOW + LESSON + timedelta(hours=12, seconds=1)
# Nobody of these may know that there is a lesson.
STRANGERS = ("colleague", "head", "neighbour", "foreign_pupil")
PUPILS = ("pupil", "second", "third")


class SchoolClass:
    """Ids by the word for who somebody is."""

    def __init__(self) -> None:
        words = ("teacher", *PUPILS, *STRANGERS)
        self.school, self.other_school = new_id(), new_id()
        self.people = {word: new_id() for word in words}
        self.group = self.lesson = self.next_lesson = self.school

    def __getitem__(self, word: str) -> UUID:
        return self.people[word]

    async def actor(self, db: AsyncSession, word: str, now: datetime = NOW) -> Actor:
        """Somebody with the rights of that moment."""
        return await actor_of(db, self[word], now)

    async def leave(self, db: AsyncSession, word: str, now: datetime) -> None:
        """End every right of somebody."""
        await db.execute(
            update(Relations).where(Relations.actor_id == self[word]).values(until=now)
        )


async def furnish(db: AsyncSession) -> SchoolClass:
    """A lesson of class 7А that begins now and another one tomorrow; neither is open."""
    s = SchoolClass()
    for school in (s.school, s.other_school):
        db.add(Organisations(id=school, kind="school", name="Гимназия"))
    for word, person in s.people.items():
        db.add(Persons(id=person, family_name="Вәлиев", given_name=word, created_at=NOW))
    await db.flush()
    for word, kind in (
        ("teacher", Kind.DUTY),
        ("colleague", Kind.DUTY),
        ("head", Kind.ADMINISTRATION),
    ):
        right = Right(actor_id=s[word], kind=kind, organisation_id=s.school, since=SINCE)
        await grant(db, right, "test")
    abroad = Right(
        actor_id=s["foreign_pupil"],
        kind=Kind.CLASS,
        organisation_id=s.other_school,
        about_id=new_id(),
        since=SINCE,
    )
    await grant(db, abroad, "test")
    head = await s.actor(db, "head", SINCE)
    s.group = await add_class(db, head, s.school, "7А", SINCE)
    for word in PUPILS:
        await enrol(db, head, s.group, s[word], SINCE)
    beside = await add_class(db, head, s.school, "7Б", SINCE)
    await enrol(db, head, beside, s["neighbour"], SINCE)
    s.lesson = await schedule(db, head, _new(s, NOW), SINCE)
    s.next_lesson = await schedule(db, head, _new(s, NOW + timedelta(days=1)), SINCE)
    for word in ("teacher", *PUPILS):
        await agree(db, s, word)
    return s


async def agree(db: AsyncSession, s: SchoolClass, word: str, *, scope: str = "school") -> UUID:
    """Let somebody agree to being recorded, for the class or for the whole school."""
    purpose = Purpose.RECORDING_LESSON.value
    house_text = select(ConsentTexts.id).where(
        ConsentTexts.purpose == purpose, ConsentTexts.organisation_id.is_(None)
    )
    row = Consents(
        id=new_id(),
        person_id=s[word],
        given_by=s[word],
        purpose=purpose,
        organisation_id=s.school,
        scope=["class", "school"] if scope == "school" else ["class"],
        text_id=(await db.scalars(house_text)).one(),
        given_at=SINCE,
    )
    db.add(row)
    await db.flush()
    return row.id


async def opened(db: AsyncSession) -> SchoolClass:
    """The same, and the teacher has opened the lesson."""
    s = await furnish(db)
    await open_lesson(db, await s.actor(db, "teacher"), s.lesson, NOW)
    return s


def _new(s: SchoolClass, starts_at: datetime) -> NewLesson:
    return NewLesson(
        organisation_id=s.school,
        class_id=s.group,
        teacher_id=s["teacher"],
        title="Дискриминант",
        subject="Алгебра",
        starts_at=starts_at,
        ends_at=starts_at + LESSON,
    )
