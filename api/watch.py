"""Looks every second whether the database answers, and tells every open page when that changes."""

import asyncio

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
        self.away = False

    def greet(self, tab: Tab) -> None:
        """Tell a page that has just opened, when there is something to tell."""
        if self.away:
            tab.tell(_encode(StoresAway()))

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            away = not await self._answers()
            if away != self.away:
                self.away = away
                self._announce()
            await asyncio.sleep(EVERY_S)

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
