"""The engine, its types and the moment of commit, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, MetaData, UniqueConstraint, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import QueuePool

from storage.db_errors import is_away
from storage.engine import (
    NAMING,
    Base,
    close,
    libpq_url,
    make_engine,
    new_id,
    sessions,
    sqlalchemy_url,
)


class _Own(DeclarativeBase):
    """Tables of this test only: what is declared under Base belongs to the product."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = Base.type_annotation_map


class _Parents(_Own):
    __tablename__ = "test_parents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[int]
    at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]
    words: Mapped[list[str]]

    __table_args__ = (UniqueConstraint("number"),)


class _Children(_Own):
    __tablename__ = "test_children"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    parent_id: Mapped[UUID] = mapped_column(
        ForeignKey("test_parents.id", deferrable=True, initially="DEFERRED")
    )


@pytest.fixture
async def tables(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.run_sync(_Own.metadata.create_all)
    return engine


def _parent(number: int = 1) -> _Parents:
    return _Parents(number=number, at=datetime.now(UTC), facts={}, words=[])


async def test_a_commit_that_fails_is_an_error_of_the_transaction_block(
    tables: AsyncEngine,
) -> None:
    """A deferred foreign key speaks only at commit, where a swallowed error would lose data."""
    new_session = sessions(tables)
    flushed = []

    async def insert_orphan() -> None:
        async with new_session() as db, db.begin():
            db.add(_Children(parent_id=new_id()))
            await db.flush()
            flushed.append(True)

    with pytest.raises(IntegrityError):
        await insert_orphan()
    async with new_session() as db:
        count = (await db.execute(text("SELECT count(*) FROM test_children"))).scalar()
    assert (flushed, count) == ([True], 0)


async def test_what_is_written_comes_back_equal_and_in_utc(tables: AsyncEngine) -> None:
    kazan = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=3)))
    row = _Parents(number=2**53 - 1, at=kazan, facts={"ключ": [1, None]}, words=["сүз", "слово"])
    new_session = sessions(tables)
    async with new_session() as db, db.begin():
        db.add(row)
    async with new_session() as db:
        found = await db.get_one(_Parents, row.id)
    assert (found.number, found.facts, found.words) == (2**53 - 1, row.facts, row.words)
    assert found.at == kazan
    assert found.at.utcoffset() == timedelta(0)


async def test_constraints_have_names_that_a_migration_can_use(tables: AsyncEngine) -> None:
    async with tables.connect() as connection:
        names = await connection.execute(
            text("SELECT conname FROM pg_constraint WHERE conrelid = 'test_children'::regclass")
        )
    assert {
        "pk_test_children",
        "fk_test_children_parent_id_test_parents",
    } <= set(names.scalars())


async def test_a_connection_killed_while_idle_is_replaced_unseen(tables: AsyncEngine) -> None:
    async with tables.connect() as connection:
        pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    other = make_engine(tables.url.render_as_string(hide_password=False))
    async with other.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    await other.dispose()
    async with tables.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_refusal_of_the_database_is_not_its_absence(tables: AsyncEngine) -> None:
    async with sessions(tables)() as db:
        db.add_all([_parent(), _parent()])
        with pytest.raises(IntegrityError) as caught:
            await db.commit()
    assert not is_away(caught.value)


async def test_an_error_does_not_quote_the_values_of_its_statement(tables: AsyncEngine) -> None:
    async with tables.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT 1/0, :name"), {"name": "Габдулла"})
    assert "Габдулла" not in str(caught.value)


async def test_nothing_listening_is_told_as_the_database_being_away() -> None:
    engine = make_engine("postgresql://app:x@127.0.0.1:1/none")
    with pytest.raises(Exception, match="refused") as caught:
        async with engine.connect():
            pass
    await engine.dispose()
    assert is_away(caught.value)


async def test_a_connection_given_up_in_the_making_is_closed_at_once() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        asked.set()
        await reader.read()  # nothing is answered: this ends when he hangs up
        closed.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        engine = make_engine(f"postgresql://app:x@127.0.0.1:{port}/none")
        connecting = asyncio.create_task(engine.connect().start())
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError) as given_up:
            await connecting
        await closed.wait()  # while the error, and whatever hangs on it, is still there
        assert given_up.value is not None
        await engine.dispose()


def test_identifiers_sort_by_the_time_they_were_made() -> None:
    made = [new_id() for _ in range(2000)]
    assert made == sorted(set(made))
    assert {one.version for one in made} == {7}


def test_a_url_with_a_socket_folder_survives_the_change_of_driver() -> None:
    url = "postgresql://app:p%40ss@/yanasha?host=/srv/run"
    ours = sqlalchemy_url(url)
    assert ours.drivername == "postgresql+psycopg"
    assert (ours.password, ours.query["host"]) == ("p@ss", "/srv/run")
    back = libpq_url(ours.render_as_string(hide_password=False))
    assert back.startswith("postgresql://app:p%40ss@/yanasha?host=")


async def test_an_engine_closes_behind_the_last_who_uses_it(database_url: str) -> None:
    """One who was cancelled a moment ago rolls back first. Who does not end is not waited for."""
    engine = make_engine(database_url)
    pool, begun = engine.pool, asyncio.Event()
    assert isinstance(pool, QueuePool)

    async def use() -> None:
        async with sessions(engine)() as db, db.begin():
            await db.execute(text("SELECT 1"))
            begun.set()
            await db.execute(text("SELECT pg_sleep(60)"))

    user = asyncio.create_task(use())
    await begun.wait()
    user.cancel()
    await close(engine)
    await asyncio.gather(user, return_exceptions=True)
    assert pool.checkedin() == 0, "it came back to a pool that nobody looks at any more"
    async with engine.connect() as kept:
        await close(engine, within_s=0.01)
        await kept.invalidate()
