"""From the buffer to the server: one sender a device, for a device has a token of its own."""

import asyncio
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
                self._sender.queue(*(marked_late(one, self._now()) for one in waiting))
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

    def _tell(self, code: str) -> None:
        self._buffer.turned_away(self._known.id, code)
        self._changed.set()


def marked_late(reading: Measurement, now: datetime) -> Measurement:
    """The reading, flagged when it goes out long after it was taken."""
    if now - reading.taken_at <= LATE or DeviceFlag.LATE in reading.flags:
        return reading
    return msgspec.structs.replace(reading, flags=(*reading.flags, DeviceFlag.LATE))


def _word(problem: dict[str, object]) -> str:
    """The most telling code of a problem: the first field's, else its own."""
    errors = problem.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        code = errors[0].get("code")
        if isinstance(code, str):
            return code[:64]
    return str(problem.get("code", ""))[:64]
