"""Jobs on a real PostgreSQL: bound to their record's transaction, tried again, never lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from storage import jobs
from storage.db_errors import is_away
from storage.engine import sessions
from storage.jobs import Work, enqueue, job, run_worker
from storage.objects import ObjectsAway
from storage.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test register jobs of its own."""
    monkeypatch.setattr(jobs, "_registered", {})


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A worker that does not end would hang the run."""
    with_alarm = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("the test took over 60 s"))
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, with_alarm)


@pytest.fixture
async def new_session(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE records (word text PRIMARY KEY)"))
    return sessions(engine)


async def _record(db: AsyncSession, word: str) -> None:
    await db.execute(text("INSERT INTO records VALUES (:word)"), {"word": word})


async def _waiting(new_session: async_sessionmaker[AsyncSession]) -> list[tuple[str, str, int]]:
    """Every job kept in the database: its name, its state, its attempts."""
    async with new_session() as db:
        rows = await db.execute(
            text(
                "SELECT task_name, status::text, attempts FROM procrastinate_jobs"
                " WHERE task_name NOT LIKE 'storage.%' ORDER BY id"
            )
        )
        return [(name, status, attempts) for name, status, attempts in rows]


async def _due_now(new_session: async_sessionmaker[AsyncSession]) -> None:
    async with new_session() as db, db.begin():
        await db.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL"))


async def test_a_rollback_takes_the_job_with_the_record(
    new_session: async_sessionmaker[AsyncSession],
) -> None:
    async with new_session() as db:
        await _record(db, "a")
        await enqueue(db, "t.job")
        await db.rollback()
        records = (await db.execute(text("SELECT count(*) FROM records"))).scalar_one()
    assert (records, await _waiting(new_session)) == (0, [])


async def test_a_commit_that_fails_leaves_no_job(
    new_session: async_sessionmaker[AsyncSession],
) -> None:
    async with new_session() as db, db.begin():
        await db.execute(
            text("CREATE TABLE parts (word text REFERENCES records DEFERRABLE INITIALLY DEFERRED)")
        )

    async def half() -> None:
        async with new_session() as db, db.begin():
            await db.execute(text("INSERT INTO parts VALUES ('nowhere')"))
            await enqueue(db, "t.job")

    with pytest.raises(Exception, match="parts_word_fkey"):
        await half()
    assert await _waiting(new_session) == []


async def test_a_job_runs_after_the_commit_and_sees_its_record(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    seen: list[tuple[str, str]] = []
    key = uuid4()

    @job("t.job")
    async def run(work: Work, word: str, key: str) -> None:
        count = await work.db.scalar(
            text("SELECT count(*) FROM records WHERE word = :word"), {"word": word}
        )
        assert count == 1
        assert work.now.utcoffset() == timedelta(0)
        seen.append((word, key))

    async with new_session() as db, db.begin():
        await _record(db, "a")
        await enqueue(db, "t.job", word="a", key=key)
        await run_worker(settings, wait=False)
        assert seen == []
    await run_worker(settings, wait=False)
    assert seen == [("a", str(key))]
    assert await _waiting(new_session) == []


async def test_what_a_failing_job_wrote_is_rolled_back_and_it_is_tried_again_later(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    tries: list[datetime] = []

    @job("t.job")
    async def run(work: Work) -> None:
        tries.append(work.now)
        await _record(work.db, "written")
        if len(tries) == 1:
            raise ValueError("once")

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job")
    await run_worker(settings, wait=False)
    async with new_session() as db:
        assert (await db.execute(text("SELECT count(*) FROM records"))).scalar_one() == 0
        delay = await db.scalar(text("SELECT scheduled_at - now() FROM procrastinate_jobs"))
    assert await _waiting(new_session) == [("t.job", "todo", 1)]
    assert timedelta(0) < delay <= timedelta(seconds=2)
    await _due_now(new_session)
    await run_worker(settings, wait=False)
    assert len(tries) == 2
    async with new_session() as db:
        assert (await db.execute(text("SELECT count(*) FROM records"))).scalar_one() == 1


async def test_a_job_that_always_fails_is_kept_as_failed(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    @job("t.job")
    async def run(_work: Work) -> None:
        raise ValueError("always")

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job")
        await db.execute(text("UPDATE procrastinate_jobs SET attempts = 9"))
    await run_worker(settings, wait=False)
    assert await _waiting(new_session) == [("t.job", "failed", 10)]


async def test_a_job_is_never_given_up_because_a_store_was_away(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    @job("t.job")
    async def run(_work: Work) -> None:
        raise ObjectsAway("no answer")

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job")
        await db.execute(text("UPDATE procrastinate_jobs SET attempts = 5000"))
    await run_worker(settings, wait=False)
    async with new_session() as db:
        delay = await db.scalar(text("SELECT scheduled_at - now() FROM procrastinate_jobs"))
    assert await _waiting(new_session) == [("t.job", "todo", 5001)]
    assert timedelta(seconds=500) < delay <= timedelta(seconds=600)


async def test_a_job_for_later_does_not_run_now(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    ran: list[str] = []

    @job("t.job")
    async def run(_work: Work, word: str) -> None:
        ran.append(word)

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job", at=datetime.now(UTC) + timedelta(hours=1), word="later")
        await enqueue(db, "t.job", at=datetime.now(UTC) - timedelta(hours=1), word="due")
    await run_worker(settings, wait=False)
    assert ran == ["due"]
    assert await _waiting(new_session) == [("t.job", "todo", 0)]


async def test_a_waiting_job_covers_a_second_request_without_spoiling_its_transaction(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    seen: list[list[str]] = []

    @job("t.job")
    async def run(work: Work) -> None:
        seen.append(list(await work.db.scalars(text("SELECT word FROM records ORDER BY word"))))

    async with new_session() as db, db.begin():
        await _record(db, "a")
        assert await enqueue(db, "t.job", once="x")
    async with new_session() as db, db.begin():
        assert not await enqueue(db, "t.job", once="x")
        assert await enqueue(db, "t.job", once="y")
        await run_worker(settings, wait=False)
        assert seen == []  # it waits for the transaction that relies on it
        await _record(db, "b")
    await run_worker(settings, wait=False)
    assert seen == [["a", "b"], ["a", "b"]]


async def test_a_running_job_does_not_cover_a_request_made_meanwhile(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    runs = 0

    @job("t.job")
    async def run(_work: Work) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with new_session() as db, db.begin():
                assert await enqueue(db, "t.job", once="x")
            raise ValueError("tried again beside the one that waits")

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job", once="x")
    await run_worker(settings, wait=False)
    assert [status for _, status, _ in await _waiting(new_session)] == ["todo", "todo"]
    await _due_now(new_session)
    await _until_empty(settings, new_session)
    assert runs == 3


async def test_a_periodic_job_runs_by_itself_once_a_minute(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    ran: list[datetime] = []
    again = asyncio.Event()

    @job("t.tick", cron="* * * * *")
    async def tick(work: Work) -> None:
        ran.append(work.now)
        again.set()

    began = datetime.now(UTC)
    worker = asyncio.create_task(run_worker(settings))
    await again.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await worker
    await run_worker(settings, wait=False)
    ended = datetime.now(UTC)
    # A start just before the full minute owes the old minute, and soon the new one too.
    minutes = ended.timestamp() // 60 - began.timestamp() // 60 + 1
    assert 1 <= len(ran) <= minutes
    assert {name for name, _, _ in await _waiting(new_session)} <= {"t.tick"}


async def test_a_job_left_by_a_killed_worker_is_given_to_a_living_one(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    """`kill -9` of the worker in mid-job, then what its heart would look like 31 s later."""
    program = (
        "import asyncio, sys\n"
        "from storage import jobs\n"
        "from storage.settings import Settings\n"
        "@jobs.job('t.job')\n"
        "async def run(work):\n"
        "    print('inside', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(jobs.run_worker(Settings.from_env()))\n"
    )
    async with new_session() as db, db.begin():
        await enqueue(db, "t.job")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=settings.to_env(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"inside\n"
    process.kill()
    await process.wait()
    assert await _waiting(new_session) == [("t.job", "doing", 0)]

    ran: list[str] = []

    @job("t.job")
    async def run(_work: Work) -> None:
        ran.append("here")

    async with new_session() as db, db.begin():
        await db.execute(
            text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 s'")
        )
        # The killed worker may have done this minute's round already.
        await db.execute(text("DELETE FROM procrastinate_periodic_defers"))
        await db.execute(text("DELETE FROM procrastinate_jobs WHERE task_name LIKE 'storage.%'"))
    await _until_empty(settings, new_session)
    assert ran == ["here"]


async def _until_empty(settings: Settings, new_session: async_sessionmaker[AsyncSession]) -> None:
    """Run workers until no job is left; the round that revives jobs may end after the first."""
    while await _waiting(new_session):
        await run_worker(settings, wait=False)


async def test_a_worker_told_to_stop_puts_its_job_back(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    inside = asyncio.Event()

    @job("t.job")
    async def run(_work: Work) -> None:
        inside.set()
        await asyncio.Event().wait()

    async with new_session() as db, db.begin():
        await enqueue(db, "t.job")
    worker = asyncio.create_task(run_worker(settings))
    await inside.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await worker
    assert await _waiting(new_session) == [("t.job", "todo", 1)]


async def test_a_worker_survives_the_loss_of_its_connections(
    new_session: async_sessionmaker[AsyncSession], settings: Settings
) -> None:
    ran: list[str] = []
    done = asyncio.Event()

    @job("t.job")
    async def run(_work: Work, word: str) -> None:
        ran.append(word)
        done.set()

    worker = asyncio.create_task(run_worker(settings))
    for word in ("before", "after"):
        done.clear()
        async with new_session() as db, db.begin():
            await enqueue(db, "t.job", word=word)
        await done.wait()
        if word == "before":
            async with new_session() as db:
                await db.execute(
                    text(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
    os.kill(os.getpid(), signal.SIGTERM)
    await worker
    assert ran[0] == "before"
    assert set(ran[1:]) <= {"before", "after"}
    assert "after" in ran


async def test_enqueueing_into_a_lost_connection_is_told_as_the_database_being_away(
    engine: AsyncEngine, new_session: async_sessionmaker[AsyncSession]
) -> None:
    async with new_session() as db:
        pid = (await db.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        async with engine.connect() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(Exception, match=r"terminating|closed") as caught:
            await enqueue(db, "t.job")
    assert is_away(caught.value)


async def test_without_a_database_one_round_fails_instead_of_waiting(settings: Settings) -> None:
    away = settings.with_database("postgresql://app:x@127.0.0.1:1/none")
    with pytest.raises(OperationalError, match="refused"):
        await run_worker(away, wait=False)


def test_a_name_is_registered_once() -> None:
    async def run(_work: Work) -> None: ...

    job("t.job")(run)
    with pytest.raises(ValueError, match="twice"):
        job("t.job")(run)
