"""Where one room is: the worker it lives in, and the branches in which some of it watch.

The whole room is spoken to as one: each worker hears its part of the state, and of a member both
the home, to which he publishes, and the worker he watches in.
"""

import time
from collections import Counter
from collections.abc import Callable

from msgspec.structs import replace

from rtc.lines import Line
from rtc.messages import (
    Answer,
    Join,
    Leave,
    Member,
    MemberPresence,
    Presence,
    Restart,
    RoomState,
)

OfMember = Answer | Restart | Leave | Join


class Place:
    """Lives as long as the room is open; `choose` names the worker for a new viewer."""

    def __init__(self, room: str, home: Line, choose: Callable[["Place", str], Line]) -> None:
        self.room = room
        self.home = home
        self.state: RoomState | None = None  # as the API wants it
        self.pages: dict[str, Join] = {}  # whose media are there, and what they said last
        self._choose = choose
        self._version = -1
        self._seats: dict[str, Line] = {}  # where those watch who have joined
        self._branches: set[Line] = set()  # that know of the room
        self._seen: dict[Line, Presence] = {}

    def adopt(self, line: Line) -> None:
        """Takes over a branch that an earlier process of ours has opened."""
        if self.room in line.branches and line is not self.home:
            self._branches.add(line)
            self._seats.update(dict.fromkeys(line.branches.pop(self.room), line))

    def has(self, line: Line) -> bool:
        """Whether the room, or a part of it, is there."""
        return line is self.home or line in self._branches

    def watching(self) -> Counter[Line]:
        """How many watch in which worker, the presenter aside."""
        presenter = self.state.presenter if self.state is not None else None
        return Counter(line for member, line in self._seats.items() if member != presenter)

    def take(self, state: RoomState) -> bool:
        """Takes the state the API wants, unless it is an older one; False: the home is away."""
        if self.state is not None and state.version < self.state.version:
            return True
        self.state = state
        watchers = {each.member for each in state.members if each.subscribe}
        for gone in self._seats.keys() - watchers:
            del self._seats[gone]
        for gone in self.pages.keys() - {each.member for each in state.members}:
            del self.pages[gone]
        return self._say()

    def end(self, state: RoomState) -> bool:
        """Closes the room everywhere."""
        self._version = max(self._version + 1, state.version)
        closed = replace(state, version=self._version)
        sent = self.home.say(closed)
        for line in self._branches:
            line.say(closed)
        return sent

    def end_in(self, line: Line) -> None:
        """Closes what a worker still has of the room, which is elsewhere by now.

        It may be sent there again: no later state is older than this one.
        """
        self._version = max(self._version + 1, time.time_ns() // 1000)
        line.say(RoomState(self.room, self._version, []))

    def tell(self, message: OfMember) -> bool:
        """Hands on what concerns a member, to whom he publishes and where he watches."""
        member = message.member
        if isinstance(message, Join):
            return self._join(message)
        sent = self._hand_on(message)
        if isinstance(message, Leave):
            self.pages.pop(member, None)
            if self._seats.pop(member, self.home) is not self.home:
                self._say()
        return sent

    def _hand_on(self, message: OfMember) -> bool:
        sent = [line.say(message) for line in {self.home, self._at(message.member)}]
        return all(sent)

    def _at(self, member: str) -> Line:
        """Where somebody watches."""
        return self._seats.get(member, self.home)

    def leave_branch(self, line: Line) -> None:
        """A branch is lost: who watched there joins again elsewhere, and keeps what he sends."""
        moved = [member for member, at in self._seats.items() if at is line]
        self._branches.discard(line)
        self._seen.pop(line, None)
        for member in moved:
            del self._seats[member]
        for member in moved:
            self._seat(member)
        if moved:
            self._say()
        for member in moved:
            join = self.pages.get(member)
            if join is not None and self._at(member) is not self.home:  # which knows his page
                self._at(member).say(join)

    def leave_home(self) -> None:
        """The home knows nothing of the room any more: so must the branches."""
        if self._branches:
            self._version += 1
            closed = RoomState(self.room, self._version, [])
            for line in self._branches:
                line.say(closed)
        self._branches.clear()
        self._seats.clear()
        self._seen.clear()
        self.pages.clear()

    def see(self, line: Line, presence: Presence) -> Presence:
        """What all workers of the room together see."""
        self._seen[line] = presence
        self._seen = {each: seen for each, seen in self._seen.items() if self.has(each)}
        if len(self._seen) == 1:
            return presence
        members: dict[str, MemberPresence] = {}
        for each in (each for seen in self._seen.values() for each in seen.members):
            other = members.get(each.member)
            members[each.member] = each if other is None else _together(each, other)
        version = sum(each.version for each in self._seen.values())
        return Presence(self.room, version, list(members.values()))

    def repeat(self) -> None:
        """Says the state once more: somebody may have missed it."""
        if self.state is not None:
            self._say()

    def _join(self, join: Join) -> bool:
        """Remembers the page, and seats it anew unless it keeps what it has."""
        self.pages[join.member] = join
        if join.resume:
            self._seats.setdefault(join.member, self.home)
            return self._hand_on(join)
        moves = self._seat(join.member)
        goes_home = self._at(join.member) is self.home
        if moves and not goes_home:
            self._say()
        sent = self._hand_on(join)
        if moves and goes_home:  # behind: one offer is enough
            self._say()
        return sent

    def _seat(self, member: str) -> bool:
        """Gives a viewer a worker; True when it is another than before."""
        before = self._seats.pop(member, self.home)
        line = self._seats[member] = self._choose(self, member)
        line.viewers_added += 1
        return line is not before

    def _say(self) -> bool:
        state = self.state
        if state is None:
            return False
        self._version = max(self._version + 1, state.version)
        sent = self.home.say(self._part(state, self.home))
        branches = set(self._seats.values()) - {self.home}
        for line in branches:
            line.say(self._part(state, line))
        for line in self._branches - branches:
            line.say(RoomState(self.room, self._version, []))
            self._seen.pop(line, None)
        self._branches = branches
        return sent

    def _part(self, state: RoomState, line: Line) -> RoomState:
        members = [
            Member(
                each.member,
                each.publish,
                each.subscribe and self._at(each.member) is line,
            )
            for each in state.members
        ]
        part = replace(state, version=self._version, members=members)
        if line is self.home:
            return part
        return replace(part, home=self.home.name, recording=None)


def _together(one: MemberPresence, other: MemberPresence) -> MemberPresence:
    return MemberPresence(
        one.member,
        one.connected or other.connected,
        one.audio or other.audio,
        one.video or other.video,
        one.screen or other.screen,
    )
