"""Every recorder's socket of this process: one hand that stores for all, one look at their tokens.

A frame a socket and a task each, and the tasks would cost more than the frames. So a socket puts
its frames down and goes on reading; five times a second all that was put down goes to the writer
at once, which commits it as one group and answers each recorder for itself. What one of them
sent wrongly is refused to that one alone, and delays nobody.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from api.live import Close, Tab
from api.socket_wire import Protocol
from devices.frames import EcgFrame
from people.device_tokens import alive_among
from storage.db_errors import is_away
from telemed.ecg import AppliedFrame, IncomingFrame

if TYPE_CHECKING:
    from api.house import House

# A recorder that was offline sends minutes at once: this many wait, then TCP holds the rest back.
FRAMES_WAITING = 400
FRAMES_AT_ONCE = 200
# Frames of all recorders are stored together so often; who comes alone waits for the least.
EVERY_S, LEAST_S = 0.2, 0.005
# A recorder keeps what it was not told of: who sends frame by frame is told twice a second.
TELL_EVERY_S = 0.5
# A revocation elsewhere is not announced in this process: it is looked for this often.
ALIVE_EVERY_S = 3.0

Batch = list[IncomingFrame]


class Recorder:
    """What one recorder put down. `trouble` ends with why it could not be stored."""

    def __init__(
        self,
        device_id: UUID,
        tab: Tab,
        stored: Callable[[int], None],
        *,
        person_id: UUID | None = None,
        wire: Protocol | None = None,
    ) -> None:
        self.device_id = device_id
        self.person_id = person_id
        self.tab = tab
        self.wire = wire
        self.trouble: asyncio.Future[tuple[Batch, Exception]] = (
            asyncio.get_running_loop().create_future()
        )
        self.waiting: list[EcgFrame] = []
        self.storing = False
        self._stored = stored
        self._room = asyncio.Event()
        self._clock = asyncio.get_running_loop()
        self._told_s = -TELL_EVERY_S
        self._untold: int | None = None
        self._telling: asyncio.TimerHandle | None = None

    async def room(self) -> None:
        """Wait until another frame may be put down."""
        while len(self.waiting) >= FRAMES_WAITING:
            self._room.clear()
            await self._room.wait()

    def taken(self) -> list[EcgFrame]:
        """Take the oldest of what waits; its answer comes before more is taken."""
        if len(self.waiting) <= FRAMES_AT_ONCE:
            frames, self.waiting = self.waiting, []
        else:
            frames = self.waiting[:FRAMES_AT_ONCE]
            del self.waiting[:FRAMES_AT_ONCE]
        self._room.set()
        # One read brings more than is taken at once: only below the limit there is another.
        if self.wire is not None and len(self.waiting) < FRAMES_WAITING:
            self.wire.go_on()
        self.storing = True
        return frames

    def acknowledge(self, applied: list[AppliedFrame]) -> None:
        """Tell how far everything is stored: of many frames at once, of single ones together."""
        stored = max((one.last_sequence for one in applied), default=-1)
        if stored < 0:
            return
        self._untold = stored
        wait_s = self._told_s + TELL_EVERY_S - self._clock.time()
        if len(applied) > 1 or wait_s <= 0:
            self.tell()
        elif self._telling is None:
            self._telling = self._clock.call_later(wait_s, self.tell)

    def tell(self) -> None:
        """Tell what was not told yet."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        if self._untold is not None:
            self._told_s = self._clock.time()
            untold, self._untold = self._untold, None
            self._stored(untold)

    def fail(self, batch: Batch, error: Exception) -> None:
        """End the recorder's socket, which looks at what of the batch can be stored."""
        if not self.trouble.done():
            self.trouble.set_result((batch, error))


class Recorders:
    """The recorders that are linked to this process."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._linked: set[Recorder] = set()
        self._due: dict[Recorder, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flushed_s = 0.0
        self._watching: asyncio.Task[None] | None = None

    def join(self, recorder: Recorder) -> None:
        """From now on its token is looked at."""
        self._linked.add(recorder)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())

    async def leave(self, recorder: Recorder) -> None:
        """It is gone. What it had put down for the next group is stored, unless it was sent away;
        what waits behind a group on its way was not acknowledged, so it is sent again.
        """
        self._linked.discard(recorder)
        recorder.tell()
        if recorder in self._due:
            del self._due[recorder]
            if recorder.tab.ended is None:
                self._hand_in(recorder, self._house.clock())
        if not self._linked and self._watching is not None:
            watching, self._watching = self._watching, None
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    def put(self, recorder: Recorder, frame: EcgFrame) -> None:
        """Put a frame down to be stored with the next group."""
        recorder.waiting.append(frame)
        if len(recorder.waiting) >= FRAMES_WAITING and recorder.wire is not None:
            recorder.wire.hold()
        if not recorder.storing:
            self._is_due(recorder)

    def _is_due(self, recorder: Recorder) -> None:
        self._due[recorder] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(LEAST_S, self._flushed_s + EVERY_S - loop.time())
            self._timer = loop.call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Hand all that was put down to the writer."""
        self._timer, self._flushed_s = None, asyncio.get_running_loop().time()
        now = self._house.clock()
        due, self._due = self._due, {}
        for recorder in due:
            self._hand_in(recorder, now)

    def _hand_in(self, recorder: Recorder, now: datetime) -> None:
        whose = recorder.person_id
        batch = [IncomingFrame(frame, now, whose) for frame in recorder.taken()]
        try:
            self._house.frames.offer(batch, partial(self._answered, recorder, batch))
        except Exception as error:  # noqa: BLE001 - the recorder's socket tells, and ends
            recorder.fail(batch, error)

    def _answered(
        self, recorder: Recorder, batch: Batch, answer: list[AppliedFrame] | Exception
    ) -> None:
        if isinstance(answer, Exception):
            recorder.fail(batch, answer)
            return
        recorder.storing = False
        recorder.acknowledge(answer)
        if recorder not in self._linked:
            return
        if len(recorder.waiting) >= FRAMES_AT_ONCE:
            self._hand_in(recorder, self._house.clock())
        elif recorder.waiting:
            self._is_due(recorder)

    async def _watch(self) -> None:
        """End whose token holds no more."""
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            asked = list(self._linked)
            try:
                async with self._house.transaction() as db:
                    alive = await alive_among(db, {one.device_id for one in asked})
            except Exception as error:  # noqa: BLE001 - their sockets tell; the next look is due
                # While the database is away nothing can be stored either; frames will say so.
                if not is_away(error):
                    for one in self._linked:
                        one.fail([], error)
                continue
            for one in asked:
                if one.device_id not in alive:
                    one.tab.end(Close.NOT_SIGNED_IN)
