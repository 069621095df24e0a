"""One-time links: who helps at the desk lets a person in on the person's own phone.

A link lives LIFE and works once. A patient, parent or pupil gets in by it. Whoever works somewhere
gets no session by it, only the way to a new password: the second factor is asked as ever, and
nobody but the person learns the password.

Who makes the link could use it as well. So of who is no staff the date of birth is asked, where it
is known, as for a card; staff are helped where they work, and whoever works elsewhere too only
behind a second factor. docs/security.md says what remains.
"""

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, ForeignKey, Index, and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.administration import require_at
from people.audit import acted
from people.cards import MAX_TRIES, BirthDateNeeded, WrongBirthDate, new_secret
from people.device_tokens import token_hash
from people.members import is_staff, member, works_at, works_elsewhere
from people.notices import notify
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing
from people.recoveries import helped
from people.refused import Refused
from people.second_factors import second_ways
from storage.engine import Base, new_id

METHOD: Final = "link"
LIFE: Final = timedelta(minutes=15)


class EntryLinks(Base):
    """A link that was given out."""

    __tablename__ = "entry_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    made_at: Mapped[datetime]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (Index(None, "person_id"),)

    @classmethod
    def live(cls, now: datetime) -> ColumnElement[bool]:
        """SQL: neither used nor too old."""
        return and_(cls.used_at.is_(None), cls.expires_at > now)


class Link(msgspec.Struct, frozen=True):
    """A link as it is shown once, to whoever made it."""

    name: str
    secret: str
    expires_at: datetime
    for_staff: bool


class NewLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be let in."""

    person_id: UUID


class StaffElsewhere(Refused):
    """The person works in another organisation: this one alone must not let anybody in as them."""

    status = 409
    code = "staff_elsewhere"


class LinkLocked(Refused):
    """The date of birth was wrong too often: only a new link helps. Its transaction holds that."""

    status = 403
    code = "link_locked"
    keeps_writes = True


async def issue_link(
    db: AsyncSession, actor: Actor, person_id: UUID, organisation_id: UUID, now: datetime
) -> Link:
    """Make a link for a person of the organisation; the one before it ends.

    A clerk may for those who do not work anywhere, an administrator for those who work here.
    Raises StaffElsewhere, NotFound.
    """
    require_at(actor, Act.LET_IN, organisation_id, now)
    person = await member(db, person_id, organisation_id, now)
    for_staff = bool(await db.scalar(select(is_staff(person.id, now))))
    if for_staff:
        require_at(actor, Act.MANAGE_PEOPLE, organisation_id, now)
        await _require_ours(db, person.id, organisation_id, now)
    secret, row = await make_link(db, person.id, organisation_id, now, by=actor.id)
    await helped(db, person.id, organisation_id, now)
    name = full_name(person.given_name, person.family_name)
    return Link(name, secret, row.expires_at, for_staff)


async def make_link(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime, *, by: UUID | None
) -> tuple[str, EntryLinks]:
    """Make a link for somebody, who hears of it; the one before it ends. Gives its secret."""
    before = (EntryLinks.person_id == person_id) & EntryLinks.live(now)
    await db.execute(update(EntryLinks).where(before).values(expires_at=now))
    secret = new_secret()
    row = EntryLinks(
        id=new_id(),
        person_id=person_id,
        organisation_id=organisation_id,
        secret_sha256=token_hash(secret),
        made_at=now,
        made_by=by,
        expires_at=now + LIFE,
        tries=0,
    )
    db.add(row)
    await db.flush()
    thing = Thing(subject_id=person_id, organisation_id=organisation_id, about=(row.id,))
    await acted(db, by, "link_issued", thing, now)
    await notify(db, person_id, "link_issued", {}, now, about=row.id, critical=True)
    return secret, row


async def shown_link(db: AsyncSession, secret: str, now: datetime) -> EntryLinks | None:
    """Give the live link of a secret and hold it: two uses at once stand in line."""
    query = select(EntryLinks).where(
        EntryLinks.secret_sha256 == token_hash(secret), EntryLinks.live(now)
    )
    return await db.scalar(query.with_for_update(), execution_options={"populate_existing": True})


async def judge_link(
    db: AsyncSession, link: EntryLinks, born_on: date | None, now: datetime
) -> None:
    """Let a link of somebody who works nowhere pass, by the date of birth where it is known.

    Raises BirthDateNeeded, and WrongBirthDate or LinkLocked, which count.
    """
    known = (await db.get_one(Persons, link.person_id)).born_on
    if known is None or born_on == known:
        return
    if born_on is None:
        raise BirthDateNeeded(tries_left=MAX_TRIES - link.tries)
    link.tries += 1
    if link.tries >= MAX_TRIES:
        link.expires_at = now
    await db.flush()
    if link.tries >= MAX_TRIES:
        raise LinkLocked
    raise WrongBirthDate(tries_left=MAX_TRIES - link.tries)


async def _require_ours(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime
) -> None:
    here, elsewhere = (
        works(person_id, organisation_id, now) for works in (works_at, works_elsewhere)
    )
    if not await db.scalar(select(here)):
        raise StaffElsewhere
    if await db.scalar(select(elsewhere)) and not await second_ways(db, person_id):
        raise StaffElsewhere


async def end_links_of(db: AsyncSession, person_id: UUID, now: datetime) -> None:
    """End every link of a person that was not used yet."""
    live = (EntryLinks.person_id == person_id) & EntryLinks.live(now)
    await db.execute(update(EntryLinks).where(live).values(expires_at=now))
