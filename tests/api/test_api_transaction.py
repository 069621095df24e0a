"""One request is one transaction, committed before the answer starts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from api_world import code
from litestar import Litestar, post
from litestar.di import NamedDependency
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api import reactions
from api.app import create_app
from people.facts import SessionEnded, emit
from people.policy import Act
from people.refused import NotFound, WrongLoginOrPassword
from storage.settings import Settings


def _fact() -> SessionEnded:
    return SessionEnded(at=datetime.now(UTC), person_id=uuid4(), session_id=uuid4())


@post("/late", act=Act.LOOK_AT_SERVICE)
async def late(db: NamedDependency[AsyncSession]) -> None:
    """Breaks a constraint that PostgreSQL looks at only when committing."""
    await db.execute(text("INSERT INTO child VALUES (5)"))
    emit(db, _fact())


@post("/fine", act=Act.LOOK_AT_SERVICE)
async def fine(db: NamedDependency[AsyncSession]) -> None:
    """Commits."""
    emit(db, _fact())


@post("/refused", act=Act.LOOK_AT_SERVICE)
async def refused(db: NamedDependency[AsyncSession]) -> None:
    """Writes, then is refused."""
    await db.execute(text("INSERT INTO parent VALUES (1)"))
    emit(db, _fact())
    raise NotFound


@post("/counted", act=Act.LOOK_AT_SERVICE)
async def counted(db: NamedDependency[AsyncSession]) -> None:
    """Is refused, but what it wrote must stay."""
    await db.execute(text("INSERT INTO parent VALUES (2)"))
    raise WrongLoginOrPassword


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    """An application of this file's own: it gets routes that the others must not have."""
    app = create_app(settings)
    async with app.state.house.open():
        yield app


@pytest.fixture
async def client(app: Litestar, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE parent (id int PRIMARY KEY)"))
        await connection.execute(
            text("CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        )
    for handler in (late, fine, refused, counted):
        app.register(handler)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def reacted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Facts that got their reaction."""
    seen: list[Any] = []
    monkeypatch.setitem(reactions.REACTIONS, SessionEnded, lambda _, fact: seen.append(fact))
    return seen


async def _ids(engine: AsyncEngine, table: str) -> list[int]:
    async with engine.connect() as connection:
        return list((await connection.scalars(text(f"SELECT id FROM {table}"))).all())  # noqa: S608


async def test_a_commit_that_fails_is_a_5xx_and_announces_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine, reacted: list[Any]
) -> None:
    answer = await client.post("/late")
    assert code(answer) == (500, "internal")
    assert await _ids(engine, "child") == []
    assert reacted == []


async def test_what_a_request_announces_goes_out_after_its_commit(
    client: httpx.AsyncClient, reacted: list[Any]
) -> None:
    assert (await client.post("/fine")).status_code == 201
    assert len(reacted) == 1


async def test_a_refused_request_leaves_no_rows_and_announces_nothing(
    client: httpx.AsyncClient, engine: AsyncEngine, reacted: list[Any]
) -> None:
    assert code(await client.post("/refused")) == (404, "not_found")
    assert await _ids(engine, "parent") == []
    assert reacted == []


async def test_a_refusal_that_keeps_its_writes_keeps_them(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    assert code(await client.post("/counted")) == (401, "wrong_login_or_password")
    assert await _ids(engine, "parent") == [2]
