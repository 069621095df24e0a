"""What the people's room takes away of somebody who is erased: names, ways in, addresses."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people.assistance import Assistances
from people.break_glass import BreakGlass
from people.call_minutes import CallMinutes
from people.cards import revoke_cards_of
from people.codes import Codes
from people.device_tokens import MANUAL, Devices
from people.facts import DeviceRevoked, emit
from people.guardians import GuardianLimits, Guardianships
from people.holds import LegalHolds
from people.identities import Identities, IdentityJourneys
from people.links import end_links_of
from people.notice_targets import NoticeSettings, NoticesTold, NoticeTargets
from people.notices import Notices
from people.passkeys import PasskeyChallenges, Passkeys
from people.passwords import Credentials
from people.persons import Persons
from people.recoveries import Recoveries
from people.recovery_codes import RecoveryCodes
from people.roster import RosterEntries
from people.sessions import Sessions, end_sessions_of
from people.shares import Shares
from people.totp import TotpSecrets, TotpUsed
from storage.engine import Base

T = TypeVar("T", Update, Delete)

_OWN: tuple[type[Base], ...] = (
    Credentials,
    Identities,
    IdentityJourneys,
    Passkeys,
    PasskeyChallenges,
    TotpSecrets,
    TotpUsed,
    RecoveryCodes,
    Recoveries,
    Codes,
    Notices,
    NoticeTargets,
    NoticeSettings,
    RosterEntries,
    CallMinutes,
)


async def forget_person(db: AsyncSession, person_id: UUID, now: datetime) -> None:
    """End whatever lets the person in, and put a tombstone in the place of the name."""
    await revoke_cards_of(db, person_id, now)
    await end_links_of(db, person_id, now)
    await end_sessions_of(db, person_id, now)
    revoked = await db.scalars(
        update(Devices)
        .where(Devices.person_id == person_id, Devices.revoked_at.is_(None), Devices.kind != MANUAL)
        .values(revoked_at=now)
        .returning(Devices.id)
        .execution_options(synchronize_session=False)
    )
    for device_id in revoked:
        emit(db, DeviceRevoked(at=now, person_id=person_id, device_id=device_id))
    await _rewrite(db, Devices, Devices.person_id == person_id, name="")
    await _rewrite(db, LegalHolds, LegalHolds.person_id == person_id, reason="")
    await _rewrite(db, Sessions, Sessions.person_id == person_id, network="")
    own = select(NoticeTargets.id).where(NoticeTargets.person_id == person_id)
    theirs = select(Notices.id).where(Notices.person_id == person_id)
    told = or_(NoticesTold.target_id.in_(own), NoticesTold.notice_id.in_(theirs))
    await db.execute(_quietly(delete(NoticesTold).where(told)))
    for table in _OWN:
        await db.execute(_quietly(delete(table).where(table.__table__.c.person_id == person_id)))
    await _end_ties(db, person_id, now)
    named = {"given_name": "№", "family_name": person_id.hex[-8:], "born_on": None}
    await _rewrite(db, Persons, Persons.id == person_id, **named)


async def _end_ties(db: AsyncSession, person_id: UUID, now: datetime) -> None:
    """End what binds others to the person, and the sentences that were written about it."""
    tied = or_(Guardianships.child_id == person_id, Guardianships.guardian_id == person_id)
    papers = GuardianLimits.guardianship_id.in_(select(Guardianships.id).where(tied))
    await _rewrite(db, GuardianLimits, papers, paper="")
    await _rewrite(db, Guardianships, tied & Guardianships.ended_at.is_(None), ended_at=now)
    helps = or_(Assistances.person_id == person_id, Assistances.helper_id == person_id)
    await _rewrite(db, Assistances, helps & Assistances.ended_at.is_(None), ended_at=now)
    shared = (Shares.person_id == person_id) & Shares.ended_at.is_(None)
    await _rewrite(db, Shares, shared, ended_at=now)
    await _rewrite(db, BreakGlass, BreakGlass.patient_id == person_id, reason="", review=None)


async def _rewrite(
    db: AsyncSession, table: type[Base], which: ColumnElement[bool], **values: object
) -> None:
    await db.execute(_quietly(update(table).where(which).values(**values)))


def _quietly(statement: T) -> T:
    return statement.execution_options(synchronize_session=False)
