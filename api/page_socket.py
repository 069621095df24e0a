"""What the sockets of a visit's and a lesson's page share: judging, looking again, ending.

Three tasks a socket: one reads and judges the page's messages, one sends what waits, one looks
again at what a hint says has changed, and every few seconds at whether the page may still be here.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from api import live, sockets
from api.house import House
from api.ice_servers import IceServer, ice_servers
from api.live import Close, Hint, Tab
from api.media_room import Has
from api.problems import read_json
from api.socket_messages import (
    Answered,
    FromPage,
    Hello,
    MediaReady,
    MediaReport,
    Mute,
    Ping,
    Pong,
    RestartMedia,
    SignedOut,
    SocketProblem,
    WayBack,
)
from api.sockets import GONE, Ended, Socket
from api.way_in import keep_refusal, let_in
from people.policy import Act, Thing, require
from people.refused import Forbidden, NotSignedIn, Refused
from people.relations import actor_of
from people.resumes import promise
from people.sessions import Caller, session_alive, touch
from people.tickets import BadWayIn
from storage.db_errors import is_away

LOOK_AGAIN_S = 3.0
TOUCH_EVERY_S = 60.0
# A third of what a way back lives: a page that is lost has had one for two minutes at most.
RENEW_EVERY_S = 60.0
RETRY_S = 1.0

# Ends after which a page comes back: what it sends and sees goes on meanwhile.
_LOST = frozenset({None, Close.BUSY, Close.FAILED})

_CODES = {Close.NOT_SIGNED_IN: "signed_out", Close.FORBIDDEN: "forbidden", Close.BUSY: "busy"}

_encode = msgspec.json.Encoder().encode


class Page(ABC):
    """One open page of a room: a visit or a lesson."""

    route: ClassVar[str]
    messages: ClassVar[Any]  # what the page may say
    acts: ClassVar[Mapping[type, Act]]
    rights: ClassVar[Hint]  # the hint that asks for a look at the right to be here

    def __init__(self, socket: Socket, house: House, room_id: UUID, hello: Hello) -> None:
        self.socket = socket
        self.house = house
        self.room_id = room_id
        self.hello = hello
        self.tab = Tab()
        self.opened_at = house.clock()
        self.caller: Caller
        self.thing: Thing
        self._touched_s = 0.0
        self._renewed_s = 0.0

    @property
    def seated_in(self) -> UUID:
        """The room whose media the page has: the one it is a page of, if nothing else is said."""
        return self.room_id

    @property
    @abstractmethod
    def channel(self) -> str:
        """The channel of the room."""

    @abstractmethod
    async def enter(self, db: AsyncSession) -> None:
        """Judge whether the caller may be here, and read what the welcome needs."""

    @abstractmethod
    async def welcome(self) -> None:
        """Take the seat and answer the hello."""

    @abstractmethod
    async def judge(self, db: AsyncSession, now: datetime) -> None:
        """Look whether the caller may still be here. Raises Refused."""

    @abstractmethod
    async def look(self, db: AsyncSession, hints: set[Hint], now: datetime) -> None:
        """Look again at what else the hints name. Raises Refused."""

    @abstractmethod
    async def expel(self, db: AsyncSession, why: Refused, now: datetime) -> Close:
        """End at once what the page sends and sees; the code to end the tab with."""

    @abstractmethod
    def left(self) -> None:
        """The socket is gone."""

    async def run(self) -> None:
        """Look at the way in, welcome the page, serve it until it goes or must go."""
        try:
            async with self.house.transaction(self.route) as db:
                self.caller = await let_in(db, self.house, self.socket, self.hello, self.room_id)
                await self.enter(db)
        except BadWayIn as bad:
            await keep_refusal(self.house, bad, self.acts[Hello], self.room_id, self.route)
            raise
        own = (live.session(self.caller.session_id), live.person(self.caller.person_id))
        self.house.live.join(self.tab, [self.channel, *own])
        # What was taken away between the judging and the joining gave no hint that was heard.
        self.tab.hint(self.rights)
        try:
            await self.welcome()
            self.house.watch.greet(self.tab)
            await sockets.first_ended(
                asyncio.create_task(self._read()),
                asyncio.create_task(self._look()),
                asyncio.create_task(sockets.send_out(self.socket, self.tab)),
            )
        finally:
            self.house.live.leave(self.tab)
            seated_in = self.seated_in
            self.left()
            if self.tab.ended in _LOST:
                self.house.stays.keep(self, seated_in)
        if self.tab.ended:
            raise Ended(self.tab.ended, _CODES.get(self.tab.ended, ""))

    def way_back(self) -> str:
        """A token by which this page, and no other, comes in again after its socket was lost."""
        self._renewed_s = asyncio.get_running_loop().time()
        now = self.house.clock()
        return promise(self.house.resume_key, self.caller, self.room_id, self.hello.tab, now)

    def ice_servers(self) -> list[IceServer]:
        """The TURN server with credentials of now, for who may be here and nobody else."""
        return ice_servers(self.house.settings, self.house.clock())

    async def may_stay(self) -> bool:
        """Look at the right of a page without a socket; what it may send and see follows it."""
        now = self.house.clock()
        async with self.house.transaction(self.route) as db:
            try:
                alive = await session_alive(db, self.caller.session_id, now)
                await self._judge_anew(db, now, alive=alive)
            except Refused:
                return False
        return True

    async def send(self, message: msgspec.Struct) -> None:
        """Send before everything that waits: the welcome."""
        await self.socket.send_data(_encode(message), mode="text")

    def tell(self, message: msgspec.Struct) -> None:
        """Queue a message that must arrive."""
        self.tab.tell(_encode(message))

    async def _read(self) -> None:
        allowance = sockets.Allowance()
        while True:
            data = await sockets.receive(self.socket)
            allowance.spend()
            try:
                message: FromPage = read_json(data, self.messages)
                now = self.house.clock()
                require(self.caller.actor, self.acts[type(message)], self.thing, now)
            except Refused as refused:
                self.tell(SocketProblem(code=refused.code))
                if isinstance(refused, Forbidden):
                    await self.house.forbidden(refused, self.route)
            else:
                self._do(message)

    def _do(self, message: FromPage) -> None:
        media, where, who = self.house.media, self.seated_in, self.caller.person_id
        match message:
            case MediaReady(resume=resume):
                media.ready(where, who, has(message), resume)
            case Answered(transport=transport, sdp=sdp):
                media.answer(where, who, transport, sdp)
            case RestartMedia(transport=transport):
                media.restart(where, who, transport)
            case Mute(kind=kind, muted=muted):
                media.mute(where, who, kind, muted=muted)
            case MediaReport():
                self.house.calls.reported(where, who, message)
            case Ping(n=n):
                self.tell(Pong(n=n))
            case Hello():
                self.tell(SocketProblem(code="malformed_body"))

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
                hints.add(self.rights)  # also when other hints never leave a pause
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
                if self.rights in hints:
                    judge_at_s = loop.time() + LOOK_AGAIN_S

    async def _look_at(self, hints: set[Hint]) -> None:
        now = self.house.clock()
        async with self.house.transaction(self.route) as db:
            try:
                if self.rights in hints:
                    await self._still_here(db, now)
                await self.look(db, hints, now)
            except Refused as refused:
                self.tab.end(await self.expel(db, refused, now))

    async def _still_here(self, db: AsyncSession, now: datetime) -> None:
        loop_s = asyncio.get_running_loop().time()
        session_id = self.caller.session_id
        if loop_s - self._touched_s > TOUCH_EVERY_S:
            # An open room is no idling, though no request is made.
            alive, self._touched_s = await touch(db, session_id, now), loop_s
        else:
            alive = await session_alive(db, session_id, now)
        await self._judge_anew(db, now, alive=alive)
        if loop_s - self._renewed_s > RENEW_EVERY_S:
            self.tell(WayBack(resume_token=self.way_back(), ice_servers=self.ice_servers()))

    async def _judge_anew(self, db: AsyncSession, now: datetime, *, alive: bool) -> None:
        actor = await actor_of(db, self.caller.person_id, now)
        if not alive:
            raise NotSignedIn
        self.caller = msgspec.structs.replace(self.caller, actor=actor)
        await self.judge(db, now)


def has(ready: MediaReady) -> Has:
    """The kinds a page says it has to publish."""
    return frozenset(kind for kind in ("audio", "video", "screen") if getattr(ready, kind))


async def serve(socket: Socket, house: House, route: str, page: Callable[[Hello], Page]) -> None:
    """Serve a page's socket from its hello to its close code."""
    why = Close.GONE
    try:
        hello = await sockets.open_socket(socket, house, Hello)
        await page(hello).run()
    except Ended as end:
        why = end.why
        await _last_words(socket, end)
    except GONE:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it was, the page is told and comes back
        failed = sockets.ended_by(error)
        why = failed.why
        await _last_words(socket, failed)
    await sockets.close(socket, why, route=route)


async def _last_words(socket: Socket, end: Ended) -> None:
    message = SignedOut() if end.code == "signed_out" else SocketProblem(code=end.code)
    try:
        if end.code:
            await socket.send_data(_encode(message), mode="text")
    except (*GONE, RuntimeError):
        return
