"""Jobs that failed for good: kept until a human tries them again or drops them.

A letter tells the job's name, how often and when it was tried and the kind of its last failure,
never what is in it. A job that has owners is seen by them alone; one without is the house's own:
everybody who looks sees it, and may have it tried again, but nobody drops it for all; it is
forgotten when it is old.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.engine import Base

LETTERS = 200


class JobFailed(Exception):  # noqa: N818 - states a fact
    """A job could not do its work; `code` says to a human why, in a word."""

    code: str = "failed"


class JobFailures(Base):
    """Why a job failed the last time. Its id is the job library's, whose tables are its own."""

    __tablename__ = "job_failures"

    job_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class Letter(msgspec.Struct, frozen=True):
    """A job that failed for good. `own`: the asker's alone, who may drop it."""

    id: int
    name: str
    attempts: int
    code: str
    first_at: datetime | None
    last_at: datetime | None
    own: bool


# The library's table: a job that is waiting for another try is no dead letter.
_LIST = text("""
    SELECT j.id, j.task_name AS name, j.attempts, coalesce(f.code, 'unknown') AS code,
        f.first_at, f.last_at, j.args ? '_owners' AS own
    FROM procrastinate_jobs j LEFT JOIN job_failures f ON f.job_id = j.id
    WHERE j.status = 'failed' AND (NOT j.args ? '_owners' OR j.args -> '_owners' ? :owner)
    ORDER BY j.id DESC LIMIT :limit
""")
_AGAIN = text("""
    UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL
    WHERE id = :id AND status = 'failed'
        AND (NOT args ? '_owners' OR args -> '_owners' ? :owner)
    RETURNING task_name
""")
_DROP = text("""
    DELETE FROM procrastinate_jobs
    WHERE id = :id AND status = 'failed' AND args -> '_owners' ? :owner
    RETURNING task_name
""")

# Of the house alone: what has owners is theirs to drop.
_DROP_OLD = text("""
    WITH old AS (
        DELETE FROM procrastinate_jobs j
        WHERE j.status = 'failed' AND NOT j.args ? '_owners' AND coalesce(
            (SELECT f.last_at FROM job_failures f WHERE f.job_id = j.id),
            (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = j.id)
        ) < :before
        RETURNING j.id
    )
    DELETE FROM job_failures f USING old WHERE f.job_id = old.id
""")


async def list_letters(db: AsyncSession, owner: UUID) -> list[Letter]:
    """Give the newest dead letters of `owner` and of the house."""
    rows = await db.execute(_LIST, {"owner": str(owner), "limit": LETTERS})
    return [Letter(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


async def try_again(db: AsyncSession, owner: UUID, letter_id: int) -> str | None:
    """Let a dead letter be tried anew, as often as at first; its name, None when there is none."""
    name: str | None = await db.scalar(_AGAIN, {"owner": str(owner), "id": letter_id})
    return name


async def drop(db: AsyncSession, owner: UUID, letter_id: int) -> str | None:
    """Forget one of the owner's dead letters; its name, None when there is none."""
    name: str | None = await db.scalar(_DROP, {"owner": str(owner), "id": letter_id})
    if name is not None:
        await forget_failure(db, letter_id)
    return name


async def drop_old(db: AsyncSession, before: datetime) -> None:
    """Forget the house's own dead letters that were last tried before."""
    await db.execute(_DROP_OLD, {"before": before})


async def keep_failure(db: AsyncSession, job_id: int, code: str, now: datetime) -> None:
    """Remember why a job failed; the first time stays."""
    values = {"job_id": job_id, "code": code, "first_at": now, "last_at": now}
    await db.execute(
        insert(JobFailures)
        .values(values)
        .on_conflict_do_update(index_elements=["job_id"], set_={"code": code, "last_at": now})
    )


async def forget_failure(db: AsyncSession, job_id: int | None) -> None:
    """Forget why a job failed: it does not any more, or is gone."""
    await db.execute(delete(JobFailures).where(JobFailures.job_id == job_id))


def code_of(error: BaseException) -> str:
    """The kind of a failure; never its text, which may quote what it choked on."""
    return error.code if isinstance(error, JobFailed) else type(error).__name__
