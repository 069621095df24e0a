"""Codes of an authenticator application (TOTP, RFC 6238): six digits, thirty seconds, once each.

The shared secret lies sealed; opening it takes the installation's key and the row's id.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.refused import Refused
from storage.engine import Base, new_id
from storage.sealing import seal, unseal

ISSUER = "Yanasha"
# One step to either side: clocks of phones are a little wrong (RFC 6238 section 5.2).
_WINDOW = 1
_STEP_S = 30
# Steps used longer ago than this fit no more.
_KEPT = timedelta(minutes=10)


class TotpSecrets(Base):
    """The secret shared with a person's application; no factor before it is confirmed."""

    __tablename__ = "totp_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), unique=True)
    sealed: Mapped[bytes]
    made_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class TotpUsed(Base):
    """A thirty-second step whose code has been used."""

    __tablename__ = "totp_used"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)


class TotpThere(Refused):
    """An application is set up already: take it away first."""

    status = 409
    code = "totp_there"


class NewTotp(msgspec.Struct, frozen=True):
    """What an application needs, shown once: as text, and as the address in the QR code."""

    secret: str
    uri: str


class TotpCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person reads off the application."""

    code: Annotated[str, msgspec.Meta(min_length=6, max_length=20)]


async def has_totp(db: AsyncSession, person_id: UUID) -> bool:
    """Whether an application is set up and confirmed."""
    query = select(TotpSecrets.id).where(
        TotpSecrets.person_id == person_id, TotpSecrets.confirmed_at.is_not(None)
    )
    return await db.scalar(query) is not None


async def propose(
    db: AsyncSession, key: bytes, person_id: UUID, label: str, now: datetime
) -> NewTotp:
    """Make a secret to be confirmed; one proposed before is forgotten. Raises TotpThere."""
    if await has_totp(db, person_id):
        raise TotpThere
    await db.execute(delete(TotpSecrets).where(TotpSecrets.person_id == person_id))
    secret, row_id = pyotp.random_base32(), new_id()
    sealed = seal(key, secret.encode(), row_id.bytes)
    db.add(TotpSecrets(id=row_id, person_id=person_id, sealed=sealed, made_at=now))
    await db.flush()
    return NewTotp(secret, pyotp.TOTP(secret).provisioning_uri(name=label, issuer_name=ISSUER))


async def confirm(db: AsyncSession, key: bytes, person_id: UUID, code: str, now: datetime) -> bool:
    """Turn the proposed secret into a factor when its code is right."""
    row = await _row(db, person_id)
    if row is None or not await _fits(db, key, row, code, now):
        return False
    row.confirmed_at = row.confirmed_at or now
    await db.flush()
    return True


async def fits(db: AsyncSession, key: bytes, person_id: UUID, code: str, now: datetime) -> bool:
    """Say whether the code is right and new, and use it up."""
    row = await _row(db, person_id)
    return row is not None and row.confirmed_at is not None and await _fits(db, key, row, code, now)


async def forget(db: AsyncSession, person_id: UUID) -> bool:
    """Take the application away; False when there was none."""
    gone = delete(TotpSecrets).where(TotpSecrets.person_id == person_id)
    return await db.scalar(gone.returning(TotpSecrets.confirmed_at)) is not None


async def _row(db: AsyncSession, person_id: UUID) -> TotpSecrets | None:
    query = select(TotpSecrets).where(TotpSecrets.person_id == person_id)
    return await db.scalar(query, execution_options={"populate_existing": True})


async def _fits(db: AsyncSession, key: bytes, row: TotpSecrets, code: str, now: datetime) -> bool:
    secret = unseal(key, row.sealed, row.id.bytes).decode()
    typed = "".join(code.split())
    try:
        step = pyotp.TOTP(secret).verify_and_get_timecode(typed, for_time=now, valid_window=_WINDOW)
    except OTPVerificationError:
        return False
    oldest = int((now - _KEPT).timestamp()) // _STEP_S
    await db.execute(
        delete(TotpUsed).where(TotpUsed.person_id == row.person_id, TotpUsed.step < oldest)
    )
    # Two uses at once: the primary key lets one of them through.
    use = insert(TotpUsed).values(person_id=row.person_id, step=step).on_conflict_do_nothing()
    return await db.scalar(use.returning(TotpUsed.step)) is not None
