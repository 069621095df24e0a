"""How calls go now: one word a member for the screens, and minutes that are kept for later.

The media workers tell rows every few seconds, the pages what only they know (pictures that stood
still, sound that was made up). Staff of a room hear everybody's word, everybody else his own.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from api.call_figures import Figures
from api.live import Tab
from api.logs import error_fields, log
from api.socket_messages import MediaReport, MediaWords
from people import call_minutes
from people.call_minutes import Direction, NewMinute
from people.call_words import Measured, Word, loss_of, word_of, worst
from rtc.messages import LinkRow, Quality, Stepped
from storage.db_errors import is_away

if TYPE_CHECKING:
    from api.house import House

MINUTE: Final = timedelta(minutes=1)
# A way of which the worker has told nothing for so long is over.
OVER_AFTER: Final = timedelta(seconds=16)
STORE_EVERY_S: Final = 15.0
# Minutes that wait while the database is away; the oldest are given up.
MOST_WAITING: Final = 10_000
# A page tells every ten seconds; oftener is passed over, and what it told holds for a while.
LEAST_BETWEEN: Final = timedelta(seconds=8)
TOLD_HOLDS: Final = timedelta(seconds=25)
_STAFF: Final = frozenset({"doctor", "teacher"})

_encode = msgspec.json.Encoder().encode
_Key = tuple[UUID, Direction]  # of a member


@dataclass(slots=True)
class _Way:
    """One direction of one member: the minute that runs."""

    word: Word
    since: datetime
    until: datetime
    bits: int = 0
    ms: int = 0
    packets: int = 0
    lost: int = 0
    rtt_ms: int | None = None
    jitter_ms: int | None = None
    concealed_permille: int | None = None
    frozen_ms: int = 0
    step: str | None = None

    def add(self, row: LinkRow, told: MediaReport | None, step: str | None, now: datetime) -> None:
        """Count some seconds in."""
        self.until = now
        self.bits += row.kbps * row.ms
        self.ms += row.ms
        self.packets += row.packets
        self.lost += row.lost
        self.rtt_ms = _larger(self.rtt_ms, row.rtt_ms)
        self.jitter_ms = _larger(self.jitter_ms, row.jitter_ms)
        self.step = step or row.layer
        if told is not None:
            self.concealed_permille = _larger(self.concealed_permille, told.concealed_permille)

    def minute(self, room_id: UUID, key: _Key) -> NewMinute:
        """The row to be kept."""
        person_id, direction = key
        loss = loss_of(Measured(packets=self.packets, lost=self.lost))
        return NewMinute(
            room_id=room_id,
            person_id=person_id,
            direction=direction,
            word=self.word,
            since=self.since,
            until=self.until,
            kbps=self.bits // self.ms if self.ms else 0,
            lost_permille=None if loss is None else round(1000 * loss),
            rtt_ms=self.rtt_ms,
            jitter_ms=self.jitter_ms,
            concealed_permille=self.concealed_permille,
            frozen_ms=self.frozen_ms,
            step=self.step or None,
        )


class CallQuality:
    """Every call of this process; `async with` runs what keeps the minutes."""

    def __init__(self, house: "House") -> None:
        self.figures = Figures()
        self._house = house
        self._rooms: dict[UUID, dict[_Key, _Way]] = {}
        self._steps: dict[tuple[UUID, UUID], str] = {}
        self._reports: dict[tuple[UUID, UUID], tuple[datetime, MediaReport]] = {}
        self._told: WeakKeyDictionary[Tab, dict[UUID, Word]] = WeakKeyDictionary()
        self._done: deque[NewMinute] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for room_id, ways in self._rooms.items():
            self._done.extend(way.minute(room_id, key) for key, way in ways.items())
        self._rooms.clear()
        await self.store()

    @property
    def words(self) -> Mapping[Word, int]:
        """How many ways have which word now."""
        found: dict[Word, int] = {}
        for way in (way for ways in self._rooms.values() for way in ways.values()):
            found[way.word] = found.get(way.word, 0) + 1
        return found

    def heard(self, message: Quality | Stepped) -> None:
        """A worker tells how media fare, or that somebody stands on another step."""
        room_id = _room(message.room)
        if room_id is None:
            return
        if isinstance(message, Stepped):
            seat = room_id, UUID(message.member)
            if self._steps.get(seat, "high") != message.step:  # told again with each new state
                self.figures.stepped(message.step)
            self._steps[seat] = message.step
            return
        now = self._house.clock()
        for row in message.rows:
            self.figures.row(row)
            self._row(room_id, row, now)
        self._tell(room_id)

    def reported(self, room_id: UUID, person_id: UUID, told: MediaReport) -> None:
        """A page tells what it alone knows; too often is passed over."""
        now, key = self._house.clock(), (room_id, person_id)
        way = self._rooms.get(room_id, {}).get((person_id, "subscribe"))
        if way is None or (key in self._reports and now - self._reports[key][0] < LEAST_BETWEEN):
            return
        told = msgspec.structs.replace(told, frozen_ms=min(told.frozen_ms, told.ms))
        self._reports[key] = now, told
        self.figures.frozen(told.frozen_ms)
        way.frozen_ms += told.frozen_ms

    def _row(self, room_id: UUID, row: LinkRow, now: datetime) -> None:
        person_id = UUID(row.member)
        key: _Key = (person_id, row.direction)
        told = self._report_of(room_id, person_id, now) if row.direction == "subscribe" else None
        step = self._steps.get((room_id, person_id)) if row.direction == "subscribe" else None
        word = word_of(_measured(row, told, step))
        ways = self._rooms.setdefault(room_id, {})
        way = ways.get(key)
        if way is not None and (way.word != word or way.until - way.since >= MINUTE):
            self._done.append(way.minute(room_id, key))
            way = None
        if way is None:
            since = now - timedelta(milliseconds=row.ms)
            way = ways[key] = _Way(word, since, now)
        way.add(row, told, step, now)

    def _report_of(self, room_id: UUID, person_id: UUID, now: datetime) -> MediaReport | None:
        at, told = self._reports.get((room_id, person_id), (None, None))
        return told if at is not None and now - at < TOLD_HOLDS else None

    def _tell(self, room_id: UUID) -> None:
        """Tell each page the words that are for it, when they are others than before."""
        words: dict[UUID, Word] = {}
        for (person_id, _), way in self._rooms.get(room_id, {}).items():
            words[person_id] = worst(way.word, words.get(person_id, "good"))
        for card, tab in self._house.media.pages(room_id):
            mine = words if card.side in _STAFF else _of(words, card.person_id)
            if self._told.get(tab, {}) != mine:
                self._told[tab] = mine
                tab.tell(_encode(MediaWords(words=mine)))

    def look(self, now: datetime) -> None:
        """Take over what has ended: of somebody who left nothing more is told."""
        for room_id, ways in list(self._rooms.items()):
            gone = [key for key, way in ways.items() if now - way.until > OVER_AFTER]
            self._done.extend(ways.pop(key).minute(room_id, key) for key in gone)
            if not ways:
                del self._rooms[room_id]
            if gone:
                self._tell(room_id)
        here = {(room, person_id) for room, ways in self._rooms.items() for person_id, _ in ways}
        for known in (self._steps, self._reports):
            for one in known.keys() - here:
                del known[one]

    async def store(self) -> None:
        """Keep the minutes that are over; they wait while the database is away."""
        if not self._done:
            return
        rows = [*self._done]
        self._done.clear()
        try:
            async with self._house.transaction("media") as db:
                await call_minutes.keep(db, rows)
        except Exception as error:  # noqa: BLE001 - a lost minute ends no call
            if is_away(error):
                self._done.extendleft(reversed(rows[-MOST_WAITING + len(self._done) :]))
            else:
                log.error("minutes of calls not kept", count=len(rows), **error_fields(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            self.look(self._house.clock())
            await self.store()


def _measured(row: LinkRow, told: MediaReport | None, step: str | None) -> Measured:
    concealed = told.concealed_permille if told is not None else None
    return Measured(
        packets=row.packets,
        lost=row.lost,
        rtt_ms=row.rtt_ms,
        jitter_ms=row.jitter_ms,
        concealed=None if concealed is None else concealed / 1000,
        frozen=None if told is None else told.frozen_ms / told.ms,
        step=step,
        silent=row.silent,
    )


def _of(words: dict[UUID, Word], person_id: UUID) -> dict[UUID, Word]:
    return {person_id: words[person_id]} if person_id in words else {}


def _larger(one: int | None, other: int | None) -> int | None:
    known: Iterable[int] = [each for each in (one, other) if each is not None]
    return max(known, default=None)


def _room(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
