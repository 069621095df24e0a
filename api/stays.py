"""Pages that have lost their socket while their media go on: who may be here is looked at still.

On a thin line voice and signalling share what there is, and it is the socket that starves. It is
the socket that looks at rights; while there is none this does, as often and as soon, and without it
media last no longer than the grace.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from api import live
from api.live import Hint, Tab
from api.logs import error_fields, log
from storage.db_errors import is_away

if TYPE_CHECKING:
    from api.page_socket import Page

LOOK_AGAIN_S = 3.0


class _Ears(Tab):
    """Stands in for a lost socket where sessions and rights are told of."""

    def hint(self, hint: Hint) -> None:
        super().hint(hint)
        self._wake.set()


class Stays:
    """One task for each lost page, until it is back or its media have ended."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def keep(self, page: "Page", room_id: UUID) -> None:
        """Look after what a page had in a room; an earlier page of the same person is forgotten."""
        house, ears, key = page.house, _Ears(), (room_id, page.caller.person_id)
        own = (live.session(page.caller.session_id), live.person(page.caller.person_id))
        house.live.join(ears, own)
        if key in self._tasks:
            self._tasks[key].cancel()
        task = self._tasks[key] = asyncio.create_task(self._mind(page, room_id, ears))

        def done(_: object) -> None:
            house.live.leave(ears)
            house.live.leave(page.tab)
            if self._tasks.get(key) is task:
                del self._tasks[key]

        task.add_done_callback(done)

    async def _mind(self, page: "Page", room_id: UUID, ears: Tab) -> None:
        media, who = page.house.media, page.caller.person_id
        try:
            while True:
                await self._rest(ears)
                if not media.awaits(room_id, who, page.tab):
                    return
                try:
                    may = ears.ended is None and await page.may_stay()
                except Exception as error:
                    if not is_away(error):
                        raise
                else:
                    if not may:
                        media.dismiss(room_id, who, page.tab)
                        return
                    media.looked(room_id, who, page.tab)
        except Exception as error:  # noqa: BLE001 - nobody vouches for it: media end with the grace
            log.error("stay", **error_fields(error))

    @staticmethod
    async def _rest(ears: Tab) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await ears.wait()
