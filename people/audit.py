"""The one way to health tables: each read leaves a row that says who read whose what, and why.
Forbidden acts that were tried leave a row too, and so do sensitive acts that were done (`acted`).

The row is written in the read's own transaction, before the answer. A read whose transaction does
not commit was never answered. Every other way is refused where a statement meets the database, so
that neither an alias nor a join nor a query lent from another room gets around; what a write reads
back for its own answer is marked WRITE_PATH, and tests/people/test_audit_only_way.py lists where.

The three tables only grow: people/audit_chain.py seals their rows, people/audit_reports.py shows
them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar, TypeVarTuple
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import (
    ClauseElement,
    Connection,
    Engine,
    ExecutionContext,
    Index,
    Row,
    Select,
    Table,
    bindparam,
    insert,
)
from sqlalchemy.event import listens_for
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql import visitors
from sqlalchemy.util import immutabledict

from people.policy import Act, Actor, Thing, require
from storage.engine import Base, insert_many, new_id

T = TypeVar("T", bound=type[Base])
Ts = TypeVarTuple("Ts")

# Execution options of a statement that may read health tables.
_AUDITED: Final[Mapping[str, Any]] = immutabledict({"health_tables": "audited"})
WRITE_PATH: Final[Mapping[str, Any]] = immutabledict({"health_tables": "write path"})

_WORDS: Final = re.IGNORECASE | re.DOTALL
# Codes, ids, networks, numbers: nothing that could be a name or a sentence somebody typed.
_CODE: Final = re.compile(r"[A-Za-z0-9_.:/+\-]{0,100}")
# Acts that whoever they are done to does not hear of from us.
NOT_TOLD: Final = frozenset({"hold_set", "hold_lifted"})
_health: set[str] = set()


class UnauditedRead(Exception):  # noqa: N818 - states a fact
    """A statement reads a health table and leaves no trace: a mistake of ours, never a caller's."""


def health_table(table: T) -> T:
    """Decorate a table whose rows say something about a person's health."""
    _health.add(table.__tablename__)
    reads_health.cache_clear()
    return table


def health_tables() -> frozenset[str]:
    """Names of the tables that are read through `read` only."""
    return frozenset(_health)


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

    __table_args__ = (
        Index(None, "subject_id", "at"),
        Index(None, "organisation_id", "at"),
        Index(None, "actor_id", "at"),
    )


class AuditRefusals(Base):
    """One forbidden act that was tried. No foreign keys: the trace outlives what it speaks of."""

    __tablename__ = "audit_refusals"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    actor_id: Mapped[UUID]
    act: Mapped[str]
    about_id: Mapped[UUID | None]
    organisation_id: Mapped[UUID | None]
    # The operation's name, or "media" when the media worker saw packets without a grant.
    route: Mapped[str]

    __table_args__ = (
        Index(None, "about_id", "at"),
        Index(None, "organisation_id", "at"),
        Index(None, "actor_id", "at"),
    )


class AuditActs(Base):
    """One sensitive act that was done. No foreign keys: the trace outlives what it speaks of."""

    __tablename__ = "audit_acts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    # Nobody: a sign-in that failed, or what the house does by itself.
    actor_id: Mapped[UUID | None]
    act: Mapped[str]
    subject_id: Mapped[UUID | None]
    organisation_id: Mapped[UUID | None]
    about_id: Mapped[UUID | None]
    details: Mapped[dict[str, str]]

    __table_args__ = (
        Index(None, "subject_id", "at"),
        Index(None, "organisation_id", "at"),
        Index(None, "actor_id", "at"),
    )


# One statement with the read: a way to the database less, and no answer without its row.
_TABLE: Final = AuditReads.metadata.tables[AuditReads.__tablename__]
_VALUES: Final[Mapping[str, Any]] = {
    column.name: bindparam(f"audit_{column.name}") for column in _TABLE.columns
}
_KEPT: Final = insert(_TABLE).values(_VALUES).cte("kept")
# What was made of a query before. Queries that are made once for all are found here again.
_whole: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class Purpose(msgspec.Struct, frozen=True):
    """Why a read happens: the act it serves, and the thing it is about."""

    act: Act
    thing: Thing
    at: datetime


async def read(
    db: AsyncSession,
    actor: Actor,
    query: Select[*Ts],
    purpose: Purpose,
    values: Mapping[str, Any] | None = None,
) -> Sequence[Row[*Ts]]:
    """Run `query` for `actor` and record it. Refuses (Forbidden) what the policy does not give.

    `values`: of the parameters of a query that was made once for all.
    """
    require(actor, purpose.act, purpose.thing, purpose.at)
    thing = purpose.thing
    whole, tables = _whole_of(query)
    row = {
        **(values or {}),
        "audit_id": new_id(),
        "audit_at": purpose.at,
        "audit_actor_id": actor.id,
        "audit_act": purpose.act.value,
        "audit_subject_id": thing.subject_id,
        "audit_organisation_id": thing.organisation_id,
        "audit_about_id": thing.about[0] if thing.about else None,
        "audit_tables": tables,
    }
    return (await db.execute(whole, row, execution_options=_AUDITED)).all()


def _whole_of(query: Select[*Ts]) -> tuple[Select[*Ts], list[str]]:
    """The query with the audit's row beside it, and the tables it reads."""
    whole: tuple[Select[*Ts], list[str]] | None = _whole.get(query)
    if whole is None:
        whole = _whole[query] = query.add_cte(_KEPT), _tables(query)
    return whole


async def refused(
    db: AsyncSession, actor_id: UUID, act: str, thing: Thing, now: datetime, *, where: str
) -> None:
    """Record that somebody tried what he may not.

    The refused transaction is rolled back, so the row needs one of its own.
    """
    db.add(
        AuditRefusals(
            at=now,
            actor_id=actor_id,
            act=str(act),
            about_id=thing.about[0] if thing.about else None,
            organisation_id=thing.organisation_id,
            route=where,
        )
    )
    await db.flush()


async def acted(
    db: AsyncSession,
    actor_id: UUID | None,
    act: Act | str,
    thing: Thing,
    now: datetime,
    *,
    details: Mapping[str, str] | None = None,
) -> None:
    """Record a sensitive act in its own transaction: it was not done if this was not kept.

    `details` are codes and ids only. Whatever could be a name or a text raises ValueError.
    """
    db.add(AuditActs(**_act(actor_id, Done(str(act), thing, details or {}), now)))
    await db.flush()


class Done(msgspec.Struct, frozen=True):
    """One of many acts of somebody."""

    act: str
    thing: Thing
    details: Mapping[str, str] = {}


async def acted_often(
    db: AsyncSession, actor_id: UUID | None, acts: Iterable[Done], now: datetime
) -> None:
    """As `acted`, for all that one act did to many people: each sees his own row."""
    await insert_many(db, AuditActs, [_act(actor_id, one, now) for one in acts])


def _act(actor_id: UUID | None, done: Done, now: datetime) -> dict[str, Any]:
    for word in (done.act, *done.details, *done.details.values()):
        if not _CODE.fullmatch(word):
            raise ValueError("the audit keeps codes and ids, and this is neither")
    thing = done.thing
    return {
        "id": new_id(),
        "at": now,
        "actor_id": actor_id,
        "act": done.act,
        "subject_id": thing.subject_id,
        "organisation_id": thing.organisation_id,
        "about_id": thing.about[0] if thing.about else None,
        "details": dict(done.details),
    }


def _tables(query: ClauseElement) -> list[str]:
    return sorted({e.name for e in visitors.iterate(query) if isinstance(e, Table)})


@lru_cache(maxsize=256)
def reads_health(sql: str) -> bool:
    """True unless the statement leaves health tables alone, or only writes them."""
    names = "|".join(rf"{name}(?:_\d{{4}}_\d{{2}})?" for name in sorted(_health))  # and its months
    if not names or re.search(rf"\b({names})\b", sql, _WORDS) is None:
        return False
    if re.search(r"\b(select|returning)\b", sql, _WORDS):
        return True
    if re.match(r"\s*(create|alter|drop|lock|truncate)\b", sql, _WORDS):
        return False
    target = re.match(r"\s*(insert\s+into|update|delete\s+from)\b", sql, _WORDS)
    source = rf"(\b(from|join|using)\b|,)\s*(only\s+)?\"?({names})\b"
    return target is None or re.search(source, sql[target.end() :], _WORDS) is not None


@listens_for(Engine, "before_cursor_execute")
def _refuse_unaudited(
    _connection: Connection,
    _cursor: Any,
    sql: str,
    _parameters: Any,
    context: ExecutionContext | None,
    _many: bool,
) -> None:
    """Judge the SQL itself: whatever it was built of, this is what the database gets."""
    marked = context is not None and "health_tables" in context.execution_options
    if not marked and reads_health(sql):
        raise UnauditedRead(sql.partition("\n")[0][:200])
