"""The API's side of the link to the media workers. Imports nothing of the media engine."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc.engine import EVERYTHING
from rtc.lines import HANGS_S, Line, ping
from rtc.messages import (
    Answer,
    BadMessage,
    FromWorker,
    Hello,
    Join,
    Leave,
    Offer,
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
from rtc.place import Place

log = logging.getLogger(__name__)

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 0.1  # a unix socket on this machine; a recording loses what we wait here
SILENCE_S = 15.0  # a worker that says nothing for this long is taken for hung
PATIENCE_S = 15.0  # for workers that say nothing at our start
GONE_S = 15.0  # a worker that is away for so long is not waited for
BLINK_S = 0.5  # a link that is lost for less than this is no lost worker
FULL = 0.7  # of a core: a worker that has so much to do gets no more viewers of a lesson
MUCH_LESS = 0.2

_OfRoom = RoomState | Join | Answer | Restart | Leave
_OfLivingRoom = Offer | Presence | TransportFailed


class MediaLink:
    """Keeps a stream open to every worker; a room belongs to one worker for as long as it lives.

    A new room goes to the worker with the least to do, once every worker has said which rooms it
    has, or for `patience_s` nothing: a restart of this process finds them where they are. While its
    worker is away a room waits for it, for `gone_s`; then it is placed anew, unless it is recorded:
    what there is of the take lies in that worker's spool. A worker that comes with a room that
    lives elsewhere by now is told to end it, so only one process may place rooms.

    A lesson may be spread (`rtc.place`): a new viewer watches in a branch in another worker when
    the home has more than `FULL` to do and the other much less, or when `most_viewers` of the
    lesson watch in the home. Who sits stays until he joins again; a lost branch's viewers are
    joined elsewhere at once.

    `on_up(worker_id)` is called at each (re)connect: the API then sends the `RoomState` and `Join`
    of everybody present in rooms of that worker (`worker_of(room)`). `on_down()` is called when a
    worker that was up is lost. `on_up` also tells of a worker that has got rooms of one that is
    gone. Callbacks run in the event loop and must not block.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        on_message: Callable[[FromWorker], None],
        on_up: Callable[[str], None] = lambda _: None,
        on_down: Callable[[], None] = lambda: None,
        *,
        patience_s: float = PATIENCE_S,
        gone_s: float = GONE_S,
        most_viewers: int | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._gone_s = gone_s
        self._most_viewers = most_viewers
        self._api_id = uuid.uuid4().hex[:8]
        self._lines = [Line(path) for path in paths]
        self._places: dict[str, Place] = {}  # of rooms that are open
        self._found: dict[str, Line] = {}  # who said that he has a room, or a recording of it
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
        for line in self._lines:
            line.is_back()
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
        place = self._place(room)
        return place.home.worker_id if place is not None else None

    def send(self, message: ToWorker) -> bool:
        """Hands a message to the room's worker (to all when it names none, or is of a recording).

        False: that worker is away and the message is gone; `on_up` is the place to say it again.
        """
        if not isinstance(message, _OfRoom):
            return self._to_all(message)
        if not isinstance(message, RoomState):
            place = self._places.get(message.room)
            return place is not None and place.tell(message)
        if message.members:
            place = self._place(message.room)
            return place is not None and place.take(message)
        self._found.pop(message.room, None)
        place = self._places.pop(message.room, None)
        return place.end(message) if place is not None else self._to_all(message)

    def _to_all(self, message: ToWorker) -> bool:
        data = frame(message)
        sent = [line.write(data) for line in self._lines]
        return all(sent)

    @property
    def _lines_up(self) -> list[Line]:
        """Those that are there, without such as have gone silent as long as there are others."""
        up = [each for each in self._lines if each.worker_id is not None]
        since = asyncio.get_running_loop().time() - HANGS_S
        return [each for each in up if each.heard_at >= since] or up

    def _place(self, room: str) -> Place | None:
        place = self._places.get(room)
        if place is None and self._known:
            least = min(self._lines_up, key=lambda each: each.burden, default=None)
            line = self._found.get(room) or least
            if line is not None:
                line.rooms_added += 1
                place = self._places[room] = Place(room, line, self._choose)
                for each in self._lines:
                    place.adopt(each)
        return place

    def _choose(self, place: Place, member: str) -> Line:
        """The worker in which a viewer shall watch."""
        home, state = place.home, place.state
        others = [each for each in self._lines_up if each is not home]
        if not others or state is None or state.presenter in {None, member}:
            return home
        if self._most_viewers is not None:
            watching = place.watching()
            lines = [home, *others]
            roomy = (each for each in lines if watching.get(each, 0) < self._most_viewers)
            return next(roomy, None) or min(lines, key=lambda each: watching.get(each, 0))
        other = min(others, key=lambda each: each.burden)
        spreads = home.burden >= FULL and home.burden - other.burden >= MUCH_LESS
        return other if spreads else home

    async def _keep(self, line: Line) -> None:
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
                    self._wait_for(line)
                    self._on_down()
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LAST_RETRY_S)

    async def _talk(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Speaks until the worker is lost; True when it had said `Welcome`."""
        writer.write(frame(Hello(self._api_id)))
        pinger = asyncio.create_task(ping(writer))
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    message = await read_from_worker(reader)
                line.heard_at = asyncio.get_running_loop().time()
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

    def _heard(self, line: Line, message: FromWorker, writer: asyncio.StreamWriter) -> None:
        if isinstance(message, Welcome):
            line.is_back()
            line.worker_id, line.writer = message.worker_id, writer
            self._find(line, message)
            line.last_id = line.worker_id
            waiting = not self._known
            line.known = True
            if self._known:
                self._say_up(self._lines if waiting else [line])
        elif isinstance(message, Pong):
            line.told_load(message.load)
        elif not isinstance(message, _OfLivingRoom) or self._has(line, message.room):
            place = self._places.get(message.room) if isinstance(message, _OfLivingRoom) else None
            if place is not None and isinstance(message, Presence):
                message = place.see(line, message)
            self._on_message(message)

    def _has(self, line: Line, room: str) -> bool:
        place = self._places.get(room)
        return place.has(line) if place is not None else room not in line.branches

    def _find(self, line: Line, welcome: Welcome) -> None:
        """Remembers where rooms are; where one lives counts for more than where it was recorded."""
        line.branches = welcome.branches
        self._look_at_branches(line, welcome)
        self._found = {room: each for room, each in self._found.items() if each is not line}
        for room in welcome.kept:
            self._found.setdefault(room, line)
        for room in welcome.rooms:
            place = self._places.get(room)
            if place is None or place.home is line:
                self._found[room] = line
            else:
                place.end_in(line)

    def _look_at_branches(self, line: Line, welcome: Welcome) -> None:
        """Goes on with the branches of a worker that was away for a moment, and no others."""
        is_same = line.last_id == welcome.worker_id
        for place in self._places.values():
            if place.home is line and place.room not in welcome.rooms:
                place.leave_home()
            elif place.home is not line and place.has(line):
                if is_same and place.room in welcome.branches:
                    place.repeat()
                else:
                    place.leave_branch(line)
        for room in welcome.branches:
            branched = self._places.get(room)
            if branched is not None and not branched.has(line):
                branched.end_in(line)
            elif branched is None and is_same:  # closed while it was away
                line.say(RoomState(room, time.time_ns() // 1000, []))

    def _wait_for(self, line: Line) -> None:
        """A worker is lost: what is done if it does not come back."""
        loop = asyncio.get_running_loop()
        line.waits += [
            loop.call_later(BLINK_S, self._leave_branches, line),
            loop.call_later(self._gone_s, self._move_rooms, line),
        ]

    def _leave_branches(self, line: Line) -> None:
        for place in self._places.values():
            if place.home is not line and place.has(line):
                place.leave_branch(line)

    def _move_rooms(self, line: Line) -> None:
        """Places the rooms of a worker that is gone in others."""
        if not self._lines_up:
            wait = asyncio.get_running_loop().call_later(self._gone_s, self._move_rooms, line)
            line.waits.append(wait)
            return
        moved = [
            room
            for room, place in self._places.items()
            if place.home is line and (place.state is None or place.state.recording is None)
        ]
        for room in moved:
            self._places.pop(room).leave_home()
            self._found.pop(room, None)
            self._place(room)
        if moved:
            log.warning("media worker %s is gone: %d rooms go elsewhere", line.name, len(moved))
            self._say_up({self._places[room].home: None for room in moved})

    @property
    def _known(self) -> bool:
        return all(line.known for line in self._lines)

    def _say_up(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.worker_id is not None:
                self._on_up(line.worker_id)

    def _wait_no_longer(self) -> None:
        """A worker that does not start must not keep the rooms of the others closed."""
        if not self._known:
            for line in self._lines:
                line.known = True
            self._say_up(self._lines)
