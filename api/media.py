"""The rooms of this process and their link to the media workers.

PostgreSQL says who may speak and see (grants), the worker knows whose packets arrive (presence);
here is only who has the page open. The state of a room names everybody who may be in it, present or
not, so that after a restart of ours nobody is thrown out before he has reconnected.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Self
from uuid import UUID

import msgspec

from api.live import Close, Tab
from api.media_counts import Counts
from api.media_news import News, ToKeep
from api.media_room import Card, Has, Plan, Room, Seat
from api.socket_messages import MediaAway, MediaBack, MediaKind, MemberState, Speaks
from rtc.engine import Engine, Feature, OpenEngine
from rtc.messages import (
    Answer,
    FromWorker,
    Leave,
    Quality,
    Restart,
    RoomState,
    SegmentStored,
    Stats,
    StatsAsk,
    Stepped,
    TakeStored,
    VitalsNow,
)

# A page that lost its socket often still has its media: a train's tunnel, a restart of ours.
GRACE_S = 15.0
_HELD_AGAIN_S = 1.0
# A link that only broke is there again by then, and nobody's media were touched.
_AWAY_AFTER_S = 1.0
# As long a worker keeps a room of before our start that nobody comes back to.
_UNCLAIMED_S = 60.0

_encode = msgspec.json.Encoder().encode


class Media:
    """Holds the link; keeps the workers' rooms as their plans say."""

    def __init__(
        self,
        open_engine: OpenEngine,
        *,
        keep: Callable[[ToKeep], None] = lambda _: None,
        came: Callable[[UUID], None] = lambda _: None,
        quality: Callable[[Quality | Stepped], None] = lambda _: None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._link: Engine = open_engine(self._heard, self._up, self._down)
        self._rooms: dict[UUID, Room] = {}
        self._closing: set[UUID] = set()  # to be told to a worker that is away
        self._version = 0
        self._grace_s = grace_s
        self._began_s = time.monotonic()
        self._counts = Counts()
        self._unclaimed: dict[UUID, asyncio.TimerHandle] = {}
        self._news = News(
            self._rooms,
            self._counts,
            keep=keep,
            came=came,
            quality=quality,
            join=self._join,
            doubt=self._doubt,
            grace_s=grace_s,
        )

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for room in self._rooms.values():
            room.rest()
        for waiting in self._unclaimed.values():
            waiting.cancel()
        await self._link.__aexit__(kind, error, trace)

    @property
    def features(self) -> frozenset[Feature]:
        """What the engine can do beyond forwarding."""
        return self._link.features

    @property
    def up(self) -> bool:
        """Whether every media worker is connected."""
        return self._link.up

    def enter(self, room_id: UUID, me: Card, plan: Plan, tab: Tab, resume: list[str]) -> None:
        """Seat a page; `resume` names its media transports that live on. An older tab is ended.

        Of others who sit here already only they themselves, or `replan`, change the cards.
        """
        room = self._rooms.get(room_id) or self._make(room_id, plan)
        for card in plan.cards:
            room.seats.setdefault(card.person_id, Seat(card))
        seat = room.seats.setdefault(me.person_id, Seat(me))
        seat.deal(me)
        if seat.tab:
            seat.tab.end(Close.REPLACED)
        seat.stay()
        seat.tab, seat.has, seat.resume, seat.came = tab, None, resume, True
        self._state(room_id)
        self._presence(room_id)
        if room.speaking is not None:
            tab.tell(_encode(Speaks(member=room.speaking)))
        if seat.step is not None:
            tab.tell(_encode(seat.step))
        room.worker = room.worker or self._link.worker_of(str(room_id))
        if room.away:
            seat.resume = []
            tab.tell(_encode(MediaAway()))
        elif self._link.worker_of(str(room_id)) is None:
            self._miss(room_id, room)

    def regrant(self, room_id: UUID, me: Card, tab: Tab) -> None:
        """Take over a member's new grants at once; without grants nothing of his goes on.

        Only from the tab that has the seat: an ended one must not speak for its successor.
        """
        seat = self._seat(room_id, me.person_id)
        if seat is not None and tab in {seat.tab, seat.left} and seat.card != me:
            seat.deal(me)
            self._state(room_id)
            self._presence(room_id)

    def replan(self, room_id: UUID, plan: Plan) -> None:
        """Take over a whole new plan; whoever it does not name is out at once.

        A room that is recorded is kept although nobody has entered it here.
        """
        room = self._rooms.get(room_id)
        if room is None and plan.recording is not None:
            self._make(room_id, plan)
            self._state(room_id)
        if room is None or room.plan == plan:
            return
        room.plan = plan
        for person_id in [one for one in room.seats if plan.card(one) is None]:
            room.seats.pop(person_id).stay()
        for card in plan.cards:
            room.seats.setdefault(card.person_id, Seat(card)).deal(card)
        if room.empty:
            self.close(room_id)
        else:
            self._state(room_id)
            self._presence(room_id)

    def close(self, room_id: UUID) -> None:
        """End a room's media at once and for everybody, also those of a room not known here.

        A worker keeps its rooms while we are restarted.
        """
        room = self._rooms.pop(room_id, None)
        if room is not None:
            room.rest()
        if not self._link.send(RoomState(str(room_id), self._next_version(), [])):
            self._closing.add(room_id)

    def leave(self, room_id: UUID, person_id: UUID, tab: Tab) -> None:
        """A page's socket is gone: offline at once, media only after the grace."""
        seat = self._seat(room_id, person_id)
        if seat is None or seat.tab is not tab:
            return
        seat.tab, seat.has, seat.left = None, None, tab
        self._expect(room_id, seat)
        self._presence(room_id)

    def awaits(self, room_id: UUID, person_id: UUID, tab: Tab) -> bool:
        """Whether there are media of a page that has lost its socket, and no newer page."""
        seat = self._seat(room_id, person_id)
        return seat is not None and seat.left is tab

    def looked(self, room_id: UUID, person_id: UUID, tab: Tab) -> None:
        """Somebody without a page may still be here: his media go on while he is heard."""
        seat = self._seat(room_id, person_id)
        if seat is not None and seat.left is tab:
            seat.looked_s = asyncio.get_running_loop().time()

    def send_away(self, room_id: UUID, person_id: UUID) -> None:
        """End the media of somebody whose page has been gone too long, unless it is back."""
        seat = self._seat(room_id, person_id)
        if seat is not None and seat.tab is None:
            self._forget(room_id, person_id)

    def dismiss(self, room_id: UUID, person_id: UUID, tab: Tab) -> None:
        """A page may not be here any more: its media end at once."""
        seat = self._seat(room_id, person_id)
        if seat is not None and tab in {seat.tab, seat.left}:
            self._forget(room_id, person_id)

    def ready(self, room_id: UUID, person_id: UUID, has: Has, resume: Sequence[str] = ()) -> None:
        """The page can take offers now, for what it has; `resume`: transports that it keeps."""
        seat = self._seat(room_id, person_id)
        if seat is None:
            return
        seat.has = has
        seat.transports, seat.resume = {*seat.resume, *resume}, []
        self._join(room_id, seat)

    def answer(self, room_id: UUID, person_id: UUID, transport: str, sdp: str) -> None:
        """The page's answer to an offer."""
        self._link.send(Answer(str(room_id), str(person_id), transport, sdp))

    def restart(self, room_id: UUID, person_id: UUID, transport: str) -> None:
        """The page asks for an ICE restart of a transport."""
        self._link.send(Restart(str(room_id), str(person_id), transport))

    def mute(self, room_id: UUID, person_id: UUID, kind: MediaKind, *, muted: bool) -> None:
        """Stop or resume a kind; the worker drops what a page sends all the same."""
        seat = self._seat(room_id, person_id)
        if seat is None:
            return
        before = seat.publish()
        (seat.muted.add if muted else seat.muted.discard)(kind)
        if seat.publish() != before:
            self._state(room_id)
            self._presence(room_id)

    def vitals(self, room_id: UUID, now: VitalsNow) -> None:
        """A device streams in this visit, in time or late, or none does: media leave it room."""
        room = self._rooms.get(room_id)
        if room is not None and room.vitals != now:
            room.vitals = now
            self._state(room_id)

    def members(self, room_id: UUID) -> list[MemberState]:
        """Who is in the room, as its pages show it."""
        room = self._rooms.get(room_id)
        return room.members() if room else []

    def pages(self, room_id: UUID) -> list[tuple[Card, Tab]]:
        """Whose page is open in a room, each with its tab."""
        room = self._rooms.get(room_id)
        seats = room.seats.values() if room else ()
        return [(seat.card, seat.tab) for seat in seats if seat.tab]

    def present(self, room_id: UUID) -> set[UUID]:
        """Who has the page open, or still sends something."""
        room = self._rooms.get(room_id)
        return room.present() if room else set()

    def expected(self, room_id: UUID) -> set[UUID] | None:
        """Who may have been in a room before this process began, and is not back yet.

        None for the grace of a room that nobody has entered here: then it may be anybody.
        """
        room = self._rooms.get(room_id)
        if room is not None:
            seats = room.seats.items()
            return {one for one, seat in seats if seat.leaving is not None and not seat.came}
        return None if time.monotonic() - self._began_s < self._grace_s else set()

    def failures(self, rooms: Collection[UUID], within_s: float) -> int:
        """How often media did not come about in these rooms lately, as far as is remembered."""
        return self._counts.failures(rooms, within_s)

    async def stats(self) -> Stats | None:
        """What the workers together count since their start; None when one does not answer."""
        return await self._counts.stats(lambda: self._link.send(StatsAsk()))

    def acknowledge(self, stored: SegmentStored | TakeStored) -> None:
        """Tell the workers that something of a recording is in the index."""
        self._link.send(stored)

    def _make(self, room_id: UUID, plan: Plan) -> Room:
        """A room new to this process; whoever does not come has media of an earlier one no more."""
        room = self._rooms[room_id] = Room(plan)
        self._closing.discard(room_id)
        for card in plan.cards:
            seat = room.seats[card.person_id] = Seat(card)
            self._expect(room_id, seat)
        return room

    def _expect(self, room_id: UUID, seat: Seat) -> None:
        """Wait for a page for as long as the grace is."""
        seat.left_s = asyncio.get_running_loop().time()
        self._forget_in(self._grace_s, room_id, seat)

    def _forget_in(self, seconds: float, room_id: UUID, seat: Seat) -> None:
        loop = asyncio.get_running_loop()
        seat.leaving = loop.call_later(seconds, self._late, room_id, seat)

    def _late(self, room_id: UUID, seat: Seat) -> None:
        """The grace is over; a socket starves on a line over which a voice still comes."""
        if seat.held():
            self._forget_in(_HELD_AGAIN_S, room_id, seat)
        else:
            self._forget(room_id, seat.card.person_id)

    def _forget(self, room_id: UUID, person_id: UUID) -> None:
        room = self._rooms[room_id]
        seat = room.seats[person_id]
        shown = seat.state()
        seat.stay()
        seat.tab, seat.has, seat.step = None, None, None
        seat.transports, seat.arriving = set(), frozenset()
        self._link.send(Leave(str(room_id), str(person_id)))
        if room.empty:
            self.close(room_id)
        elif seat.state() != shown:
            self._presence(room_id)

    def _next_version(self) -> int:
        # A clock in microseconds: grows over restarts of ours, and over several processes.
        self._version = max(self._version + 1, time.time_ns() // 1000)
        return self._version

    def _state(self, room_id: UUID) -> None:
        self._link.send(self._rooms[room_id].state(room_id, self._next_version()))

    def _presence(self, room_id: UUID) -> None:
        self._rooms[room_id].tell_presence()

    def _join(self, room_id: UUID, seat: Seat) -> None:
        join = seat.join(room_id)
        if join is not None:
            self._link.send(join)

    def _up(self, worker_id: str) -> None:
        closing, self._closing = self._closing, set()
        for room_id in closing:
            self.close(room_id)
        for room_id, room in self._rooms.items():
            if self._link.worker_of(str(room_id)) != worker_id:
                continue
            told = room.away
            if not room.found(worker_id):
                room.tell(*(_encode(each) for each in (MediaAway(), MediaBack())[told:]))
            self._state(room_id)
            for seat in room.seats.values():
                self._join(room_id, seat)

    def _down(self) -> None:
        for room_id, room in self._rooms.items():
            if self._link.worker_of(str(room_id)) is None:
                self._miss(room_id, room)

    def _miss(self, room_id: UUID, room: Room) -> None:
        """Say that media are away, unless only the link broke and is there again in a moment."""
        if room.missing is None and not room.away:
            loop = asyncio.get_running_loop()
            room.missing = loop.call_later(_AWAY_AFTER_S, self._away, room_id, room)

    def _away(self, room_id: UUID, room: Room) -> None:
        room.missing, room.away, room.speaking = None, True, None
        for seat in room.seats.values():
            seat.arriving = frozenset()
        room.tell(_encode(MediaAway()))
        self._presence(room_id)

    def _heard(self, message: FromWorker) -> None:
        if isinstance(message, Stats):
            self._counts.heard(message, self._link.workers)
        else:
            self._news.heard(message)

    def _doubt(self, room_id: UUID) -> None:
        """A worker has a room of before our start: nobody else would ever end it."""
        if room_id not in self._unclaimed:
            loop = asyncio.get_running_loop()
            self._unclaimed[room_id] = loop.call_later(_UNCLAIMED_S, self._unclaim, room_id)

    def _unclaim(self, room_id: UUID) -> None:
        del self._unclaimed[room_id]
        if room_id not in self._rooms:
            self.close(room_id)

    def _seat(self, room_id: UUID, person_id: UUID) -> Seat | None:
        room = self._rooms.get(room_id)
        return room.seats.get(person_id) if room else None
