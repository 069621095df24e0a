"""/ws/visits/ID: the page of a visit: media signalling, presence, readings and the trace."""

from collections import deque
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import websocket
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api import live, page_socket, sockets
from api.house import House
from api.live import Close, Hint
from api.media_room import Card, Plan
from api.page_socket import Page
from api.socket_messages import (
    ACTS,
    FilesChanged,
    Hello,
    MediaKind,
    ReadingMade,
    StreamOpened,
    StripsChanged,
    VisitChanged,
    VisitPageMessage,
    Welcome,
)
from api.sockets import Socket
from people.policy import Act, Thing, may
from people.refused import Forbidden, Refused
from telemed.ecg import EcgStreamInfo, visit_ecg
from telemed.readings import Reading, visit_readings
from telemed.visits import READINGS_BEFORE, Visit, VisitState, get_visit, require_join

# Of a catch-up only so many readings wait at once: what must arrive has a short queue.
READINGS_WAITING = 100


@websocket("/ws/visits/{visit_id:uuid}", act=Act.JOIN_VISIT, hello_names_actor=True)
async def visit_socket(
    socket: Socket, visit_id: FromPath[UUID], house: NamedDependency[House]
) -> None:
    """The socket of a visit's page."""

    def page(hello: Hello) -> Page:
        return _VisitPage(socket, house, visit_id, hello)

    await page_socket.serve(socket, house, _VisitPage.route, page)


class _VisitPage(Page):
    """One open page of a visit."""

    route = "/ws/visits"
    messages = VisitPageMessage
    acts = ACTS
    rights = Hint.VISIT

    def __init__(self, socket: Socket, house: House, room_id: UUID, hello: Hello) -> None:
        super().__init__(socket, house, room_id, hello)
        self.visit: Visit
        self.found: list[EcgStreamInfo] = []
        self.streams: set[UUID] = set()
        self.last_reading: UUID | None = None
        self.sent: set[UUID] = set()
        self.unsent: deque[Reading] = deque()

    @property
    def channel(self) -> str:
        return live.visit(self.room_id)

    async def enter(self, db: AsyncSession) -> None:
        visit = await require_join(db, self.caller.actor, self.room_id, self.opened_at)
        self.visit = visit
        self.thing = Thing(
            subject_id=visit.patient.id, organisation_id=visit.organisation.id, about=(visit.id,)
        )
        self.found = await visit_ecg(db, self.caller.actor, self.room_id, self.opened_at)
        self.streams = {info.stream for info in self.found}

    async def welcome(self) -> None:
        self._hear_patient(self.opened_at)
        media, mine = self.house.media, self._card(self.visit)
        other = Card(
            person_id=self.visit.other.id,
            name=self.visit.other.name,
            side="patient" if mine.side == "doctor" else "doctor",
            grants=mine.grants,
            watches=mine.watches,
        )
        media.enter(self.room_id, mine, Plan((mine, other)), self.tab, list(self.hello.resume))
        self.house.vitals.follow(self.visit.patient.id, self.room_id)
        await self.send(
            Welcome(
                you=self.caller.person_id,
                resume_token=self.way_back(),
                ice_servers=self.ice_servers(),
                members=media.members(self.room_id),
                streams=self.found,
                server_time=self.house.clock(),
            )
        )

    def left(self) -> None:
        if self.tab.ended is Close.NOT_SIGNED_IN:
            self._ungrant()  # the grace is for pages that may come back
        self.house.media.leave(self.room_id, self.caller.person_id, self.tab)
        self.house.vitals.part(self.visit.patient.id, self.room_id)

    async def judge(self, db: AsyncSession, now: datetime) -> None:
        visit = await require_join(db, self.caller.actor, self.room_id, now)
        before, self.visit = self.visit.state, visit
        self._hear_patient(now)
        self.house.media.regrant(self.room_id, self._card(visit), self.tab)
        if visit.state != before:
            self.tell(VisitChanged(state=visit.state))

    async def look(self, db: AsyncSession, hints: set[Hint], now: datetime) -> None:
        if Hint.STREAMS in hints:
            await self._new_streams(db, now)
        if Hint.READINGS in hints:
            await self._new_readings(db, now)
        if Hint.FILES in hints:
            self.tell(FilesChanged())
        if Hint.STRIPS in hints:
            self.tell(StripsChanged())

    async def expel(self, db: AsyncSession, why: Refused, now: datetime) -> Close:
        self._ungrant()
        if isinstance(why, Forbidden):
            visit = await get_visit(db, self.caller.actor, self.room_id, now)
            if visit.state != self.visit.state:
                self.tell(VisitChanged(state=visit.state))
        return sockets.ended_by(why).why

    def _hear_patient(self, now: datetime) -> None:
        """Hear the patient's live data just while, and as far back as, the store would show it."""
        channel, hears = live.patient(self.visit.patient.id), self.house.live
        begins = self.tab.shows_from = self.visit.starts_at - READINGS_BEFORE
        if (
            now < begins
            or self.visit.state is VisitState.CLOSED
            or not may(self.caller.actor, Act.SEE_VISIT_ECG, self.thing, now)
        ):
            hears.part(self.tab, channel)
        elif self.tab not in hears.on(channel):
            hears.join(self.tab, [channel])
            # What was stored between the look into the store and the joining of the channel.
            self.tab.hint(Hint.READINGS)
            self.tab.hint(Hint.STREAMS)

    def _card(self, visit: Visit) -> Card:
        mine = visit.doctor if visit.my_side == "doctor" else visit.patient
        grants = cast("tuple[MediaKind, ...]", tuple(visit.grants))
        return Card(mine.id, mine.name, visit.my_side.value, grants, watches=bool(grants))

    def _ungrant(self) -> None:
        nothing = msgspec.structs.replace(self.visit, grants=[])
        self.house.media.regrant(self.room_id, self._card(nothing), self.tab)

    async def _new_streams(self, db: AsyncSession, now: datetime) -> None:
        for info in await visit_ecg(db, self.caller.actor, self.room_id, now):
            if info.stream not in self.streams:
                self.streams.add(info.stream)
                self.tell(StreamOpened(stream=info))

    async def _new_readings(self, db: AsyncSession, now: datetime) -> None:
        """Send readings not sent yet; the page itself reads those from before it opened."""
        caught_up = not self.unsent
        if caught_up:
            await self._find_readings(db, now)
        while self.unsent and self.tab.waiting < READINGS_WAITING:
            self.tell(ReadingMade(reading=self.unsent.popleft()))
        if self.unsent or not caught_up:
            # The rest, and then what was stored while it waited.
            self.tab.hint_when_sent(Hint.READINGS)

    async def _find_readings(self, db: AsyncSession, now: datetime) -> None:
        found = await visit_readings(db, self.caller.actor, self.room_id, self.last_reading, now)
        for reading in found:
            if reading.id not in self.sent and reading.received_at >= self.opened_at:
                self.sent.add(reading.id)
                self.unsent.append(reading)
        newest = max(found, key=lambda reading: reading.received_at, default=None)
        self.last_reading = newest.id if newest else self.last_reading


ROUTES: list[Any] = [visit_socket]
