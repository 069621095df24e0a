"""Work for later, enqueued in the transaction of the record that asks for it.

A job that commits with its record cannot be lost and cannot run for a record that was rolled back.
A job may run twice (its worker may die after the work and before the note that it is done), so
every job must bear that. One that fails is tried again, ever later.

    @job("telemed.chunk_stream")
    async def chunk_stream(work: Work, stream_id: str) -> None: ...

    await enqueue(db, "telemed.chunk_stream", stream_id=stream_id)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from psycopg_pool import PoolTimeout
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from storage import data_keys
from storage.db_errors import is_away
from storage.dead_letters import code_of, forget_failure, keep_failure
from storage.engine import libpq_url, make_engine, sessions
from storage.objects import Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.settings import Settings

log = logging.getLogger(__name__)

# The argument that names whose job it is; the job itself is not given it.
OWNERS: Final = "_owners"
_ATTEMPTS = 10
_LONGEST_WAIT_S = 600
_STALLED_S = 30.0


@dataclass(frozen=True)
class Work:
    """What a job works with: a transaction that commits when it returns, the stores, the time."""

    db: AsyncSession
    objects: Objects
    settings: Settings
    now: datetime


Run = Callable[..., Awaitable[None]]
F = TypeVar("F", bound=Run)


@dataclass(frozen=True)
class _Registered:
    run: Run
    cron: str | None


_registered: dict[str, _Registered] = {}
# Never opened: it only writes jobs on the connection it is handed.
_enqueuer = App(connector=PsycopgConnector())
# The share lock makes workers, who take jobs FOR UPDATE SKIP LOCKED, pass this one by until we
# commit; a job that a worker is taking right now is skipped here and does not count.
_WAITING = text("""
    SELECT true FROM procrastinate_jobs
    WHERE task_name = :name AND lock = :once AND status = 'todo'
    LIMIT 1 FOR SHARE SKIP LOCKED
""")


def job(name: str, *, cron: str | None = None) -> Callable[[F], F]:
    """Register `async def f(work, **args)` as the job `name`; with `cron` it also runs by itself.

    `cron` is a crontab line in UTC; a job that runs so takes no arguments.
    """

    def register(run: F) -> F:
        if name in _registered:
            raise ValueError(f"job {name} is registered twice")
        _registered[name] = _Registered(run, cron)
        return run

    return register


async def enqueue(
    db: AsyncSession,
    name: str,
    *,
    at: datetime | None = None,
    once: str | None = None,
    owners: Collection[UUID] = (),
    **args: Any,
) -> bool:
    """Write a job in the open transaction of `db`; it starts after the commit, not before `at`.

    Jobs with the same word in `once` never run at the same time, and while one of them waits
    nothing is written and False returned: it will not start before this transaction ends, so it
    sees its rows. The arguments are anything msgspec can turn into JSON. `owners` are whoever may
    see that it failed (storage/dead_letters.py): ids this room knows nothing of.
    """
    if once is not None and await db.scalar(_WAITING, {"name": name, "once": once}):
        return False
    connection = await (await db.connection()).get_raw_connection()
    deferrer = _enqueuer.configure_task(
        name, connection=connection.driver_connection, schedule_at=at, lock=once
    )
    try:
        owned = {OWNERS: list(owners)} if owners else {}
        await deferrer.defer_async(**msgspec.to_builtins(args | owned))
    except ConnectorException as error:
        cause = error.__cause__ or error
        if is_away(cause):
            await db.invalidate()  # SQLAlchemy has not seen its connection die
        raise cause from None
    return True


async def run_worker(settings: Settings, *, concurrency: int = 4, wait: bool = True) -> None:
    """Run the registered jobs until SIGTERM or SIGINT; without `wait` until none is due.

    While the database is away the worker keeps trying. A job has 3 s to end after the signal; it
    is tried again later when it does not.
    """
    data_keys.unlock(settings.home)
    engine = make_engine(settings.database_url, pool_size=concurrency)
    objects = S3Objects(settings)
    backoff_s = 0.5
    try:
        while True:
            app = _app(settings, sessions(engine), objects, concurrency)
            try:
                async with engine.connect():  # fails at once where the job pool would wait
                    pass
                async with app.open_async():
                    backoff_s = 0.5
                    await app.run_worker_async(
                        concurrency=concurrency,
                        wait=wait,
                        delete_jobs="successful",
                        shutdown_graceful_timeout=3.0,
                        stalled_worker_timeout=_STALLED_S,
                        install_signal_handlers=wait,
                    )
            except (ConnectorException, PoolTimeout, DBAPIError, psycopg.Error) as error:
                cause = error.__cause__ or error
                if not wait or not (is_away(cause) or isinstance(error, PoolTimeout)):
                    raise
                log.warning("job worker: database away, next try in %.1f s: %s", backoff_s, cause)
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, 30.0)
            else:
                return
    finally:
        objects.close()
        await engine.dispose()


class _BackOff(BaseRetryStrategy):
    """Wait 2, 4, 8 … 600 s; give up after 10 attempts, but never because a store was away."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):  # the worker is told to stop
            return RetryDecision(retry_in={"seconds": 0})
        away = isinstance(exception, ObjectsAway) or is_away(exception)
        if not away and job.attempts + 1 >= _ATTEMPTS:
            return None
        return RetryDecision(
            retry_in={"seconds": min(2 ** min(job.attempts + 1, 16), _LONGEST_WAIT_S)}
        )


async def _keep_failure(
    new_session: async_sessionmaker[AsyncSession], job: Job, error: Exception
) -> None:
    """Say why it failed, for who looks at dead letters; a database that is away is no reason."""
    if job.id is None or is_away(error):
        return
    try:
        async with new_session() as db, db.begin():
            await keep_failure(db, job.id, code_of(error), datetime.now(UTC))
    except DBAPIError as lost:
        log.warning("job worker: a failure was not kept: %s", type(lost).__name__)


def _app(
    settings: Settings,
    new_session: async_sessionmaker[AsyncSession],
    objects: Objects,
    concurrency: int,
) -> App:
    app = App(
        connector=PsycopgConnector(
            conninfo=libpq_url(settings.database_url),
            min_size=1,
            max_size=concurrency + 2,
            timeout=10,
            kwargs={"connect_timeout": 5},
        )
    )

    async def perform(run: Run, context: JobContext, **args: Any) -> None:
        args.pop(OWNERS, None)
        try:
            async with new_session() as db, db.begin():
                if context.job.attempts:
                    await forget_failure(db, context.job.id)
                await run(Work(db, objects, settings, datetime.now(UTC)), **args)
        except Exception as error:
            await _keep_failure(new_session, context.job, error)
            raise

    def add(name: str, registered: _Registered) -> None:
        if registered.cron is None:
            task = app.task(name=name, retry=_BackOff(), pass_context=True)
            task(partial(perform, registered.run))
            return

        @app.periodic(cron=registered.cron, queueing_lock=name)
        @app.task(name=name, pass_context=True)  # the next tick is its next try
        async def tick(context: JobContext, timestamp: int = 0) -> None:  # noqa: ARG001
            await perform(registered.run, context)

    for name, registered in _registered.items():
        add(name, registered)

    @app.periodic(cron="* * * * *", queueing_lock="storage.resume")
    @app.task(name="storage.resume", pass_context=True)
    async def resume(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Give jobs of a killed worker to a living one."""
        manager = context.app.job_manager
        for stalled in await manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_S):
            await manager.retry_job(stalled)

    return app
