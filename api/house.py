"""What the process holds between requests: stores, writers, live channels, media, the clock."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from api import live
from api.call_quality import CallQuality
from api.door import Door
from api.ecg_live import EcgLive
from api.films import Films
from api.hearing import Hearing
from api.keeper import Keeper
from api.known_devices import KnownDevices
from api.lesson_desk import Desks
from api.live import Live
from api.logs import error_fields, log
from api.media import Media
from api.pages import Pages
from api.provider import outside_of, provider_of
from api.reactions import react
from api.recorders import Recorders
from api.socket_messages import EcgBeats, Vitals
from api.stays import Stays
from api.vitals_watch import VitalsWatch
from api.watch import Watch
from devices.frames import EcgFrame
from people import audit, passwords
from people.facts import ORIGIN, take
from people.policy import Thing
from people.refused import Forbidden, Refused
from rtc import engine
from storage import data_keys, erasure_log
from storage.engine import close, make_engine, sessions
from storage.ingest import IngestWriter
from storage.s3 import S3Objects
from storage.secrets import secret
from storage.settings import Settings
from telemed import ecg, readings
from telemed.ecg import AppliedFrame, IncomingFrame
from telemed.readings import Applied, Incoming

# A stopped server is told from a slow one by then; no statement of a request takes as long.
DATABASE_SILENT_S = 15.0


def utc_now() -> datetime:
    """The clock of the edge; domain code is told the time."""
    return datetime.now(UTC)


class House:
    """One process's state; `async with house.open()` around its life."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.engine = make_engine(settings.database_url, silent_s=DATABASE_SILENT_S)
        self.masters = data_keys.unlock(settings.home)
        self.resume_key = secret(settings.home, "resume-tokens")
        self.hearing = Hearing(self)
        self.sessions = sessions(self.engine)
        self.sessions.configure(info={ORIGIN: self.hearing.origin})
        self.objects = S3Objects(settings)
        self.live = Live()
        self.devices = KnownDevices(self)
        self.keeper = Keeper(self)
        self.calls = CallQuality(self)
        self.media = Media(
            engine.chosen(settings),
            keep=self.keeper.take,
            came=self._came,
            quality=self.calls.heard,
        )
        self.vitals = VitalsWatch(self.media.vitals)
        self.lessons = Desks(self)
        self.stays = Stays()
        self.uploading: set[UUID] = set()  # lessons whose slides are on their way
        self.films = Films()
        self.door = Door(passwords.AT_ONCE)
        # Analyses of stored traces: one at a time, in a thread; who asks for many waits in line.
        self.analyses = Door(1)
        # ECG files that are read again: they lie on our own disk meanwhile, and one child reads
        # them and those that are looked at before they are kept.
        self.ecg_reads = Door(2, wait_s=60.0)
        self.ecg = EcgLive(self._show)
        self.recorders = Recorders(self)
        self.pages = Pages()
        self.provider = provider_of(settings)
        self.outside = outside_of(settings)
        self.watch = Watch(self.engine, self.live)
        self.readings: IngestWriter[Incoming, Applied] = IngestWriter(
            self.sessions, readings.apply, after_commit=self._stored
        )
        self.frames: IngestWriter[IncomingFrame, AppliedFrame] = IngestWriter(
            self.sessions, ecg.apply_frames, at_once=1, after_commit=self._frames_stored
        )

    @asynccontextmanager
    async def transaction(self, where: str = "-") -> AsyncIterator[AsyncSession]:
        """One transaction, committed at the end; then its facts get their reactions.

        A refusal rolls back, but for one that says its writes are kept (a counted attempt). A
        forbidden act leaves a row that says who tried it `where`.
        """
        refused: Refused | None = None
        try:
            async with self.sessions() as session, session.begin():
                try:
                    yield session
                except Refused as error:
                    if not error.keeps_writes:
                        raise
                    refused = error
        except Forbidden as forbidden:
            await self.forbidden(forbidden, where)
            raise
        self._react(session)
        if refused is not None:
            raise refused

    async def forbidden(self, tried: Forbidden, where: str) -> None:
        """Keep who tried what; it is refused all the same when that cannot be kept."""
        if tried.actor_id is None or tried.act is None:
            return
        thing = tried.thing or Thing()
        try:
            async with self.sessions() as db, db.begin():
                await audit.refused(db, tried.actor_id, tried.act, thing, self.clock(), where=where)
        except Exception as error:  # noqa: BLE001 - the answer to the caller is the refusal
            log.error("refusal not kept", **error_fields(error))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None, None]:
        """Run writers, the link to the media workers and the ticks. Raises UnsafeSecret."""
        self.masters.current()
        erasure_log.prepare(self.settings)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, self.engine)
            await stack.enter_async_context(self.readings)
            await stack.enter_async_context(self.frames)
            await stack.enter_async_context(self.keeper)
            await stack.enter_async_context(self.calls)
            await stack.enter_async_context(self.lessons)
            await stack.enter_async_context(self.media)
            await stack.enter_async_context(self.watch)
            await stack.enter_async_context(self.hearing)
            await stack.enter_async_context(self.stays)
            stack.push_async_callback(_cancelled, asyncio.create_task(self.ecg.run()))
            yield

    def _react(self, session: AsyncSession) -> None:
        for fact in take(session):
            react(self, fact)

    def _stored(self, session: AsyncSession, _: Sequence[object]) -> None:
        self._react(session)

    def _frames_stored(self, session: AsyncSession, applied: Sequence[AppliedFrame]) -> None:
        self._react(session)
        # A fact carries ids only; the trace itself is shown from what was applied.
        new = [one for one in applied if one.new]
        by_person: dict[UUID, list[EcgFrame]] = {}
        for one in new:
            by_person.setdefault(one.person_id, []).append(one.frame)
        for person_id, frames in by_person.items():
            self.live.show_frames(live.patient(person_id), frames)
            self.vitals.heard(person_id, frames)
        self.ecg.push([one.frame for one in new], asyncio.get_running_loop().time())

    def _came(self, room_id: UUID) -> None:
        """Somebody's media arrive in a lesson whose page is not here: it may be recorded."""
        desk = self.lessons.of(room_id)
        if desk is not None:
            desk.changed()

    def _show(self, person_id: UUID, message: Vitals | EcgBeats, at: datetime) -> None:
        channel = live.patient(person_id)
        if self.live.on(channel):
            self.live.show(channel, msgspec.json.encode(message).decode(), at)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
