"""One connection to one device: hear what it sends, download what it remembers.

Whatever comes is kept in groups, in the order it came, before anything is answered or asked for:
a download goes on from the last record that is on the disk. A device that has said all it has
mostly ends the connection itself; else the gateway does, after a quiet while.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

import msgspec

from devices.gateway.kept import Heard
from devices.gateway.link import Connection, LinkError, LinkLost, NotPaired
from devices.gateway.reading import shown_by
from devices.racp import Failed, Finished, Racp, Restarted, Write

PRESSURE, GLUCOSE, GLUCOSE_CONTEXT, CGM = 0x2A35, 0x2A18, 0x2A34, 0x2AA7
CONTROL_POINT = 0x2A52
CGM_FEATURE, CGM_SESSION_START = 0x2AA8, 0x2AAA
HEART_RATE, PULSE_OXIMETER_CONTINUOUS = 0x2A37, 0x2A5F
CLOCKS: Final = (0x2A2B, 0x2A08)  # Current Time, Date Time
STREAMS: Final = (
    PRESSURE,
    GLUCOSE,
    GLUCOSE_CONTEXT,
    CGM,
    0x2A1C,  # thermometer
    0x2A9D,  # weight
    0x2A5E,  # pulse oximeter, spot check
    PULSE_OXIMETER_CONTINUOUS,
    HEART_RATE,
)
# A value a second is no reading a second: the first of each minute is kept.
ONCE_A_MINUTE: Final = frozenset({HEART_RATE, PULSE_OXIMETER_CONTINUOUS})
# A download that fails for a reason another try may mend is tried so often in one connection.
TRIES: Final = 3
# Bytes kept as one group, so that a download does not wait for the disk record by record.
GROUP: Final = 200
# Beside a download's progress: the lowest number of its first run.
_FIRST: Final = " first"
_CONTEXT_FOLLOWS: Final = 0x10


class Keeper(Protocol):
    """Where the exchange puts what it hears; what it is told is on the disk when it returns."""

    def keep(self, heard: Sequence[Heard]) -> None:
        """Take these bytes for good."""

    def clock_seen(self, shown: datetime, at: datetime) -> None:
        """Note what the device's clock shows."""

    def progress(self, download: str) -> int | None:
        """The last record of a download that was kept."""

    def set_progress(self, download: str, last: int | None) -> None:
        """Note it; None: the next download begins at the beginning."""


class DownloadFailed(LinkError):  # noqa: N818 - a fact
    """The device did not give all its records; `code` says why. Those that came are kept."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_Came = tuple[int, bytes, datetime]


class Exchange:
    """What is said over one connection; `run` returns when the device has said all it has.

    `quiet_s`: so long nothing may come before the gateway hangs up; None: it stays, for a sensor
    that measures for days.
    """

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        now: Callable[[], datetime],
        *,
        quiet_s: float | None = 30.0,
    ) -> None:
        self._connection, self._keeper, self._now = connection, keeper, now
        self._quiet_s = quiet_s
        self._came: asyncio.Queue[_Came | None] = asyncio.Queue()
        self._read: dict[int, bytes] = {}
        self._racp: Racp | None = None
        self._download = ""
        self._tries = 0
        self._trouble = ""
        self._waiting_for_context: Heard | None = None
        self._minutes: dict[int, datetime] = {}
        self._minute_of_session = -1
        self._session = b""

    async def run(self) -> None:
        """Subscribe, download, listen. Raises LinkError; what came before is kept."""
        ended = asyncio.create_task(self._watch_end())
        try:
            await self._begin()
            while await self._take_group():
                pass
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError):
                await ended
            self._keep(self._drained())
            self._keep_last()
        if self._trouble:
            raise DownloadFailed(self._trouble)
        if self._racp is not None and self._tries:
            raise LinkLost("in the middle of a download")

    async def _watch_end(self) -> None:
        await self._connection.ended()
        self._came.put_nowait(None)

    async def _begin(self) -> None:
        """Read what is needed to understand the rest, listen, and ask for what was missed."""
        has = self._connection.characteristics
        for characteristic in CLOCKS:
            if characteristic in has:
                await self._look_at_clock(characteristic)
                break
        for characteristic in (CGM_FEATURE, CGM_SESSION_START):
            if CGM in has and characteristic in has:
                self._read[characteristic] = await self._connection.read(characteristic)
        self._session = self._read.get(CGM_SESSION_START, b"")
        await self._listen([one for one in STREAMS if one in has])
        if CONTROL_POINT in has and (GLUCOSE in has or CGM in has):
            await self._connection.subscribe(CONTROL_POINT, self._hears(CONTROL_POINT))
            await self._ask_for_records()

    async def _ask_for_records(self) -> None:
        """Begin the download, where the one before ended; each session of a sensor has its own."""
        session = self._read.get(CGM_SESSION_START, b"").hex()
        glucose = GLUCOSE in self._connection.characteristics
        self._download = "glucose" if glucose else f"cgm {session}"
        first = self._keeper.progress(f"{self._download}{_FIRST}")
        self._racp = Racp(self._keeper.progress(self._download), first=first)
        self._tries = TRIES
        await self._connection.write(CONTROL_POINT, self._racp.start())

    async def _listen(self, streams: Sequence[int]) -> None:
        """Subscribe to all; one that cannot be had does not cost the others."""
        failed: list[LinkError] = []
        for characteristic in streams:
            try:
                await self._connection.subscribe(characteristic, self._hears(characteristic))
            except NotPaired:
                raise
            except LinkError as error:
                failed.append(error)
        if failed and len(failed) == len(streams):
            raise failed[0]

    async def _look_at_clock(self, characteristic: int) -> None:
        """A device's clock read now tells what its times are worth; one that will not be read
        is no reason to go without its readings."""
        try:
            shown = shown_by(await self._connection.read(characteristic))
        except NotPaired:
            raise
        except LinkError:
            return
        if shown is not None:
            self._keeper.clock_seen(shown, self._now())

    def _hears(self, characteristic: int) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            self._came.put_nowait((characteristic, bytes(data), self._now()))

        return heard

    async def _take_group(self) -> bool:
        """Keep what has come, then do what the download asks for; False at the end."""
        try:
            async with asyncio.timeout(self._quiet_s):
                first = await self._came.get()
        except TimeoutError:
            if self._tries:
                self._trouble = "device_silent"
            return False
        group = [first, *self._waiting_ones()]
        came = [one for one in group if one is not None]
        await self._keep_sessions(came)
        for characteristic, data, _ in came:
            if characteristic == CONTROL_POINT:
                await self._answered(data)
        return None not in group

    async def _keep_sessions(self, came: Sequence[_Came]) -> None:
        """Keep what came. A sensor whose minutes go back may have begun another session: minutes
        counted from the old one's start would be days off, so the start is read again first."""
        kept, looked = 0, False
        for at, (characteristic, data, _) in enumerate(came):
            numbers = numbers_in(characteristic, data) if characteristic == CGM else []
            if not numbers or self._tries:
                continue  # a download tells old minutes
            # One that could not be read is asked for again with every group that comes.
            lost = self._session and CGM_SESSION_START not in self._read and not looked
            if lost or min(numbers) < self._minute_of_session:
                self._keep(came[kept:at])
                kept = at
                await self._look_at_session()
                looked = True
                self._minute_of_session = -1
            self._minute_of_session = max(self._minute_of_session, *numbers)
        self._keep(came[kept:])

    async def _look_at_session(self) -> None:
        """Read the start again. Should it not be told, records stay without a time until it is;
        a sensor that has records to ask for tells them again at its next connection."""
        if not self._session:
            return
        self._read.pop(CGM_SESSION_START, None)
        with suppress(LinkError):
            self._read[CGM_SESSION_START] = await self._connection.read(CGM_SESSION_START)
        before, self._session = self._session, self._read.get(CGM_SESSION_START, self._session)
        if self._racp is not None and self._session != before:
            await self._ask_for_records()

    def _waiting_ones(self) -> list[_Came | None]:
        waiting: list[_Came | None] = []
        while len(waiting) < GROUP and not self._came.empty():
            waiting.append(self._came.get_nowait())
        return waiting

    def _drained(self) -> list[_Came]:
        """What came until the very end."""
        left: list[_Came] = []
        while not self._came.empty():
            one = self._came.get_nowait()
            if one is not None:
                left.append(one)
        return left

    def _keep(self, came: Sequence[_Came]) -> None:
        """On the disk first; only then the download may go on from behind it."""
        heard: list[Heard] = []
        for characteristic, data, at in came:
            if characteristic != CONTROL_POINT and self._wanted(characteristic, at):
                read = dict(self._read) if characteristic == CGM else {}
                heard.extend(self._with_context(Heard(characteristic, data, at, read)))
        if heard:
            self._keeper.keep(heard)
            self._note_progress(heard)

    def _keep_last(self) -> None:
        if self._waiting_for_context is not None:
            last, self._waiting_for_context = self._waiting_for_context, None
            self._keeper.keep([last])
            self._note_progress([last])

    def _wanted(self, characteristic: int, at: datetime) -> bool:
        if characteristic not in ONCE_A_MINUTE:
            return True
        minute = at.replace(second=0, microsecond=0)
        first = self._minutes.get(characteristic) != minute
        self._minutes[characteristic] = minute
        return first

    def _with_context(self, one: Heard) -> list[Heard]:
        """A glucose record waits for the context it announces; they are kept together."""
        before, self._waiting_for_context = self._waiting_for_context, None
        if one.characteristic == GLUCOSE_CONTEXT and before and before.data[1:3] == one.data[1:3]:
            return [msgspec.structs.replace(before, read={GLUCOSE_CONTEXT: one.data})]
        ready = [before] if before else []
        if one.characteristic == GLUCOSE and one.data[:1] and one.data[0] & _CONTEXT_FOLLOWS:
            self._waiting_for_context = one
            return ready
        return [*ready, one]

    def _note_progress(self, kept: Sequence[Heard]) -> None:
        if self._racp is None:
            return
        before, first = self._racp.resume_from, self._racp.first
        for one in kept:
            for number in numbers_in(one.characteristic, one.data):
                self._racp.on_measurement(number)
                self._racp.stored(number)
        if self._racp.first != first:
            self._keeper.set_progress(f"{self._download}{_FIRST}", self._racp.first)
        if self._racp.resume_from != before:
            self._keeper.set_progress(self._download, self._racp.resume_from)

    async def _answered(self, data: bytes) -> None:
        """Do what the download asks for after the control point spoke."""
        racp = self._racp
        if racp is None or not self._tries:
            return
        self._keep_last()  # the record before the end of a download has no context any more
        before = racp.resume_from
        for event in racp.on_indication(data):
            match event:
                case Write(ask):
                    await self._connection.write(CONTROL_POINT, ask)
                case Finished():
                    self._tries = 0
                case Failed(reason, again):
                    self._tries = self._tries - 1 if again else 0
                    if self._tries:
                        await self._connection.write(CONTROL_POINT, racp.start())
                    else:
                        self._trouble = reason.value
                case Restarted():
                    self._tries = TRIES
                case _:
                    pass
        # Records that were lost on the way move it back.
        if racp.resume_from != before:
            self._keeper.set_progress(self._download, racp.resume_from)


def numbers_in(characteristic: int, data: bytes) -> list[int]:
    """The numbers by which the records in a payload are asked for again; none for other payloads.

    A CGM notification holds as many records as fit, each beginning with its size.
    """
    if characteristic == GLUCOSE:
        return [int.from_bytes(data[1:3], "little")] if len(data) >= 3 else []  # noqa: PLR2004 - flags, number
    if characteristic != CGM:
        return []
    numbers: list[int] = []
    at = 0
    while at < len(data) and data[at] >= 6 and at + data[at] <= len(data):  # noqa: PLR2004 - the shortest record
        numbers.append(int.from_bytes(data[at + 4 : at + 6], "little"))
        at += data[at]
    return numbers
