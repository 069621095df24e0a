"""The API's stream to one worker."""

import asyncio
from pathlib import Path

from rtc.messages import Message, Ping, frame

PING_EVERY_S = 5.0
HANGS_S = PING_EVERY_S + 2.0  # who answers no ping is perhaps hung: nothing new goes there
MAX_UNSENT_BYTES = 8 << 20

# What a new room, or a viewer of a lesson, adds to a worker's load until the worker has told.
ROOM_LOAD = 0.05
VIEWER_LOAD = 0.003


class Line:
    """One worker as the link sees it, there or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.worker_id: str | None = None
        self.last_id: str | None = None  # also while it is away
        self.writer: asyncio.StreamWriter | None = None
        self.heard_at = float("-inf")  # by the loop's clock
        self.known = False  # it has said once which rooms it has, or is not waited for
        self.branches: dict[str, list[str]] = {}  # of rooms that live elsewhere, as it said itself
        self.load = 0.0
        self.rooms_added = 0  # placed since it has told its load
        self.viewers_added = 0
        self.waits: list[asyncio.TimerHandle] = []  # for its return

    @property
    def name(self) -> str:
        """Of its pipe."""
        return self.path.stem

    @property
    def burden(self) -> float:
        """What it has to do, as a share of a core."""
        # Idle workers differ by a hair: that is no reason.
        added = ROOM_LOAD * self.rooms_added + VIEWER_LOAD * self.viewers_added
        return round(self.load, 1) + added

    def told_load(self, load: float) -> None:
        """Takes what the worker says of itself."""
        self.load, self.rooms_added, self.viewers_added = load, 0, 0

    def say(self, message: Message) -> bool:
        """Hands over a message; False: the worker is away."""
        return self.write(frame(message))

    def write(self, data: bytes) -> bool:
        """As `say`, of a message in its frame."""
        if self.writer is None or self.writer.is_closing():
            return False
        if self.writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.writer.transport.abort()  # a worker that does not read is as good as lost
            return False
        self.writer.write(data)
        return True

    def is_back(self) -> None:
        """Nothing is waited for any more."""
        for each in self.waits:
            each.cancel()
        self.waits.clear()


async def ping(writer: asyncio.StreamWriter) -> None:
    """Asks again and again whether the worker is alive."""
    n = 0
    while not writer.is_closing():
        writer.write(frame(Ping(n)))
        n += 1
        await asyncio.sleep(PING_EVERY_S)
