"""Who belongs to an organisation by its own list, whatever hats are worn there, or none."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.engine import Base


class RosterEntries(Base):
    """A person of an organisation. `source_id` is the number its own lists give."""

    __tablename__ = "roster_entries"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    source_id: Mapped[str | None]
    since: Mapped[datetime]
    # Let go since then; the row stays, so that no list takes the person back by mistake.
    until: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "person_id"),
        Index(None, "organisation_id", "source_id", unique=True),
    )

    @classmethod
    def live(cls, now: datetime) -> ColumnElement[bool]:
        """SQL: not let go."""
        return cls.until.is_(None) | (cls.until > now)


async def enter(
    db: AsyncSession, organisation_id: UUID, person_id: UUID, now: datetime
) -> RosterEntries:
    """Put a person on the list, or back on it."""
    entry = await db.get(RosterEntries, (organisation_id, person_id))
    if entry is None:
        entry = RosterEntries(organisation_id=organisation_id, person_id=person_id, since=now)
        db.add(entry)
    entry.until = None
    await db.flush()
    return entry
