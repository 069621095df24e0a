"""The one way to health tables: each read leaves a row that says who read whose what, and why.

The row is written in the read's own transaction, before the answer. A read whose transaction does
not commit was never answered. tests/people/test_audit_only_way.py forbids every other way.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVarTuple
from uuid import UUID

import msgspec
from sqlalchemy import ClauseElement, Index, Row, Select, Table
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import visitors

from people.policy import Act, Actor, Thing, require
from storage.engine import Base, new_id

Ts = TypeVarTuple("Ts")


class AuditReads(Base):
    """One read of health tables. No foreign keys: the trace outlives what it speaks of."""

    __tablename__ = "audit_reads"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    actor_id: Mapped[UUID]
    act: Mapped[str]
    subject_id: Mapped[UUID | None]
    organisation_id: Mapped[UUID | None]
    about_id: Mapped[UUID | None]
    tables: Mapped[list[str]]

    __table_args__ = (Index(None, "subject_id", "at"),)


class Purpose(msgspec.Struct, frozen=True):
    """Why a read happens: the act it serves, and the thing it is about."""

    act: Act
    thing: Thing
    at: datetime


async def read(
    db: AsyncSession, actor: Actor, query: Select[*Ts], purpose: Purpose
) -> Sequence[Row[*Ts]]:
    """Run `query` for `actor` and record it. Refuses (Forbidden) what the policy does not give."""
    require(actor, purpose.act, purpose.thing, purpose.at)
    thing = purpose.thing
    db.add(
        AuditReads(
            at=purpose.at,
            actor_id=actor.id,
            act=purpose.act.value,
            subject_id=thing.subject_id,
            organisation_id=thing.organisation_id,
            about_id=thing.about[0] if thing.about else None,
            tables=_tables(query),
        )
    )
    await db.flush()
    return (await db.execute(query)).all()


def _tables(query: ClauseElement) -> list[str]:
    return sorted({e.name for e in visitors.iterate(query) if isinstance(e, Table)})
