"""Guardians: asked for, confirmed, living, over. One row per guardian and child; each is dated.

    asked → confirmed by an administrator of an organisation of the child, or by another guardian:
            a clinic opens health, a school opens school, a guardian what was opened to him
          → from 15 on agreed to by the teen → lives until the 18th birthday, or is ended

What a guardian may see is written into relations (people/guardian_rights.py) anew whenever the
row, a court's limit or the teen's share changes; between changes birthdays act by themselves. The
steps are in people/guardian_steps.py, limits and shares in people/guardian_limits.py.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    and_,
    delete,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.administration import require_at
from people.ages import DEFAULT_ZONE
from people.facts import RightsChanged, emit
from people.guardian_rights import Say, Scope, Window, rights_of
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Kind, Thing, require
from people.refused import Forbidden, NotFound, Refused
from people.relations import Relations, grant
from storage.engine import Base, new_id

SOURCE = "guardian"
# What makes a person one of an organisation's own: its patients and its pupils.
BELONGS = (Kind.ATTACHMENT.value, Kind.CLASS.value)


class Guardianships(Base):
    """One person's being guardian of one child. Ended rows stay: they say who was."""

    __tablename__ = "guardianships"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    guardian_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    child_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    asked_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    confirmed_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    # Which side of the child's life was confirmed: by its clinic, by its school, by who has it.
    health: Mapped[bool] = mapped_column(default=False)
    school: Mapped[bool] = mapped_column(default=False)
    # When it began to give rights: at once when confirmed, later when the teen has to agree.
    live_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (
        CheckConstraint("guardian_id <> child_id", name="two_people"),
        CheckConstraint("(confirmed_at IS NULL) = (confirmed_by_id IS NULL)", name="confirmed"),
        CheckConstraint("live_at IS NULL OR confirmed_at IS NOT NULL", name="live"),
        Index(
            "ux_guardianships_pair",
            "guardian_id",
            "child_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(None, "child_id"),
    )


class GuardianLimits(Base):
    """What a court, or whoever has its power, closed to one guardian.

    It outlives the guardianship: the next one of the same two people takes it over.
    """

    __tablename__ = "guardian_limits"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    guardianship_id: Mapped[UUID] = mapped_column(ForeignKey("guardianships.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    scope: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    # Number of the paper it rests on, for whoever asks later.
    paper: Mapped[str]
    set_by_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    lifted_at: Mapped[datetime | None]
    lifted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (
        CheckConstraint("scope IN ('health', 'school')", name="scope"),
        CheckConstraint("until IS NULL OR until > since", name="times"),
        Index(None, "guardianship_id"),
    )

    @classmethod
    def live(cls, now: datetime) -> ColumnElement[bool]:
        """SQL: closes something at `now`."""
        begun = and_(cls.lifted_at.is_(None), cls.since <= now)
        return and_(begun, or_(cls.until.is_(None), cls.until > now))


class HealthShares(Base):
    """A teen lets a guardian see health for a while."""

    __tablename__ = "health_shares"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    guardianship_id: Mapped[UUID] = mapped_column(ForeignKey("guardianships.id"))
    since: Mapped[datetime]
    until: Mapped[datetime]

    __table_args__ = (Index(None, "guardianship_id"),)


class GuardianState(StrEnum):
    """asked → confirmed (the teen's word is missing) → live → ended."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    LIVE = "live"
    ENDED = "ended"


class NotAChild(Refused):
    """Whose date of birth is unknown, or who is grown up, has no guardian."""

    status = 409
    code = "not_a_child"


class GuardianTooYoung(Refused):
    """A minor asks to be somebody's guardian; an administrator may appoint a young parent."""

    status = 409
    code = "guardian_too_young"


class GuardianshipOver(Refused):
    """The guardianship has ended, or is not at the step this act needs; `params["state"]`."""

    status = 409
    code = "guardianship_over"

    def __init__(self, state: GuardianState) -> None:
        super().__init__(state=state.value)


def state_of(row: Guardianships) -> GuardianState:
    """Give the step a guardianship is at."""
    if row.ended_at is not None:
        return GuardianState.ENDED
    if row.live_at is not None:
        return GuardianState.LIVE
    return GuardianState.ASKED if row.confirmed_at is None else GuardianState.CONFIRMED


def halves_of(row: Guardianships) -> frozenset[Scope]:
    """Give the sides of a child's life that somebody confirmed."""
    confirmed = {Scope.HEALTH: row.health, Scope.SCHOOL: row.school}
    return frozenset(scope for scope, open_ in confirmed.items() if open_)


_own = aliased(Guardianships)


def visible_to(person_id: UUID, now: datetime) -> Select[Guardianships]:
    """Guardianships this person has a say in: of either side, or over a child he guards too."""
    return select(Guardianships).where(
        or_(
            Guardianships.guardian_id == person_id,
            Guardianships.child_id == person_id,
            guards_too(person_id, now),
        )
    )


def guards_too(person_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over guardianships: this person is a guardian of the child whom no court limits now."""
    limited = exists().where(GuardianLimits.guardianship_id == _own.id, GuardianLimits.live(now))
    return exists().where(
        _own.guardian_id == person_id,
        _own.child_id == Guardianships.child_id,
        _own.live_at.is_not(None),
        _own.ended_at.is_(None),
        ~limited,
    )


def of_organisation(organisation_id: UUID, now: datetime) -> ColumnElement[bool]:
    """SQL over guardianships: the child is a patient or a pupil of the organisation."""
    return exists().where(
        Relations.actor_id == Guardianships.child_id,
        Relations.kind.in_(BELONGS),
        Relations.organisation_id == organisation_id,
        Relations.live(now),
    )


async def seen(
    db: AsyncSession, actor: Actor, guardianship_id: UUID, now: datetime
) -> Guardianships:
    """Give the locked row to somebody with a say in it. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    query = (
        visible_to(actor.id, now)
        .where(Guardianships.id == guardianship_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row: Guardianships | None = await db.scalar(query)
    if row is None:
        raise NotFound
    return row


async def managed(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    guardianship_id: UUID | None,
    now: datetime,
) -> Guardianships:
    """Give the locked row over a child of the organisation to an administrator of it.

    Raises NotFound, Forbidden for one's own: nobody opens a child to himself by another hat.
    """
    require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
    query = (
        select(Guardianships)
        .where(Guardianships.id == guardianship_id, of_organisation(organisation_id, now))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = await db.scalar(query)
    if row is None:
        raise NotFound
    if row.guardian_id == actor.id:
        raise Forbidden
    return row


async def rewrite(db: AsyncSession, row: Guardianships, now: datetime) -> None:
    """Write the rights of a guardianship anew; what held until now ends now."""
    await db.flush()
    mine = and_(Relations.source == SOURCE, Relations.about_id == row.id)
    await db.execute(delete(Relations).where(mine, Relations.since >= now))
    await db.execute(update(Relations).where(mine, Relations.live(now)).values(until=now))
    if row.live_at is not None and row.ended_at is None:
        for right in rights_of(await say_of(db, row, now), now):
            await grant(db, right, SOURCE)
    for person_id in (row.guardian_id, row.child_id):
        emit(db, RightsChanged(at=now, person_id=person_id))


async def say_of(db: AsyncSession, row: Guardianships, now: datetime) -> Say:
    """Give all that decides about the rights of a guardianship. Raises NotAChild."""
    born_on = await db.scalar(select(Persons.born_on).where(Persons.id == row.child_id))
    if born_on is None:
        raise NotAChild
    say = Say(
        id=row.id,
        guardian_id=row.guardian_id,
        child_id=row.child_id,
        born_on=born_on,
        zone=await zone_of(db, row.child_id, now),
        confirmed=halves_of(row),
        closed={scope: [] for scope in Scope},
    )
    limits = select(GuardianLimits).where(
        GuardianLimits.guardianship_id == row.id, GuardianLimits.lifted_at.is_(None)
    )
    for limit in (await db.scalars(limits)).all():
        until = limit.until or say.grown_up_at
        say.closed[Scope(limit.scope)].append(Window(limit.since, until))
    shares = select(HealthShares.since, HealthShares.until).where(
        HealthShares.guardianship_id == row.id
    )
    say.shared.extend(Window(since, until) for since, until in (await db.execute(shares)).all())
    return say


async def zone_of(db: AsyncSession, person_id: UUID, now: datetime) -> str:
    """Give the zone of the clinic or school a person has belonged to longest."""
    query = (
        select(Organisations.timezone)
        .join(Relations, Relations.organisation_id == Organisations.id)
        .where(Relations.actor_id == person_id, Relations.kind.in_(BELONGS), Relations.live(now))
        .order_by(Relations.since, Relations.id)
        .limit(1)
    )
    return await db.scalar(query) or DEFAULT_ZONE


async def acted(  # noqa: PLR0917 - who, what, to what, when, where: all of them each time
    db: AsyncSession,
    actor: Actor,
    what: str,
    row: Guardianships,
    now: datetime,
    organisation_id: UUID | None = None,
) -> None:
    """Keep a row of what was done to a guardianship; of an office's act also where."""
    thing = Thing(subject_id=row.child_id, organisation_id=organisation_id, about=(row.id,))
    await audit.acted(db, actor.id, what, thing, now)
