"""Second steps: somebody whose first proof was right and whose second one is awaited."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Index, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.engine import Base


class SecondSteps(Base):
    """What the first proof gave: a token's digest, and which card or link it was."""

    __tablename__ = "second_steps"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    method: Mapped[str]
    opened_by: Mapped[UUID | None]
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "person_id"),)


async def forget_steps(db: AsyncSession, which: ColumnElement[bool]) -> None:
    """End what would open a session yet.

    Before the sessions themselves: a step that is just being taken is waited for, and its session
    is seen then.
    """
    gone = delete(SecondSteps).where(which)
    await db.execute(gone.execution_options(synchronize_session=False))
