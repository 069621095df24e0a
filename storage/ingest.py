"""Group commit: many small submissions, one transaction.

A commit waits for the disk, so a device a commit is bound by the disk's rhythm. Here one writer
takes everything that waits, applies it in the order of submission in one transaction, and answers
each submitter only after the commit. While one commit is on its way the next group gathers.

A submission is stored whole or not at all:
- an item that `apply` refuses takes its own submission with it, and no other;
- a group that fails as a whole is halved until the culprit stands alone;
- when the database is away everybody waiting in the lane is told so at once (StoreAway). Nothing
  was acknowledged; a submission cut off in the middle of a commit may or may not be stored, so what
  is submitted must bear being sent again.

Whoever should not wait for each other (organisations) submits in lanes: a transaction holds one
lane's items only, one lane has one transaction at a time, and lanes take turns. A lane that stalls,
at a lock say, holds back nobody but itself; it occupies one of few transactions until it is cut.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from storage.db_errors import Busy, StoreAway, is_away

__all__ = ["Apply", "Busy", "IngestWriter", "StoreAway"]

T = TypeVar("T")
R = TypeVar("R")

# One answer an item, in order: a result, or the Exception that refuses it. Of a refused item
# nothing may be written.
Apply: TypeAlias = Callable[[AsyncSession, Sequence[T]], Awaitable[Sequence[R | Exception]]]

log = logging.getLogger(__name__)


class _Submission(Generic[T, R]):
    __slots__ = ("_tell", "items")

    def __init__(self, items: Sequence[T], tell: Callable[[list[R] | Exception], None]) -> None:
        self.items = items
        self._tell = tell

    def tell(self, answer: list[R] | Exception) -> None:
        try:
            self._tell(answer)
        except Exception:
            # One that cannot hear its answer must not keep the others from theirs.
            log.exception("submitter failed")


class _Lane(Generic[T, R]):
    """Submissions of those who wait for each other, in order."""

    __slots__ = ("enough", "key", "queue", "queued")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.queue: deque[_Submission[T, R]] = deque()
        self.queued = 0
        self.enough = asyncio.Event()


class IngestWriter(Generic[T, R]):
    """Ordered writers over `apply`, one a lane; use as `async with IngestWriter(...) as writer`.

    `max_batch` items go into one transaction (a larger submission goes alone), `max_wait_ms` is how
    long a group may wait for company, `max_queue` bounds the items held and `max_lane` those of one
    lane, `at_once` the transactions. `answer_within_s` is the time until a submitter gets
    StoreAway, `stalled_s` until a transaction is cut. `after_commit` is called after every commit
    with its results, and with its session, closed, for what `apply` left in its `info`.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        apply: Apply[T, R],
        *,
        max_batch: int = 2000,
        max_wait_ms: float = 1.0,
        max_queue: int = 20_000,
        max_lane: int | None = None,
        at_once: int = 6,
        answer_within_s: float = 10.0,
        stalled_s: float = 10.0,
        after_commit: Callable[[AsyncSession, Sequence[R]], None] | None = None,
    ) -> None:
        self._sessions = sessions
        self._apply = apply
        self._max_batch = max_batch
        self._max_wait_s = max_wait_ms / 1000
        self._max_queue = max_queue
        self._max_lane = max_queue if max_lane is None else max_lane
        self._at_once = at_once
        self._answer_within_s = answer_within_s
        self._stalled_s = stalled_s
        self._after_commit = after_commit
        self._lanes: dict[Hashable, _Lane[T, R]] = {}
        # Each lane with something to write is in here or being written, never both or twice.
        self._ready: asyncio.Queue[_Lane[T, R]] = asyncio.Queue()
        self._queued = 0
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._run(), name=f"ingest writer {number}")
            for number in range(self._at_once)
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, then stop; later submissions get StoreAway."""
        self._closing = True
        for lane in self._lanes.values():
            lane.enough.set()
        await self._ready.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def queued(self) -> int:
        """Items that wait for a transaction."""
        return self._queued

    async def submit(self, items: Sequence[T], lane: Hashable = None) -> list[R]:
        """Store `items` and return their results after the commit.

        Raises the refusal of the first refused item (nothing of the submission is stored then),
        Busy when the queue is full, StoreAway when the database cannot serve.
        """
        if not items:
            return []
        answer: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()

        def tell(told: list[R] | Exception) -> None:
            if answer.done():  # the submitter has gone away
                return
            if isinstance(told, Exception):
                answer.set_exception(told)
            else:
                answer.set_result(told)

        self.offer(items, tell, lane)
        try:
            await asyncio.wait((answer,), timeout=self._answer_within_s)
            if not answer.done():
                raise StoreAway("the database did not answer in time")
            return answer.result()
        finally:
            answer.cancel()

    def offer(
        self, items: Sequence[T], tell: Callable[[list[R] | Exception], None], lane: Hashable = None
    ) -> None:
        """As `submit`, for who hands in much and waits for nothing in between: `tell` is called
        with the answer when its transaction has ended; a stalled one is cut.

        Raises Busy, StoreAway.
        """
        if self._closing or not self._tasks:
            raise StoreAway("the writer is not running")
        self._enqueue(_Submission(items, tell), lane)

    def _enqueue(self, submission: _Submission[T, R], key: Hashable) -> None:
        """Put it into its lane.

        When others filled the queue, a lane still has its fair share of it, and one where nothing
        waits takes one submission however large.
        """
        size = len(submission.items)
        lane = self._lanes.get(key)
        if lane is not None and lane.queued:
            full = self._queued + size > self._max_queue
            most = self._max_queue // len(self._lanes) if full else self._max_queue
            if lane.queued + size > min(most, self._max_lane):
                raise Busy(f"{self._queued} items wait for the database")
        if self._queued > 2 * self._max_queue:
            raise Busy(f"{self._queued} items of many lanes wait for the database")
        if lane is None:
            lane = self._lanes[key] = _Lane(key)
            self._ready.put_nowait(lane)
        lane.queue.append(submission)
        lane.queued += size
        self._queued += size
        if lane.queued >= self._max_batch:
            lane.enough.set()

    async def _run(self) -> None:
        while True:
            lane = await self._ready.get()
            if self._max_wait_s > 0 and not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._max_wait_s):
                        await lane.enough.wait()
            await self._write(lane, self._take(lane))
            if lane.queue:
                self._ready.put_nowait(lane)  # behind the others
            else:
                del self._lanes[lane.key]
            self._ready.task_done()

    def _take(self, lane: _Lane[T, R]) -> list[_Submission[T, R]]:
        group: list[_Submission[T, R]] = []
        size = 0
        while lane.queue and (not group or size + len(lane.queue[0].items) <= self._max_batch):
            submission = lane.queue.popleft()
            group.append(submission)
            size += len(submission.items)
        lane.queued -= size
        self._queued -= size
        if not self._closing and lane.queued < self._max_batch:
            lane.enough.clear()
        return group

    async def _write(self, lane: _Lane[T, R], group: list[_Submission[T, R]]) -> None:
        """Store a group and answer its submitters, in smaller groups where this one fails."""
        if not group:
            return
        try:
            async with asyncio.timeout(self._stalled_s):
                judged, db = await self._commit(group)
        except Exception as error:  # noqa: BLE001 - whatever `apply` raises is its submitters'
            if is_away(error) or isinstance(error, TimeoutError):
                self._tell_away(lane, group, error)
            elif len(group) == 1:
                group[0].tell(error)
            else:
                middle = len(group) // 2
                await self._write(lane, group[:middle])
                await self._write(lane, group[middle:])
            return
        if len(group) > 1 and any(one.half_written for one in judged):
            # Rolled back. The refused ones are judged again alone, after the others: what they
            # were refused for may have been written by one of them.
            await self._write(lane, [one.submission for one in judged if one.refusal is None])
            for one in judged:
                if one.refusal is not None:
                    await self._write(lane, [one.submission])
            return
        for one in judged:
            one.tell()
        self._announce(db, [result for one in judged for result in one.results])

    async def _commit(
        self, group: list[_Submission[T, R]]
    ) -> tuple[list["_Judged[T, R]"], AsyncSession]:
        """Apply the group and commit, or roll back when a submission is written by half."""
        items = [item for submission in group for item in submission.items]
        async with self._sessions() as db:
            transaction = await db.begin()
            answers = await self._apply(db, items)
            if len(answers) != len(items):
                raise RuntimeError(f"apply answered {len(answers)} of {len(items)} items")
            judged = _judge(group, answers)
            if any(one.half_written for one in judged):
                await transaction.rollback()
            else:
                await transaction.commit()
        return judged, db

    def _announce(self, db: AsyncSession, results: list[R]) -> None:
        if self._after_commit is None or not results:
            return
        try:
            self._after_commit(db, results)
        except Exception:
            # The rows are stored and acknowledged; a listener must not stop the writer.
            log.exception("after_commit failed")

    def _tell_away(
        self, lane: _Lane[T, R], group: list[_Submission[T, R]], error: Exception
    ) -> None:
        """Fail the group and all that waits in its lane: the next submission tries again."""
        reason = str(error).partition("\n")[0] or "a transaction stalled"  # no quoted statement
        log.warning("database away: %s", reason)
        waiting = [*group, *lane.queue]
        self._queued -= lane.queued
        lane.queue.clear()
        lane.queued = 0
        for submission in waiting:
            away = StoreAway(reason)
            away.__cause__ = error
            submission.tell(away)


@dataclass(frozen=True, slots=True)
class _Judged(Generic[T, R]):
    """A submission beside what `apply` said of it: its results, or its first refusal."""

    submission: _Submission[T, R]
    results: list[R]
    refusal: Exception | None
    half_written: bool

    def tell(self) -> None:
        self.submission.tell(self.results if self.refusal is None else self.refusal)


def _judge(group: list[_Submission[T, R]], answers: Sequence[R | Exception]) -> list[_Judged[T, R]]:
    judged: list[_Judged[T, R]] = []
    at = 0
    for submission in group:
        own = answers[at : at + len(submission.items)]
        at += len(submission.items)
        refusals = [answer for answer in own if isinstance(answer, Exception)]
        if refusals:
            mixed = len(refusals) < len(own)
            judged.append(_Judged(submission, [], refusals[0], half_written=mixed))
        else:
            results = [answer for answer in own if not isinstance(answer, Exception)]
            judged.append(_Judged(submission, results, None, half_written=False))
    return judged
