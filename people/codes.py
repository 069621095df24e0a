"""One-use codes: a person shows one as a QR, and whoever it is shown to takes it once.

A code has 128 random bits, lives five minutes, serves one purpose, and is bound to nothing but its
person. The store holds its SHA-256. Unknown, used, late, for another purpose: one answer for all,
and a throttle that counts each of them by who asks and from where.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, delete, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.device_tokens import token_hash
from people.refused import Refused
from people.throttle import begin, failed, network_prefix, succeeded
from storage.engine import Base

CodePurpose = Literal["share_profile", "assist", "guardian"]

LIFE = timedelta(minutes=5)
# So long a row is kept to say that it was used; nobody asks for it after that.
_KEPT = timedelta(days=1)


class Codes(Base):
    """A code that was shown."""

    __tablename__ = "codes"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    purpose: Mapped[str]
    params: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("purpose IN ('share_profile', 'assist', 'guardian')", name="purpose"),
        Index(None, "person_id", "purpose"),
    )


class CodeRefused(Refused):
    """Unknown, used, late or for something else: nobody learns which."""

    status = 404
    code = "code_refused"
    keeps_writes = True


class Code(msgspec.Struct, frozen=True):
    """A code that was taken: whose it is, and what was said when it was made."""

    person_id: UUID
    params: dict[str, Any]


class ShownCode(msgspec.Struct, frozen=True):
    """A code as its person's page shows it."""

    code: str
    expires_at: datetime


async def make(
    db: AsyncSession,
    person_id: UUID,
    purpose: CodePurpose,
    now: datetime,
    params: Mapping[str, Any] | None = None,
) -> str:
    """Make a code; an older one of the same purpose is worth nothing from now on."""
    await db.execute(
        delete(Codes).where(
            Codes.person_id == person_id,
            Codes.purpose == purpose,
            Codes.used_at.is_(None) | (Codes.expires_at < now - _KEPT),
        )
    )
    code = secrets.token_urlsafe(16)
    db.add(
        Codes(
            sha256=token_hash(code),
            person_id=person_id,
            purpose=purpose,
            params=dict(params or {}),
            made_at=now,
            expires_at=now + LIFE,
        )
    )
    await db.flush()
    return code


async def take(
    db: AsyncSession,
    code: str,
    purpose: CodePurpose,
    now: datetime,
    *,
    by: UUID | None = None,
    network: str = "",
) -> Code:
    """Use up a code for `by`, who shows it from `network`. Raises CodeRefused, TooManyAttempts.

    Two uses at once: the row lock lets one through. Whoever is signed in waits for his own wrong
    codes only, not for those of his neighbours.
    """
    account = None if by is None else f"code {by}"
    prefix = network_prefix(network)
    attempt = await begin(db, account, prefix, now, known_here=by is not None)
    used = (
        update(Codes)
        .where(
            Codes.sha256 == token_hash(code),
            Codes.purpose == purpose,
            Codes.used_at.is_(None),
            Codes.expires_at > now,
        )
        .values(used_at=now)
        .returning(Codes.person_id, Codes.params)
        .execution_options(synchronize_session=False)
    )
    row = (await db.execute(used)).one_or_none()
    if row is None:
        await failed(db, attempt, now)
        raise CodeRefused
    await succeeded(db, attempt, now)
    return Code(row.person_id, dict(row.params))
