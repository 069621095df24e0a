"""Who is seen and heard in which line of whom. Pure."""

from collections.abc import Mapping

from rtc.janus.seat import KINDS, Feed, Seat
from rtc.messages import FLOOR, Kind

FLOOR_KINDS: tuple[Kind, ...] = ("audio", "video")
Wanted = tuple[str, Kind]  # whose line: a member's, or the floor's


def floor_of(seats: Mapping[str, Seat], presenter: str | None, holder: str | None) -> str | None:
    """The pupil with a grant; who has the floor keeps it for as long as his lasts."""
    if presenter is None:
        return None
    able = [
        name
        for name, seat in seats.items()
        if name != presenter and any(kind in FLOOR_KINDS for kind in seat.grants.publish)
    ]
    return holder if holder in able else next(iter(able), None)


def lines_of(seats: Mapping[str, Seat], presenter: str | None, viewer: str) -> list[Wanted]:
    """In a lesson always the same; in a visit the others, and screens once there are any."""
    if presenter is not None:
        floor: list[Wanted] = [(FLOOR, kind) for kind in FLOOR_KINDS]
        presented: list[Wanted] = [(presenter, kind) for kind in KINDS]
        return floor if viewer == presenter else [*presented, *floor]
    return [
        (name, kind)
        for name, seat in seats.items()
        for kind in KINDS
        if name != viewer and (kind != "screen" or (seat.publish and seat.publish.feed(kind)))
    ]


def feed_of(source: Seat | None, kind: Kind) -> Feed | None:
    """What he sends of a kind, if he may and does."""
    if source is None or source.publish is None or kind not in source.grants.publish:
        return None
    return source.publish.feed(kind)


class Talk:
    """Who speaks, by the loudness that Janus averages for each feed; the last to begin has it."""

    def __init__(self) -> None:
        self.member: str | None = None
        self._feeds: list[str] = []

    def heard(self, feed: str, *, talks: bool) -> None:
        """A feed begins or stops."""
        self._feeds = [each for each in self._feeds if each != feed]
        if talks:
            self._feeds.append(feed)

    def look(self, voices: Mapping[str, str]) -> bool:
        """Whether somebody else speaks now; `voices`: by feed, of whom a granted voice is there."""
        self._feeds = [each for each in self._feeds if each in voices]
        before = self.member
        self.member = voices[self._feeds[-1]] if self._feeds else None
        return self.member != before
