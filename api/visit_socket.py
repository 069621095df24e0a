"""/ws/visits/ID: the page of a visit: media signalling, presence, readings and the trace.

Three tasks a socket: one reads and judges the page's messages, one sends what waits, one looks
again at what a hint says has changed, and every few seconds at whether the page may still be here.
"""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import websocket
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api import live, sockets
from api.house import House
from api.live import Close, Hint, Tab
from api.media import Card, Kind
from api.problems import read_json
from api.socket_messages import (
    ACTS,
    Answered,
    Hello,
    MediaReady,
    Mute,
    Ping,
    Pong,
    ReadingMade,
    RestartMedia,
    SignedOut,
    SocketProblem,
    StreamOpened,
    VisitChanged,
    VisitPageMessage,
    Welcome,
)
from api.sockets import GONE, Ended, Socket
from people.policy import Act, Thing, may, require
from people.refused import Forbidden, NotSignedIn, Refused
from people.relations import actor_of
from people.sessions import Caller, session_alive, touch
from people.tickets import redeem
from storage.db_errors import is_away
from telemed.ecg import EcgStreamInfo, visit_ecg
from telemed.readings import Reading, visit_readings
from telemed.visits import READINGS_BEFORE, Visit, VisitState, get_visit, require_join

LOOK_AGAIN_S = 3.0
# Of a catch-up only so many readings wait at once: what must arrive has a short queue.
READINGS_WAITING = 100
TOUCH_EVERY_S = 60.0
RETRY_S = 1.0

_encode = msgspec.json.Encoder().encode


@websocket("/ws/visits/{visit_id:uuid}", act=Act.JOIN_VISIT, hello_names_actor=True)
async def visit_socket(
    socket: Socket, visit_id: FromPath[UUID], house: NamedDependency[House]
) -> None:
    """The socket of a visit's page."""
    why = Close.GONE
    try:
        hello = await sockets.open_socket(socket, house, Hello)
        await _Page(socket, house, visit_id, hello).run()
    except Ended as end:
        why = end.why
        await _last_words(socket, end)
    except GONE:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it was, the page is told and comes back
        failed = sockets.ended_by(error)
        why = failed.why
        await _last_words(socket, failed)
    await sockets.close(socket, why, route="/ws/visits")


async def _last_words(socket: Socket, end: Ended) -> None:
    message = SignedOut() if end.code == "signed_out" else SocketProblem(code=end.code)
    try:
        if end.code:
            await socket.send_data(_encode(message), mode="text")
    except (*GONE, RuntimeError):
        return


class _Page:
    """One open page of a visit."""

    def __init__(self, socket: Socket, house: House, visit_id: UUID, hello: Hello) -> None:
        self.socket = socket
        self.house = house
        self.visit_id = visit_id
        self.hello = hello
        self.tab = Tab()
        self.opened_at = house.clock()
        self.caller: Caller
        self.thing: Thing
        self.visit: Visit
        self.streams: set[UUID] = set()
        self.last_reading: UUID | None = None
        self.sent: set[UUID] = set()
        self.unsent: deque[Reading] = deque()
        self.touched_s = 0.0

    async def run(self) -> None:
        """Redeem the ticket, welcome the page, serve it until it goes or must go."""
        async with self.house.transaction() as db:
            self.caller = await redeem(db, self.hello.ticket, self.visit_id, self.opened_at)
            self._take(await require_join(db, self.caller.actor, self.visit_id, self.opened_at))
            streams = await visit_ecg(db, self.caller.actor, self.visit_id, self.opened_at)
        self.streams = {info.stream for info in streams}
        here = [live.visit(self.visit_id), live.session(self.caller.session_id)]
        self.house.live.join(self.tab, here)
        self._hear_patient(self.opened_at)
        try:
            await self._welcome(streams)
            await sockets.first_ended(
                asyncio.create_task(self._read()),
                asyncio.create_task(self._look()),
                asyncio.create_task(sockets.send_out(self.socket, self.tab)),
            )
        finally:
            self.house.live.leave(self.tab)
            if self.tab.ended is Close.NOT_SIGNED_IN:
                self._ungrant()  # the grace is for pages that may come back
            self.house.media.leave(self.visit_id, self.caller.person_id, self.tab)
        if self.tab.ended:
            raise Ended(self.tab.ended, _CODES.get(self.tab.ended, ""))

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

    async def _welcome(self, streams: list[EcgStreamInfo]) -> None:
        media, mine = self.house.media, self._card(self.visit)
        other = Card(
            person_id=self.visit.other.id,
            name=self.visit.other.name,
            side="patient" if mine.side == "doctor" else "doctor",
            grants=mine.grants,
        )
        media.enter(self.visit_id, mine, other, self.tab, list(self.hello.resume))
        welcome = Welcome(
            you=self.caller.person_id,
            members=media.members(self.visit_id),
            streams=streams,
            server_time=self.house.clock(),
        )
        await self.socket.send_data(_encode(welcome), mode="text")
        self.house.watch.greet(self.tab)

    def _take(self, visit: Visit) -> None:
        self.visit = visit
        self.thing = Thing(
            subject_id=visit.patient.id,
            organisation_id=visit.organisation.id,
            about=(visit.id,),
        )

    def _card(self, visit: Visit) -> Card:
        mine = visit.doctor if visit.my_side == "doctor" else visit.patient
        grants = cast("tuple[Kind, ...]", tuple(visit.grants))
        return Card(mine.id, mine.name, visit.my_side.value, grants)

    async def _read(self) -> None:
        allowance = sockets.Allowance()
        while True:
            data = await sockets.receive(self.socket)
            allowance.spend()
            try:
                message: VisitPageMessage = read_json(data, VisitPageMessage)
                require(self.caller.actor, ACTS[type(message)], self.thing, self.house.clock())
            except Refused as refused:
                self.tab.tell(_encode(SocketProblem(code=refused.code)))
            else:
                self._do(message)

    def _do(self, message: VisitPageMessage) -> None:
        media, where, who = self.house.media, self.visit_id, self.caller.person_id
        match message:
            case MediaReady(audio=audio, video=video):
                media.ready(where, who, audio=audio, video=video)
            case Answered(transport=transport, sdp=sdp):
                media.answer(where, who, transport, sdp)
            case RestartMedia(transport=transport):
                media.restart(where, who, transport)
            case Mute(kind=kind, muted=muted):
                media.mute(where, who, kind, muted=muted)
            case Ping(n=n):
                self.tab.tell(_encode(Pong(n=n)))
            case Hello():
                self.tab.tell(_encode(SocketProblem(code="malformed_body")))

    async def _look(self) -> None:
        """Look again at what a hint names, and every few seconds at the right to be here."""
        loop = asyncio.get_running_loop()
        judge_at_s = loop.time() + LOOK_AGAIN_S
        while True:
            hints: set[Hint] = set()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(judge_at_s):
                    hints = await self.tab.hints()
            if loop.time() >= judge_at_s:
                hints.add(Hint.VISIT)  # also when other hints never leave a pause
            try:
                await self._look_at(hints)
            except Exception as error:
                if not is_away(error):
                    raise
                # Nothing is missed: the same is looked at when the database is back.
                await asyncio.sleep(RETRY_S)
                for hint in hints:
                    self.tab.hint(hint)
            else:
                if Hint.VISIT in hints:
                    judge_at_s = loop.time() + LOOK_AGAIN_S

    async def _look_at(self, hints: set[Hint]) -> None:
        now = self.house.clock()
        async with self.house.transaction() as db:
            try:
                if Hint.VISIT in hints:
                    await self._still_here(db, now)
                if Hint.STREAMS in hints:
                    await self._new_streams(db, now)
                if Hint.READINGS in hints:
                    await self._new_readings(db, now)
            except Refused as refused:
                await self._expel(db, refused, now)

    async def _still_here(self, db: AsyncSession, now: datetime) -> None:
        loop_s = asyncio.get_running_loop().time()
        session_id = self.caller.session_id
        if loop_s - self.touched_s > TOUCH_EVERY_S:
            # An open visit is no idling, though no request is made.
            alive, self.touched_s = await touch(db, session_id, now), loop_s
        else:
            alive = await session_alive(db, session_id, now)
        actor = await actor_of(db, self.caller.person_id, now)
        if not alive:
            raise NotSignedIn
        self.caller = msgspec.structs.replace(self.caller, actor=actor)
        self._changed(await require_join(db, actor, self.visit_id, now), now)

    def _changed(self, visit: Visit, now: datetime) -> None:
        before, self.visit = self.visit.state, visit
        self._hear_patient(now)
        self.house.media.regrant(self.visit_id, self._card(visit), self.tab)
        if visit.state != before:
            self._tell_state(visit.state)

    async def _expel(self, db: AsyncSession, why: Refused, now: datetime) -> None:
        """End the page and, at once, what it sends and sees."""
        self._ungrant()
        if isinstance(why, Forbidden):
            visit = await get_visit(db, self.caller.actor, self.visit_id, now)
            if visit.state != self.visit.state:
                self._tell_state(visit.state)
        self.tab.end(sockets.ended_by(why).why)

    def _ungrant(self) -> None:
        nothing = msgspec.structs.replace(self.visit, grants=[])
        self.house.media.regrant(self.visit_id, self._card(nothing), self.tab)

    def _tell_state(self, state: VisitState) -> None:
        self.tab.tell(_encode(VisitChanged(state=state)))

    async def _new_streams(self, db: AsyncSession, now: datetime) -> None:
        for info in await visit_ecg(db, self.caller.actor, self.visit_id, now):
            if info.stream not in self.streams:
                self.streams.add(info.stream)
                self.tab.tell(_encode(StreamOpened(stream=info)))

    async def _new_readings(self, db: AsyncSession, now: datetime) -> None:
        """Send readings not sent yet; the page itself reads those from before it opened."""
        caught_up = not self.unsent
        if caught_up:
            await self._find_readings(db, now)
        while self.unsent and self.tab.waiting < READINGS_WAITING:
            self.tab.tell(_encode(ReadingMade(reading=self.unsent.popleft())))
        if self.unsent or not caught_up:
            # The rest, and then what was stored while it waited.
            self.tab.hint_when_sent(Hint.READINGS)

    async def _find_readings(self, db: AsyncSession, now: datetime) -> None:
        found = await visit_readings(db, self.caller.actor, self.visit_id, self.last_reading, now)
        for reading in found:
            if reading.id not in self.sent and reading.received_at >= self.opened_at:
                self.sent.add(reading.id)
                self.unsent.append(reading)
        newest = max(found, key=lambda reading: reading.received_at, default=None)
        self.last_reading = newest.id if newest else self.last_reading


_CODES = {Close.NOT_SIGNED_IN: "signed_out", Close.FORBIDDEN: "forbidden", Close.BUSY: "busy"}
ROUTES: list[Any] = [visit_socket]
