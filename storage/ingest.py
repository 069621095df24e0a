"""Group commit: many small submissions, one transaction.

A commit waits for the disk, so a device a commit is bound by the disk's rhythm. Here one writer
takes everything that waits, applies it in the order of submission in one transaction, and answers
each submitter only after the commit. While one commit is on its way the next group gathers.

A submission is stored whole or not at all:
- an item that `apply` refuses takes its own submission with it, and no other;
- a group that fails as a whole is halved until the culprit stands alone;
- when the database is away everybody waiting is told so at once (StoreAway). Nothing was
  acknowledged; a submission cut off in the middle of a commit may or may not be stored, so what is
  submitted must bear being sent again.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
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
    __slots__ = ("answer", "items")

    def __init__(self, items: Sequence[T], answer: "asyncio.Future[list[R]]") -> None:
        self.items = items
        self.answer = answer

    def succeed(self, results: list[R]) -> None:
        if not self.answer.done():  # the submitter may have gone away
            self.answer.set_result(results)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class IngestWriter(Generic[T, R]):
    """One ordered writer over `apply`; use as `async with IngestWriter(...) as writer`.

    `max_batch` items go into one transaction (a larger submission goes alone), `max_wait_ms` is how
    long a group may wait for company, `max_queue` bounds the items held, `answer_within_s` the time
    until a submitter gets StoreAway. `after_commit` is called after every commit with its results,
    and with its session, closed, for what `apply` left in its `info`.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        apply: Apply[T, R],
        *,
        max_batch: int = 2000,
        max_wait_ms: float = 1.0,
        max_queue: int = 20_000,
        answer_within_s: float = 10.0,
        after_commit: Callable[[AsyncSession, Sequence[R]], None] | None = None,
    ) -> None:
        self._sessions = sessions
        self._apply = apply
        self._max_batch = max_batch
        self._max_wait_s = max_wait_ms / 1000
        self._max_queue = max_queue
        self._answer_within_s = answer_within_s
        self._after_commit = after_commit
        self._queue: deque[_Submission[T, R]] = deque()
        self._queued = 0
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="ingest writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, then stop; later submissions get StoreAway."""
        self._closing = True
        self._some.set()
        self._enough.set()
        if self._task is not None:
            await self._task

    @property
    def queued(self) -> int:
        """Items that wait for a transaction."""
        return self._queued

    async def submit(self, items: Sequence[T]) -> list[R]:
        """Store `items` and return their results after the commit.

        Raises the refusal of the first refused item (nothing of the submission is stored then),
        Busy when the queue is full, StoreAway when the database cannot serve.
        """
        if not items:
            return []
        if self._closing or self._task is None:
            raise StoreAway("the writer is not running")
        if self._queued and self._queued + len(items) > self._max_queue:
            raise Busy(f"{self._queued} items wait for the database")
        answer: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Submission(items, answer))
        self._queued += len(items)
        self._some.set()
        if self._queued >= self._max_batch:
            self._enough.set()
        try:
            await asyncio.wait((answer,), timeout=self._answer_within_s)
            if not answer.done():
                raise StoreAway("the database did not answer in time")
            return answer.result()
        finally:
            answer.cancel()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            if not self._queue:
                if self._closing:
                    return
                self._some.clear()
                continue
            if self._max_wait_s > 0 and not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._max_wait_s):
                        await self._enough.wait()
            await self._write(self._take())

    def _take(self) -> list[_Submission[T, R]]:
        group: list[_Submission[T, R]] = []
        size = 0
        while self._queue and (not group or size + len(self._queue[0].items) <= self._max_batch):
            submission = self._queue.popleft()
            group.append(submission)
            size += len(submission.items)
        self._queued -= size
        if not self._closing and self._queued < self._max_batch:
            self._enough.clear()
        return group

    async def _write(self, group: list[_Submission[T, R]]) -> None:
        """Store a group and answer its submitters, in smaller groups where this one fails."""
        if not group:
            return
        try:
            judged, db = await self._commit(group)
        except Exception as error:  # noqa: BLE001 - whatever `apply` raises is its submitters'
            if is_away(error):
                self._tell_all_away(group, error)
            elif len(group) == 1:
                group[0].fail(error)
            else:
                middle = len(group) // 2
                await self._write(group[:middle])
                await self._write(group[middle:])
            return
        if len(group) > 1 and any(one.half_written for one in judged):
            # Rolled back. The refused ones are judged again alone, after the others: what they
            # were refused for may have been written by one of them.
            await self._write([one.submission for one in judged if one.refusal is None])
            for one in judged:
                if one.refusal is not None:
                    await self._write([one.submission])
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

    def _tell_all_away(self, group: list[_Submission[T, R]], error: Exception) -> None:
        """Fail the group and everything queued: the next submission tries the database again."""
        reason = str(error).partition("\n")[0]  # further lines may quote the statement
        log.warning("database away: %s", reason)
        waiting = [*group, *self._queue]
        self._queue.clear()
        self._queued = 0
        for submission in waiting:
            away = StoreAway(reason)
            away.__cause__ = error
            submission.fail(away)


@dataclass(frozen=True, slots=True)
class _Judged(Generic[T, R]):
    """A submission beside what `apply` said of it: its results, or its first refusal."""

    submission: _Submission[T, R]
    results: list[R]
    refusal: Exception | None
    half_written: bool

    def tell(self) -> None:
        if self.refusal is None:
            self.submission.succeed(self.results)
        else:
            self.submission.fail(self.refusal)


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
