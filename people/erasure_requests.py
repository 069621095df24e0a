"""Requests to erase somebody of whom other organisations keep something: each of them is asked.

    open → done, when every keeper has agreed and nothing else stands against it
         → refused, by the first keeper that must keep, with a code that says why
         → withdrawn, by whoever asked
    Nobody's answer in time is no answer: the request is over, and nothing was destroyed.

Which organisations keep something is looked up whenever it matters and written nowhere. Whoever
asks is told how many they are and not which: where somebody is treated is nobody else's business.
A word counts for what was there when it was given (people/keepers.py). The verbs that may end in
an erasure stand in people/erasure.py and people/erasure_answers.py.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    and_,
    exists,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.administration import require_at
from people.keepers import Keeper, keepers_of, keeps_of
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor
from people.relations import allowed
from storage.engine import Base, new_id

ANSWERED_WITHIN: Final = timedelta(days=30)
SHOWN: Final = 100
AGREED, REFUSED = "agreed", "refused"


class ErasureRequests(Base):
    """One organisation's request; at most one is open for a person."""

    __tablename__ = "erasure_requests"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    reason: Mapped[str]
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    asked_at: Mapped[datetime]
    until: Mapped[datetime]
    ended: Mapped[str | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("ended IN ('done', 'refused', 'withdrawn')", name="ended"),
        CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name="ended_when"),
        Index(None, "organisation_id", "asked_at"),
        Index(None, "person_id"),
        Index("ix_erasure_requests_open", "until", postgresql_where=text("ended IS NULL")),
    )

    @classmethod
    def open(cls, now: datetime) -> ColumnElement[bool]:
        """SQL: it may still be answered."""
        return and_(cls.ended.is_(None), cls.until > now)


class ErasureAnswers(Base):
    """What one keeper said; said anew, the last word counts."""

    __tablename__ = "erasure_answers"

    request_id: Mapped[UUID] = mapped_column(
        ForeignKey("erasure_requests.id", ondelete="CASCADE"), primary_key=True
    )
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    answer: Mapped[str]
    # Why it is refused: a code, for no sentence about a person goes from one clinic to another.
    why: Mapped[str | None]
    answered_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    answered_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("answer IN ('agreed', 'refused')", name="answer"),
        CheckConstraint("(answer = 'refused') = (why IS NOT NULL)", name="why"),
        Index(None, "organisation_id"),
    )


class RequestState(StrEnum):
    """See the top of this module."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OVER = "over"


class KeepReason(StrEnum):
    """Why a keeper refuses."""

    MUST_KEEP = "must_keep"  # the time for which it has to be kept is not over
    IN_CARE = "in_care"  # the person is treated, or taught, there
    DISPUTE = "dispute"  # it may be needed as evidence


class ErasureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as administrators of the place that asked, or of one that keeps, see it."""

    id: UUID
    person: Ref
    reason: str
    asked_at: datetime
    until: datetime
    state: RequestState
    # Asked by this organisation; `keepers` and `agreed` are then counted while it is open.
    ours: bool
    keepers: int
    agreed: int
    # What this organisation said, when it is asked.
    answer: str | None
    # Why it was refused.
    why: KeepReason | None


async def open_request(db: AsyncSession, person_id: UUID, now: datetime) -> ErasureRequests | None:
    """Give the request about a person that waits for answers. Asked behind the person's lock."""
    query = select(ErasureRequests).where(
        ErasureRequests.person_id == person_id, ErasureRequests.open(now)
    )
    found: ErasureRequests | None = await db.scalar(query.order_by(ErasureRequests.asked_at))
    return found


async def unwilling(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime
) -> list[Keeper]:
    """Other organisations that keep something of the person and have not agreed to lose it."""
    keepers = await keepers_of(db, person_id, now)
    others = [one for one in keepers if one.organisation_id != organisation_id]
    row = await open_request(db, person_id, now)
    if not others or row is None or row.organisation_id != organisation_id:
        return others
    given = (await _words(db, [row.id]))[row.id]
    return [one for one in others if not _holds(one, given.get(one.organisation_id))]


async def list_requests(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[ErasureRequest]:
    """Give what the organisation asked, is asked and has answered: what waits first, then by age.

    Raises NotFound, Forbidden.
    """
    require_at(actor, Act.ERASE_PERSON, organisation_id, now)
    visible = allowed(
        Act.ERASE_PERSON,
        actor.id or organisation_id,
        now,
        organisation=ErasureRequests.organisation_id,
    )
    own = and_(ErasureRequests.organisation_id == organisation_id, visible)
    answered = exists().where(
        ErasureAnswers.request_id == ErasureRequests.id,
        ErasureAnswers.organisation_id == organisation_id,
    )
    asked = ErasureRequests.open(now) & keeps_of(ErasureRequests.person_id, organisation_id, now)
    query = (
        select(ErasureRequests, Persons)
        .join(Persons, Persons.id == ErasureRequests.person_id)
        .where(or_(own, answered, asked))
        .order_by(~ErasureRequests.open(now), ErasureRequests.asked_at.desc(), ErasureRequests.id)
        .limit(SHOWN)
    )
    rows = (await db.execute(query)).all()
    words = await _words(db, [row.id for row, _ in rows])
    return [await _shown(db, *row, words[row[0].id], organisation_id, now) for row in rows]


async def shown(
    db: AsyncSession, row: ErasureRequests, place: UUID, now: datetime
) -> ErasureRequest:
    """Give a request as the administrators of `place` see it."""
    person = await db.get_one(Persons, row.person_id, populate_existing=True)
    words = await _words(db, [row.id])
    return await _shown(db, row, person, words[row.id], place, now)


async def _shown(  # noqa: PLR0917 - a row with all that is known of it
    db: AsyncSession,
    row: ErasureRequests,
    person: Persons,
    given: Mapping[UUID, ErasureAnswers],
    place: UUID,
    now: datetime,
) -> ErasureRequest:
    ours, state = row.organisation_id == place, _state(row, now)
    word = given.get(place)
    keepers, agreed = 0, 0
    if ours and state is RequestState.OPEN:
        others = [k for k in await keepers_of(db, person.id, now) if k.organisation_id != place]
        keepers = len(others)
        agreed = sum(_holds(one, given.get(one.organisation_id)) for one in others)
    why = next((one.why for one in given.values() if one.why is not None), None)
    # The other keepers' reasons are for whoever asked.
    mine = why if ours else word.why if word is not None else None
    return ErasureRequest(
        id=row.id,
        person=Ref(person.id, full_name(person.given_name, person.family_name)),
        reason=row.reason,
        asked_at=row.asked_at,
        until=row.until,
        state=state,
        ours=ours,
        keepers=keepers,
        agreed=agreed,
        answer=None if word is None else word.answer,
        why=None if mine is None else KeepReason(mine),
    )


async def _words(
    db: AsyncSession, request_ids: Collection[UUID]
) -> dict[UUID, dict[UUID, ErasureAnswers]]:
    """Answers by request and keeper."""
    query = select(ErasureAnswers).where(ErasureAnswers.request_id.in_(request_ids))
    given: dict[UUID, dict[UUID, ErasureAnswers]] = {one: {} for one in request_ids}
    for word in await db.scalars(query, execution_options={"populate_existing": True}):
        given[word.request_id][word.organisation_id] = word
    return given


def _holds(keeper: Keeper, word: ErasureAnswers | None) -> bool:
    """A keeper's word about all that it keeps by now."""
    return word is not None and word.answer == AGREED and keeper.latest <= word.answered_at


def _state(row: ErasureRequests, now: datetime) -> RequestState:
    if row.ended is not None:
        return RequestState(row.ended)
    return RequestState.OPEN if row.until > now else RequestState.OVER
