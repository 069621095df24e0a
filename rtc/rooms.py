"""All rooms of a worker."""

import logging
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from rtc.messages import (
    Answer,
    FromWorker,
    Join,
    Leave,
    Recording,
    Restart,
    RoomState,
)
from rtc.port import UdpPort
from rtc.recording.recorder import Recorder
from rtc.room import Ground, Room
from rtc.stun import Address
from rtc.transport import Certificates

log = logging.getLogger(__name__)

REPORT_EVERY_S = 1.0
CLOSED_ROOMS_REMEMBERED = 1000

RoomMessage = RoomState | Join | Answer | Restart | Leave
# Room, take, and how to ask for a key frame of the "camera" or the "screen".
Record = Callable[[str, Recording, Callable[[str], None]], Recorder]


class Rooms:
    """All rooms of the worker."""

    def __init__(
        self,
        port: UdpPort,
        addresses: Sequence[Address],
        tell: Callable[[FromWorker], None],
        record: Record | None = None,
        pipes: Path | None = None,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self._record = record
        self._ground = Ground(port, Certificates(), addresses, tell, self._recorder, pipes)
        self._closed: OrderedDict[str, int] = OrderedDict()
        self._reported_at = 0.0

    def take(self, message: RoomMessage) -> None:
        """Handles one message about a room; one about an unknown room is ignored."""
        if isinstance(message, RoomState):
            self._state(message)
            return
        room = self.rooms.get(message.room)
        if room is None:
            log.info("%s for the unknown room %s", type(message).__name__, message.room)
        elif isinstance(message, Join):
            room.join(message)
        elif isinstance(message, Answer):
            room.answer(message)
        elif isinstance(message, Restart):
            room.restart(message)
        else:
            room.leave(message)

    def _state(self, wanted: RoomState) -> None:
        room = self.rooms.get(wanted.room)
        if room is None:
            if not wanted.members or wanted.version <= self._closed.get(wanted.room, -1):
                return
            room = self.rooms[wanted.room] = Room(wanted, self._ground)
        elif wanted.members and wanted.version > room.version:
            room = self._remade(room, wanted)
        room.state(wanted)
        if not room.seats:
            room.end()
            del self.rooms[wanted.room]
            self._closed[wanted.room] = room.version
            if len(self._closed) > CLOSED_ROOMS_REMEMBERED:
                self._closed.popitem(last=False)

    def _remade(self, room: Room, wanted: RoomState) -> Room:
        """The room, or a new one in its place when other tracks than its own are wanted."""
        own = (room.codec, room.presenter, room.home)
        if own == (wanted.codec, wanted.presenter, wanted.home):
            return room
        new = self.rooms[wanted.room] = Room(wanted, self._ground)
        room.remade()
        if room.recorder is not None and room.take is not None:
            new.go_on_recording(room.recorder, room.take)
        return new

    def _recorder(self, name: str, take: Recording) -> Recorder | None:
        def ask_key_frame(picture: str) -> None:
            room = self.rooms.get(name)  # the present one: a room may be made anew in mid-take
            if room is not None and room.stage is not None:
                room.stage.ask_key_frame(picture, time.monotonic())

        return self._record(name, take, ask_key_frame) if self._record is not None else None

    def enter(self, name: str, sock: socket.socket) -> bool:
        """Lets a branch into a room that lives here; False: there is none of that name."""
        room = self.rooms.get(name)
        return room is not None and room.enter(sock)

    def tick(self, now: float) -> None:
        """Does what the clock asks for; called about ten times a second."""
        reports = now - self._reported_at >= REPORT_EVERY_S
        if reports:
            self._reported_at = now
        for room in list(self.rooms.values()):
            try:
                room.tick(now, reports=reports)
            except Exception:  # what goes wrong in one room is no other room's trouble
                log.exception("room %s: a tick failed", room.name)

    def close(self) -> None:
        """Closes all rooms, because the worker goes."""
        for room in self.rooms.values():
            room.suspend()
        self.rooms.clear()
