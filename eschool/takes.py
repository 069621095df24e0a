"""Takes: a lesson is recorded from the teacher's start until his stop, as often as he likes.

All takes of a lesson lie one after the other on one time line in milliseconds. The media worker
records; here is what it was told to do, and the index of the segments it put into the object store.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from eschool.lessons import Lessons, LessonState, led, state_of
from eschool.recording_consents import ConsentMissing, missing
from people.consents import Audience
from people.facts import RecordingChanged, emit
from people.policy import Act, Actor
from people.relations import allowed
from storage.engine import Base, new_id

# A worker hears of a stop late by the link's delay, at worst: the next take begins after that.
AFTER_STOP = timedelta(seconds=1)
_MS = timedelta(milliseconds=1)


class LessonTakes(Base):
    """One take. What happens at `t` lies at `base_ms + (t - started_at)` on the time line."""

    __tablename__ = "lesson_takes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    audience: Mapped[str]
    started_at: Mapped[datetime]
    base_ms: Mapped[int]
    stopped_at: Mapped[datetime | None]
    # Somebody had not agreed: the next take begins by itself when all have.
    paused: Mapped[bool] = mapped_column(server_default="false")
    # Where it really ended, and that every segment is in the index: the worker says both at once.
    end_ms: Mapped[int | None]
    complete: Mapped[bool] = mapped_column(server_default="false")

    __table_args__ = (
        CheckConstraint("audience IN ('class', 'school')", name="audience"),
        CheckConstraint("base_ms >= 0", name="base"),
        CheckConstraint("stopped_at >= started_at", name="times"),
        CheckConstraint("NOT paused OR stopped_at IS NOT NULL", name="paused"),
        Index(None, "lesson_id", "base_ms"),
        # One runs at a time.
        Index(
            "ix_lesson_takes_running",
            "lesson_id",
            unique=True,
            postgresql_where=text("stopped_at IS NULL"),
        ),
        Index(
            "ix_lesson_takes_paused",
            "lesson_id",
            unique=True,
            postgresql_where=text("paused"),
        ),
    )


class LessonSegments(Base):
    """One segment in the object store: `duration_ms` of the time line from `start_ms`."""

    __tablename__ = "lesson_segments"

    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"), primary_key=True)
    start_ms: Mapped[int] = mapped_column(primary_key=True)
    take_id: Mapped[UUID] = mapped_column(ForeignKey("lesson_takes.id"))
    duration_ms: Mapped[int]
    size: Mapped[int]
    audio_size: Mapped[int]
    lost_ms: Mapped[int]
    stored_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("start_ms >= 0", name="start"),
        CheckConstraint("duration_ms > 0", name="duration"),
        CheckConstraint("size > 0 AND audio_size > 0", name="sizes"),
        CheckConstraint("lost_ms >= 0", name="lost"),
    )


class RecordingNow(msgspec.Struct, frozen=True):
    """What everybody in the room sees of the recording."""

    on: bool
    since: datetime | None = None
    audience: Audience | None = None
    # It waits for somebody present who has not agreed, and goes on by itself.
    paused: bool = False


class Take(msgspec.Struct, frozen=True):
    """The running take, as the media worker is told of it."""

    id: UUID
    started_at: datetime
    base_ms: int


class SegmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A segment that lies in the object store; `lost_ms` from its start is black and silent."""

    lesson_id: UUID
    take_id: UUID
    start_ms: int
    duration_ms: int
    size: int
    audio_size: int
    lost_ms: int = 0


def watchable(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over lessons and takes: this person may watch that take.

    Teacher and class watch every take, the rest of the school those made for the school.
    """
    for_school = LessonTakes.audience == "school"
    return or_(_by_class(person_id, now), and_(for_school, _by_school(person_id, now)))


def watchable_lesson(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over lessons: this person may watch whatever there is, or some of it."""
    for_school = exists().where(
        LessonTakes.lesson_id == Lessons.id, LessonTakes.audience == "school"
    )
    return or_(_by_class(person_id, now), and_(for_school, _by_school(person_id, now)))


async def start(
    db: AsyncSession,
    actor: Actor,
    lesson_id: UUID,
    audience: Audience,
    now: datetime,
    *,
    present: Collection[UUID] = (),
) -> RecordingNow:
    """Begin a take of a running lesson. Starting twice is starting once.

    Another audience than the running take's ends that one and begins the next. Raises
    ConsentMissing when somebody of those `present`, or the teacher, has not agreed to it.
    """
    lesson = await led(db, actor, lesson_id, now)
    lacking = await missing(db, lesson, audience, present, now)
    if lacking:
        raise ConsentMissing(lacking)
    running = await _running(db, lesson.id)
    if running is not None and running.audience == audience:
        return _now(running)
    if running is not None:
        await _end(db, running, now)
    return _now(await _begin(db, lesson.id, audience, now))


async def stop(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> RecordingNow:
    """End the running take, or the wait for the next one. Stopping twice is stopping once.

    An ended lesson has none to stop.
    """
    lesson = await led(db, actor, lesson_id, now, running=False)
    await end_take(db, lesson.id, now)
    return RecordingNow(on=False)


async def end_take(db: AsyncSession, lesson_id: UUID, now: datetime) -> None:
    """End the running take, if there is one: the lesson is over, or somebody who may says stop."""
    waited = await _wait_no_more(db, lesson_id)
    running = await _running(db, lesson_id)
    if running is not None:
        await _end(db, running, now)
    if running is not None or waited:
        emit(db, RecordingChanged(at=now, lesson_id=lesson_id))


async def mind_consents(
    db: AsyncSession,
    lesson_id: UUID,
    present: Collection[UUID],
    now: datetime,
    *,
    expected: Collection[UUID] = (),
) -> bool:
    """Pause the recording while somebody present has not agreed; go on when all have.

    It does not go on without the word of those `expected` back in a moment either. True when it
    was paused just now: the worker is to be told before anything else.
    """
    if await _last(db, lesson_id) is None:
        return False
    query = select(Lessons).where(Lessons.id == lesson_id).with_for_update()
    lesson = (await db.scalars(query, execution_options={"populate_existing": True})).one()
    take = await _last(db, lesson_id)
    if take is None or state_of(lesson, now) is not LessonState.RUNNING:
        return False
    audience = _audience(take)
    here = {*present, *expected} if take.paused else present
    lacking = await missing(db, lesson, audience, here, now)
    if take.paused and not lacking:
        await _begin(db, lesson_id, audience, now)
    elif lacking and not take.paused:
        take.paused = True
        await _end(db, take, now)
        emit(db, RecordingChanged(at=now, lesson_id=lesson_id))
        return True
    return False


async def recording_now(db: AsyncSession, lesson_id: UUID) -> RecordingNow:
    """Say whether the lesson is being recorded, since when and for whom; or waits to be."""
    last = await _last(db, lesson_id)
    return RecordingNow(on=False) if last is None else _now(last)


async def current_take(db: AsyncSession, lesson_id: UUID) -> Take | None:
    """Give the take the media worker has to record now."""
    running = await _running(db, lesson_id)
    return None if running is None else Take(running.id, running.started_at, running.base_ms)


async def unstopped(db: AsyncSession) -> list[UUID]:
    """Lessons with a take nobody has stopped, whatever became of the lesson."""
    query = select(LessonTakes.lesson_id).where(LessonTakes.stopped_at.is_(None))
    return list((await db.scalars(query)).all())


async def segment_closed(db: AsyncSession, info: SegmentInfo, now: datetime) -> bool:
    """Put a stored segment into the index, as often as it is told of.

    False: no such take, or the place is another's. A worker that heard late of a stop has gone on
    into the next take's time.
    """
    following = aliased(LessonTakes)
    overtaken = exists().where(
        following.lesson_id == LessonTakes.lesson_id,
        following.started_at > LessonTakes.started_at,
        following.base_ms <= info.start_ms,
    )
    of_take = select(LessonTakes.id).where(
        LessonTakes.id == info.take_id,
        LessonTakes.lesson_id == info.lesson_id,
        LessonTakes.base_ms <= info.start_ms,
        ~overtaken,
    )
    if await db.scalar(of_take) is None:
        return False
    row = {
        "take_id": info.take_id,
        "duration_ms": info.duration_ms,
        "size": info.size,
        "audio_size": info.audio_size,
        "lost_ms": info.lost_ms,
    }
    new = insert(LessonSegments).values(
        lesson_id=info.lesson_id, start_ms=info.start_ms, stored_at=now, **row
    )
    # The object of this key was replaced, too: the index says what lies in the store.
    put = new.on_conflict_do_update(
        index_elements=["lesson_id", "start_ms"],
        set_=row,
        where=LessonSegments.take_id == info.take_id,
    )
    if await db.scalar(put.returning(LessonSegments.start_ms)) is None:
        return False
    # A room that was closed and opened again while the take ran: the take goes on.
    await db.execute(
        update(LessonTakes)
        .where(LessonTakes.id == info.take_id, LessonTakes.end_ms <= info.start_ms)
        .values(end_ms=None, complete=False)
    )
    return True


async def goes_on(db: AsyncSession, take_id: UUID, now: datetime) -> bool:
    """Say whether a take still runs: nobody has stopped it, nor is its lesson over.

    A worker that came back before its room did takes it for closed.
    """
    query = select(Lessons).join(LessonTakes, LessonTakes.lesson_id == Lessons.id)
    lesson = await db.scalar(
        query.where(LessonTakes.id == take_id, LessonTakes.stopped_at.is_(None))
    )
    return lesson is not None and state_of(lesson, now) is LessonState.RUNNING


async def take_closed(db: AsyncSession, take_id: UUID, end_ms: int, now: datetime) -> bool:
    """Note that every segment of a take is in the index. False: no such take."""
    lesson_id = await db.scalar(select(LessonTakes.lesson_id).where(LessonTakes.id == take_id))
    if lesson_id is None:
        return False
    news = await db.scalar(
        update(LessonTakes)
        .where(LessonTakes.id == take_id, ~LessonTakes.complete)
        .values(end_ms=func.greatest(end_ms, LessonTakes.base_ms), complete=True)
        .returning(LessonTakes.id)
    )
    if news is not None:
        emit(db, RecordingChanged(at=now, lesson_id=lesson_id))
    return True


async def _running(db: AsyncSession, lesson_id: UUID) -> LessonTakes | None:
    query = select(LessonTakes).where(
        LessonTakes.lesson_id == lesson_id, LessonTakes.stopped_at.is_(None)
    )
    row: LessonTakes | None = await db.scalar(query)
    return row


async def _last(db: AsyncSession, lesson_id: UUID) -> LessonTakes | None:
    """The take that runs, or that waits to go on as the next one."""
    query = select(LessonTakes).where(
        LessonTakes.lesson_id == lesson_id,
        or_(LessonTakes.stopped_at.is_(None), LessonTakes.paused),
    )
    fresh = {"populate_existing": True}
    row: LessonTakes | None = await db.scalar(query, execution_options=fresh)
    return row


async def _begin(
    db: AsyncSession, lesson_id: UUID, audience: Audience, now: datetime
) -> LessonTakes:
    await _wait_no_more(db, lesson_id)
    base_ms = await _end_of_all(db, lesson_id)
    take = LessonTakes(
        lesson_id=lesson_id,
        audience=audience,
        started_at=now,
        base_ms=base_ms,
        complete=False,
        paused=False,
    )
    db.add(take)
    await db.flush()
    emit(db, RecordingChanged(at=now, lesson_id=lesson_id))
    return take


async def _wait_no_more(db: AsyncSession, lesson_id: UUID) -> bool:
    """Forget that a take was paused; False when none was."""
    ended = await db.execute(
        update(LessonTakes)
        .where(LessonTakes.lesson_id == lesson_id, LessonTakes.paused)
        .values(paused=False)
        .returning(LessonTakes.id)
    )
    return ended.first() is not None


async def _end(db: AsyncSession, take: LessonTakes, now: datetime) -> None:
    take.stopped_at = max(now, take.started_at)
    await db.flush()


async def _end_of_all(db: AsyncSession, lesson_id: UUID) -> int:
    """End of the time line so far: of the segments known and of every take that has stopped."""
    known = await db.scalar(
        select(func.max(LessonSegments.start_ms + LessonSegments.duration_ms)).where(
            LessonSegments.lesson_id == lesson_id
        )
    )
    takes = (await db.scalars(select(LessonTakes).where(LessonTakes.lesson_id == lesson_id))).all()
    return max([known or 0, *(_end_of(take) for take in takes)])


def _end_of(take: LessonTakes) -> int:
    if take.complete and take.end_ms is not None:
        return take.end_ms
    if take.stopped_at is None:
        return take.base_ms
    return take.base_ms + (take.stopped_at - take.started_at + AFTER_STOP) // _MS


def _by_class(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    return allowed(
        Act.WATCH_LESSON,
        person_id,
        now,
        organisation=Lessons.organisation_id,
        about=(Lessons.id, Lessons.class_id),
    )


def _by_school(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    return allowed(Act.WATCH_SCHOOL_LESSON, person_id, now, organisation=Lessons.organisation_id)


def _now(take: LessonTakes) -> RecordingNow:
    if take.paused:
        return RecordingNow(on=False, audience=_audience(take), paused=True)
    return RecordingNow(on=True, since=take.started_at, audience=_audience(take))


def _audience(take: LessonTakes) -> Audience:
    return "school" if take.audience == "school" else "class"
