"""Asking the other keepers to let a person be erased, and what they answer.

The last agreement is the erasure, when nothing else stands against it by then; when something does,
or whoever asked has something of the person that it had not when it asked, the agreements wait, and
whoever asked erases by itself. Both ask for a fresh proof.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.erasure import (
    WAITS_BELONGS,
    WAITS_RECORDS,
    Erasures,
    NewErasure,
    NotErasable,
    against,
    carry_out,
    known_here,
)
from people.erasure_requests import (
    AGREED,
    ANSWERED_WITHIN,
    REFUSED,
    ErasureAnswers,
    ErasureRequest,
    ErasureRequests,
    KeepReason,
    open_request,
    shown,
    unwilling,
)
from people.keepers import keepers_of
from people.notices import notify
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Kind, Thing
from people.refused import FieldError, NotFound, Refused
from people.relations import Relations
from people.sessions import Caller
from people.step_up import require_fresh
from storage.engine import new_id
from storage.erasure_log import Erased
from storage.objects import Objects
from storage.settings import Settings

# Administrators of one place who are told; the others see it on the page.
_TOLD: Final = 20
_WAITS: Final = frozenset({WAITS_BELONGS, WAITS_RECORDS})


class ErasureWord(StrEnum):
    """What a keeper says."""

    AGREED = AGREED
    REFUSED = REFUSED


class NewErasureAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agreed, or refused and why."""

    answer: ErasureWord
    why: KeepReason | None = None


class ErasurePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What stands against erasing somebody, told beforehand; empty: it can be done."""

    person: Ref
    against: list[str]
    # Other organisations that keep something, and how many of them have agreed.
    keepers: int
    agreed: int
    erased: bool


class ErasureAsked(Refused):
    """A request about the person waits already, this organisation's or another one's."""

    status = 409
    code = "erasure_asked"


class NobodyToAsk(Refused):
    """No other organisation keeps anything of the person: nobody need agree."""

    status = 409
    code = "nobody_to_ask"


class RequestOver(Refused):
    """It was answered, withdrawn, or nobody answered in time."""

    status = 409
    code = "erasure_request_over"


class BadAnswer(Refused):
    """A refusal says why; an agreement has no reason."""

    status = 422
    code = "bad_answer"


async def plan(
    db: AsyncSession, caller: Caller, organisation_id: UUID, person_id: UUID, now: datetime
) -> ErasurePlan:
    """Say what erasing a person of the organisation would meet. Raises NotFound, Forbidden.

    That others keep something says where else somebody may be treated: each look leaves a row.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    person = await known_here(db, person_id, organisation_id, now)
    thing = Thing(subject_id=person.id, organisation_id=organisation_id)
    await audit.acted(db, caller.person_id, "erasure_looked_up", thing, now)
    keepers = await keepers_of(db, person.id, now)
    others = sum(one.organisation_id != organisation_id for one in keepers)
    waiting = await unwilling(db, person.id, organisation_id, now)
    return ErasurePlan(
        person=Ref(person.id, full_name(person.given_name, person.family_name)),
        against=await against(db, caller.person_id, person.id, organisation_id, now),
        keepers=others,
        agreed=others - len(waiting),
        erased=await db.get(Erasures, person.id) is not None,
    )


async def ask(
    db: AsyncSession, caller: Caller, organisation_id: UUID, new: NewErasure, now: datetime
) -> ErasureRequest:
    """Ask every other organisation that keeps something of a person of this one.

    Raises NotFound, Forbidden, StepUpNeeded, NotErasable, ErasureAsked, NobodyToAsk.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    require_fresh(caller, now)
    person = await known_here(db, new.person_id, organisation_id, now, lock=True)
    if await open_request(db, person.id, now) is not None:
        raise ErasureAsked
    reasons = await against(db, caller.person_id, person.id, organisation_id, now)
    standing = [one for one in reasons if one not in _WAITS]
    if standing:
        raise NotErasable(reasons=standing)
    others = await unwilling(db, person.id, organisation_id, now)
    if not others:
        raise NobodyToAsk
    row = ErasureRequests(
        id=new_id(),
        person_id=person.id,
        organisation_id=organisation_id,
        reason=new.reason.value,
        asked_by=caller.person_id,
        asked_at=now,
        until=now + ANSWERED_WITHIN,
    )
    db.add(row)
    await db.flush()
    await _kept(db, caller, "erasure_asked", row, organisation_id, now)
    for keeper in others:
        for told in await _administrators(db, keeper.organisation_id, now):
            about = keeper.organisation_id
            await notify(db, told, "erasure_asked", {"until_at": _at(row.until)}, now, about=about)
    return await shown(db, row, organisation_id, now)


async def withdraw(
    db: AsyncSession, caller: Caller, organisation_id: UUID, request_id: UUID, now: datetime
) -> None:
    """Take one's own organisation's request back; twice is once.

    Raises NotFound, Forbidden, RequestOver.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    row = await _locked(db, request_id)
    if row.organisation_id != organisation_id:
        raise NotFound
    if row.ended == "withdrawn":
        return
    _require_open(row, now)
    row.ended, row.ended_at = "withdrawn", now
    await db.flush()
    await _kept(db, caller, "erasure_withdrawn", row, organisation_id, now)


async def answer(  # noqa: PLR0917 - stores, who, where, what
    db: AsyncSession,
    settings: Settings,
    objects: Objects,
    caller: Caller,
    organisation_id: UUID,
    request_id: UUID,
    new: NewErasureAnswer,
    now: datetime,
) -> ErasureRequest:
    """Say an organisation's word about another one's request; the last agreement erases.

    Raises NotFound, Forbidden, StepUpNeeded, BadAnswer, RequestOver, NotErasable, ObjectsAway,
    BrokenLog.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    require_fresh(caller, now)
    if (new.answer is ErasureWord.REFUSED) != (new.why is not None):
        raise BadAnswer((FieldError("why", BadAnswer.code),))
    row = await _locked(db, request_id)
    keepers = {one.organisation_id: one for one in await keepers_of(db, row.person_id, now)}
    if row.organisation_id == organisation_id or organisation_id not in keepers:
        raise NotFound
    _require_open(row, now)
    if row.person_id == caller.person_id:
        raise NotErasable(reasons=["oneself"])
    said = {
        "answer": new.answer.value,
        "why": None if new.why is None else new.why.value,
        "answered_by": caller.person_id,
        "answered_at": now,
    }
    word = insert(ErasureAnswers).values(request_id=row.id, organisation_id=organisation_id, **said)
    await db.execute(
        word.on_conflict_do_update(
            index_elements=[ErasureAnswers.request_id, ErasureAnswers.organisation_id], set_=said
        )
    )
    refused = new.answer is ErasureWord.REFUSED
    if refused:
        await _kept(db, caller, "erasure_refused", row, organisation_id, now)
        row.ended, row.ended_at = "refused", now
        await db.flush()
        await _tell(db, row, "erasure_refused", now)
        return await shown(db, row, organisation_id, now)
    await _kept(db, caller, "erasure_agreed", row, organisation_id, now)
    # What came to whoever asked since then is no part of its word: it has to erase by itself.
    asker = keepers.get(row.organisation_id)
    meant = asker is None or asker.latest <= row.asked_at
    reasons = await against(db, caller.person_id, row.person_id, row.organisation_id, now)
    if meant and not reasons:
        await _tell(db, row, "erasure_done", now)
        erased = Erased(owner=row.person_id, at=now, reason=row.reason)
        await carry_out(db, settings, objects, caller.person_id, row.organisation_id, erased)
    elif not await unwilling(db, row.person_id, row.organisation_id, now):
        await _tell(db, row, "erasure_agreed", now)
    return await shown(db, row, organisation_id, now)


async def _locked(db: AsyncSession, request_id: UUID) -> ErasureRequests:
    """Give a request behind its person's lock: holds, answers and erasures follow one another."""
    query = select(ErasureRequests.person_id).where(ErasureRequests.id == request_id)
    lock = select(Persons.id).where(Persons.id.in_(query)).with_for_update()
    if await db.scalar(lock) is None:
        raise NotFound
    return await db.get_one(ErasureRequests, request_id, populate_existing=True)


def _require_open(row: ErasureRequests, now: datetime) -> None:
    if row.ended is not None or row.until <= now:
        raise RequestOver


async def _kept(  # noqa: PLR0917 - who did what to which, where and when
    db: AsyncSession,
    caller: Caller,
    act: str,
    row: ErasureRequests,
    organisation_id: UUID,
    now: datetime,
) -> None:
    thing = Thing(subject_id=row.person_id, organisation_id=organisation_id, about=(row.id,))
    details = {"reason": row.reason}
    await audit.acted(db, caller.person_id, act, thing, now, details=details)


async def _tell(db: AsyncSession, row: ErasureRequests, code: str, now: datetime) -> None:
    """Tell the administrators of the place that asked."""
    for told in await _administrators(db, row.organisation_id, now):
        await notify(db, told, code, {}, now, about=row.organisation_id)


async def _administrators(db: AsyncSession, organisation_id: UUID, now: datetime) -> list[UUID]:
    query = (
        select(Relations.actor_id)
        .where(
            Relations.kind == Kind.ADMINISTRATION.value,
            Relations.organisation_id == organisation_id,
            Relations.live(now),
        )
        .distinct()
        .order_by(Relations.actor_id)
        .limit(_TOLD)
    )
    return list((await db.scalars(query)).all())


def _at(moment: datetime) -> str:
    return moment.isoformat()
