"""Janus in the place of our media workers, for the API: the same few calls, the same messages."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from rtc.engine import Feature
from rtc.janus.room import Room
from rtc.janus.session import JanusError, Json, Place, Session
from rtc.messages import Answer, FromWorker, Join, Leave, Restart, RoomState, ToWorker

log = logging.getLogger(__name__)

RETRY_S = 0.2


class JanusLink:
    """Keeps a session with Janus open; conforms to `rtc.engine.Engine`.

    Janus must be ours alone: on every connection all rooms it has are ended, because the grants
    they were made for may be gone.
    """

    features: frozenset[Feature] = frozenset({"speaker"})

    def __init__(
        self,
        place: Path,
        on_message: Callable[[FromWorker], None],
        on_up: Callable[[str], None] = lambda _: None,
        on_down: Callable[[], None] = lambda: None,
    ) -> None:
        self._place = place
        self._on_message = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._session: Session | None = None
        self._admin_key = ""
        self._rooms: dict[str, Room] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # Each request would be a line of the log, the secret of the long poll's address in it.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, *self._ending, return_exceptions=True)

    @property
    def workers(self) -> int:
        """One, up or not."""
        return 1

    @property
    def up(self) -> bool:
        """Whether Janus answers."""
        return self._session is not None

    def worker_of(self, room: str) -> str | None:
        """The session, which every room shares; None while Janus is away."""
        del room
        return str(self._session.id) if self._session is not None else None

    def send(self, message: ToWorker) -> bool:
        """Hands a message to its room; False: Janus is away, or does not know such messages."""
        if self._session is None:
            return False
        if isinstance(message, RoomState):
            self._state(message, self._session)
            return True
        if not isinstance(message, Join | Answer | Restart | Leave):
            return False
        room = self._rooms.get(message.room)
        if room is not None:
            room.take(message)
        return room is not None

    def _state(self, wanted: RoomState, session: Session) -> None:
        room = self._rooms.get(wanted.room)
        if room is None and wanted.members:
            room = Room(wanted, session, self._admin_key, self._on_message)
            self._rooms[wanted.room] = room
        if room is None:
            return
        room.take(wanted)
        if not wanted.members:
            del self._rooms[wanted.room]
            task = asyncio.create_task(room.finish())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _keep(self) -> None:
        while True:
            try:
                place = Place.read(self._place)
                await self._talk(place)
            except (OSError, msgspec.DecodeError):
                pass  # Janus has not been started yet
            except JanusError as lost:
                log.debug("no Janus: %s", lost)
            except Exception:  # whatever Janus says, it is asked again
                log.exception("Janus says what cannot be understood")
            await asyncio.sleep(RETRY_S)

    async def _talk(self, place: Place) -> None:
        session = Session(place, self._event)
        try:
            await session.open()
            await _end_all(session, place.admin_key)
            self._session, self._admin_key = session, place.admin_key
            log.info("Janus is here")
            self._on_up(str(session.id))
            await session.listen()
        except JanusError as lost:
            if self._session is not None:
                log.warning("Janus is lost: %s", lost)
            raise
        finally:
            await self._lost()  # before the goodbye: one that hangs takes its time
            await session.close()

    async def _lost(self) -> None:
        rooms, self._rooms = self._rooms, {}
        was_up, self._session = self._session is not None, None
        for room in rooms.values():
            await room.stop()
        if was_up:
            self._on_down()

    def _event(self, handle: int, event: Json) -> None:
        for room in self._rooms.values():
            if room.owns(handle):
                room.heard(handle, event)
                return


async def _end_all(session: Session, admin_key: str) -> None:
    """Ends rooms of an earlier session that Janus has not missed yet."""
    handle = await session.attach()
    found, _ = await session.ask(handle, {"request": "list", "admin_key": admin_key})
    for room in found["list"]:
        await session.ask(handle, {"request": "destroy", "room": room["room"]})
    await session.detach(handle)
