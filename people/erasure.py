"""Erasure: a person's key is destroyed and a tombstone is left, for good.

What was sealed under the key (notes, ECG, files, documents' bodies) cannot be read by anybody from
then on, in no backup either once its restore has done the log again (storage/erasure_log.py). What
lay plain is taken away: names, dates of birth, ways in, addresses here and at once; what the rooms
keep (readings, chat) by a job that each room says its part of. Ids stay: the audit speaks in ids.

Log first, then the commit. An entry whose commit failed is done at the next restore, so it is
written last of all, when nothing else can refuse.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.administration import require_at
from people.closed_accounts import close_account
from people.erased_rows import forget_person
from people.erasure_requests import open_request, unwilling
from people.facts import RightsChanged, emit
from people.holds import held
from people.members import is_staff, known
from people.persons import Persons
from people.policy import Act, Kind, Thing
from people.refused import NotFound, Refused
from people.relations import Relations
from people.roster import RosterEntries
from people.sessions import Caller
from people.step_up import require_fresh
from storage import data_keys, erasure_log
from storage.engine import Base
from storage.erasure_log import Erased
from storage.jobs import Work, enqueue, job
from storage.objects import Objects
from storage.settings import Settings

# What the other keepers' agreement takes away (people/erasure_requests.py).
WAITS_BELONGS: Final = "elsewhere"
WAITS_RECORDS: Final = "records_elsewhere"
# What may stand against it, in the order in which it is told.
_WORDS: Final = (
    *("oneself", "held", "employed", "visit_ahead", WAITS_BELONGS, WAITS_RECORDS),
    "guardian",
)
Forget = Callable[[Work, UUID], Awaitable[None]]
_forgets: Final[list[Forget]] = []


class Erasures(Base):
    """A person who was erased: the tombstone."""

    __tablename__ = "erasures"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    # Nobody: done again after a restore.
    organisation_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisations.id"))
    erased_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    reason: Mapped[str]
    erased_at: Mapped[datetime]
    # When the last room had taken away what lay plain.
    done_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "organisation_id", "erased_at"),)


class ErasureReason(StrEnum):
    """Why; a code, because the log of erasures outlives everything and holds no sentences."""

    ASKED = "asked"  # the person asked, and nothing obliges us to keep
    TERM_OVER = "term_over"  # the time for which it had to be kept is over
    COURT = "court"  # a court or an authority ordered it
    MISTAKE = "mistake"  # entered by mistake: nobody, or somebody twice


class NewErasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be erased, and why."""

    person_id: UUID
    reason: ErasureReason


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an erased person."""

    person_id: UUID
    reason: str
    erased_at: datetime
    # False while rooms are still taking away what lay plain.
    done: bool
    # What is left of the name; all of it of somebody whose erasure is unfinished.
    name: str = ""
    # Whether the log of erasures has it; None when the log cannot be trusted.
    logged: bool | None = True
    # The log has it, and it was never done: the house does it within two hours.
    unfinished: bool = False


class NotErasable(Refused):
    """Something stands against it; params: `reasons`, each a word the page has a sentence for."""

    status = 409
    code = "not_erasable"


def forgets(forget: Forget) -> Forget:
    """Decorate what a room takes away of an erased person; it may be called more than once."""
    _forgets.append(forget)
    return forget


async def erase(  # noqa: PLR0917 - stores, who, where, whom: all of them each time
    db: AsyncSession,
    settings: Settings,
    objects: Objects,
    caller: Caller,
    organisation_id: UUID,
    new: NewErasure,
    now: datetime,
) -> Erasure:
    """Erase a person of the organisation, when every other keeper has agreed; twice is once.

    Raises NotFound, Forbidden, StepUpNeeded, NotErasable, ObjectsAway, BrokenLog.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    require_fresh(caller, now)
    done = await db.get(Erasures, new.person_id)
    if done is not None and done.organisation_id == organisation_id:
        return _erasure(done)
    person = await known_here(db, new.person_id, organisation_id, now, lock=True)
    done = await db.get(Erasures, person.id)
    if done is not None:
        return _erasure(done)
    reasons = await against(db, caller.person_id, person.id, organisation_id, now)
    if reasons:
        raise NotErasable(reasons=reasons)
    erased = Erased(owner=person.id, at=now, reason=new.reason.value)
    row = await carry_out(db, settings, objects, caller.person_id, organisation_id, erased)
    return _erasure(row)


async def carry_out(  # noqa: PLR0917 - stores, who, where, whom
    db: AsyncSession,
    settings: Settings,
    objects: Objects,
    by: UUID,
    organisation_id: UUID,
    erased: Erased,
) -> Erasures:
    """Erase somebody against whom nothing stands, behind the person's lock.

    Raises ObjectsAway, BrokenLog.
    """
    now = erased.at
    row = await _erase(db, erased, organisation_id, by, now)
    asked = await open_request(db, erased.owner, now)
    if asked is not None:
        asked.ended, asked.ended_at = "done", now
        await db.flush()
    thing = Thing(subject_id=erased.owner, organisation_id=organisation_id)
    details = {"reason": erased.reason}
    await audit.acted(db, by, "person_erased", thing, now, details=details)
    await erasure_log.append(settings, objects, erased)
    return row


async def known_here(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime, *, lock: bool = False
) -> Persons:
    """Give a person who belongs to the organisation, or did. Raises NotFound.

    With `lock` holds, answers and erasures come one after the other, each seen by the next.
    """
    query = select(Persons).where(Persons.id == person_id, known(Persons.id, organisation_id, now))
    person: Persons | None = await db.scalar(query.with_for_update() if lock else query)
    if person is None:
        raise NotFound
    return person


async def replay(db: AsyncSession, erased: Sequence[Erased], now: datetime) -> int:
    """Do again what the log says, after a restore; give how many persons were not erased yet.

    Holds and duties are not asked again: they were, before the entry was written. Rooms take their
    part away when the house runs. A person the backup does not know is not known: only the key.
    """
    count = 0
    for one in {entry.owner: entry for entry in erased}.values():
        await data_keys.destroy(db, one.owner, now)
        there = await db.scalar(select(Persons.id).where(Persons.id == one.owner))
        if there is None or await db.get(Erasures, one.owner) is not None:
            continue
        await _erase(db, one, None, None, now)
        details = {"reason": one.reason}
        thing = Thing(subject_id=one.owner)
        await audit.acted(db, None, "person_erased_again", thing, now, details=details)
        count += 1
    return count


@job("people.forget_erased")
async def forget_erased(work: Work, person: str) -> None:
    """Let every room take away what it keeps plain of an erased person."""
    row = await work.db.get(Erasures, UUID(person))
    if row is None:
        return  # nobody was erased: nothing may be taken
    for forget in _forgets:
        await forget(work, row.person_id)
    row.done_at = work.now
    await work.db.flush()


async def _erase(
    db: AsyncSession,
    erased: Erased,
    organisation_id: UUID | None,
    by: UUID | None,
    now: datetime,
) -> Erasures:
    person_id = erased.owner
    await data_keys.destroy(db, person_id, now)
    place = organisation_id or await db.scalar(
        select(RosterEntries.organisation_id).where(RosterEntries.person_id == person_id).limit(1)
    )
    if place is not None:
        await close_account(db, person_id, place, now)
    either = or_(Relations.actor_id == person_id, Relations.subject_id == person_id)
    judged = await db.scalars(
        update(Relations)
        # Also what begins later: a right that ends before it begins is never live.
        .where(either, or_(Relations.until.is_(None), Relations.until > now))
        .values(until=now)
        .returning(Relations.actor_id)
        .execution_options(synchronize_session=False)
    )
    for actor_id in sorted({*judged, person_id}):
        emit(db, RightsChanged(at=now, person_id=actor_id))
    await forget_person(db, person_id, now)
    values = {
        "person_id": person_id,
        "organisation_id": organisation_id,
        "erased_by": by,
        "reason": erased.reason,
        "erased_at": erased.at,
    }
    await db.execute(insert(Erasures).values(values).on_conflict_do_nothing())
    await enqueue(db, "people.forget_erased", person=str(person_id))
    return await db.get_one(Erasures, person_id)


async def against(
    db: AsyncSession, caller_id: UUID, person_id: UUID, organisation_id: UUID, now: datetime
) -> list[str]:
    """Say what stands against an organisation's erasing somebody, in words."""
    # One key seals what every organisation wrote: nobody destroys it over another one's records.
    others = await unwilling(db, person_id, organisation_id, now)
    words = {
        "oneself": person_id == caller_id,
        **await standing(db, person_id, now),
        WAITS_BELONGS: any(one.belongs for one in others),
        WAITS_RECORDS: any(one.records for one in others),
    }
    return [word for word in _WORDS if words[word]]


async def standing(db: AsyncSession, person_id: UUID, now: datetime) -> dict[str, bool]:
    """Say what stands against erasing somebody, whoever it is that erases."""
    ahead = exists().where(
        Relations.actor_id == person_id,
        Relations.kind == Kind.APPOINTMENT.value,
        Relations.live(now),
    )
    guards = exists().where(
        Relations.actor_id == person_id,
        Relations.kind == Kind.GUARDIANSHIP.value,
        Relations.live(now),
    )
    query = select(held(person_id, now), is_staff(person_id, now), ahead, guards)
    is_held, works, is_ahead, is_guardian = (await db.execute(query)).one()
    return {
        "held": is_held,
        "employed": works,
        "visit_ahead": is_ahead,
        "guardian": is_guardian,
    }


def _erasure(row: Erasures) -> Erasure:
    return Erasure(
        person_id=row.person_id,
        reason=row.reason,
        erased_at=row.erased_at,
        done=row.done_at is not None,
    )
