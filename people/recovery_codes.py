"""Recovery codes: ten on paper, for who has lost the phone. Each opens the second step once.

120 random bits each, so that a plain SHA-256 keeps them (ASVS 5.0 V6.5.2).
"""

import base64
import secrets
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.device_tokens import token_hash
from storage.engine import Base

HOW_MANY = 10
_BYTES = 15
_GROUP = 4


class RecoveryCodes(Base):
    """A code that has not been used."""

    __tablename__ = "recovery_codes"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (Index(None, "person_id"),)


class RecoverySheet(msgspec.Struct, frozen=True):
    """Codes to be written down; shown this once."""

    codes: list[str]


async def write_sheet(db: AsyncSession, person_id: UUID) -> RecoverySheet:
    """Make ten codes; those of an older sheet are worth nothing any more."""
    await forget(db, person_id)
    codes = [_new() for _ in range(HOW_MANY)]
    db.add_all(RecoveryCodes(sha256=_hash(code), person_id=person_id) for code in codes)
    await db.flush()
    return RecoverySheet(codes)


async def fits(db: AsyncSession, person_id: UUID, code: str) -> bool:
    """Say whether this is one of the person's codes, and use it up."""
    gone = delete(RecoveryCodes).where(
        RecoveryCodes.sha256 == _hash(code), RecoveryCodes.person_id == person_id
    )
    return await db.scalar(gone.returning(RecoveryCodes.person_id)) is not None


async def left(db: AsyncSession, person_id: UUID) -> int:
    """How many codes have not been used."""
    query = select(func.count()).where(RecoveryCodes.person_id == person_id)
    return await db.scalar(query) or 0


async def forget(db: AsyncSession, person_id: UUID) -> None:
    """Make every code worthless."""
    await db.execute(delete(RecoveryCodes).where(RecoveryCodes.person_id == person_id))


def _new() -> str:
    word = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
    return "-".join(word[at : at + _GROUP] for at in range(0, len(word), _GROUP))


def _hash(code: str) -> bytes:
    """Digest of a code as people type it: hyphens, spaces and capitals do not matter."""
    return token_hash("".join(c for c in code.lower() if c.isalnum()))
