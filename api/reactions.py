"""What happens outside the store once a fact is committed: the one table fact → verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api import live
from api.live import Close, Hint
from people.facts import (
    ChatSaid,
    DeviceRevoked,
    EcgFramesStored,
    EcgStripAttached,
    Fact,
    LessonChanged,
    LessonEnded,
    LessonOpened,
    NoticeMade,
    NoticesRead,
    ReadingsStored,
    RecordingChanged,
    RightsChanged,
    SessionEnded,
    SlideTurned,
    VisitClosed,
    VisitFilesChanged,
    VisitOpened,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.house import House


def react(house: House, fact: Fact) -> None:
    """Do what `fact` asks of this process; most facts ask nothing."""
    verb = REACTIONS.get(type(fact))
    if verb is not None:
        verb(house, fact)


def _session_ended(house: House, fact: SessionEnded) -> None:
    for tab in house.live.on(live.session(fact.session_id)):
        tab.end(Close.NOT_SIGNED_IN)


def _rights_changed(house: House, fact: RightsChanged) -> None:
    for hint in (Hint.VISIT, Hint.LESSON):
        house.live.hint(live.person(fact.person_id), hint)
    # A consent of a patient is what his doctor sits there by.
    house.live.hint(live.patient(fact.person_id), Hint.VISIT)
    house.lessons.person_changed(fact.person_id)


def _device_revoked(house: House, fact: DeviceRevoked) -> None:
    house.devices.forget(fact.device_id)
    for tab in house.live.on(live.device(fact.device_id)):
        tab.end(Close.NOT_SIGNED_IN)


def _notices(house: House, fact: NoticeMade | NoticesRead) -> None:
    house.live.hint(live.notices(fact.person_id), Hint.NOTICES)


def _visit_opened(house: House, fact: VisitOpened) -> None:
    house.live.hint(live.visit(fact.visit_id), Hint.VISIT)


def _visit_closed(house: House, fact: VisitClosed) -> None:
    house.media.close(fact.visit_id)
    house.live.hint(live.visit(fact.visit_id), Hint.VISIT)


def _files_changed(house: House, fact: VisitFilesChanged) -> None:
    house.live.hint(live.visit(fact.visit_id), Hint.FILES)


def _strip_attached(house: House, fact: EcgStripAttached) -> None:
    house.live.hint(live.visit(fact.visit_id), Hint.STRIPS)


def _readings_stored(house: House, fact: ReadingsStored) -> None:
    house.live.hint(live.patient(fact.person_id), Hint.READINGS)


def _frames_stored(house: House, fact: EcgFramesStored) -> None:
    # A stream is part of a visit from its first frame on.
    if house.ecg.unheard(fact.stream):
        house.live.hint(live.patient(fact.person_id), Hint.STREAMS)


def _lesson_changed(house: House, fact: LessonOpened | LessonChanged | RecordingChanged) -> None:
    house.lessons.changed(fact.lesson_id)


def _lesson_ended(house: House, fact: LessonEnded) -> None:
    house.media.close(fact.lesson_id)
    desk = house.lessons.of(fact.lesson_id)
    if desk:
        desk.changed()


def _slide_turned(house: House, fact: SlideTurned) -> None:
    desk = house.lessons.of(fact.lesson_id)
    if desk:
        desk.turned(fact)


def _chat_said(house: House, fact: ChatSaid) -> None:
    desk = house.lessons.of(fact.lesson_id)
    if desk:
        desk.said(fact)


REACTIONS: dict[type[Fact], Callable[[House, Any], None]] = {
    SessionEnded: _session_ended,
    RightsChanged: _rights_changed,
    DeviceRevoked: _device_revoked,
    NoticeMade: _notices,
    NoticesRead: _notices,
    VisitOpened: _visit_opened,
    VisitClosed: _visit_closed,
    VisitFilesChanged: _files_changed,
    EcgStripAttached: _strip_attached,
    ReadingsStored: _readings_stored,
    EcgFramesStored: _frames_stored,
    LessonOpened: _lesson_changed,
    LessonChanged: _lesson_changed,
    RecordingChanged: _lesson_changed,
    LessonEnded: _lesson_ended,
    SlideTurned: _slide_turned,
    ChatSaid: _chat_said,
}
