"""Live fan-out in this process: who has a socket open, and what waits for each.

A channel carries hints and small facts, never records: a tab told that there are new readings
reads them itself, by policy, through the audited query. So a slow tab loses nothing that matters:
readings are a flag, offers are a short bounded queue (full: the socket ends with 1013), only the
live trace and vitals drop from the left.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from operator import attrgetter
from uuid import UUID

from devices.frames import EcgFrame, encode

# Ten seconds of trace and vitals; of many leads at once, and after a break, so many messages.
LIVE_KEPT_S, LIVE_KEPT = 10.0, 1000
MESSAGES_KEPT = 256


class Hint(Enum):
    """What a tab should look at again."""

    READINGS = "readings"
    STREAMS = "streams"
    VISIT = "visit"
    LESSON = "lesson"
    NOTICES = "notices"
    FILES = "files"
    STRIPS = "strips"


class Close(Enum):
    """Why a socket is ended by us: the close code."""

    NOT_SIGNED_IN = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    REPLACED = 4409
    BUSY = 1013
    PROTOCOL = 1008
    FAILED = 1011
    GONE = 1000


class Tab:
    """What waits for one socket; the socket's sender takes it."""

    def __init__(self) -> None:
        self.ended: Close | None = None
        # Live trace and vitals from before this are not for the eyes behind this tab.
        self.shows_from: datetime | None = None
        self._hints: set[Hint] = set()
        self._hints_when_sent: set[Hint] = set()
        self._messages: deque[bytes] = deque()
        self._live: deque[tuple[float, bytes | str]] = deque(maxlen=LIVE_KEPT)
        self._clock = asyncio.get_running_loop().time
        self._wake = asyncio.Event()
        self._hinted = asyncio.Event()

    def tell(self, message: bytes) -> None:
        """Queue a message that must arrive; a tab that takes none for too long ends as busy."""
        if len(self._messages) >= MESSAGES_KEPT:
            self.end(Close.BUSY)
            return
        self._messages.append(message)
        self._wake.set()

    def show(self, *live: bytes | str) -> None:
        """Queue live trace (bytes) or vitals (text); the oldest give way."""
        now = self._clock()
        self._live.extend((now, one) for one in live)
        while self._live[0][0] < now - LIVE_KEPT_S:
            self._live.popleft()
        self._wake.set()

    def hint(self, hint: Hint) -> None:
        """Say that something changed; many hints are one."""
        self._hints.add(hint)
        self._hinted.set()

    @property
    def waiting(self) -> int:
        """How many messages wait that must arrive."""
        return len(self._messages)

    def hint_when_sent(self, hint: Hint) -> None:
        """Hint once no message waits any more: whoever has many tells a few at a time."""
        if self._messages:
            self._hints_when_sent.add(hint)
        else:
            self.hint(hint)

    def end(self, why: Close) -> None:
        """End the socket; the first reason counts."""
        self.ended = self.ended or why
        self._wake.set()

    async def wait(self) -> None:
        """Sleep until there is something to take."""
        await self._wake.wait()
        self._wake.clear()

    async def hints(self) -> set[Hint]:
        """Sleep until something changed; every hint since the last call."""
        await self._hinted.wait()
        self._hinted.clear()
        hints, self._hints = self._hints, set()
        return hints

    def take_message(self) -> bytes | None:
        """The oldest message that must arrive."""
        if self._messages:
            return self._messages.popleft()
        while self._hints_when_sent:
            self.hint(self._hints_when_sent.pop())
        return None

    def take_live(self) -> bytes | str | None:
        """The oldest live item kept."""
        return self._live.popleft()[1] if self._live else None


class Live:
    """Channels by name: `patient/ID` for readings and traces, `visit/ID`, `lesson/ID` for rooms."""

    def __init__(self) -> None:
        self._channels: dict[str, set[Tab]] = {}

    def join(self, tab: Tab, channels: Iterable[str]) -> None:
        """Let `tab` hear these channels."""
        for channel in channels:
            self._channels.setdefault(channel, set()).add(tab)

    def part(self, tab: Tab, channel: str) -> None:
        """Let `tab` hear `channel` no more."""
        tabs = self._channels.get(channel, set())
        tabs.discard(tab)
        if not tabs:
            self._channels.pop(channel, None)

    def leave(self, tab: Tab) -> None:
        """Forget `tab` everywhere."""
        for name in [name for name, tabs in self._channels.items() if tab in tabs]:
            self.part(tab, name)

    def on(self, channel: str) -> frozenset[Tab]:
        """Tabs that hear `channel` now."""
        return frozenset(self._channels.get(channel, ()))

    def pages(self) -> frozenset[Tab]:
        """Every page of a room; recorders' sockets are on no room's channel."""
        rooms = ("visit/", "lesson/")
        channels = (tabs for name, tabs in self._channels.items() if name.startswith(rooms))
        return frozenset(tab for tabs in channels for tab in tabs)

    def hint(self, channel: str, hint: Hint) -> None:
        """Hint to every tab on `channel`."""
        for tab in self.on(channel):
            tab.hint(hint)

    def tell(self, channel: str, message: bytes) -> None:
        """Tell every tab on `channel`."""
        for tab in self.on(channel):
            tab.tell(message)

    def show(self, channel: str, live: bytes | str, at: datetime) -> None:
        """Show what was sampled `at` to every tab on `channel` that may see that far back."""
        for tab in self.on(channel):
            if tab.shows_from is None or at >= tab.shows_from:
                tab.show(live)

    def show_frames(self, channel: str, frames: Sequence[EcgFrame]) -> None:
        """Show frames of a trace to every tab on `channel`, as far back as each may see."""
        tabs = self._channels.get(channel)
        if not tabs:
            return
        encoded = [encode(frame) for frame in frames]
        earliest = min(frames, key=_began_us).started_at
        for tab in tabs:
            if tab.shows_from is None or earliest >= tab.shows_from:
                tab.show(*encoded)
                continue
            for frame, one in zip(frames, encoded, strict=True):
                if frame.started_at >= tab.shows_from:
                    tab.show(one)


_began_us = attrgetter("started_at_us")


def patient(person_id: UUID) -> str:
    """Channel of a patient's readings and traces."""
    return f"patient/{person_id}"


def person(person_id: UUID) -> str:
    """Channel of every page a person has open."""
    return f"person/{person_id}"


def notices(person_id: UUID) -> str:
    """Channel of whoever waits for a person's notices."""
    return f"notices/{person_id}"


def visit(visit_id: UUID) -> str:
    """Channel of a visit's room."""
    return f"visit/{visit_id}"


def lesson(lesson_id: UUID) -> str:
    """Channel of a lesson's room."""
    return f"lesson/{lesson_id}"


def session(session_id: UUID) -> str:
    """Channel of a session's sockets."""
    return f"session/{session_id}"


def device(device_id: UUID) -> str:
    """Channel of a device's sockets."""
    return f"device/{device_id}"
