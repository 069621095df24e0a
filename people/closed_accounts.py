"""Accounts that are closed: nobody gets in by them, whatever he shows."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.refused import Refused
from storage.engine import Base


class ClosedAccounts(Base):
    """An account its last organisation has closed; one that takes the person back opens it."""

    __tablename__ = "closed_accounts"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    at: Mapped[datetime]


class AccountClosed(Refused):
    """Told only to somebody who has proved to be the person."""

    status = 403
    code = "account_closed"


async def require_open(db: AsyncSession, person_id: UUID) -> None:
    """Refuse (AccountClosed) a person whose account is closed; asked wherever a session begins."""
    query = select(ClosedAccounts.person_id).where(ClosedAccounts.person_id == person_id)
    if await db.scalar(query) is not None:
        raise AccountClosed


async def close_account(
    db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime
) -> None:
    """Close an account; twice is once."""
    values = {"person_id": person_id, "organisation_id": organisation_id, "at": now}
    await db.execute(insert(ClosedAccounts).values(values).on_conflict_do_nothing())


async def open_account(db: AsyncSession, person_id: UUID) -> None:
    """Open it again, whichever organisation closed it: the person belongs somewhere from now on."""
    await db.execute(delete(ClosedAccounts).where(ClosedAccounts.person_id == person_id))
