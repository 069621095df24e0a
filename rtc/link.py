"""The API's side of the link to the media workers. Imports nothing of the media engine."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc.engine import EVERYTHING
from rtc.messages import (
    Answer,
    BadMessage,
    FromWorker,
    Hello,
    Join,
    Leave,
    Offer,
    Ping,
    Pong,
    Presence,
    Restart,
    RoomState,
    ToWorker,
    TransportFailed,
    Welcome,
    frame,
    read_from_worker,
)

log = logging.getLogger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 0.1  # a unix socket on this machine; a recording loses what we wait here
PING_EVERY_S = 5.0
SILENCE_S = 15.0  # a worker that says nothing for this long is taken for hung
PATIENCE_S = 15.0  # for workers that say nothing at our start
MAX_UNSENT_BYTES = 8 << 20

_OfRoom = RoomState | Join | Answer | Restart | Leave
_OfLivingRoom = Offer | Presence | TransportFailed


# What a new room adds to a worker's load until the worker itself has told.
_ROOM_LOAD = 0.05


class MediaLink:
    """Keeps a stream open to every worker; a room belongs to one worker for as long as it lives.

    A new room goes to the worker with the least to do, once every worker has said which rooms it
    has, or for `patience_s` nothing: a restart of this process finds them where they are. While its
    worker is away a room waits for it. A worker that comes with a room that lives elsewhere by now
    is told to end it, so only one process may place rooms.

    `on_up(worker_id)` is called at each (re)connect: the API then sends the `RoomState` and `Join`
    of everybody present in rooms of that worker (`worker_of(room)`). `on_down()` is called when a
    worker that was up is lost. Callbacks run in the event loop and must not block.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        on_message: Callable[[FromWorker], None],
        on_up: Callable[[str], None] = lambda _: None,
        on_down: Callable[[], None] = lambda: None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._api_id = uuid.uuid4().hex[:8]
        self._lines = [_Line(path) for path in paths]
        self._places: dict[str, _Line] = {}  # of rooms that are open
        self._found: dict[str, _Line] = {}  # who said that he has a room, or a recording of it
        self._patience_s = patience_s
        self._patience: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._patience_s, self._wait_no_longer)
        self._tasks = [asyncio.create_task(self._keep(line)) for line in self._lines]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._patience is not None:
            self._patience.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def workers(self) -> int:
        """How many workers there are, up or not."""
        return len(self._lines)

    features = EVERYTHING

    @property
    def up(self) -> bool:
        """Whether every worker is connected."""
        return all(line.worker_id for line in self._lines)

    def worker_of(self, room: str) -> str | None:
        """The worker a room belongs to, a new one from now on; None while it is away."""
        line = self._line(room)
        return line.worker_id if line is not None else None

    def send(self, message: ToWorker) -> bool:
        """Hands a message to the room's worker (to all when it names none, or is of a recording).

        False: that worker is away and the message is gone; `on_up` is the place to say it again.
        """
        data = frame(message)
        if not isinstance(message, _OfRoom):
            return self._to_all(data)
        if not isinstance(message, RoomState):
            line = self._places.get(message.room)
        elif message.members:
            line = self._line(message.room)
        else:
            self._found.pop(message.room, None)
            line = self._places.pop(message.room, None)
            if line is None:
                return self._to_all(data)
        return line is not None and line.write(data)

    def _to_all(self, data: bytes) -> bool:
        sent = [line.write(data) for line in self._lines]
        return all(sent)

    def _line(self, room: str) -> "_Line | None":
        line = self._places.get(room)
        if line is None and self._known:
            up = [each for each in self._lines if each.worker_id is not None]
            line = self._found.get(room) or min(up, key=lambda each: each.burden, default=None)
            if line is not None:
                line.added += 1
                self._places[room] = line
        return line

    async def _keep(self, line: "_Line") -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(line.path)
            except OSError:
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)
                continue
            try:
                if await self._talk(line, reader, writer):
                    retry_s = FIRST_RETRY_S
            finally:
                was_up, line.worker_id, line.writer = bool(line.worker_id), None, None
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                if was_up:
                    self._on_down()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def _talk(
        self, line: "_Line", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Speaks until the worker is lost; True when it had said `Welcome`."""
        writer.write(frame(Hello(self._api_id)))
        pinger = asyncio.create_task(_ping(writer))
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    message = await read_from_worker(reader)
                try:
                    self._heard(line, message, writer)
                except Exception:
                    log.exception("the API stumbled over %s", type(message).__name__)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as lost:
            log.info("media worker %s lost: %s", line.path.name, lost)
        except BadMessage:
            log.exception("media worker %s speaks nonsense", line.path.name)
        finally:
            pinger.cancel()
        return bool(line.worker_id)

    def _heard(self, line: "_Line", message: FromWorker, writer: asyncio.StreamWriter) -> None:
        if isinstance(message, Welcome):
            line.worker_id, line.writer = message.worker_id, writer
            self._find(line, message)
            waiting = not self._known
            line.known = True
            if self._known:
                self._say_up(self._lines if waiting else [line])
        elif isinstance(message, Pong):
            line.load, line.added = message.load, 0
        elif not isinstance(message, _OfLivingRoom) or self._has(line, message.room):
            self._on_message(message)

    def _has(self, line: "_Line", room: str) -> bool:
        return self._places.get(room, line) is line

    def _find(self, line: "_Line", welcome: Welcome) -> None:
        """Remembers where rooms are; where one lives counts for more than where it was recorded."""
        self._found = {room: each for room, each in self._found.items() if each is not line}
        for room in welcome.kept:
            self._found.setdefault(room, line)
        for room in welcome.rooms:
            if self._has(line, room):
                self._found[room] = line
            else:
                line.write(frame(RoomState(room, time.time_ns() // 1000, [])))

    @property
    def _known(self) -> bool:
        return all(line.known for line in self._lines)

    def _say_up(self, lines: "Sequence[_Line]") -> None:
        for line in lines:
            if line.worker_id is not None:
                self._on_up(line.worker_id)

    def _wait_no_longer(self) -> None:
        """A worker that does not start must not keep the rooms of the others closed."""
        if not self._known:
            for line in self._lines:
                line.known = True
            self._say_up(self._lines)


class _Line:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.worker_id: str | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.known = False  # it has said once which rooms it has, or is not waited for
        self.load = 0.0
        self.added = 0  # rooms placed since it has told its load

    @property
    def burden(self) -> float:
        # Idle workers differ by a hair: that is no reason.
        return round(self.load, 1) + _ROOM_LOAD * self.added

    def write(self, data: bytes) -> bool:
        if self.writer is None or self.writer.is_closing():
            return False
        if self.writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.writer.transport.abort()  # a worker that does not read is as good as lost
            return False
        self.writer.write(data)
        return True


async def _ping(writer: asyncio.StreamWriter) -> None:
    n = 0
    while not writer.is_closing():
        writer.write(frame(Ping(n)))
        n += 1
        await asyncio.sleep(PING_EVERY_S)
