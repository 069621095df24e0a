"""The rooms of one lesson: the class, and each group while there are groups; who sits in which.

A member sits in one of them at a time. In every other he has neither grants nor pictures, so what
is said in a group is heard in no other room whatever a page asks for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from api.live import Tab
from api.media import Media
from api.media_room import KINDS, Card, Plan
from api.socket_messages import MediaKind, Side
from eschool.groups import room_of
from eschool.lesson_room import LessonRoom
from eschool.lessons import LessonState
from people.organisations import Ref
from rtc.messages import Recording

IN_GROUP: tuple[MediaKind, ...] = ("audio", "video")


def plans(
    lesson_id: UUID,
    room: LessonRoom,
    roster: Sequence[Ref],
    grants: Mapping[UUID, Sequence[str]],
    recording: Recording | None,
) -> dict[UUID, Plan]:
    """The plan of every room, the class first; nothing of a group is recorded."""
    running = room.state is LessonState.RUNNING
    away = _away(room, grants)
    cards = []
    for one in roster:
        side: Side = "teacher" if one.id == room.teacher.id else "pupil"
        card = Card(one.id, one.name, side)
        if running and one.id not in away:
            given = grants.get(one.id, [])
            card = replace(card, grants=tuple(k for k in KINDS if k in given), watches=True)
        cards.append(card)
    found = {lesson_id: Plan(tuple(cards), "h264", room.teacher.id, recording)}
    if room.groups is not None:
        named = {card.person_id: card for card in cards}
        for group in room.groups.groups:
            number = group.number
            here = [named[one.id] for one in group.members if one.id in named]
            if away.get(room.teacher.id) == number:
                here.insert(0, named[room.teacher.id])
            found[room_of(room.groups.id, number)] = Plan(tuple(map(_in_group, here)))
    return found


def _away(room: LessonRoom, grants: Mapping[UUID, Sequence[str]]) -> dict[UUID, int]:
    """Who is in which group now: a teacher only while he may lead."""
    if room.groups is None:
        return {}
    away = {one.id: group.number for group in room.groups.groups for one in group.members}
    if room.groups.visited is not None and room.teacher.id in grants:
        away[room.teacher.id] = room.groups.visited
    return away


def _in_group(card: Card) -> Card:
    grants = tuple(KINDS) if card.side == "teacher" else IN_GROUP
    return replace(card, grants=grants, watches=True)


class Seating:
    """Keeps the rooms of one lesson as their plans say, and its pages seated in them."""

    def __init__(self, media: Media, lesson_id: UUID) -> None:
        self.lesson_id = lesson_id
        self.plans: dict[UUID, Plan] = {lesson_id: Plan(())}
        self._media = media
        self._places: dict[Tab, UUID] = {}

    def room_of(self, person_id: UUID) -> UUID:
        """Where somebody sits: in his group, else in the class."""
        groups = (each for each in self.plans if each != self.lesson_id)
        inside = (each for each in groups if self.plans[each].card(person_id) is not None)
        return next(inside, self.lesson_id)

    def place(self, tab: Tab) -> UUID:
        """Where a page sits now."""
        return self._places.get(tab, self.lesson_id)

    def seat(self, tab: Tab, person_id: UUID, resume: list[str]) -> None:
        """Give a page its first seat; `resume` names its media transports that live on."""
        self._sit(tab, person_id, self.room_of(person_id), resume)

    def forget(self, tab: Tab) -> None:
        """A page is gone."""
        self._places.pop(tab, None)

    def present(self) -> set[UUID]:
        """Whose page or media are in any of the rooms."""
        return set().union(*(self._media.present(room_id) for room_id in self.plans))

    def follow(
        self, wanted: dict[UUID, Plan], people: Mapping[Tab, UUID], over: Iterable[UUID]
    ) -> None:
        """Take over new plans: first everybody is out of where he may not be, then in his seat."""
        closed = {*self.plans, *over} - wanted.keys()
        self.plans = wanted
        moves = [
            (tab, person_id, target)
            for tab, person_id in people.items()
            if tab in self._places and self._places[tab] != (target := self.room_of(person_id))
        ]
        for tab, person_id, _ in moves:
            self._media.dismiss(self._places[tab], person_id, tab)
        for room_id in closed:
            self._media.close(room_id)
        for room_id, plan in wanted.items():
            self._media.replan(room_id, plan)
        for tab, person_id, target in moves:
            if not tab.ended:
                self._sit(tab, person_id, target, [])

    def _sit(self, tab: Tab, person_id: UUID, room_id: UUID, resume: list[str]) -> None:
        plan = self.plans[room_id]
        card = plan.card(person_id)
        if card is not None:
            self._places[tab] = room_id
            self._media.enter(room_id, card, plan, tab, resume)

    def close(self) -> None:
        """The lesson has ended."""
        for room_id in self.plans:
            self._media.close(room_id)
