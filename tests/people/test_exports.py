"""The archive of a person's data, as it is made: page by page, and no connection held meanwhile."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import exports
from people.exports import Source
from people.notices import notify
from people.persons import Persons
from people.policy import Actor
from people.sessions import Caller
from storage.engine import new_id
from storage.objects import Objects


async def test_whoever_takes_it_slowly_holds_no_connection(
    engine: AsyncEngine, objects: Objects, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is sent by itself here, two in a page: every one arrives, once."""
    monkeypatch.setattr(exports, "_DRAIN", 0)
    monkeypatch.setattr(exports, "PAGE", 2)
    person_id = new_id()

    @asynccontextmanager
    async def transaction() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine) as db, db.begin():
            yield db

    async with transaction() as db:
        db.add(Persons(id=person_id, family_name="Хасан", given_name="Ринат", created_at=now))
        await db.flush()
        for _ in range(5):
            await notify(db, person_id, "link_issued", {}, now)
    caller = Caller(new_id(), Actor(person_id), person_id, now)

    out = io.BytesIO()
    async for piece in exports.archive(Source(transaction, objects, caller, now)):
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined] # a QueuePool
        out.write(piece)

    lines = zipfile.ZipFile(out).read("notices.jsonl").splitlines()
    assert len({json.loads(one)["id"] for one in lines}) == len(lines) == 5
