"""What is counted of media: the workers' own counters together, and how often media failed."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from uuid import UUID

from rtc.messages import Stats, together

# A worker that does not answer by then is told of as one that is away.
_STATS_S = 0.5
# Why a page's media did not come about, or broke off; `peer_closed` and `remade` are in order.
_FAILED = frozenset({"dtls", "expired", "unanswered", "bad_answer", "too_many_sources", "engine"})
_FAILURES_KEPT = 1000


class Counts:
    """Asks all workers at once for whoever asks meanwhile; remembers the latest failures."""

    def __init__(self) -> None:
        self._asked: asyncio.Future[Stats] | None = None
        self._counted: dict[str, Stats] = {}  # by worker
        # When by the loop's clock, and in which room.
        self._failures: deque[tuple[float, UUID]] = deque(maxlen=_FAILURES_KEPT)

    def failed(self, room_id: UUID, reason: str) -> None:
        """A page's media broke off."""
        if reason in _FAILED:
            self._failures.append((asyncio.get_running_loop().time(), room_id))

    def failures(self, rooms: Collection[UUID], within_s: float) -> int:
        """How often media did not come about in these rooms lately, as far as is remembered."""
        since = asyncio.get_running_loop().time() - within_s
        return sum(at >= since and room_id in rooms for at, room_id in self._failures)

    async def stats(self, ask: Callable[[], bool]) -> Stats | None:
        """What the workers together count since their start; None when one does not answer."""
        if self._asked is None or self._asked.done():
            self._asked, self._counted = asyncio.get_running_loop().create_future(), {}
            if not ask():
                self._asked.cancel()
                return None
        asked = self._asked
        try:
            async with asyncio.timeout(_STATS_S):
                return await asyncio.shield(asked)
        except TimeoutError:
            if self._asked is asked:
                self._asked = None  # a lost answer never comes: the next one asks again
            return None

    def heard(self, stats: Stats, workers: int) -> None:
        """One worker's answer, of so many."""
        self._counted[stats.worker_id] = stats
        whole = len(self._counted) >= workers
        if whole and self._asked is not None and not self._asked.done():
            self._asked.set_result(together(self._counted.values()))
