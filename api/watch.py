"""Looks every second whether the database answers, and tells every open page when that changes."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.live import Hint, Live, Tab
from api.logs import error_fields, log
from api.socket_messages import StoresAway, StoresBack
from storage.db_errors import is_away

EVERY_S = 1.0
ANSWERS_WITHIN_S = 3.0

_encode = msgspec.json.Encoder().encode


class Watch:
    """The state of the database as the pages are told it."""

    def __init__(self, engine: AsyncEngine, live: Live) -> None:
        self._engine = engine
        self._live = live
        self._ending = asyncio.Event()
        self.away = False

    def greet(self, tab: Tab) -> None:
        """Tell a page that has just opened, when there is something to tell."""
        if self.away:
            tab.tell(_encode(StoresAway()))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A look is not cut off: a half-made connection would hold its server process for a minute.
        self._ending.set()
        await self._task

    async def _run(self) -> None:
        while not self._ending.is_set():
            away = not await self._answers()
            if away != self.away:
                self.away = away
                self._announce()
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._ending.wait()

    def _announce(self) -> None:
        log.warning("database away" if self.away else "database back")
        message = _encode(StoresAway() if self.away else StoresBack())
        for tab in self._live.pages():
            tab.tell(message)
            if not self.away:
                for hint in Hint:
                    tab.hint(hint)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S), self._engine.connect() as connection:
                await connection.execute(text("select 1"))
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - the watch must outlive whatever it sees
            if not is_away(error):
                log.error("database watch", **error_fields(error))
            return False
        return True
