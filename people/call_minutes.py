"""How a call went, minute by minute: what is looked up when somebody asks why it was bad.

One row a person and direction for each minute, or less where the word changed. Rows lie here for
thirty days (people/retention.py), whatever becomes of the visit or the lesson, and go with the
person. Who may read them is for the rooms that know visits and lessons.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.call_words import Word
from people.closed_accounts import ClosedAccounts
from people.persons import Persons, full_name
from storage.engine import Base, new_id

KEPT: Final = timedelta(days=30)
# Twelve hours of a class of thirty are more, a school day's lesson is a sixth of it.
MOST_ROWS: Final = 20_000
# Minutes of one word that follow each other so closely are one stretch.
GAP: Final = timedelta(seconds=20)

Direction = Literal["publish", "subscribe"]


class CallMinutes(Base):
    """Up to a minute of one person's way; None: not known."""

    __tablename__ = "call_minutes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    # A visit, a lesson or a group of one: of several tables, hence no foreign key.
    room_id: Mapped[UUID]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    direction: Mapped[str]
    word: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    kbps: Mapped[int]
    lost_permille: Mapped[int | None]
    rtt_ms: Mapped[int | None]
    jitter_ms: Mapped[int | None]
    concealed_permille: Mapped[int | None]
    frozen_ms: Mapped[int]
    # The layer of the camera, or the step of the ladder.
    step: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("direction IN ('publish', 'subscribe')", name="direction"),
        CheckConstraint("word IN ('good', 'fair', 'poor', 'lost')", name="word"),
        Index(None, "room_id", "since"),
        Index(None, "person_id"),
        Index(None, "since"),
    )


class NewMinute(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be kept."""

    room_id: UUID
    person_id: UUID
    direction: Direction
    word: Word
    since: datetime
    until: datetime
    kbps: int
    lost_permille: int | None
    rtt_ms: int | None
    jitter_ms: int | None
    concealed_permille: int | None
    frozen_ms: int
    step: str | None


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Some time in which one word held; the figures are the worst of it, `frozen_ms` its sum."""

    direction: Direction
    word: Word
    since: datetime
    until: datetime
    kbps: int
    lost_permille: int | None
    rtt_ms: int | None
    jitter_ms: int | None
    concealed_permille: int | None
    frozen_ms: int
    step: str | None


class CallMember(msgspec.Struct, frozen=True, kw_only=True):
    """One person's part of a call; without id and name where the side says enough."""

    id: UUID | None
    side: Literal["doctor", "patient", "teacher", "pupil"]
    name: str | None
    stretches: list[Stretch]


class CallTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """How a call went for everybody who was in it; `cut`: there was more than is told."""

    kept_days: int
    cut: bool
    members: list[CallMember]


async def keep(db: AsyncSession, rows: Sequence[NewMinute]) -> None:
    """Keep some minutes; those of somebody who is not there any more, or erased, are left out."""
    closed = select(ClosedAccounts.person_id)
    asked = {one.person_id for one in rows}
    query = select(Persons.id).where(Persons.id.in_(asked), Persons.id.not_in(closed))
    there = set(await db.scalars(query))
    found = [
        {"id": new_id(), **msgspec.structs.asdict(one)} for one in rows if one.person_id in there
    ]
    if found:
        await db.execute(insert(CallMinutes), found)


async def told(
    db: AsyncSession, room_ids: Collection[UUID]
) -> tuple[dict[UUID, list[Stretch]], bool]:
    """Give each person's stretches, and whether there was more. Asks nobody who he is."""
    names = Stretch.__struct_fields__
    columns = [CallMinutes.person_id, *(getattr(CallMinutes, name) for name in names)]
    query = (
        select(*columns)
        .where(CallMinutes.room_id.in_(room_ids))
        .order_by(CallMinutes.since, CallMinutes.id)
        .limit(MOST_ROWS + 1)
    )
    rows = (await db.execute(query)).all()
    found: dict[UUID, list[Stretch]] = {}
    for person_id, *values in rows[:MOST_ROWS]:
        stretch = Stretch(**dict(zip(names, values, strict=True)))
        found.setdefault(person_id, []).append(stretch)
    whole = {person_id: joined(stretches) for person_id, stretches in found.items()}
    return whole, len(rows) > MOST_ROWS


async def names_of(db: AsyncSession, person_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Give the names of some persons. Asks nobody who he is."""
    query = select(Persons.id, Persons.given_name, Persons.family_name)
    rows = await db.execute(query.where(Persons.id.in_(set(person_ids))))
    return {row.id: full_name(row.given_name, row.family_name) for row in rows}


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Stretches of one word and direction that follow each other, as one; in order of time."""
    open_ones: dict[str, Stretch] = {}
    done: list[Stretch] = []
    for one in stretches:
        last = open_ones.get(one.direction)
        if last is not None and last.word == one.word and one.since - last.until <= GAP:
            open_ones[one.direction] = _together(last, one)
            continue
        if last is not None:
            done.append(last)
        open_ones[one.direction] = one
    return sorted([*done, *open_ones.values()], key=lambda one: (one.since, one.direction))


def _together(first: Stretch, second: Stretch) -> Stretch:
    return msgspec.structs.replace(
        first,
        until=max(first.until, second.until),
        kbps=min(first.kbps, second.kbps),
        lost_permille=_most(first.lost_permille, second.lost_permille),
        rtt_ms=_most(first.rtt_ms, second.rtt_ms),
        jitter_ms=_most(first.jitter_ms, second.jitter_ms),
        concealed_permille=_most(first.concealed_permille, second.concealed_permille),
        frozen_ms=first.frozen_ms + second.frozen_ms,
        step=second.step,
    )


def _most(*values: Any) -> Any:
    known = [one for one in values if one is not None]
    return max(known) if known else None
