"""The digital profile: a person shows a QR, a doctor scans it and asks, the person confirms.

What is opened is a right of kind SHARE for one doctor of one clinic, limited to the fields that
were confirmed and to a time. The code alone opens nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit, codes
from people.administration import require_at
from people.codes import LIFE, Code, CodeRefused, ShownCode
from people.consent_asked import needed_by
from people.consent_rules import Purpose
from people.consent_texts import ConsentText, ConsentTextChanged, ConsentTexts, current_texts, shown
from people.consents import ConsentNotYours, hand_of, require_word
from people.facts import RightsChanged, emit
from people.notices import notify
from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Right, Thing
from people.refused import Forbidden, NotFound, Refused
from people.relations import actor_of, allowed, end, grant
from storage.engine import Base, new_id

# Codes a person shows on a page of his own; a guardian's are made with the family.
ShownPurpose = Literal["share_profile", "assist"]
Field = Literal["identity", "readings", "visits"]
Fields = Annotated[list[Field], msgspec.Meta(min_length=1, max_length=3)]

DEFAULT_HOURS = 24
_SHOWN = 50


class Shares(Base):
    """One asking by a doctor, and what became of it."""

    __tablename__ = "shares"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    asked_fields: Mapped[list[str]]
    asked_at: Mapped[datetime]
    # Without an answer until then it is over.
    answer_until: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    fields: Mapped[list[str]]  # none: refused, or not answered
    text_id: Mapped[UUID | None] = mapped_column(ForeignKey("consent_texts.id"))
    until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (
        CheckConstraint("(until IS NULL) = (cardinality(fields) = 0)", name="opened"),
        CheckConstraint("cardinality(asked_fields) > 0", name="asked"),
        Index(None, "person_id", "asked_at"),
        Index(None, "asked_by", "asked_at"),
    )


class ShareState(StrEnum):
    """asked → shared → ended; asked → refused; asked → missed, when nobody answered in time."""

    ASKED = "asked"
    REFUSED = "refused"
    MISSED = "missed"
    SHARED = "shared"
    ENDED = "ended"


class ShareNotAsked(Refused):
    """It was answered before, or nobody answered in time; `params["state"]` says how it stands."""

    status = 409
    code = "share_not_asked"

    def __init__(self, state: ShareState) -> None:
        super().__init__(state=state.value)


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """An asking as the person it is about sees it."""

    id: UUID
    person: Ref
    asked_by: Ref
    organisation: Ref
    asked_fields: list[Field]
    asked_at: datetime
    answer_until: datetime
    state: ShareState
    fields: list[Field]
    until: datetime | None
    # What is agreed to by opening, while it can be.
    text: ConsentText | None


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """The same as the doctor sees it: whose it is only once it was opened."""

    id: UUID
    state: ShareState
    answer_until: datetime
    person_id: UUID | None
    name: str | None
    organisation_id: UUID
    fields: list[Field]
    until: datetime | None


class NewScan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code that was scanned, for which clinic, and what is asked for."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    organisation_id: UUID
    fields: Fields


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is opened of what was asked for, for how long, after reading which text."""

    fields: Fields
    version: int
    hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = DEFAULT_HOURS


async def show_code(
    db: AsyncSession,
    actor: Actor,
    purpose: ShownPurpose,
    person_id: UUID | None,
    now: datetime,
) -> ShownCode:
    """Make a code of the actor's own, or of a child he speaks for.

    Raises NotFound for others, ConsentNotYours for a child too young to open a record itself and
    for a guardian of who decides alone.
    """
    if actor.id is None:
        raise NotFound
    subject_id = person_id or actor.id
    act = require_word(actor, subject_id, OrganisationKind.CLINIC, now)
    if purpose == "share_profile" or subject_id != actor.id:
        await _require_hand(db, actor, subject_id, now)
    code = await codes.make(db, subject_id, purpose, now, {"shown_by": str(actor.id)})
    details = {"what": "code_shown", "purpose": purpose}
    await audit.acted(db, actor.id, act, Thing(subject_id=subject_id), now, details=details)
    return ShownCode(code, now + LIFE)


async def scan(db: AsyncSession, actor: Actor, new: NewScan, network: str, now: datetime) -> Scan:
    """Take a code and ask its person to open the record to this doctor.

    Raises NotFound, Forbidden for who is no doctor of that clinic, CodeRefused, TooManyAttempts.
    """
    require_at(actor, Act.SCAN_QR, new.organisation_id, now)
    place = await db.get(Organisations, new.organisation_id)
    thing = Thing(organisation_id=new.organisation_id)
    works = any(
        right.kind is Kind.DUTY and right.organisation_id == new.organisation_id and right.live(now)
        for right in actor.rights
    )
    if actor.id is None or place is None or place.kind != OrganisationKind.CLINIC or not works:
        raise Forbidden(Act.SCAN_QR, thing, actor.id)
    code = await codes.take(db, new.code, "share_profile", now, by=actor.id, network=network)
    shown_by = await shower_of(db, code, now)
    row = Shares(
        id=new_id(),
        person_id=code.person_id,
        asked_by=actor.id,
        organisation_id=new.organisation_id,
        asked_fields=[*sorted(set(new.fields))],
        asked_at=now,
        answer_until=now + LIFE,
        fields=[],
    )
    db.add(row)
    await db.flush()
    await _keep(db, actor, row, "asked", now)
    params = {"organisation": place.name}
    for told in {row.person_id, shown_by}:
        await notify(db, told, "share_asked", params, now, about=row.id)
    return (await _scans(db, select(Shares).where(Shares.id == row.id), now))[0]


async def shower_of(db: AsyncSession, code: Code, now: datetime) -> UUID:
    """Who showed a code: its person, or a guardian who speaks for it still. Raises CodeRefused."""
    shown_by = UUID(code.params.get("shown_by", str(code.person_id)))
    if shown_by != code.person_id:
        guardian = await actor_of(db, shown_by, now)
        try:
            require_word(guardian, code.person_id, OrganisationKind.CLINIC, now)
            await _require_hand(db, guardian, code.person_id, now)
        except (NotFound, ConsentNotYours) as refused:
            raise CodeRefused from refused
    return shown_by


async def get_scan(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Scan:
    """Say how one's own asking stands, while one works where one asked. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    mine = select(Shares).where(
        Shares.id == share_id,
        Shares.asked_by == actor.id,
        allowed(Act.SCAN_QR, actor.id, now, organisation=Shares.organisation_id),
    )
    found = await _scans(db, mine, now)
    if not found:
        raise NotFound
    return found[0]


async def my_shares(db: AsyncSession, actor: Actor, now: datetime) -> list[Share]:
    """Give what was asked of the actor and of the children he speaks for, the newest first."""
    if actor.id is None:
        return []
    query = visible_to(actor.id, now).order_by(Shares.asked_at.desc(), Shares.id).limit(_SHOWN)
    return await _shares(db, query, now)


async def confirm(
    db: AsyncSession, actor: Actor, share_id: UUID, answer: Answer, now: datetime
) -> Share:
    """Open what is chosen of what was asked for, to that doctor, for so many hours.

    Raises NotFound, ConsentNotYours, ShareNotAsked, ConsentTextChanged.
    """
    row = await _answerable(db, actor, share_id, now)
    texts = await current_texts(db, [row.organisation_id])
    text: ConsentTexts = texts[row.organisation_id, Purpose.SHARE_PROFILE]
    if text.version != answer.version:
        raise ConsentTextChanged(text.version)
    chosen: list[str] = [field for field in row.asked_fields if field in answer.fields]
    if not chosen:
        raise NotFound
    row.answered_at, row.answered_by = now, actor.id
    row.fields, row.text_id, row.until = chosen, text.id, now + timedelta(hours=answer.hours)
    right = Right(
        actor_id=row.asked_by,
        kind=Kind.SHARE,
        subject_id=row.person_id,
        organisation_id=row.organisation_id,
        about_id=row.id,
        since=now,
        until=row.until,
    )
    await grant(db, right, "share")
    await _answered(db, actor, row, "confirmed", now)
    return await _one(db, actor, row.id, now)


async def refuse(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Share:
    """Open nothing. Raises as `confirm`."""
    row = await _answerable(db, actor, share_id, now)
    row.answered_at, row.answered_by = now, actor.id
    await _answered(db, actor, row, "refused", now)
    return await _one(db, actor, row.id, now)


async def end_share(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Share:
    """Close what was opened, at once. Closing twice is closing. Raises NotFound, ShareNotAsked."""
    row = await _mine(db, actor, share_id, now)
    await _require_hand(db, actor, row.person_id, now)
    if row.until is None:
        raise ShareNotAsked(_state(row, now))
    if row.ended_at is None and now < row.until:
        row.ended_at, row.ended_by = now, actor.id
        await end(db, Kind.SHARE, row.id, now)
        await _answered(db, actor, row, "ended", now)
    return await _one(db, actor, row.id, now)


async def scope(
    db: AsyncSession, actor_id: UUID, person_id: UUID, organisation_id: UUID, now: datetime
) -> frozenset[Field]:
    """What of a person's record is open to this doctor of this clinic now."""
    query = select(Shares.fields).where(
        Shares.asked_by == actor_id,
        Shares.person_id == person_id,
        Shares.organisation_id == organisation_id,
        Shares.until > now,
        Shares.ended_at.is_(None),
    )
    found = {field for fields in (await db.scalars(query)).all() for field in fields}
    return frozenset(msgspec.convert(sorted(found), list[Field]))


def visible_to(person_id: UUID, now: datetime) -> Select[Shares]:
    """Askings about this person, or about a child they speak for."""
    about = Shares.person_id
    return select(Shares).where(
        or_(
            allowed(Act.CONSENT, person_id, now, subject=about),
            allowed(Act.CONSENT_FOR_CHILD_HEALTH, person_id, now, subject=about),
        )
    )


async def _mine(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Shares:
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now).where(Shares.id == share_id).with_for_update(of=Shares)
    row: Shares | None = await db.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound
    return row


async def _answerable(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Shares:
    row = await _mine(db, actor, share_id, now)
    await _require_hand(db, actor, row.person_id, now)
    if _state(row, now) is not ShareState.ASKED:
        raise ShareNotAsked(_state(row, now))
    return row


async def _require_hand(db: AsyncSession, actor: Actor, person_id: UUID, now: datetime) -> None:
    """Refuse who may not open this person's record: a child too young, with ConsentNotYours."""
    hands = await needed_by(db, person_id, OrganisationKind.CLINIC, now)
    if actor.id is None or hand_of(person_id, actor.id) not in hands:
        raise ConsentNotYours


async def _answered(db: AsyncSession, actor: Actor, row: Shares, what: str, now: datetime) -> None:
    await db.flush()
    for person_id in (row.asked_by, row.person_id):
        emit(db, RightsChanged(at=now, person_id=person_id))
    await _keep(db, actor, row, what, now)


async def _keep(db: AsyncSession, actor: Actor, row: Shares, what: str, now: datetime) -> None:
    thing = Thing(subject_id=row.person_id, organisation_id=row.organisation_id, about=(row.id,))
    details = {"what": what, "fields": "+".join(row.fields or row.asked_fields)}
    own = actor.id == row.person_id
    for_child = Act.CONSENT if own else Act.CONSENT_FOR_CHILD_HEALTH
    act = Act.SCAN_QR if what == "asked" else for_child
    await audit.acted(db, actor.id, act, thing, now, details=details)


def _state(row: Shares, now: datetime) -> ShareState:
    if row.until is not None:
        over = row.ended_at is not None or now >= row.until
        return ShareState.ENDED if over else ShareState.SHARED
    if row.answered_at is not None:
        return ShareState.REFUSED
    return ShareState.ASKED if now < row.answer_until else ShareState.MISSED


async def _one(db: AsyncSession, actor: Actor, share_id: UUID, now: datetime) -> Share:
    if actor.id is None:
        raise NotFound
    return (await _shares(db, visible_to(actor.id, now).where(Shares.id == share_id), now))[0]


async def _shares(db: AsyncSession, query: Select[Shares], now: datetime) -> list[Share]:
    doctor, person = aliased(Persons), aliased(Persons)
    full = (
        query.join(doctor, doctor.id == Shares.asked_by)
        .join(person, person.id == Shares.person_id)
        .join(Organisations, Organisations.id == Shares.organisation_id)
        .with_only_columns(Shares, doctor, person, Organisations)
    )
    rows = (await db.execute(full)).all()
    open_to_answer = {row.organisation_id for row, *_ in rows if row.answered_at is None}
    texts = await current_texts(db, open_to_answer) if open_to_answer else {}
    return [
        Share(
            id=row.id,
            person=_ref(whose),
            asked_by=_ref(by),
            organisation=Ref(place.id, place.name),
            asked_fields=_fields(row.asked_fields),
            asked_at=row.asked_at,
            answer_until=row.answer_until,
            state=_state(row, now),
            fields=_fields(row.fields),
            until=row.until,
            text=shown(texts[place.id, Purpose.SHARE_PROFILE])
            if _state(row, now) is ShareState.ASKED
            else None,
        )
        for row, by, whose, place in rows
    ]


async def _scans(db: AsyncSession, query: Select[Shares], now: datetime) -> list[Scan]:
    full = query.join(Persons, Persons.id == Shares.person_id).with_only_columns(Shares, Persons)
    found = []
    for row, person in (await db.execute(full)).all():
        state = _state(row, now)
        open_now = state is ShareState.SHARED
        name = full_name(person.given_name, person.family_name)
        found.append(
            Scan(
                id=row.id,
                state=state,
                answer_until=row.answer_until,
                person_id=row.person_id if open_now else None,
                name=name if open_now and "identity" in row.fields else None,
                organisation_id=row.organisation_id,
                fields=_fields(row.fields) if open_now else [],
                until=row.until,
            )
        )
    return found


def _ref(person: Persons) -> Ref:
    return Ref(person.id, full_name(person.given_name, person.family_name))


def _fields(kept: Sequence[str]) -> list[Field]:
    return msgspec.convert(list(kept), list[Field])
