"""What the engine tells of the rooms of this process: taken over, and told to the pages."""

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID

import msgspec

from api.media_counts import Counts
from api.media_room import Room, Seat
from api.socket_messages import MediaStep, Offered, OfferedTrack, Speaks
from rtc.messages import (
    FromWorker,
    Offer,
    Presence,
    Quality,
    SegmentClosed,
    Speaking,
    Stepped,
    TakeClosed,
    TransportFailed,
    Trespass,
)

# What a worker says that must be kept.
ToKeep = SegmentClosed | TakeClosed | Trespass

_encode = msgspec.json.Encoder().encode


class News:
    """Holds nothing of its own: rooms and counts are Media's."""

    def __init__(
        self,
        rooms: Mapping[UUID, Room],
        counts: Counts,
        *,
        keep: Callable[[ToKeep], None],
        came: Callable[[UUID], None],
        quality: Callable[[Quality | Stepped], None],
        join: Callable[[UUID, Seat], None],
        doubt: Callable[[UUID], None],
        grace_s: float,
    ) -> None:
        self._rooms = rooms
        self._counts = counts
        self._keep = keep
        self._came = came  # more people are in a room than before
        self._quality = quality
        self._join = join
        self._doubt = doubt  # a worker has a room that nobody has here
        self._grace_s = grace_s

    def heard(self, message: FromWorker) -> None:
        """Take over what one message says; what is no news of a room is passed over."""
        if isinstance(message, Quality):
            self._fared(message)
        elif isinstance(message, Offer):
            self._offer(message)
        elif isinstance(message, Presence):
            self._arrivals(message)
        elif isinstance(message, TransportFailed):
            self._failed(message)
        elif isinstance(message, Trespass):
            self._trespass(message)
        elif isinstance(message, Stepped):
            self._stepped(message)
        elif isinstance(message, Speaking):
            self._speaking(message)
        elif isinstance(message, SegmentClosed | TakeClosed):
            self._keep(message)

    def _fared(self, quality: Quality) -> None:
        self._quality(quality)
        now_s = asyncio.get_running_loop().time()
        for row in quality.rows:
            seat = self._seat(UUID(quality.room), UUID(row.member))
            if seat is not None and not row.silent:
                seat.heard_s = now_s

    def _speaking(self, speaking: Speaking) -> None:
        room = self._rooms.get(UUID(speaking.room))
        if room is not None:
            room.speaking = UUID(speaking.member) if speaking.member is not None else None
            room.tell(_encode(Speaks(member=room.speaking)))

    def _offer(self, offer: Offer) -> None:
        seat = self._seat(UUID(offer.room), UUID(offer.member))
        if seat is None or seat.tab is None:
            return
        anew = offer.direction == "subscribe" and offer.transport not in seat.transports
        if anew and seat.step is not None and seat.step.step != "high":
            # It was told of another way, perhaps by a worker that watches no more.
            self.heard(Stepped(offer.room, offer.member, "high", "your_link"))
        seat.transports.add(offer.transport)
        offered = Offered(
            transport=offer.transport,
            direction=offer.direction,
            sdp=offer.sdp,
            tracks=[OfferedTrack(t.mid, t.kind, t.member) for t in offer.tracks],
            reply=offer.reply,
        )
        seat.tab.tell(_encode(offered))

    def _arrivals(self, presence: Presence) -> None:
        room_id = UUID(presence.room)
        room = self._rooms.get(room_id)
        if room is None:
            self._doubt(room_id)
            return
        before = room.present()
        for seen in presence.members:
            seat = room.seats.get(UUID(seen.member))
            if seat:
                seat.see(seen)
        room.tell_presence()
        if not room.present() <= before:
            self._came(room_id)

    def _failed(self, failed: TransportFailed) -> None:
        room_id = UUID(failed.room)
        self._counts.failed(room_id, failed.reason)
        seat = self._seat(room_id, UUID(failed.member))
        # What the engine could not make was never offered, and is asked for again all the same.
        if seat is None or (failed.transport not in seat.transports and failed.reason != "engine"):
            return
        seat.transports.discard(failed.transport)
        asyncio.get_running_loop().call_later(seat.fails(), self._join, room_id, seat)

    def _stepped(self, stepped: Stepped) -> None:
        self._quality(stepped)
        seat = self._seat(UUID(stepped.room), UUID(stepped.member))
        if seat is not None:
            seat.step = MediaStep(step=stepped.step, reason=stepped.reason)
            if seat.tab:
                seat.tab.tell(_encode(seat.step))

    def _trespass(self, trespass: Trespass) -> None:
        seat = self._seat(UUID(trespass.room), UUID(trespass.member))
        if seat is not None and seat.trespasses(trespass.kind, self._grace_s):
            self._keep(trespass)

    def _seat(self, room_id: UUID, person_id: UUID) -> Seat | None:
        room = self._rooms.get(room_id)
        return room.seats.get(person_id) if room else None
