"""Segments on their way to the object store: a folder that outlives the worker.

A segment goes up when it is whole, in the order of its take, as often as it takes; when it lies in
the store it is announced until the index has it. Only then is it forgotten here. The takes go up
side by side: one that does not go up keeps no other waiting.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc.messages import FromWorker, SegmentClosed, SegmentStored, TakeClosed, TakeStored
from rtc.recording import mp4
from rtc.recording.take_folder import Segment, TakeFolder
from storage.objects import Objects, ObjectsError

log = logging.getLogger(__name__)

ANNOUNCE_EVERY_S = 2.0
ANNOUNCED_AT_ONCE = 200
RETRY_S = 0.5
LONGEST_RETRY_S = 5.0
PUTS_AT_ONCE = 6  # segments; the store has a thread for each of their two files
ORPHAN_S = 30.0  # after the first link: nobody goes on with what an earlier worker left

_SEGMENT_KEY = re.compile(r"/(\d{10})\.m4s$")

PICTURE_TYPE, VOICE_TYPE = "video/mp4", "audio/mp4"


class Spool:
    """One a worker: owns the folder, uploads in the background and announces.

    `open_objects` may take its time: it is called in a thread, when the first segment waits.
    """

    def __init__(
        self,
        folder: Path,
        open_objects: Callable[[], Objects],
        tell: Callable[[FromWorker], None],
    ) -> None:
        self._folder = folder
        self._open_objects = open_objects
        self._tell = tell
        self._takes: dict[tuple[str, str], TakeFolder] = {}
        self._stored: dict[tuple[str, str, int], tuple[SegmentClosed, Segment]] = {}
        self._has_init: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        self._uploads: dict[TakeFolder, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(PUTS_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []
        self._left: list[TakeFolder] = []
        self._closing: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._folder.glob("*/*")):
            if path.is_dir():
                self._take_up(path)
        self._tasks = [asyncio.create_task(self._upload()), asyncio.create_task(self._repeat())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._closing is not None:
            self._closing.cancel()
        tasks = [*self._tasks, *self._uploads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_up(self, path: Path) -> None:
        try:
            self._left.append(self.take(path.parent.name, path.name))
        except Exception:  # the lessons of today must not wait for what is wrong with this one
            log.exception("a take in the spool is left as it is")

    def take(self, room: str, take: str) -> TakeFolder:
        """The folder of a take, with what an earlier worker left of it."""
        if {room, take} & {".", ".."}:
            raise ValueError("a room or take of this name has no folder")
        folder = self._takes.get((room, take))
        if folder is None:
            folder = TakeFolder(self._folder / room / take, room, take, self._changed.set)
            self._takes[room, take] = folder
            self._changed.set()
        return folder

    @property
    def rooms(self) -> set[str]:
        """Rooms of which something is still here."""
        return {room for room, _ in self._takes}

    def stored(self, message: SegmentStored | TakeStored) -> None:
        """The index has it: it may be forgotten here."""
        folder = self._takes.get((message.room, message.take))
        if folder is None:
            return
        if isinstance(message, SegmentStored):
            key = (message.room, message.take, message.start_ms)
            found = self._stored.pop(key, None)
            if found is not None:
                with suppress(OSError):
                    folder.forget(found[1])
            self._tell_over(folder)
        elif self._is_over(folder):
            with suppress(OSError):
                folder.remove()
                folder.path.parent.rmdir()
            del self._takes[message.room, message.take]
            self._has_init.discard((message.room, message.take))

    def announce(self) -> None:
        """Tells again everything that is not acknowledged; called at each new link."""
        if self._left:
            left, self._left = self._left, []
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(ORPHAN_S, self._close_left, left)
        self._tell_again()

    def _tell_again(self) -> None:
        for closed, _ in list(self._stored.values())[:ANNOUNCED_AT_ONCE]:
            self._tell(closed)
        for folder in list(self._takes.values()):
            self._tell_over(folder)

    def _close_left(self, left: list[TakeFolder]) -> None:
        for folder in left:
            if not folder.recorded and folder.over_ms is None:
                with suppress(OSError):
                    folder.over(folder.end_ms or 0)

    def _is_over(self, folder: TakeFolder) -> bool:
        here = (folder.room, folder.take)
        return (
            folder.over_ms is not None
            and not folder.waiting
            and not any(key[:2] == here for key in self._stored)
        )

    def _tell_over(self, folder: TakeFolder) -> None:
        if folder.over_ms is not None and self._is_over(folder):
            self._tell(TakeClosed(folder.room, folder.take, folder.over_ms))

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_EVERY_S)
            self._tell_again()

    async def _upload(self) -> None:
        objects: Objects | None = None
        while True:
            self._changed.clear()
            for folder in list(self._takes.values()):
                self._tell_over(folder)
                if folder.waiting and folder not in self._uploads:
                    objects = objects or await self._opened()
                    self._uploads[folder] = asyncio.create_task(self._upload_take(folder, objects))
            await self._changed.wait()

    async def _opened(self) -> Objects:
        while True:
            try:
                return await asyncio.to_thread(self._open_objects)
            except Exception:
                log.exception("the object store could not be opened")
                await asyncio.sleep(LONGEST_RETRY_S)

    async def _upload_take(self, folder: TakeFolder, objects: Objects) -> None:
        retry_s = RETRY_S
        try:
            while folder.waiting:
                try:
                    async with self._slots:
                        await self._put(folder, folder.waiting[0], objects)
                    retry_s = RETRY_S
                except ObjectsError as away:
                    log.warning("a segment waits in the spool: %s", away)
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, LONGEST_RETRY_S)
                except Exception:
                    log.exception("a segment could not go up")
                    await asyncio.sleep(LONGEST_RETRY_S)
        finally:
            del self._uploads[folder]
        self._tell_over(folder)

    async def _is_there(
        self, folder: TakeFolder, segment: Segment, prefix: str, objects: Objects
    ) -> bool:
        """Whether the store has what this segment only fills.

        A worker that was given another spool than the one before it knows nothing of what that one
        recorded: it must not write silence over it.
        """
        if folder.fresh:
            keys = await objects.keys(f"{prefix}/")
            starts = [match for key in keys if (match := _SEGMENT_KEY.search(key))]
            folder.there_ms = max((int(match[1]) for match in starts), default=-1)
            folder.fresh = False
        return segment.start_ms <= folder.there_ms

    async def _put(self, folder: TakeFolder, segment: Segment, objects: Objects) -> None:
        prefix, here = f"lessons/{folder.room}/{folder.take}", (folder.room, folder.take)
        try:
            both = (folder.path / segment.name).read_bytes()
            voice = (folder.path / segment.voice_name).read_bytes()
        except FileNotFoundError:
            log.exception("a segment has vanished from the spool")
            folder.waiting.popleft()
            return
        if here not in self._has_init:
            await asyncio.gather(
                objects.put(f"{prefix}/init.mp4", mp4.INIT, PICTURE_TYPE),
                objects.put(f"{prefix}/init.a.mp4", mp4.VOICE_INIT, VOICE_TYPE),
            )
            self._has_init.add(here)
        if segment.lost_ms and await self._is_there(folder, segment, prefix, objects):
            folder.waiting.popleft()
            folder.forget(segment)
            return
        name = f"{prefix}/{segment.start_ms:010d}"
        await asyncio.gather(
            objects.put(f"{name}.a.m4s", voice, VOICE_TYPE),
            objects.put(f"{name}.m4s", both, PICTURE_TYPE),
        )
        folder.waiting.popleft()
        closed = SegmentClosed(
            folder.room,
            folder.take,
            segment.start_ms,
            segment.duration_ms,
            len(both),
            len(voice),
            segment.lost_ms,
        )
        self._stored[folder.room, folder.take, segment.start_ms] = (closed, segment)
        self._tell(closed)
