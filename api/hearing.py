"""Hears what other processes committed: a kept connection that listens to PostgreSQL's NOTIFY.

Losing it loses nothing for good: every page looks again at its rights every few seconds, and when
the connection is back all of them look at once.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import msgspec
from psycopg import sql

from api.live import Hint
from api.logs import error_fields, log
from api.reactions import react
from people.facts import CHANNEL, Told
from storage.db_errors import is_away
from storage.engine import Connection, libpq_url

if TYPE_CHECKING:
    from api.house import House

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0


class Hearing:
    """Facts of other processes get their reactions in this one; its own are passed by."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self.origin = uuid4().hex
        self.listening = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        wait_s, heard_before = FIRST_RETRY_S, False
        while True:
            try:
                async with await self._connect() as connection:
                    if heard_before:
                        self._look_again()
                    wait_s, heard_before = FIRST_RETRY_S, True
                    self.listening.set()
                    async for notification in connection.notifies():
                        self._hear(notification.payload)
            except Exception as error:  # noqa: BLE001 - it must outlive whatever it sees
                if not is_away(error):
                    log.error("hearing", **error_fields(error))
            self.listening.clear()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LAST_RETRY_S)

    async def _connect(self) -> Connection:
        connection = await Connection.connect(
            libpq_url(self._house.settings.database_url), autocommit=True, connect_timeout=5
        )
        try:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        except BaseException:
            await connection.close()
            raise
        return connection

    def _hear(self, payload: str) -> None:
        try:
            told = msgspec.json.decode(payload, type=Told)
        except msgspec.DecodeError as error:  # of a process of another version
            log.warning("fact not understood", **error_fields(error))
            return
        if told.origin != self.origin:
            react(self._house, told.fact)

    def _look_again(self) -> None:
        """Whatever was told meanwhile is not known: every page judges itself anew."""
        for tab in self._house.live.pages():
            for hint in (Hint.VISIT, Hint.LESSON):
                tab.hint(hint)
