"""Lessons with a page open in this process: each is read once when it changes, and told to all.

What is the same for everybody in the room costs one reading a process and not one a tab. A desk
looks by itself every few seconds too: what another process or the clock changed is seen late, but
it is seen.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from api.lesson_rooms import Seating, plans
from api.live import Close, Tab
from api.logs import error_fields, log
from api.media_room import Plan
from api.socket_messages import ChatTold, LessonTold, SlideShown
from eschool import chat, groups, hands, lesson_room, takes
from eschool.lesson_room import LessonRoom
from eschool.lessons import LessonSide, LessonState
from people.facts import ChatSaid, SlideTurned
from people.policy import Actor
from people.refused import NotFound
from rtc.messages import Recording
from storage.db_errors import is_away

if TYPE_CHECKING:
    from api.house import House

LOOK_AGAIN_S = 3.0
RETRY_S = 1.0
READ_AGAIN = 3  # times, when slides are turned during the reading
# So long the floor waits for a holder whose page is gone.
FLOOR_WAITS_S = 5.0
# So many messages are told before the room is looked at again: the lock waits for no chat.
CHAT_A_ROUND = 20

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Viewer:
    """Who looks through a tab; `actor` is renewed by the tab's own look at its rights."""

    person_id: UUID
    side: LessonSide
    actor: Actor


class Desk:
    """One lesson: who looks at it here, and how it stood when it was last read."""

    def __init__(self, house: "House", lesson_id: UUID) -> None:
        self.lesson_id = lesson_id
        self.viewers: dict[Tab, Viewer] = {}
        self.room: LessonRoom | None = None
        self.seating = Seating(house.media, lesson_id)
        self._house = house
        self._changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._told: LessonRoom | None = None
        self._turns = 0  # slides turned since the desk was set up
        self._over: list[UUID] | None = None  # rooms of groups that are no more, not closed yet
        self._expiry: asyncio.TimerHandle | None = None  # of the groups
        self._absent: tuple[UUID, asyncio.TimerHandle] | None = None
        self._gone: UUID | None = None  # the holder whose time is up
        self._said: dict[UUID, UUID] = {}  # messages to tell → who wrote them
        self.task = asyncio.create_task(self._run())

    @property
    def plan(self) -> Plan:
        """The plan of the class."""
        return self.seating.plans[self.lesson_id]

    @property
    def idle(self) -> bool:
        """Nobody looks, nothing is waited for, nothing is recorded."""
        recorded = self.room is not None and self.room.recording.on
        return not (self.viewers or self._absent or self._gone or recorded)

    def changed(self) -> None:
        """Something was committed: read again."""
        self._changed.set()

    def said(self, fact: ChatSaid) -> None:
        """A message is new, or was decided upon."""
        self._said[fact.message_id] = fact.person_id
        self._changed.set()

    def turned(self, fact: SlideTurned) -> None:
        """Another page is shown: told from the fact itself; only a new deck needs a reading."""
        self._tell(SlideShown(deck_id=fact.deck_id, page=fact.page, at=fact.at))
        self._turns += 1
        slide = self.room.slide if self.room else None
        if self.room is None or slide is None or slide.deck_id != fact.deck_id:
            self._changed.set()
            return
        now_shown = msgspec.structs.replace(slide, page=fact.page)
        self.room = msgspec.structs.replace(self.room, slide=now_shown)
        if self._told is not None:
            self._told = msgspec.structs.replace(self._told, slide=now_shown)

    @property
    def present(self) -> set[UUID]:
        """Everybody whose page is open or whose media arrive."""
        here = {viewer.person_id for viewer in self.viewers.values()}
        return here | self.seating.present()

    def enter(self, tab: Tab, viewer: Viewer) -> None:
        """A page looks at the lesson from now on."""
        self.viewers[tab] = viewer
        self._mind_holder()
        if self.room is None or self.room.recording.on:
            self._changed.set()  # whoever comes may not have agreed to be recorded

    def leave(self, tab: Tab) -> None:
        """A page looks no more."""
        self.viewers.pop(tab, None)
        self.seating.forget(tab)
        self._mind_holder()
        self._changed.set()

    async def ready(self, person_id: UUID) -> LessonRoom:
        """The room, read at least once, with a plan that names this person."""
        async with self._reading:
            if self.room is None or self.plan.card(person_id) is None:
                await self._read()
        if self.room is None or self.plan.card(person_id) is None:
            raise NotFound
        return self.room

    def close(self) -> None:
        """Wait for nothing any more."""
        self.task.cancel()
        if self._expiry:
            self._expiry.cancel()
        if self._absent:
            self._absent[1].cancel()

    async def _run(self) -> None:
        """Do what is asked; then look again by itself. Ends when nobody is left."""
        while not self.idle or self._changed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._changed.wait()
            self._changed.clear()
            for step in (self._drop, self._look, self._tell_chat):
                await self._try(step)
        self._house.lessons.forget(self)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except NotFound:
            return
        except Exception as error:  # noqa: BLE001 - a desk must outlive whatever it meets
            if not is_away(error):
                log.error("lesson", **error_fields(error))
                return
            await asyncio.sleep(RETRY_S)
            self._changed.set()

    async def _look(self) -> None:
        async with self._reading:
            await self._read()

    async def _mind_consents(self) -> set[UUID]:
        """Record nothing while somebody has not agreed: the worker hears of it first.

        Gives of whom that is sure.
        """
        present = self.present
        async with self._house.transaction("/ws/lessons") as db:
            now = self._house.clock()
            if "recording" not in self._house.media.features:
                await takes.end_take(db, self.lesson_id, now)  # of which nothing would be kept
                return present
            away = self._house.media.expected(self.lesson_id)
            if away is None:
                away = {one.id for one in await lesson_room.roster(db, self.lesson_id, now)}
            paused = await takes.mind_consents(db, self.lesson_id, present, now, expected=away)
        if paused and self.plan.recording is not None:
            unrecorded = replace(self.plan, recording=None)
            self.seating.plans[self.lesson_id] = unrecorded
            self._house.media.replan(self.lesson_id, unrecorded)
        return present

    async def _read(self) -> None:
        minded = await self._mind_consents()
        for _ in range(READ_AGAIN):
            turns = self._turns
            now = self._house.clock()
            async with self._house.transaction("/ws/lessons") as db:
                room = await lesson_room.room(db, self.lesson_id, now)
                wanted = await self._plans(db, room, now)
            if turns == self._turns:
                break
            # The slide told meanwhile may be newer than the one read: no page leafs back.
        self.room = room
        if room.recording.on and not self.present <= minded:
            self._changed.set()  # who came during the reading may not have agreed
        over, self._over = self._over or [], []
        people = {tab: viewer.person_id for tab, viewer in self.viewers.items()}
        self.seating.follow(wanted, people, over)  # a page that is told has its new seat
        if room != self._told:
            self._told = room
            self._tell(LessonTold(room=room))
        if room.state is LessonState.ENDED:
            self.seating.close()
            for tab in self.viewers:
                tab.end(Close.FORBIDDEN)  # after what it was told
        self._mind_time(room, now)
        self._mind_holder()

    async def _plans(self, db: AsyncSession, room: LessonRoom, now: datetime) -> dict[UUID, Plan]:
        if self._over is None:  # an earlier process may have left some to a worker
            self._over = await groups.rooms_over(db, self.lesson_id, now)
        grants = await lesson_room.grants(db, self.lesson_id, now)
        roster = await lesson_room.roster(db, self.lesson_id, now)
        take = await takes.current_take(db, self.lesson_id) if room.recording.on else None
        recording = None
        if take:
            recording = Recording(str(take.id), take.started_at.timestamp(), take.base_ms)
        return plans(self.lesson_id, room, roster, grants, recording)

    def _mind_time(self, room: LessonRoom, now: datetime) -> None:
        """Look again when the groups' time is over, to the moment."""
        if self._expiry:
            self._expiry.cancel()
            self._expiry = None
        if room.groups is not None:
            left_s = (room.groups.ends_at - now).total_seconds()
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(0.0, left_s), self._changed.set)

    def _mind_holder(self) -> None:
        """Count the seconds while the floor's holder has no page here."""
        floor = self.room.floor if self.room else None
        here = {viewer.person_id for viewer in self.viewers.values()}
        absent = floor.person.id if floor and floor.person.id not in here else None
        if self._gone in here:
            self._gone = None  # he came back before his floor could be dropped
        if self._absent and self._absent[0] != absent:
            self._absent[1].cancel()
            self._absent = None
        if absent and self._absent is None and self._gone is None:
            loop = asyncio.get_running_loop()
            self._absent = (absent, loop.call_later(FLOOR_WAITS_S, self._time_is_up, absent))

    def _time_is_up(self, person_id: UUID) -> None:
        self._absent, self._gone = None, person_id
        self._changed.set()

    async def _drop(self) -> None:
        gone = self._gone
        if gone is None:
            return
        async with self._house.transaction("/ws/lessons") as db:
            await hands.drop(db, self.lesson_id, gone, self._house.clock())
        self._gone = None
        self._house.media.send_away(self.lesson_id, gone)

    async def _tell_chat(self) -> None:
        """Tell what was said; a message waits here while the database is away."""
        for message_id, author_id in list(self._said.items())[:CHAT_A_ROUND]:
            # What is decided about it meanwhile is told by the next round.
            self._said.pop(message_id, None)
            try:
                await self._tell_message(message_id, author_id)
            except Exception as error:
                if is_away(error):
                    self._said.setdefault(message_id, author_id)
                raise
        if self._said:
            self._changed.set()

    async def _tell_message(self, message_id: UUID, author_id: UUID) -> None:
        """Judge a message once for each distinct view: who leads, who wrote it, the class."""
        views: dict[tuple[LessonSide, bool], list[tuple[Tab, Viewer]]] = {}
        for tab, viewer in self.viewers.items():
            view = (viewer.side, viewer.person_id == author_id)
            views.setdefault(view, []).append((tab, viewer))
        now = self._house.clock()
        async with self._house.transaction("/ws/lessons") as db:
            for looking in views.values():
                for n, (_, viewer) in enumerate(looking):
                    message = await chat.message_for(
                        db, viewer.actor, self.lesson_id, message_id, now
                    )
                    if message is not None:
                        told = _encode(ChatTold(message=message))
                        # Those before him may see nothing here any more.
                        for tab, _ in looking[n:]:
                            tab.tell(told)
                        break

    def _tell(self, message: msgspec.Struct) -> None:
        encoded = _encode(message)
        for tab in self.viewers:
            tab.tell(encoded)


class Desks:
    """The desks of this process."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._desks: dict[UUID, Desk] = {}

    async def __aenter__(self) -> Self:
        self._resuming = asyncio.create_task(self._resume())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resuming.cancel()
        desks = list(self._desks.values())
        for desk in desks:
            desk.close()
        tasks = (self._resuming, *(desk.task for desk in desks))
        await asyncio.gather(*tasks, return_exceptions=True)

    def enter(self, lesson_id: UUID, tab: Tab, viewer: Viewer) -> Desk:
        """Let a page look at a lesson."""
        desk = self._desk(lesson_id)
        desk.enter(tab, viewer)
        return desk

    def changed(self, lesson_id: UUID) -> None:
        """A lesson is to be read again, also one nobody looks at: the worker may hold its room."""
        self._desk(lesson_id).changed()

    def person_changed(self, person_id: UUID) -> None:
        """A right or consent of somebody changed: the lessons he looks at are read again."""
        for desk in self._desks.values():
            if person_id in desk.present:
                desk.changed()

    def present(self, lesson_id: UUID) -> set[UUID]:
        """Who is in a lesson, as far as this process knows."""
        desk = self._desks.get(lesson_id)
        return desk.present if desk else self._house.media.present(lesson_id)

    def rooms(self, lesson_id: UUID) -> list[UUID]:
        """The rooms of a lesson: the class, and its groups while it is divided."""
        desk = self._desks.get(lesson_id)
        return list(desk.seating.plans) if desk else [lesson_id]

    def of(self, lesson_id: UUID) -> Desk | None:
        """The desk of a lesson somebody looks at here."""
        return self._desks.get(lesson_id)

    def forget(self, desk: Desk) -> None:
        """Nobody looks at that lesson any more."""
        if self._desks.get(desk.lesson_id) is desk:
            del self._desks[desk.lesson_id]

    def _desk(self, lesson_id: UUID) -> Desk:
        desk = self._desks.get(lesson_id)
        if desk is None:
            desk = self._desks[lesson_id] = Desk(self._house, lesson_id)
        return desk

    async def _resume(self) -> None:
        """Mind what an earlier process was recording: its pages may never come back."""
        while True:
            try:
                async with self._house.transaction("/ws/lessons") as db:
                    recorded = await takes.unstopped(db)
            except Exception as error:  # noqa: BLE001 - a start must not fail for it
                if not is_away(error):
                    log.error("lesson", **error_fields(error))
                    return
                await asyncio.sleep(RETRY_S)
            else:
                for lesson_id in recorded:
                    self.changed(lesson_id)
                return
