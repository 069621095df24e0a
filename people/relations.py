"""One row per right: who holds it, over whom, where, about what, from when until when.

Domain verbs write rows in their own transaction: booking a visit opens relations, closing it ends
them. `allowed` compiles the rules of people/policy.py into a WHERE, so that "who may see this" is
part of the SELECT.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ColumnExpressionArgument,
    ForeignKey,
    FromClause,
    Index,
    and_,
    exists,
    false,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.policy import ACTS, Act, Actor, Kind, Reach, Right, Rule
from storage.engine import Base, insert_many, new_id


class Relations(Base):
    """One right. `source` says in a word where it came from: booking, roster, demo."""

    __tablename__ = "relations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    actor_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    subject_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    kind: Mapped[str]
    organisation_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisations.id"))
    # The visit, class or lesson the right is limited to; of several tables, hence no foreign key.
    about_id: Mapped[UUID | None]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    source: Mapped[str]

    __table_args__ = (
        Index(None, "actor_id", "kind"),
        Index(None, "about_id"),
        Index(None, "subject_id"),
    )

    @classmethod
    def live(cls, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """SQL of Right.live."""
        return and_(cls.since <= now, or_(cls.until.is_(None), cls.until > now))


# What a right is read from: plain columns, for a row of them is many times cheaper than an object.
RIGHT = (
    Relations.actor_id,
    Relations.kind,
    Relations.subject_id,
    Relations.organisation_id,
    Relations.about_id,
    Relations.since,
    Relations.until,
)


def right_of(row: Sequence[Any]) -> Right:
    """The right in a row of RIGHT."""
    actor_id, kind, subject_id, organisation_id, about_id, since, until = row
    return Right(
        actor_id=actor_id,
        kind=Kind(kind),
        subject_id=subject_id,
        organisation_id=organisation_id,
        about_id=about_id,
        since=since,
        until=until,
    )


async def actor_of(db: AsyncSession, person_id: UUID, now: datetime) -> Actor:
    """Give the person with every right that is live at `now`."""
    query = select(*RIGHT).where(Relations.actor_id == person_id, Relations.live(now))
    return Actor(person_id, tuple(right_of(row) for row in await db.execute(query)))


async def unended_rights(db: AsyncSession, person_id: UUID, now: datetime) -> Actor:
    """Give the person with the rights that nobody has put an end to, as the rows are by now.

    Asked behind a lock: whoever held it before may have ended a right later than our `now`.
    """
    query = select(*RIGHT).where(
        Relations.actor_id == person_id, Relations.since <= now, Relations.until.is_(None)
    )
    return Actor(person_id, tuple(right_of(row) for row in await db.execute(query)))


async def grant(db: AsyncSession, right: Right, source: str) -> None:
    """Write a right; the same live right is not written twice."""
    same = (
        select(Relations.id)
        .where(
            Relations.actor_id == right.actor_id,
            Relations.kind == right.kind.value,
            Relations.subject_id.is_not_distinct_from(right.subject_id),
            Relations.organisation_id.is_not_distinct_from(right.organisation_id),
            Relations.about_id.is_not_distinct_from(right.about_id),
            Relations.live(right.since),
        )
        .limit(1)
    )
    if await db.scalar(same) is not None:
        return
    db.add(
        Relations(
            actor_id=right.actor_id,
            subject_id=right.subject_id,
            kind=right.kind.value,
            organisation_id=right.organisation_id,
            about_id=right.about_id,
            since=right.since,
            until=right.until,
            source=source,
        )
    )
    await db.flush()


async def grant_all(db: AsyncSession, rights: Sequence[Right], source: str) -> list[Right]:
    """Write many rights of people at once, those that are not there; give what was written.

    As `grant`, in two statements: all of them over nobody and in one organisation.
    """
    if not rights:
        return []
    (organisation_id,) = {right.organisation_id for right in rights}
    query = select(Relations.actor_id, Relations.kind, Relations.about_id).where(
        Relations.organisation_id == organisation_id,
        Relations.subject_id.is_(None),
        Relations.kind.in_({right.kind.value for right in rights}),
        Relations.live(rights[0].since),
    )
    there = {(actor, kind, about) for actor, kind, about in (await db.execute(query)).all()}
    new = {(right.actor_id, right.kind.value, right.about_id): right for right in rights}
    written = [right for key, right in new.items() if key not in there]
    rows = [
        {
            "id": new_id(),
            "actor_id": right.actor_id,
            "kind": right.kind.value,
            "organisation_id": organisation_id,
            "about_id": right.about_id,
            "since": right.since,
            "until": right.until,
            "source": source,
        }
        for right in written
    ]
    await insert_many(db, Relations, rows)
    return written


async def end(db: AsyncSession, kind: Kind, about_id: UUID, now: datetime) -> None:
    """End every live right of this kind about this thing."""
    await db.execute(
        update(Relations)
        .where(Relations.kind == kind.value, Relations.about_id == about_id, Relations.live(now))
        .values(until=now)
    )


# Two names for the table, made once: making them anew costs milliseconds a query.
_held = Relations.__table__.alias("held")
_duty = Relations.__table__.alias("duty")


def allowed(
    act: Act,
    person_id: UUID | ColumnExpressionArgument[UUID],
    now: datetime | BindParameter[datetime],
    *,
    subject: Any = None,
    organisation: Any = None,
    about: Sequence[Any] = (),
) -> ColumnElement[bool]:
    """SQL of policy.may for a person (or a column of them) and the columns of a thing."""
    kinds: dict[Rule, list[str]] = {}
    for rule in ACTS.get(act, ()):
        reach = msgspec.structs.replace(rule, kind=None)
        kinds.setdefault(reach, []).extend([rule.kind.value] if rule.kind is not None else [])
    ways = [
        _sql(rule, some, person_id, now, (subject, organisation, about))
        for rule, some in kinds.items()
    ]
    return or_(false(), *ways)


def _sql(
    rule: Rule,
    kinds: list[str],
    person_id: UUID | ColumnExpressionArgument[UUID],
    now: datetime | BindParameter[datetime],
    thing: tuple[Any, Any, Sequence[Any]],
) -> ColumnElement[bool]:
    """SQL of one rule, for a right of any of these kinds."""
    subject, organisation, _ = thing
    own = false() if subject is None else subject == person_id
    if rule.reach is Reach.ANYONE:
        return true()
    if rule.reach is Reach.SELF:
        return own
    held = _lives(_held, person_id, now, kinds)
    ways: list[ColumnElement[bool]] = [exists().where(held, *_reach(rule, thing))]
    if rule.own:
        ways.append(own)
    if rule.on_duty:
        # Beside the other EXISTS, not inside: SQLAlchemy ties a subquery to the statement right
        # around it only, and would look at the organisation of every row there is.
        works = _lives(_duty, person_id, now, [Kind.DUTY.value])
        ways.append(exists().where(works, _duty.c.organisation_id == organisation))
    return and_(*ways)


def _lives(
    table: FromClause,
    person_id: UUID | ColumnExpressionArgument[UUID],
    now: datetime | BindParameter[datetime],
    kinds: list[str],
) -> ColumnElement[bool]:
    row = table.c
    return and_(
        row.actor_id == person_id,
        row.kind.in_(kinds),
        row.since <= now,
        or_(row.until.is_(None), row.until > now),
    )


def _reach(rule: Rule, thing: tuple[Any, Any, Sequence[Any]]) -> list[ColumnElement[bool]]:
    subject, organisation, about = thing
    row = _held.c
    # `= NULL` would become IS NULL: a thing of nobody, or nowhere, is reached by no right.
    if rule.reach is Reach.SUBJECT:
        return [false() if subject is None else row.subject_id == subject]
    same_organisation = false() if organisation is None else row.organisation_id == organisation
    if rule.reach is Reach.ORGANISATION:
        return [same_organisation]
    if rule.reach is Reach.SUBJECT_AT:
        return [same_organisation, false() if subject is None else row.subject_id == subject]
    same_subject = row.subject_id.is_not_distinct_from(subject)
    return [same_organisation, same_subject, or_(false(), *(row.about_id == a for a in about))]
