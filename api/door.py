"""The door before a password is looked at: a few at once, and networks take turns.

Whoever floods it waits among their own: the next turn is always another network's, so that anybody
else is in after one turn of each network that waits. No more wait than MOST_OF_ONE of a network and
MOST in all; when it is full, the last of the longest line makes room for a shorter one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from people.refused import TooManyAttempts
from people.throttle import network_prefix
from storage.ingest import Busy

# A school's morning comes from one address: what is let in there within WAIT_S.
MOST_OF_ONE, MOST = 64, 200
# As long as for a connection of the pool.
WAIT_S = 10.0


class Door:
    """Turns of at most `places` at once; `async with door.turn(address)`."""

    def __init__(self, places: int, wait_s: float = WAIT_S) -> None:
        self.free = places
        self.wait_s = wait_s
        # By network, whose turn is next first. A turn is True, or False when sent away.
        self._lines: dict[str, deque[asyncio.Future[bool]]] = {}

    @property
    def waiting(self) -> int:
        """How many stand before it."""
        return sum(map(len, self._lines.values()))

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait for a place. Raises TooManyAttempts when too many wait there already, Busy."""
        async with self.turn_of(network_prefix(address)):
            yield

    @asynccontextmanager
    async def turn_of(self, line: str) -> AsyncIterator[None]:
        """As `turn`, for whoever stands in a line of another kind than a network's."""
        await self._wait(line)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, network: str) -> None:
        if self.free:
            self.free -= 1
            return
        before = len(self._lines.get(network, ()))
        if before >= MOST_OF_ONE:
            raise TooManyAttempts(1)
        if self.waiting >= MOST:
            self._make_room(before)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(network, deque()).append(turn)
        let_in: bool | None = None
        try:
            async with asyncio.timeout(self.wait_s):
                let_in = await turn
        except TimeoutError:
            raise Busy from None
        finally:
            if let_in is None:
                self._gone(network, turn)
        if not let_in:
            raise Busy

    def _make_room(self, before: int) -> None:
        """Send away who came last where more wait than `before` and one. Raises Busy."""
        longest = max(self._lines.values(), key=len)
        if len(longest) <= before + 1:
            raise Busy
        last = longest.pop()
        if not last.done():
            last.set_result(False)

    def _gone(self, network: str, turn: "asyncio.Future[bool]") -> None:
        """Forget one who waits no more; a turn that came at that very moment is passed on."""
        if turn.done() and not turn.cancelled():
            if turn.result():
                self._next()
            return
        line = self._lines.get(network)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[network]

    def _next(self) -> None:
        while self._lines:
            network = next(iter(self._lines))
            line = self._lines.pop(network)
            turn = line.popleft()
            if line:
                self._lines[network] = line  # behind the other networks
            if not turn.done():
                turn.set_result(True)
                return
        self.free += 1
