"""/ws/lessons/ID: the page of a lesson: media signalling, presence, the room as it changes.

Acts go by HTTP; here is only what has to come at once. The room is read by the lesson's desk.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import websocket
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api import live, page_socket, sockets
from api.house import House
from api.lesson_desk import Desk, Viewer
from api.live import Close, Hint
from api.page_socket import Page
from api.socket_messages import LESSON_ACTS, Hello, LessonPageMessage, LessonWelcome
from api.sockets import Socket
from eschool import slides
from eschool.lesson_room import LessonSeat, require_join
from eschool.lessons import LessonNotRunning
from eschool.slides import Deck
from people.policy import Act
from people.refused import Refused

# Ends after which the page cannot come back: its media have no grace.
_FOR_GOOD = frozenset({Close.NOT_SIGNED_IN, Close.FORBIDDEN, Close.NOT_FOUND})


@websocket("/ws/lessons/{lesson_id:uuid}", act=Act.JOIN_LESSON, hello_names_actor=True)
async def lesson_socket(
    socket: Socket, lesson_id: FromPath[UUID], house: NamedDependency[House]
) -> None:
    """The socket of a lesson's page."""

    def page(hello: Hello) -> Page:
        return _LessonPage(socket, house, lesson_id, hello)

    await page_socket.serve(socket, house, _LessonPage.route, page)


class _LessonPage(Page):
    """One open page of a lesson."""

    route = "/ws/lessons"
    messages = LessonPageMessage
    acts = LESSON_ACTS
    rights = Hint.LESSON

    def __init__(self, socket: Socket, house: House, room_id: UUID, hello: Hello) -> None:
        super().__init__(socket, house, room_id, hello)
        self.seat: LessonSeat
        self.deck: Deck | None = None
        self.viewer: Viewer
        self.desk: Desk | None = None

    @property
    def channel(self) -> str:
        return live.lesson(self.room_id)

    async def enter(self, db: AsyncSession) -> None:
        actor, now = self.caller.actor, self.opened_at
        self.seat = await require_join(db, actor, self.room_id, now)
        self.thing = self.seat.thing
        self.viewer = Viewer(self.caller.person_id, self.seat.my_side, actor)
        self.deck = await slides.deck(db, actor, self.room_id, now)

    async def welcome(self) -> None:
        media, me = self.house.media, self.caller.person_id
        self.desk = self.house.lessons.enter(self.room_id, self.tab, self.viewer)
        room = await self.desk.ready(me)
        self.desk.seating.seat(self.tab, me, list(self.hello.resume))
        await self.send(
            LessonWelcome(
                you=me,
                resume_token=self.way_back(),
                ice_servers=self.ice_servers(),
                side=self.seat.my_side,
                members=media.members(self.seated_in),
                room=room,
                deck=self.deck,
                server_time=self.house.clock(),
            )
        )

    @property
    def seated_in(self) -> UUID:
        return self.desk.seating.place(self.tab) if self.desk else self.room_id

    def left(self) -> None:
        media, me = self.house.media, self.caller.person_id
        if self.tab.ended in _FOR_GOOD:
            media.dismiss(self.seated_in, me, self.tab)
        else:
            media.leave(self.seated_in, me, self.tab)
        if self.desk:
            self.desk.leave(self.tab)

    async def judge(self, db: AsyncSession, now: datetime) -> None:
        self.seat = await require_join(db, self.caller.actor, self.room_id, now)
        self.thing = self.seat.thing
        self.viewer.actor, self.viewer.side = self.caller.actor, self.seat.my_side

    async def look(self, db: AsyncSession, hints: set[Hint], now: datetime) -> None:
        """Nothing: what everybody sees alike is the desk's business."""

    async def expel(self, _: AsyncSession, why: Refused, __: datetime) -> Close:
        self.house.media.dismiss(self.seated_in, self.caller.person_id, self.tab)
        if isinstance(why, LessonNotRunning):
            return Close.FORBIDDEN
        return sockets.ended_by(why).why


ROUTES: list[Any] = [lesson_socket]
