"""From the buffer to the server: one sender a device, for a device has a token of its own."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import httpx
import msgspec

from devices.gateway.buffer import Buffer
from devices.gateway.kept import Known, State
from devices.measurement import DeviceFlag, Measurement
from devices.reading_sender import BATCH, ReadingSender
from devices.refused import DeviceRefused

# A server away for days is asked once a minute, not every five seconds.
LONGEST_WAIT_S: Final = 60.0
# A token that was refused is tried again, in case the refusal was the mistake.
TURNED_AWAY_WAIT_S: Final = 900.0
DISK_WAIT_S: Final = 30.0
# How far this machine's clock may be from the server's, and how often the two are compared.
CLOCKS_APART: Final = timedelta(minutes=2)
COMPARE_EVERY_S: Final = 3600.0
# Times that come from this machine's clock, or were repaired by it.
_BY_OUR_CLOCK: Final = frozenset({DeviceFlag.TIME_OF_ARRIVAL, DeviceFlag.CLOCK_REPAIRED})
_log = logging.getLogger(__name__)
# A reading that the server gets so long after it was taken carries the mark.
LATE: Final = timedelta(minutes=15)


class _Notes:
    """Writes what becomes of readings into the buffer, and says that something changed."""

    def __init__(
        self, buffer: Buffer, device_id: int, now: Callable[[], datetime], changed: asyncio.Event
    ) -> None:
        self._buffer, self._device_id, self._now = buffer, device_id, now
        self._changed = changed

    def sent(self, readings: Sequence[Measurement]) -> None:
        self._mark(readings, State.SENT)

    def unsent(self, readings: Sequence[Measurement]) -> None:
        self._mark(readings, State.HERE)

    def stored(self, readings: Sequence[Measurement]) -> None:
        self._mark(readings, State.STORED)

    def refused(self, reading: Measurement, problem: dict[str, object]) -> None:
        self._mark([reading], State.REFUSED, _word(problem))

    def _mark(self, readings: Sequence[Measurement], state: State, problem: str = "") -> None:
        self._buffer.mark(self._device_id, readings, state, self._now(), problem)
        self._changed.set()


class Dispatch:
    """Sends what waits for one device whenever `more` is set; never returns."""

    def __init__(
        self,
        buffer: Buffer,
        known: Known,
        *,
        now: Callable[[], datetime],
        changed: asyncio.Event,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.more = asyncio.Event()
        self.more.set()  # what waited before the gateway was started
        self._buffer, self._known, self._now, self._changed = buffer, known, now, changed
        self._sender = ReadingSender(
            known.server,
            known.token,
            client=client,
            watch=_Notes(buffer, known.id, now, changed),
            longest_wait_s=LONGEST_WAIT_S,
        )
        self._clock_wrong = False
        self._compared_s: float | None = None

    async def run(self) -> None:
        """Send for ever; a refused token is written down and tried again after a while."""
        try:
            while True:
                await self.more.wait()
                self.more.clear()
                wait_s = await self._send_waiting()
                self._sender.forget()
                if wait_s:
                    self.more.set()
                    await asyncio.sleep(wait_s)
        finally:
            await self._sender.aclose()

    async def _send_waiting(self) -> float:
        """Send until nothing waits: 0, or the seconds after which another try makes sense."""
        try:
            while waiting := self._buffer.waiting(self._known.id, BATCH):
                await self._compare_clocks()
                self._sender.queue(*(self._marked(one) for one in waiting))
                await self._sender.flush()
                self._tell("")
        except DeviceRefused as refused:
            with suppress(sqlite3.Error):
                self._tell(refused.code)
            return TURNED_AWAY_WAIT_S
        except sqlite3.Error:
            # A full disk: what became of them cannot be written down, so they go again.
            return DISK_WAIT_S
        return 0

    async def _compare_clocks(self) -> None:
        """Look at the server's clock: what ours dates meanwhile is doubted when they disagree."""
        now_s = asyncio.get_running_loop().time()
        if self._compared_s is not None and now_s - self._compared_s < COMPARE_EVERY_S:
            return
        shown = await self._sender.server_time()
        if shown is None:
            return  # nobody to compare with: asked again with the next batch
        self._compared_s = now_s
        apart = self._now() - shown
        self._clock_wrong = abs(apart) > CLOCKS_APART
        if self._clock_wrong:
            _log.warning("this machine's clock is %.0f s off the server's", apart.total_seconds())

    def _marked(self, one: Measurement) -> Measurement:
        one = marked_late(one, self._now())
        return marked_doubtful(one) if self._clock_wrong else one

    def _tell(self, code: str) -> None:
        self._buffer.turned_away(self._known.id, code)
        self._changed.set()


def marked_late(reading: Measurement, now: datetime) -> Measurement:
    """The reading, flagged when it goes out long after it was taken."""
    if now - reading.taken_at <= LATE or DeviceFlag.LATE in reading.flags:
        return reading
    return msgspec.structs.replace(reading, flags=(*reading.flags, DeviceFlag.LATE))


def marked_doubtful(reading: Measurement) -> Measurement:
    """The reading, flagged when its time is by our clock, which is wrong."""
    if _BY_OUR_CLOCK.isdisjoint(reading.flags) or DeviceFlag.TIME_FAULT in reading.flags:
        return reading
    return msgspec.structs.replace(reading, flags=(*reading.flags, DeviceFlag.TIME_FAULT))


def _word(problem: dict[str, object]) -> str:
    """The most telling code of a problem: the first field's, else its own."""
    errors = problem.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        code = errors[0].get("code")
        if isinstance(code, str):
            return code[:64]
    return str(problem.get("code", ""))[:64]
