"""Stored frames over HTTP while the object store is away."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
from api_server import Server
from api_world import API, code
from psycopg.rows import dict_row

from storage.objects import ObjectsAway
from telemed.ecg_chunks import chunk_stream

STATE = """
    SELECT (SELECT count(*) FROM audit_reads WHERE 'ecg_chunks' = ANY (tables)) AS audited,
           (SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'
              AND query LIKE '%ecg_chunks%') AS held
"""


class _Away:
    """An object store that looks at the database when it is asked, and serves nothing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[dict[str, Any]] = []

    async def stream(self, key: str, *_: int | None, **__: int) -> AsyncGenerator[bytes, None]:
        async with await psycopg.AsyncConnection.connect(self.url, row_factory=dict_row) as db:
            self.seen += await (await db.execute(STATE)).fetchall()
        raise ObjectsAway(key)
        yield b""


async def test_no_transaction_is_open_while_the_object_store_is_asked(server: Server) -> None:
    """The read has left its trace by then, and the answer says that the stores are away."""
    async with server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0, 1, 2)
        await recorder.stored(2)
    house = server.house
    async with house.transaction() as db:
        later = house.clock() + timedelta(minutes=5)
        assert await chunk_stream(db, house.objects, recorder.stream, later) == 3
    url = f"{API}/visits/{server.world['visit']}/ecg/{recorder.stream}/frames"
    async with server.client("doctor") as client:
        whole: httpx.Response = await client.get(url)
        assert whole.status_code == 200
        away = _Away(house.settings.database_url.replace("+psycopg", ""))
        house.objects = away  # type: ignore[assignment]
        assert code(await client.get(url)) == (503, "stores_away")
    assert away.seen == [{"audited": 2, "held": 0}]
