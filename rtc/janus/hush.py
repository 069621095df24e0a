"""A grant that ends is silent at once, whatever else waits to be done in its room."""

import asyncio
from collections.abc import Mapping

from rtc.janus.seat import KINDS, Publish, Seat
from rtc.janus.videoroom import VideoRoom
from rtc.messages import Kind, RoomState


class Hush:
    """Knows what the newest state allows, also while an older one is worked on."""

    def __init__(self, janus: VideoRoom) -> None:
        self._janus = janus
        self._allowed: dict[str, list[Kind]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, newest: RoomState, seats: Mapping[str, Seat]) -> None:
        """Silences what it does not allow, without waiting for it."""
        self._allowed = {each.member: each.publish for each in newest.members}
        for seat in seats.values():
            for kind in KINDS:
                if seat.publish is not None and not self.allows(seat, kind):
                    task = asyncio.create_task(self._end(seat, seat.publish, kind))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def allows(self, seat: Seat, kind: Kind) -> bool:
        """Whether the newest state lets him publish it."""
        return kind in self._allowed.get(seat.grants.member, ())

    async def apply(self, seat: Seat) -> None:
        """Lets Janus forward what he may publish now, and drop the rest."""
        if seat.publish is None:
            return
        for kind in KINDS:
            may = kind in seat.grants.publish and self.allows(seat, kind)
            await self._janus.silence(seat.publish, kind, silent=not may)

    async def stop(self) -> None:
        """Does nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, seat: Seat, publish: Publish, kind: Kind) -> None:
        if not self.allows(seat, kind):  # it may be allowed again by now
            await self._janus.silence(publish, kind, silent=True)
