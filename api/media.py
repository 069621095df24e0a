"""The rooms of this process and their link to the media workers.

PostgreSQL says who may speak and see (grants), the worker knows whose packets arrive (presence);
here is only who has the page open. The state of a room names everybody who may be in it, present or
not, so that after a restart of ours nobody is thrown out before he has reconnected.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

import msgspec

from api.live import Close, Tab
from api.socket_messages import MediaAway, MediaBack, MemberState, Offered, OfferedTrack, Presence
from rtc.link import MediaLink
from rtc.messages import (
    Answer,
    FromWorker,
    Join,
    Leave,
    Member,
    Offer,
    Restart,
    RoomState,
    TransportFailed,
)
from rtc.messages import Presence as WorkerPresence

Kind = Literal["audio", "video"]
Side = Literal["doctor", "patient"]

# A page that lost its socket often still has its media: a train's tunnel, a restart of ours.
GRACE_S = 15.0
_LAST_REJOIN_S = 5.0

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Card:
    """A member as the others see him, and what he may publish."""

    person_id: UUID
    name: str
    side: Side
    grants: tuple[Kind, ...]


@dataclass(slots=True)
class _Seat:
    card: Card
    tab: Tab | None = None
    ready: tuple[bool, bool] | None = None  # has audio, has video to publish
    resume: list[str] = field(default_factory=list)
    transports: set[str] = field(default_factory=set)
    muted: set[Kind] = field(default_factory=set)
    arriving: frozenset[str] = frozenset()  # kinds whose packets the worker sees
    failures: int = 0
    leaving: asyncio.TimerHandle | None = None

    def publish(self) -> list[Kind]:
        return [kind for kind in self.card.grants if kind not in self.muted]


class Media:
    """Holds the link; keeps the workers' rooms as the visits' grants say."""

    def __init__(self, paths: Sequence[Path], *, grace_s: float = GRACE_S) -> None:
        self._link = MediaLink(paths, self._heard, self._up, self._down)
        self._rooms: dict[UUID, dict[UUID, _Seat]] = {}
        self._version = 0
        self._grace_s = grace_s

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for seat in (seat for room in self._rooms.values() for seat in room.values()):
            if seat.leaving:
                seat.leaving.cancel()
        await self._link.__aexit__(kind, error, trace)

    @property
    def up(self) -> bool:
        """Whether every media worker is connected."""
        return self._link.up

    def enter(self, visit_id: UUID, me: Card, other: Card, tab: Tab, resume: list[str]) -> None:
        """Seat a page; `resume` names its media transports that live on. An older tab is ended."""
        room = self._rooms.setdefault(visit_id, {})
        room.setdefault(other.person_id, _Seat(other))
        seat = room.setdefault(me.person_id, _Seat(me))
        seat.card = me
        if seat.tab:
            seat.tab.end(Close.REPLACED)
        if seat.leaving:
            seat.leaving.cancel()
            seat.leaving = None
        seat.tab, seat.ready, seat.resume = tab, None, resume
        self._state(visit_id)
        self._presence(visit_id)
        if self._link.worker_of(str(visit_id)) is None:
            tab.tell(_encode(MediaAway()))

    def regrant(self, visit_id: UUID, me: Card, tab: Tab) -> None:
        """Take over a member's new grants at once; without grants nothing of his goes on.

        Only from the tab that has the seat: an ended one must not speak for its successor.
        """
        seat = self._rooms.get(visit_id, {}).get(me.person_id)
        if seat is not None and seat.tab is tab and seat.card != me:
            seat.card = me
            self._state(visit_id)
            self._presence(visit_id)

    def close(self, visit_id: UUID) -> None:
        """End a visit's media at once and for everybody."""
        room = self._rooms.pop(visit_id, None)
        if room is None:
            return
        for seat in room.values():
            if seat.leaving:
                seat.leaving.cancel()
        self._link.send(RoomState(str(visit_id), self._next_version(), []))

    def leave(self, visit_id: UUID, person_id: UUID, tab: Tab) -> None:
        """A page's socket is gone: offline at once, media only after the grace."""
        seat = self._rooms.get(visit_id, {}).get(person_id)
        if seat is None or seat.tab is not tab:
            return
        seat.tab, seat.ready = None, None
        loop = asyncio.get_running_loop()
        seat.leaving = loop.call_later(self._grace_s, self._forget, visit_id, person_id)
        self._presence(visit_id)

    def ready(self, visit_id: UUID, person_id: UUID, *, audio: bool, video: bool) -> None:
        """The page can take offers now; `audio`/`video`: what it has to publish."""
        seat = self._rooms.get(visit_id, {}).get(person_id)
        if seat is None:
            return
        seat.ready = (audio, video)
        seat.transports, seat.resume = set(seat.resume), []
        self._join(visit_id, seat)

    def answer(self, visit_id: UUID, person_id: UUID, transport: str, sdp: str) -> None:
        """The page's answer to an offer."""
        self._link.send(Answer(str(visit_id), str(person_id), transport, sdp))

    def restart(self, visit_id: UUID, person_id: UUID, transport: str) -> None:
        """The page asks for an ICE restart of a transport."""
        self._link.send(Restart(str(visit_id), str(person_id), transport))

    def mute(self, visit_id: UUID, person_id: UUID, kind: Kind, *, muted: bool) -> None:
        """Stop or resume a kind; the worker drops what a page sends all the same."""
        seat = self._rooms.get(visit_id, {}).get(person_id)
        if seat is None:
            return
        (seat.muted.add if muted else seat.muted.discard)(kind)
        self._state(visit_id)
        self._presence(visit_id)

    def members(self, visit_id: UUID) -> list[MemberState]:
        """Who is in the room, as its pages show it."""
        return [
            MemberState(
                id=seat.card.person_id,
                name=seat.card.name,
                side=seat.card.side,
                online=seat.tab is not None,
                audio="audio" in seat.arriving and "audio" in seat.publish(),
                video="video" in seat.arriving and "video" in seat.publish(),
            )
            for seat in self._rooms.get(visit_id, {}).values()
        ]

    def _forget(self, visit_id: UUID, person_id: UUID) -> None:
        room = self._rooms[visit_id]
        seat = room[person_id]
        seat.leaving, seat.transports, seat.arriving = None, set(), frozenset()
        self._link.send(Leave(str(visit_id), str(person_id)))
        if all(other.tab is None and other.leaving is None for other in room.values()):
            del self._rooms[visit_id]
            self._link.send(RoomState(str(visit_id), self._next_version(), []))
        else:
            self._presence(visit_id)

    def _next_version(self) -> int:
        # A clock in microseconds: grows over restarts of ours, and over several processes.
        self._version = max(self._version + 1, time.time_ns() // 1000)
        return self._version

    def _state(self, visit_id: UUID) -> None:
        members = [
            Member(str(seat.card.person_id), list(seat.publish()), subscribe=bool(seat.card.grants))
            for seat in self._rooms[visit_id].values()
        ]
        self._link.send(RoomState(str(visit_id), self._next_version(), members))

    def _presence(self, visit_id: UUID) -> None:
        message = _encode(Presence(members=self.members(visit_id)))
        for seat in self._rooms[visit_id].values():
            if seat.tab:
                seat.tab.tell(message)

    def _join(self, visit_id: UUID, seat: _Seat) -> None:
        if seat.tab is None or seat.ready is None:
            return
        audio, video = seat.ready
        resume = sorted(seat.transports)
        self._link.send(Join(str(visit_id), str(seat.card.person_id), audio, video, resume))

    def _up(self, worker_id: str) -> None:
        for visit_id, room in self._rooms.items():
            if self._link.worker_of(str(visit_id)) != worker_id:
                continue
            self._state(visit_id)
            for seat in room.values():
                seat.transports, seat.failures = set(), 0
                if seat.tab:
                    seat.tab.tell(_encode(MediaBack()))
                self._join(visit_id, seat)

    def _down(self) -> None:
        for visit_id, room in self._rooms.items():
            if self._link.worker_of(str(visit_id)) is not None:
                continue
            for seat in room.values():
                seat.arriving = frozenset()
                if seat.tab:
                    seat.tab.tell(_encode(MediaAway()))
            self._presence(visit_id)

    def _heard(self, message: FromWorker) -> None:
        if isinstance(message, Offer):
            self._offer(message)
        elif isinstance(message, WorkerPresence):
            self._arrivals(message)
        elif isinstance(message, TransportFailed):
            self._failed(message)

    def _offer(self, offer: Offer) -> None:
        seat = self._seat(offer.room, offer.member)
        if seat is None or seat.tab is None:
            return
        seat.transports.add(offer.transport)
        tracks = [OfferedTrack(t.mid, t.kind, UUID(t.member)) for t in offer.tracks]
        seat.tab.tell(
            _encode(
                Offered(
                    transport=offer.transport,
                    direction=offer.direction,
                    sdp=offer.sdp,
                    tracks=tracks,
                )
            )
        )

    def _arrivals(self, presence: WorkerPresence) -> None:
        visit_id = UUID(presence.room)
        room = self._rooms.get(visit_id)
        if room is None:
            return
        for seen in presence.members:
            seat = room.get(UUID(seen.member))
            if seat:
                kinds = {"audio": seen.audio, "video": seen.video}
                seat.arriving = frozenset(kind for kind, arrives in kinds.items() if arrives)
                seat.failures = 0 if seen.connected else seat.failures
        self._presence(visit_id)

    def _failed(self, failed: TransportFailed) -> None:
        seat = self._seat(failed.room, failed.member)
        if seat is None or failed.transport not in seat.transports:
            return
        seat.transports.discard(failed.transport)
        seat.failures += 1
        delay_s = min(_LAST_REJOIN_S, 0.1 * 2**seat.failures)
        asyncio.get_running_loop().call_later(delay_s, self._join, UUID(failed.room), seat)

    def _seat(self, room: str, member: str) -> _Seat | None:
        return self._rooms.get(UUID(room), {}).get(UUID(member))
