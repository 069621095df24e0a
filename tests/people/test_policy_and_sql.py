"""The SELECTs and the policy give the same answer in random worlds."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from eschool import lessons
from eschool.lessons import Classes, Lessons
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import NotFound
from people.relations import Relations, actor_of, allowed
from storage.engine import make_engine
from telemed import visits
from telemed.visits import Visits

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
PERSONS = [UUID(int=n) for n in (1, 2, 3)]
PLACES = [UUID(int=n) for n in (11, 12)]
CLASSES = [UUID(int=n) for n in (21, 22)]
VISITS = [UUID(int=n) for n in (31, 32, 33)]
LESSONS = [UUID(int=n) for n in (41, 42)]

OF_A_PERSON = (Act.SEE_RECORD, Act.ASSIST, Act.WHO_LOOKED, Act.SEE_CHILD_HEALTH)

persons, places = st.sampled_from(PERSONS), st.sampled_from(PLACES)
times = st.sampled_from([NOW - HOUR, NOW, NOW + HOUR])
rights = st.builds(
    Right,
    actor_id=persons,
    kind=st.sampled_from(Kind),
    subject_id=st.none() | persons,
    organisation_id=st.none() | places,
    about_id=st.none() | st.sampled_from([*CLASSES, *VISITS, *LESSONS]),
    since=times,
    until=st.none() | times,
)


def visit(at: int, place: UUID, patient: UUID, doctor: UUID) -> Visits:
    return Visits(
        id=VISITS[at],
        organisation_id=place,
        patient_id=patient,
        doctor_id=doctor,
        state="booked",
        starts_at=NOW,
        ends_at=NOW + HOUR,
    )


def lesson(at: int, place: UUID, group: UUID, teacher: UUID) -> Lessons:
    return Lessons(
        id=LESSONS[at],
        organisation_id=place,
        class_id=group,
        teacher_id=teacher,
        title="",
        subject="",
        starts_at=NOW,
        ends_at=NOW + HOUR,
    )


@st.composite
def worlds(draw: st.DrawFn) -> list[Any]:
    """Rows of a small world; rights lean towards those that fit a visit or lesson."""
    rows: list[Any] = []
    held: list[Right] = draw(st.lists(rights, max_size=6))
    for at in range(len(VISITS)):
        patient, doctor = draw(st.permutations(PERSONS))[:2]
        row = visit(at, draw(places), patient, doctor)
        rows.append(row)
        fitting = st.builds(
            Right,
            actor_id=st.sampled_from([patient, doctor]),
            kind=st.sampled_from([Kind.APPOINTMENT, Kind.RECORD, Kind.DUTY]),
            subject_id=st.just(patient),
            organisation_id=st.just(row.organisation_id),
            about_id=st.just(row.id),
            since=times,
            until=st.none() | times,
        )
        held += draw(st.lists(fitting, max_size=4))
    opening = st.builds(
        Right,
        actor_id=persons,
        kind=st.sampled_from([Kind.SHARE, Kind.BREAK_GLASS, Kind.ASSISTANCE, Kind.CHILD_HEALTH]),
        subject_id=persons,
        organisation_id=places,
        since=times,
        until=st.none() | times,
    )
    held += draw(st.lists(opening, max_size=4))
    for at in range(len(LESSONS)):
        row = lesson(at, draw(places), draw(st.sampled_from(CLASSES)), draw(persons))
        rows.append(row)
        fitting = st.builds(
            Right,
            actor_id=persons,
            kind=st.sampled_from([Kind.CLASS, Kind.TEACHING, Kind.DUTY]),
            organisation_id=st.just(row.organisation_id),
            about_id=st.sampled_from([row.id, row.class_id]),
            since=times,
        )
        held += draw(st.lists(fitting, max_size=4))
    return rows + [relation(one) for one in held]


def relation(one: Right) -> Relations:
    return Relations(
        actor_id=one.actor_id,
        subject_id=one.subject_id,
        kind=one.kind.value,
        organisation_id=one.organisation_id,
        about_id=one.about_id,
        since=one.since,
        until=one.until,
        source="test",
    )


async def populate(db: AsyncSession, rows: Iterable[Any]) -> None:
    db.add_all(Persons(id=i, family_name="", given_name="", created_at=NOW) for i in PERSONS)
    db.add_all(Organisations(id=i, kind="clinic", name="") for i in PLACES)
    await db.flush()
    db.add_all(Classes(id=i, organisation_id=PLACES[0], name=str(i)) for i in CLASSES)
    await db.flush()
    db.add_all(rows)
    await db.flush()


def of_visit(act: Act, person: UUID) -> ColumnElement[bool]:
    return allowed(
        act,
        person,
        NOW,
        subject=Visits.patient_id,
        organisation=Visits.organisation_id,
        about=(Visits.id,),
    )


def of_lesson(act: Act, person: UUID | InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    about = (Lessons.id, Lessons.class_id)
    return allowed(act, person, NOW, organisation=Lessons.organisation_id, about=about)


async def who_joins(db: AsyncSession, actors: list[Actor], rows: list[Any]) -> None:
    """The other way round: not what one person may do, but which persons may."""
    joins = of_lesson(Act.JOIN_LESSON, Persons.id)
    query = select(Lessons.id, Persons.id).join(Persons, true()).where(joins)
    told = {
        (row.id, actor.id)
        for row in rows
        if isinstance(row, Lessons)
        for actor in actors
        if may(actor, Act.JOIN_LESSON, lessons.thing(row), NOW)
    }
    assert {(lesson_id, person) for lesson_id, person in await db.execute(query)} == told


async def compare(engine: AsyncEngine, rows: list[Any]) -> None:
    async with AsyncSession(engine) as db:
        await populate(db, rows)
        actors = [await actor_of(db, person, NOW) for person in PERSONS]
        await who_joins(db, actors, rows)
        for person, actor in zip(PERSONS, actors, strict=True):
            await same_record(db, actor)
            await same(db, actor, rows, Visits, of_visit)
            await same(db, actor, rows, Lessons, of_lesson)
            seen = {row.id for row in await db.scalars(visits.visible_to(person, NOW))}
            seen |= {row.id for row in await db.scalars(lessons.visible_to(person, NOW))}
            told = {r.id for r in rows if isinstance(r, Visits) and may_see_visit(actor, r)}
            assert {one for one in VISITS if await finds(db, actor, one)} == seen & set(VISITS)
            told |= {r.id for r in rows if isinstance(r, Lessons) and may_see_lesson(actor, r)}
            assert seen == told
        await db.rollback()


async def same_record(db: AsyncSession, actor: Actor) -> None:
    """Of a person, at each organisation and at none: what a share or an emergency opens."""
    assert actor.id is not None
    for place in (None, *PLACES):
        columns = [
            allowed(act, actor.id, NOW, subject=Persons.id, organisation=place).label(act.value)
            for act in OF_A_PERSON
        ]
        for answer in (await db.execute(select(Persons.id, *columns))).mappings():
            record = Thing(subject_id=answer["id"], organisation_id=place)
            told = {act: may(actor, act, record, NOW) for act in OF_A_PERSON}
            assert {act: answer[act.value] for act in OF_A_PERSON} == told


async def finds(db: AsyncSession, actor: Actor, visit_id: UUID) -> bool:
    """Whether the visit is found by its id, which is asked by a statement of its own."""
    try:
        await visits.seen(db, actor, visit_id, NOW)
    except NotFound:
        return False
    return True


def may_see_visit(actor: Actor, row: Visits) -> bool:
    return may(actor, Act.SEE_VISIT, visits.thing(row), NOW)


def may_see_lesson(actor: Actor, row: Lessons) -> bool:
    return may(actor, Act.SEE_LESSON, lessons.thing(row), NOW)


async def same(
    db: AsyncSession,
    actor: Actor,
    rows: list[Any],
    table: type[Visits | Lessons],
    where: Callable[[Act, UUID], ColumnElement[bool]],
) -> None:
    assert actor.id is not None
    thing: Any = visits.thing if table is Visits else lessons.thing
    # An act may be called as a health table is: the watch over reads would take it for one.
    columns = [where(act, actor.id).label(f"may_{act.value}") for act in Act]
    for answer in (await db.execute(select(table.id, *columns))).mappings():
        row = next(r for r in rows if isinstance(r, table) and r.id == answer["id"])
        told = {act: may(actor, act, thing(row), NOW) for act in Act}
        assert {act: answer[f"may_{act.value}"] for act in Act} == told


# Without shrinking: it would run for minutes, and a failing world is small as it is.
@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(worlds())
def agree(runner: asyncio.Runner, engine: AsyncEngine, rows: list[Any]) -> None:
    runner.run(compare(engine, rows))


def test_policy_and_sql_agree(shared_database_url: str) -> None:
    """For every act, every person and every visit and lesson."""
    engine = make_engine(shared_database_url)
    with asyncio.Runner() as runner:
        try:
            agree(runner, engine)
        finally:
            runner.run(engine.dispose())
