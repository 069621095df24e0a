"""Consents: who agreed to what, for which organisation, until when; given and taken back at home.

A guardian's word for a child holds only while he may still give it. A newer text that asks again
ends what was agreed to before; everything else keeps the text it was given to.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    and_,
    case,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.ages import local_day
from people.consent_asked import asked_of, needed
from people.consent_rules import LIFE, Hand, Purpose, hands_needed
from people.consent_texts import ConsentText, ConsentTextChanged, ConsentTexts, current_texts, shown
from people.facts import RightsChanged, emit
from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Thing, may
from people.refused import FieldError, NotFound, Refused
from people.relations import Relations, allowed
from storage.engine import Base, new_id

__all__ = ["Purpose", "agreed"]

# Who may watch what is recorded: the one thing a consent may be limited to.
Audience = Literal["class", "school"]


class Consents(Base):
    """One word given by `given_by` for `person_id`, who may be the same."""

    __tablename__ = "consents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    given_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    purpose: Mapped[str]
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    scope: Mapped[list[str]]
    text_id: Mapped[UUID] = mapped_column(ForeignKey("consent_texts.id"))
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    why: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("why IN ('withdrawn', 'replaced')", name="why"),
        CheckConstraint("(ended_at IS NULL) = (why IS NULL)", name="over"),
        Index(None, "person_id", "purpose"),
        Index(
            "ux_consents_given",
            "person_id",
            "given_by",
            "purpose",
            "organisation_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class ConsentNotYours(Refused):
    """This word is somebody else's to give or take back: a guardian's, or the person's own."""

    status = 403
    code = "consent_not_yours"


class BadScope(Refused):
    """Only a recorded lesson has a circle of who may watch it."""

    status = 422
    code = "bad_scope"

    def __init__(self) -> None:
        super().__init__((FieldError("audience", self.code),))


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A word as the people it concerns see it; `live`: it counts now."""

    id: UUID
    organisation: Ref
    purpose: Purpose
    version: int
    scope: list[str]
    given_by: Ref
    given_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    live: bool


class NewConsent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word: to which organisation, for what, after reading which version; for oneself or a child.

    `audience` limits who may watch a recorded lesson; `days` ends the word sooner.
    """

    organisation_id: UUID
    purpose: Purpose
    version: int
    person_id: UUID | None = None
    audience: Audience | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] | None = None


async def agreed(
    db: AsyncSession,
    person_ids: Collection[UUID],
    purpose: Purpose,
    organisation_id: UUID,
    now: datetime,
    *,
    scope: str | None = None,
) -> set[UUID]:
    """Who of these people have agreed, by every hand their age asks for, at this moment."""
    organisation = await db.get(Organisations, organisation_id)
    if organisation is None or not person_ids:
        return set()
    query = (
        select(Consents.person_id, Consents.given_by)
        .join(ConsentTexts, ConsentTexts.id == Consents.text_id)
        .join(Organisations, Organisations.id == Consents.organisation_id)
        .where(
            Consents.person_id.in_(person_ids),
            Consents.purpose == purpose.value,
            Consents.organisation_id == organisation_id,
            live(now),
        )
    )
    if scope is not None:
        query = query.where(Consents.scope.contains([scope]))
    given: defaultdict[UUID, set[Hand]] = defaultdict(set)
    for person_id, giver_id in (await db.execute(query)).all():
        given[person_id].add(hand_of(person_id, giver_id))
    kind, day = OrganisationKind(organisation.kind), local_day(now, organisation.timezone)
    born = select(Persons.id, Persons.born_on).where(Persons.id.in_(person_ids))
    return {
        person_id
        for person_id, born_on in (await db.execute(born)).all()
        if hands_needed(kind, born_on, day) <= given[person_id]
    }


async def give(db: AsyncSession, actor: Actor, new: NewConsent, now: datetime) -> Consent:
    """Give one's word, for oneself or a child. Given again it begins anew.

    Raises NotFound for what nobody asks of that person, ConsentNotYours, ConsentTextChanged.
    """
    if actor.id is None:
        raise NotFound
    person_id = new.person_id or actor.id
    organisation = await db.get(Organisations, new.organisation_id)
    if organisation is None:
        raise NotFound
    require_word(actor, person_id, OrganisationKind(organisation.kind), now)
    asked = await asked_of(db, [person_id], now)
    if new.purpose not in asked[person_id].get(new.organisation_id, ()):
        raise NotFound
    if hand_of(person_id, actor.id) not in await needed(db, person_id, organisation, now):
        raise ConsentNotYours
    if new.audience is not None and new.purpose is not Purpose.RECORDING_LESSON:
        raise BadScope
    words = (await current_texts(db, [organisation.id]))[organisation.id, new.purpose]
    if words.version != new.version:
        raise ConsentTextChanged(words.version)
    # Of two words given at once the second waits here, and takes the place of the first.
    one_at_a_time = select(Persons.id).where(Persons.id == person_id)
    await db.execute(one_at_a_time.with_for_update(key_share=True))
    same = (
        Consents.person_id == person_id,
        Consents.given_by == actor.id,
        Consents.purpose == new.purpose.value,
        Consents.organisation_id == organisation.id,
        Consents.ended_at.is_(None),
    )
    replaced = {"ended_at": now, "ended_by": actor.id, "why": "replaced"}
    await db.execute(update(Consents).where(*same).values(replaced))
    row = Consents(
        id=new_id(),
        person_id=person_id,
        given_by=actor.id,
        purpose=new.purpose.value,
        organisation_id=organisation.id,
        scope=_scope(new),
        text_id=words.id,
        given_at=now,
        expires_at=_expires(new, now),
    )
    db.add(row)
    await db.flush()
    await _happened(db, actor, row, organisation, now)
    return await get_consent(db, actor, row.id, now)


async def withdraw(db: AsyncSession, actor: Actor, consent_id: UUID, now: datetime) -> Consent:
    """Take a word back: the person when it is theirs to say, or a guardian who may give it today.

    It acts at once. Taking back twice is taking back. Raises NotFound and ConsentNotYours.
    """
    seen = await get_consent(db, actor, consent_id, now)
    query = (
        select(Consents, Organisations)
        .join(Organisations, Organisations.id == Consents.organisation_id)
        .where(Consents.id == consent_id)
        .with_for_update(of=Consents)
        .execution_options(populate_existing=True)
    )
    row, organisation = (await db.execute(query)).one()
    if row.ended_at is not None:
        return seen
    if not await _may_end(db, actor, row, organisation, now):
        raise ConsentNotYours
    row.ended_at, row.ended_by, row.why = now, actor.id, "withdrawn"
    await db.flush()
    await _happened(db, actor, row, organisation, now)
    return await get_consent(db, actor, consent_id, now)


async def _may_end(
    db: AsyncSession, actor: Actor, row: Consents, place: Organisations, now: datetime
) -> bool:
    """Say whether a word is the actor's to end: nobody ends the person's own for them."""
    if row.given_by == actor.id == row.person_id:
        return True
    hand = Hand.OWN if actor.id == row.person_id else Hand.GUARDIAN
    if hand not in await needed(db, row.person_id, place, now):
        return False
    if hand is Hand.OWN:
        return True
    act = act_for(actor, row.person_id, OrganisationKind(place.kind))
    return row.given_by != row.person_id and may(actor, act, Thing(subject_id=row.person_id), now)


async def get_consent(db: AsyncSession, actor: Actor, consent_id: UUID, now: datetime) -> Consent:
    """Give a word to those it concerns. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    found = await read(db, visible_to(actor.id, now).where(Consents.id == consent_id), now)
    if not found:
        raise NotFound
    return found[0][1]


async def text_of(db: AsyncSession, actor: Actor, consent_id: UUID, now: datetime) -> ConsentText:
    """Give the text somebody agreed to, as it was then. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    row = await db.scalar(
        visible_to(actor.id, now).where(Consents.id == consent_id).with_only_columns(ConsentTexts)
    )
    if row is None:
        raise NotFound
    return shown(row)


def visible_to(person_id: UUID, now: datetime) -> Select[Consents]:
    """Words this person gave, that were given for them, or for a child they speak for."""
    subject = Consents.person_id
    clinic = Organisations.kind == OrganisationKind.CLINIC.value
    health = allowed(Act.CONSENT_FOR_CHILD_HEALTH, person_id, now, subject=subject)
    school = allowed(Act.CONSENT_FOR_CHILD_SCHOOL, person_id, now, subject=subject)
    return (
        select(Consents)
        .join(ConsentTexts, ConsentTexts.id == Consents.text_id)
        .join(Organisations, Organisations.id == Consents.organisation_id)
        .where(
            or_(
                Consents.given_by == person_id,
                allowed(Act.CONSENT, person_id, now, subject=subject),
                and_(clinic, health),
                and_(~clinic, school),
            )
        )
    )


async def read(
    db: AsyncSession, query: Select[Consents], now: datetime
) -> list[tuple[UUID, Consent]]:
    """Give words of `visible_to` with whose they are, the newest first."""
    giver = aliased(Persons)
    full = (
        query.join(giver, giver.id == Consents.given_by)
        .with_only_columns(Consents, ConsentTexts.version, Organisations, giver, live(now))
        .order_by(Consents.given_at.desc(), Consents.id)
        .execution_options(populate_existing=True)
    )
    return [
        (
            row.person_id,
            Consent(
                id=row.id,
                organisation=Ref(place.id, place.name),
                purpose=Purpose(row.purpose),
                version=version,
                scope=list(row.scope),
                given_by=Ref(by.id, full_name(by.given_name, by.family_name)),
                given_at=row.given_at,
                expires_at=row.expires_at,
                ended_at=row.ended_at,
                live=counts,
            ),
        )
        for row, version, place, by, counts in (await db.execute(full)).all()
    ]


def require_word(actor: Actor, person_id: UUID, kind: OrganisationKind, now: datetime) -> Act:
    """Say by which act the actor speaks for a person. Raises NotFound for other people's people."""
    act = act_for(actor, person_id, kind)
    if not may(actor, act, Thing(subject_id=person_id), now):
        raise NotFound
    return act


def act_for(actor: Actor, person_id: UUID, kind: OrganisationKind) -> Act:
    """The act of giving a word: for oneself, or for a child's health or school."""
    if actor.id == person_id:
        return Act.CONSENT
    clinic = kind is OrganisationKind.CLINIC
    return Act.CONSENT_FOR_CHILD_HEALTH if clinic else Act.CONSENT_FOR_CHILD_SCHOOL


def hand_of(person_id: UUID, giver_id: UUID) -> Hand:
    """By which hand a word was given."""
    return Hand.OWN if person_id == giver_id else Hand.GUARDIAN


def live(now: datetime) -> ColumnElement[bool]:
    """SQL over consents, their texts and organisations: this word counts at `now`."""
    newer = aliased(ConsentTexts)
    asked_again = exists().where(
        or_(
            newer.organisation_id == Consents.organisation_id,
            newer.organisation_id.is_(None),
        ),
        newer.purpose == Consents.purpose,
        newer.version > ConsentTexts.version,
        newer.asks_again,
    )
    speaks = aliased(Relations)
    kind = case(
        (Organisations.kind == OrganisationKind.CLINIC.value, Kind.CHILD_HEALTH.value),
        else_=Kind.CHILD_SCHOOL.value,
    )
    still_guardian = exists().where(
        speaks.actor_id == Consents.given_by,
        speaks.subject_id == Consents.person_id,
        speaks.kind == kind,
        speaks.since <= now,
        or_(speaks.until.is_(None), speaks.until > now),
    )
    return and_(
        Consents.given_at <= now,
        or_(Consents.expires_at.is_(None), Consents.expires_at > now),
        Consents.ended_at.is_(None),
        or_(Consents.given_by == Consents.person_id, still_guardian),
        ~asked_again,
    )


def _scope(new: NewConsent) -> list[str]:
    """Who may watch: what is for the school is for the class as well."""
    if new.purpose is not Purpose.RECORDING_LESSON:
        return []
    return ["class", "school"] if new.audience == "school" else ["class"]


def _expires(new: NewConsent, now: datetime) -> datetime | None:
    life = LIFE.get(new.purpose)
    if new.days is None:
        return None if life is None else now + life
    return now + (timedelta(days=new.days) if life is None else min(life, timedelta(new.days)))


async def _happened(
    db: AsyncSession, actor: Actor, row: Consents, place: Organisations, now: datetime
) -> None:
    """Keep who gave or took back what; whoever sits in a room by it is judged anew."""
    emit(db, RightsChanged(at=now, person_id=row.person_id))
    thing = Thing(subject_id=row.person_id, organisation_id=row.organisation_id, about=(row.id,))
    act = act_for(actor, row.person_id, OrganisationKind(place.kind))
    details = {"what": row.why or "given", "purpose": row.purpose, "text": str(row.text_id)}
    await audit.acted(db, actor.id, act, thing, now, details=details)
