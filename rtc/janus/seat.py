"""A member's place in a room that Janus forwards: his grants, and a handle for each direction.

Whoever watches has all his lines from the start, each fed by a dummy publisher that sends nothing;
who is seen and heard in them is switched, without a word to the page.
"""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from rtc.messages import Direction, Join, Kind, Member, MemberPresence, Offer, TrackInfo

KINDS: tuple[Kind, ...] = ("audio", "video", "screen")
Feed = tuple[str, str]  # a publisher's id in Janus's room, and the mid of one of its streams


@dataclass
class Way:
    """One connection of a page with Janus."""

    direction: Direction
    handle: int
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    up: bool = False
    answered: bool = False
    offer: Offer | None = None  # told and not answered yet


@dataclass
class Publish(Way):
    """The handle's feed in the room has the name of the way."""

    tracks: list[TrackInfo] = field(default_factory=list)  # that the page is asked for
    sent: set[str] = field(default_factory=set)  # mids it has offered
    silent: set[Kind] = field(default_factory=set)  # Janus drops these
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of what is silenced or not

    def mid(self, kind: Kind) -> str | None:
        """The section a kind comes in."""
        mids = (each.mid for each in self.tracks if each.kind == kind and each.mid in self.sent)
        return next(mids, None)

    def feed(self, kind: Kind) -> Feed | None:
        """Where others get a kind from, once it may flow."""
        mid = self.mid(kind)
        return (self.id, mid) if self.up and mid is not None else None


@dataclass
class Line:
    """A section of a viewer's connection: what it is told to carry, and what feeds it now."""

    mid: str
    kind: Kind
    member: str
    feed: Feed


@dataclass
class Watch(Way):
    """Lines are never removed."""

    lines: list[Line] = field(default_factory=list)

    def tracks(self) -> list[TrackInfo]:
        """As pages are told."""
        return [TrackInfo(line.mid, line.kind, line.member) for line in self.lines]


@dataclass
class Seat:
    """Grants come from `RoomState`, everything else from the member's page."""

    grants: Member
    joined: Join | None = None
    publish: Publish | None = None
    watch: Watch | None = None
    broken: set[Direction] = field(default_factory=set)  # made anew when the page joins again

    @property
    def ways(self) -> Iterator[Way]:
        """His connections."""
        return (way for way in (self.publish, self.watch) if way is not None)

    def way(self, id_: str) -> Way | None:
        """The connection of that id."""
        return next((way for way in self.ways if way.id == id_), None)

    def has(self, *, screens: bool) -> list[Kind]:
        """What his page has to send; a section for what it lacks would count as one that flows."""
        join = self.joined
        if join is None:
            return []
        there = {"audio": join.audio, "video": join.video, "screen": join.screen and screens}
        return [kind for kind in KINDS if there[kind]]

    def may_publish(self, *, screens: bool) -> bool:
        """Whether the page has something to send, and a grant for it."""
        has = self.has(screens=screens)
        return "publish" not in self.broken and any(kind in has for kind in self.grants.publish)

    def presence(self, *, carried: bool) -> MemberPresence:
        """What others may know of him; `carried`: what he sends has a place in the room."""
        flows = {
            kind: carried
            and self.publish is not None
            and kind in self.grants.publish
            and self.publish.feed(kind) is not None
            for kind in KINDS
        }
        connected = any(way.up for way in self.ways)
        return MemberPresence(self.grants.member, connected, *flows.values())
