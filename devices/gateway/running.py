"""The gateway at work: listen, connect to whom it knows, keep what is said, send what is kept.

Devices are served side by side: a sensor that stays connected for days holds back nobody. What
goes wrong with one is written down as its trouble and ends only its own connection.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.gateway.buffer import Buffer, BufferFull
from devices.gateway.exchange import CGM, HEART_RATE, Exchange
from devices.gateway.kept import Heard, Known
from devices.gateway.link import Link, LinkError, Seen
from devices.gateway.reading import readings_of
from devices.gateway.sending import Dispatch

# A device that was heard is left alone for a while, longer after each failure.
AGAIN_AFTER_S: Final = 15.0
LONGEST_AGAIN_S: Final = 300.0
QUIET_S: Final = 30.0
_NO_RADIO: Final = "no_radio"
PRUNE_EVERY_S: Final = 3600.0
FOLLOW_EVERY_S: Final = 2.0
# Bluetooth that was off and is on again hears nothing for whoever listened before: listen anew.
RESCAN_S: Final = 60.0
_log = logging.getLogger(__name__)
# What measures for days: the gateway never hangs up on it.
_STAY: Final = frozenset({CGM, HEART_RATE})


@dataclass(slots=True)
class _Pause:
    """When a device may be connected again, by the loop's clock."""

    until: float = 0.0
    failures: int = 0


@dataclass(slots=True, frozen=True)
class _Sending:
    """A sender at work, and the server and token it sends with."""

    dispatch: Dispatch
    task: asyncio.Task[None]
    with_: tuple[str, str]


class _Shelf:
    """The buffer as one exchange sees it."""

    def __init__(self, gateway: "Gateway", device_id: int) -> None:
        self._gateway, self._device_id = gateway, device_id

    def keep(self, heard: Sequence[Heard]) -> None:
        self._gateway.buffer.keep(self._device_id, heard)
        self._gateway.read_kept()

    def clock_seen(self, shown: datetime, at: datetime) -> None:
        self._gateway.buffer.clock_seen(self._device_id, shown, at)

    def progress(self, download: str) -> int | None:
        return self._gateway.buffer.progress(self._device_id, download)

    def set_progress(self, download: str, last: int | None) -> None:
        self._gateway.buffer.set_progress(self._device_id, download, last)


class Gateway:
    """`changed` is set whenever a state has changed: for whoever shows it."""

    def __init__(
        self,
        buffer: Buffer,
        link: Link,
        now: Callable[[], datetime],
        *,
        quiet_s: float = QUIET_S,
        again_after_s: float = AGAIN_AFTER_S,
        follow_every_s: float = FOLLOW_EVERY_S,
        rescan_s: float = RESCAN_S,
    ) -> None:
        self.buffer = buffer
        self.changed = asyncio.Event()
        self._link, self._now = link, now
        self._quiet_s, self._again_after_s = quiet_s, again_after_s
        self._follow_every_s, self._rescan_s = follow_every_s, rescan_s
        self._known: dict[str, Known] = {}
        self._busy: set[str] = set()
        self._pauses: dict[str, _Pause] = {}
        self._dispatches: dict[int, _Sending] = {}

    async def run(self) -> None:
        """Work until cancelled; what waited from before is read and sent first."""
        self.read_kept()
        async with asyncio.TaskGroup() as tasks:
            self._take_up(tasks)
            tasks.create_task(self._follow(tasks))
            tasks.create_task(self._prune())
            while True:
                seen = await self._next_seen()
                known = self._known.get(seen.address)
                if known is None:
                    continue  # forgotten at this very moment
                connected = asyncio.Event()
                self._busy.add(seen.address)
                tasks.create_task(self._serve(known, seen, connected))
                # Most adapters do not scan and connect at once.
                await connected.wait()

    async def _follow(self, tasks: asyncio.TaskGroup) -> None:
        """Devices are added, given another token and forgotten by commands beside this program."""
        while True:
            await asyncio.sleep(self._follow_every_s)
            with suppress(sqlite3.Error):
                self._take_up(tasks)

    def _take_up(self, tasks: asyncio.TaskGroup) -> None:
        """Serve the devices that the file has now; each is sent for with the token it has now."""
        known = {device.id: device for device in self.buffer.devices()}
        self._known = {device.address: device for device in known.values()}
        for device_id, sending in list(self._dispatches.items()):
            device = known.get(device_id)
            if device is None or (device.server, device.token) != sending.with_:
                sending.task.cancel()
                del self._dispatches[device_id]
                self.changed.set()
        for device in known.values():
            if device.id not in self._dispatches:
                dispatch = Dispatch(self.buffer, device, now=self._now, changed=self.changed)
                task = tasks.create_task(dispatch.run())
                with_ = (device.server, device.token)
                self._dispatches[device.id] = _Sending(dispatch, task, with_)
                self.changed.set()

    def read_kept(self) -> None:
        """Make readings of what was kept; a payload that is none stays with the reason."""
        by_id = {known.id: known for known in self.buffer.devices()}
        while messages := self.buffer.unread():
            moments = {id_: self.buffer.moments(id_) for id_ in {one.device_id for one in messages}}
            for message in messages:
                device_id = message.device_id
                readings, doubts = readings_of(message.heard, by_id[device_id], moments[device_id])
                self.buffer.settle(message, readings, doubts)
            for device_id in moments.keys() & self._dispatches.keys():
                self._dispatches[device_id].dispatch.more.set()
        self.changed.set()

    async def _next_seen(self) -> Seen:
        """Listen until a device advertises that is known and may be connected."""
        found: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

        def heard(seen: Seen) -> None:
            if not found.done() and self._may_connect(seen):
                found.set_result(seen)

        pause_s = self._again_after_s
        while True:
            try:
                async with self._link.scan(heard):
                    self._radio_is(on=True)
                    pause_s = self._again_after_s
                    await asyncio.wait([found], timeout=self._rescan_s)
                if found.done():
                    return found.result()
            except LinkError:
                # Bluetooth is switched off, or the adapter was pulled out.
                self._radio_is(on=False)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_AGAIN_S)

    def _radio_is(self, *, on: bool) -> None:
        """Write down whether anything can be heard at all, when that has changed."""
        with suppress(sqlite3.Error):
            for known in self.buffer.devices():
                if on == (known.trouble == _NO_RADIO):
                    self.buffer.in_trouble(known.id, "" if on else _NO_RADIO)
                    self.changed.set()

    def _may_connect(self, seen: Seen) -> bool:
        if seen.address not in self._known or seen.address in self._busy:
            return False
        pause = self._pauses.get(seen.address)
        return pause is None or asyncio.get_running_loop().time() >= pause.until

    async def _serve(self, known: Known, seen: Seen, connected: asyncio.Event) -> None:
        """One connection to one device, from the beginning to the end."""
        trouble = ""
        try:
            # Many devices forget what they have said: without room they are not asked.
            self.buffer.check_room(known.id)
            async with self._link.connect(seen) as connection:
                connected.set()
                stays = not _STAY.isdisjoint(connection.characteristics)
                quiet_s = None if stays else self._quiet_s
                shelf = _Shelf(self, known.id)
                await Exchange(connection, shelf, self._now, quiet_s=quiet_s).run()
        except LinkError as error:
            trouble = error.code
        except BufferFull:
            trouble = "buffer_full"
        except sqlite3.Error:
            trouble = "disk"
        except Exception as error:  # noqa: BLE001 - nothing of one device ends the others
            trouble = "failed"
            _log.error("a connection ended by %s", type(error).__name__)
        finally:
            connected.set()
            self._busy.discard(seen.address)
            self._rest(seen.address, failed=bool(trouble))
        self._note(known, trouble)

    def _rest(self, address: str, *, failed: bool) -> None:
        pause = self._pauses.setdefault(address, _Pause())
        pause.failures = pause.failures + 1 if failed else 0
        seconds = min(self._again_after_s * 2 ** min(pause.failures, 10), LONGEST_AGAIN_S)
        pause.until = asyncio.get_running_loop().time() + seconds

    def _note(self, known: Known, trouble: str) -> None:
        try:
            self.buffer.connected(known.id, trouble, self._now())
        except sqlite3.Error:
            return  # the disk that is full: the state shown says so by itself
        self.changed.set()

    async def _prune(self) -> None:
        while True:
            with suppress(sqlite3.Error):
                self.buffer.prune(self._now())
            await asyncio.sleep(PRUNE_EVERY_S)
