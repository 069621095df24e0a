"""Facts: what happened, in past tense, ids only. The edge takes them after the commit.

A fact is emitted in the transaction that makes it true, so a rolled-back request announces nothing.
Facts are also the only thing that passes between telemed, eschool and desk.

A fact that must act in every process (Crossing) is also told by the database: the NOTIFY is part of
the emitting transaction, so that no process hears of what was rolled back, and the API hears of
what the job runner or a command did.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.event import listens_for
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

CHANNEL: Final = "yanasha_facts"
# In a session's `info`: which process it belongs to, so that nobody hears itself.
ORIGIN: Final = "origin"
_KEY = "facts"
_TOLD = "facts_told"


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened at a time."""

    at: datetime


class SignedIn(Fact, frozen=True, kw_only=True):
    """A person opened a session."""

    person_id: UUID
    session_id: UUID


class SessionEnded(Fact, frozen=True, kw_only=True):
    """A session ended: its sockets close now."""

    person_id: UUID
    session_id: UUID


class DeviceRevoked(Fact, frozen=True, kw_only=True):
    """A device's token is worth nothing any more: its sockets close now."""

    person_id: UUID
    device_id: UUID


class RightsChanged(Fact, frozen=True, kw_only=True):
    """Rights or consents of a person changed: whoever sits in a room by them is judged anew now."""

    person_id: UUID


class NoticeMade(Fact, frozen=True, kw_only=True):
    """A person has a new notice: a screen that is open shows it now."""

    person_id: UUID
    notice_id: UUID


class NoticesRead(Fact, frozen=True, kw_only=True):
    """A person read notices: the other screens count less now."""

    person_id: UUID


class VisitBooked(Fact, frozen=True, kw_only=True):
    """A visit and both rights to it exist."""

    visit_id: UUID


class VisitOpened(Fact, frozen=True, kw_only=True):
    """The doctor opened the visit: media may flow."""

    visit_id: UUID


class VisitClosed(Fact, frozen=True, kw_only=True):
    """The visit is over, and with it every live right to it."""

    visit_id: UUID


class ReadingsStored(Fact, frozen=True, kw_only=True):
    """New readings of a patient lie in the store; told once for as many as came together."""

    person_id: UUID


class EcgStreamOpened(Fact, frozen=True, kw_only=True):
    """A recorder announced a stream that was not known before."""

    stream: UUID
    person_id: UUID
    device_id: UUID


class EcgFramesStored(Fact, frozen=True, kw_only=True):
    """Frames of a stream lie in the store; every frame up to `last_sequence` is there."""

    stream: UUID
    person_id: UUID
    last_sequence: int


class NoteWritten(Fact, frozen=True, kw_only=True):
    """The doctor's note of a visit has a new version."""

    visit_id: UUID
    version: int


class VisitFilesChanged(Fact, frozen=True, kw_only=True):
    """A file of a visit was handed in or taken back."""

    visit_id: UUID


class EcgStripAttached(Fact, frozen=True, kw_only=True):
    """A stretch of ECG was attached to the record of a visit."""

    visit_id: UUID


class LessonScheduled(Fact, frozen=True, kw_only=True):
    """A lesson stands in the timetable."""

    lesson_id: UUID


class LessonOpened(Fact, frozen=True, kw_only=True):
    """The teacher opened the lesson: media may flow."""

    lesson_id: UUID


class LessonEnded(Fact, frozen=True, kw_only=True):
    """The lesson is over: its room closes."""

    lesson_id: UUID


class LessonChanged(Fact, frozen=True, kw_only=True):
    """Hands, floor, groups or the chat's mode changed: read the room again."""

    lesson_id: UUID


class SlideTurned(Fact, frozen=True, kw_only=True):
    """The teacher shows another page."""

    lesson_id: UUID
    deck_id: UUID
    page: int


class ChatSaid(Fact, frozen=True, kw_only=True):
    """A message of this person was written, approved or refused."""

    lesson_id: UUID
    message_id: UUID
    person_id: UUID


class RecordingChanged(Fact, frozen=True, kw_only=True):
    """A take began, stopped or is complete."""

    lesson_id: UUID


Crossing = SessionEnded | DeviceRevoked | RightsChanged | NoticeMade | NoticesRead


class Told(msgspec.Struct, frozen=True):
    """What one process tells all others; PostgreSQL carries at most 8,000 bytes of it."""

    origin: str
    fact: Crossing


def emit(db: AsyncSession, fact: Fact) -> None:
    """Announce `fact` once the transaction of `db` has committed."""
    db.info.setdefault(_KEY, []).append(fact)


def take(db: AsyncSession) -> list[Fact]:
    """Give the facts emitted so far, in order, and forget them; call it after the commit."""
    facts: list[Fact] = db.info.pop(_KEY, [])
    db.info.pop(_TOLD, None)
    return facts


@listens_for(Session, "before_commit")
def _tell_every_process(session: Session) -> None:
    facts: list[Fact] = session.info.get(_KEY, [])
    new = facts[session.info.get(_TOLD, 0) :]
    session.info[_TOLD] = len(facts)
    origin = session.info.get(ORIGIN, "")
    for fact in new:
        if isinstance(fact, Crossing):
            payload = msgspec.json.encode(Told(origin, fact)).decode()
            session.execute(select(func.pg_notify(CHANNEL, payload)))
