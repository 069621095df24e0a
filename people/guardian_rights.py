"""What a confirmed guardian may see, from when until when. Pure: windows of time in, rights out.

    tie      until the child is grown up
    school   the tie, once confirmed for it, less what a court closed
    health   until the teen decides, once confirmed for it; then what the teen shares; less what a
             court closed

The rights are written down ahead of time, so that a birthday, the end of a court's limit and the
end of a share act by themselves.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from people.ages import GROWN_UP, TEEN_DECIDES, turns
from people.policy import Kind, Right


class Scope(StrEnum):
    """The two sides of a child's life that are opened and closed apart."""

    HEALTH = "health"
    SCHOOL = "school"


class Window(NamedTuple):
    """A time from `since` (included) to `until` (not included)."""

    since: datetime
    until: datetime


class Say(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides about the rights of one guardian over one child."""

    id: UUID
    guardian_id: UUID
    child_id: UUID
    born_on: date
    zone: str
    confirmed: frozenset[Scope] = frozenset(Scope)
    closed: dict[Scope, list[Window]] = {}
    shared: list[Window] = []

    @property
    def decides_at(self) -> datetime:
        """When the child begins to decide about health alone."""
        return turns(self.born_on, TEEN_DECIDES, self.zone)

    @property
    def grown_up_at(self) -> datetime:
        """When the tie ends."""
        return turns(self.born_on, GROWN_UP, self.zone)


def rights_of(say: Say, now: datetime) -> list[Right]:
    """Give every right from `now` on, those that begin later too."""
    tie = _within([Window(now, say.grown_up_at)], now, say.grown_up_at)
    child = _within(tie, now, say.decides_at) if Scope.HEALTH in say.confirmed else []
    school = tie if Scope.SCHOOL in say.confirmed else []
    teen = _within(say.shared, max(now, say.decides_at), say.grown_up_at)
    shown = {
        Kind.GUARDIANSHIP: tie,
        Kind.CHILD_SCHOOL: _less(school, say.closed.get(Scope.SCHOOL, [])),
        Kind.CHILD_HEALTH: _less(_joined([*child, *teen]), say.closed.get(Scope.HEALTH, [])),
    }
    return [
        Right(
            actor_id=say.guardian_id,
            kind=kind,
            subject_id=say.child_id,
            about_id=say.id,
            since=since,
            until=until,
        )
        for kind, windows in shown.items()
        for since, until in windows
    ]


def _within(windows: Iterable[Window], since: datetime, until: datetime) -> list[Window]:
    """Give the parts of `windows` between two moments."""
    cut = [Window(max(one.since, since), min(one.until, until)) for one in windows]
    return [one for one in cut if one.since < one.until]


def _less(windows: Sequence[Window], closed: Iterable[Window]) -> list[Window]:
    """Give what is left of `windows` outside every one of `closed`."""
    left = list(windows)
    for shut in closed:
        ends = [
            (Window(w.since, min(w.until, shut.since)), Window(max(w.since, shut.until), w.until))
            for w in left
        ]
        left = [part for pair in ends for part in pair if part.since < part.until]
    return left


def _joined(windows: Iterable[Window]) -> list[Window]:
    """Give the same time in order and without overlaps."""
    joined: list[Window] = []
    for one in sorted(windows):
        if joined and one.since <= joined[-1].until:
            last = joined.pop()
            joined.append(Window(last.since, max(last.until, one.until)))
        else:
            joined.append(one)
    return joined
