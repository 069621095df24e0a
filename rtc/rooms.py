"""Rooms: the desired state from the API made true, and told back as offers and presence."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from rtc import feedback, sdp
from rtc.messages import (
    Answer,
    Direction,
    FromWorker,
    Join,
    Leave,
    MemberPresence,
    Presence,
    Restart,
    RoomState,
    TransportFailed,
)
from rtc.port import UdpPort
from rtc.seat import Seat
from rtc.stun import Address
from rtc.transport import Certificates, Transport

log = logging.getLogger(__name__)

REPORT_EVERY_S = 1.0
CLOSED_ROOMS_REMEMBERED = 1000

RoomMessage = RoomState | Join | Answer | Restart | Leave


class Room:
    """One visit or lesson."""

    def __init__(
        self,
        name: str,
        port: UdpPort,
        certificates: Certificates,
        addresses: Sequence[Address],
        tell: Callable[[FromWorker], None],
    ) -> None:
        self.name = name
        self.version = -1
        self.seats: dict[str, Seat] = {}
        self._port = port
        self._certificates = certificates
        self._addresses = addresses
        self._tell = tell
        self._presence_version = 0
        self._presence: list[MemberPresence] = []

    @property
    def transports(self) -> list[Transport]:
        """All living transports of the room."""
        pairs = ((seat.publish, seat.subscribe) for seat in self.seats.values())
        return [each for pair in pairs for each in pair if each is not None]

    def state(self, wanted: RoomState) -> None:
        """Takes the full desired state, unless it is older than what is there.

        Presence is told in any case: an API that has just started knows of none.
        """
        if wanted.version <= self.version:
            return
        self.version = wanted.version
        members = {each.member: each for each in wanted.members}
        for name in [each for each in self.seats if each not in members]:
            self._drop(self.seats[name])
            del self.seats[name]
        for name, member in members.items():
            seat = self.seats.get(name)
            if seat is None:
                self.seats[name] = Seat(self.name, member, self._addresses)
                continue
            seat.grant(member)
            if not member.subscribe:
                self._close(seat, "subscribe")
            if self._may_publish(seat) and seat.publish is None:
                self._open_publish(seat)
        if not self._settle():
            self._tell(self.presence())

    def join(self, join: Join) -> None:
        """Makes what the page lacks: transports it does not resume are closed and made anew."""
        seat = self.seats.get(join.member)
        if seat is None:
            log.info("room %s: a join of somebody without a grant", self.name)
            return
        seat.joined = join
        seat.broken.clear()
        if seat.publish is not None and seat.publish.id not in join.resume:
            self._close(seat, "publish")
        if seat.subscribe is not None and seat.subscribe.id not in join.resume:
            self._close(seat, "subscribe")
        if seat.publish is None:
            if self._may_publish(seat):
                self._open_publish(seat)
        elif not seat.publish.answered:
            self._tell(seat.publish_offer())
        if seat.offered:  # it may have been told while the page was away
            self._tell(seat.subscribe_offer())
        self._settle()

    def answer(self, answer: Answer) -> None:
        """Takes a browser's answer; a bad one closes the transport."""
        seat, transport = self._find(answer.member, answer.transport)
        if seat is None or transport is None:
            return
        try:
            answered = sdp.parse_answer(answer.sdp)
        except sdp.BadAnswerError as bad:
            log.info("room %s: bad answer: %s", self.name, bad)
            transport.close("bad_answer")
            return
        if transport.direction == "publish":
            seat.publish_answered(answered)
        else:
            seat.subscribe_answered(answered)
        transport.start(answered.fingerprints)
        self._settle()

    def restart(self, restart: Restart) -> None:
        """Offers new ICE credentials for a transport whose peer has lost his way."""
        seat, transport = self._find(restart.member, restart.transport)
        if seat is not None and transport is not None:
            transport.restart_ice()
            publishes = transport.direction == "publish"
            self._tell(seat.publish_offer() if publishes else seat.subscribe_offer())

    def leave(self, leave: Leave) -> None:
        """Closes the transports of a page that is gone."""
        seat = self.seats.get(leave.member)
        if seat is not None:
            self._drop(seat)
            self._settle()

    def close(self) -> None:
        """Closes everything."""
        for seat in self.seats.values():
            self._drop(seat)
        self.seats.clear()

    def presence(self) -> Presence:
        """Who is there now."""
        return Presence(self.name, self._presence_version, self._presence)

    def tick(self, now: float, *, reports: bool) -> None:
        """Repeats unanswered requests, expires silent peers, and once a second reports."""
        for transport in self.transports:
            transport.expire(now)
            if transport.direction == "publish" and transport.connected:
                for track in transport.tracks.values():
                    track.repeat_key_request(now)
                    track.ask_missing(now)
                if reports:
                    feedback.report_to_publisher(transport, now)

    def _find(self, member: str, transport: str) -> tuple[Seat | None, Transport | None]:
        seat = self.seats.get(member)
        return seat, seat.transport(transport) if seat is not None else None

    def _may_publish(self, seat: Seat) -> bool:
        """Whether the page has something to publish and a grant for it."""
        join, grants = seat.joined, seat.grants.publish
        return (
            join is not None
            and "publish" not in seat.broken
            and ((join.audio and "audio" in grants) or (join.video and "video" in grants))
        )

    def _open(self, direction: Direction) -> Transport:
        return Transport(self._port, self._certificates.current(), direction, self._changed)

    def _open_publish(self, seat: Seat) -> None:
        seat.publish = self._open("publish")
        self._tell(seat.publish_offer())

    def _close(self, seat: Seat, direction: Direction) -> None:
        transport = seat.publish if direction == "publish" else seat.subscribe
        if transport is None:
            return
        if direction == "publish":
            seat.stop_publishing()
        else:
            seat.stop_watching()
        transport.close()

    def _drop(self, seat: Seat) -> None:
        seat.joined = None
        self._close(seat, "publish")
        self._close(seat, "subscribe")

    def _changed(self, transport: Transport, reason: str) -> None:
        """A transport came up, or closed by itself."""
        for seat in self.seats.values():
            if transport in (seat.publish, seat.subscribe):
                if reason:
                    self._close(seat, transport.direction)
                    seat.broken.add(transport.direction)
                    self._tell(TransportFailed(self.name, seat.member, transport.id, reason))
                break
        self._settle()

    def _settle(self) -> bool:
        """Brings every viewer's lines in step with what is published.

        Tells the presence when it has changed, and answers whether it has.
        """
        now = time.monotonic()
        published = [track for seat in self.seats.values() for track in seat.published]
        for seat in self.seats.values():
            if seat.joined is not None and seat.grants.subscribe:
                wanted = [track for track in published if track.member != seat.member]
                if seat.subscribe is None and wanted and "subscribe" not in seat.broken:
                    seat.subscribe = self._open("subscribe")
                if seat.subscribe is not None:
                    seat.stale = seat.plan(wanted) or seat.stale
                    if seat.stale and not seat.offered:
                        self._tell(seat.subscribe_offer())
            seat.wire(now)
        presence = [seat.presence for seat in self.seats.values()]
        changed = presence != self._presence
        if changed:
            self._presence = presence
            self._presence_version += 1
            self._tell(self.presence())
        return changed


class Rooms:
    """All rooms of the worker."""

    def __init__(
        self, port: UdpPort, addresses: Sequence[Address], tell: Callable[[FromWorker], None]
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self._port = port
        self._addresses = addresses
        self._tell = tell
        self._certificates = Certificates()
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
            room = Room(wanted.room, self._port, self._certificates, self._addresses, self._tell)
            self.rooms[wanted.room] = room
        room.state(wanted)
        if not room.seats:
            del self.rooms[wanted.room]
            self._closed[wanted.room] = room.version
            if len(self._closed) > CLOSED_ROOMS_REMEMBERED:
                self._closed.popitem(last=False)

    def tick(self, now: float) -> None:
        """Does what the clock asks for; called about ten times a second."""
        reports = now - self._reported_at >= REPORT_EVERY_S
        if reports:
            self._reported_at = now
        for room in list(self.rooms.values()):
            room.tick(now, reports=reports)

    def close(self) -> None:
        """Closes all rooms."""
        for room in self.rooms.values():
            room.close()
        self.rooms.clear()
