"""Keeps what media workers tell: segments of recordings, ends of takes, packets without a grant.

A worker tells of a segment again until it hears that the index has it, so nothing waits here for a
database that is away. A trespass is told once: that does wait.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

from api.logs import error_fields, log
from api.media_news import ToKeep
from eschool import takes
from eschool.takes import SegmentInfo
from people import audit
from people.policy import Thing
from rtc.messages import SegmentClosed, SegmentStored, TakeClosed, TakeStored, Trespass
from storage.db_errors import is_away

if TYPE_CHECKING:
    from api.house import House

RETRY_S = 1.0
# Hours of segments of many lessons; more is a worker gone mad, and comes again anyway.
MAX_WAITING = 5000


class Keeper:
    """One after the other, each in a transaction of its own, acknowledged after its commit."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._waiting: dict[ToKeep, None] = {}  # in order; told again while it waits is told once
        self._more = asyncio.Event()

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

    def take(self, told: ToKeep) -> None:
        """Keep this as soon as it is its turn."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting[told] = None
            self._more.set()

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                told = next(iter(self._waiting))
                try:
                    await self._keep(told)
                except Exception as error:  # noqa: BLE001 - the next one must have its turn
                    await self._failed(told, error)
                else:
                    self._waiting.pop(told)

    async def _failed(self, told: ToKeep, error: Exception) -> None:
        self._waiting.pop(told)
        away = is_away(error)
        if not away:
            log.error("not kept", **error_fields(error))
        elif isinstance(told, Trespass):
            self._waiting[told] = None
            await asyncio.sleep(RETRY_S)

    async def _keep(self, told: ToKeep) -> None:
        if isinstance(told, SegmentClosed):
            await self._segment(told)
        elif isinstance(told, TakeClosed):
            await self._take(told)
        else:
            await self._trespass(told)

    async def _segment(self, told: SegmentClosed) -> None:
        lesson_id, take_id = _uuid(told.room), _uuid(told.take)
        known = False
        if lesson_id and take_id:
            info = SegmentInfo(
                lesson_id=lesson_id,
                take_id=take_id,
                start_ms=told.start_ms,
                duration_ms=told.duration_ms,
                size=told.size,
                audio_size=told.audio_size,
                lost_ms=told.lost_ms,
            )
            async with self._house.transaction("media") as db:
                known = await takes.segment_closed(db, info, self._house.clock())
        if not known:
            log.warning("segment of an unknown take")
        self._house.media.acknowledge(SegmentStored(told.room, told.take, told.start_ms))

    async def _take(self, told: TakeClosed) -> None:
        take_id = _uuid(told.take)
        known = False
        if take_id:
            now = self._house.clock()
            async with self._house.transaction("media") as db:
                if await takes.goes_on(db, take_id, now):
                    return  # the worker tells it again, unless its room comes back before that
                known = await takes.take_closed(db, take_id, told.end_ms, now)
        if not known:
            log.warning("end of an unknown take")
        self._house.media.acknowledge(TakeStored(told.room, told.take))

    async def _trespass(self, told: Trespass) -> None:
        member, room = _uuid(told.member), _uuid(told.room)
        if member is None:
            return
        act = f"publish_{told.kind}"
        thing = Thing(about=(room,) if room else ())
        async with self._house.transaction("media") as db:
            await audit.refused(db, member, act, thing, self._house.clock(), where="media")


def _uuid(text: str) -> UUID | None:
    """The id in a message of a worker; what is none is of nobody we know."""
    try:
        return UUID(text)
    except ValueError:
        return None
