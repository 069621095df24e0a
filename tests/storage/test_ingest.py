"""Group commit on a real PostgreSQL: order, grouping, refusals, and a database that goes away."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage.engine import make_engine, sessions
from storage.ingest import Busy, IngestWriter, StoreAway
from storage.settings import Settings

_TABLES = """
    CREATE TABLE owners (id bigint PRIMARY KEY);
    INSERT INTO owners VALUES (1);
    CREATE TABLE things (
        place bigint GENERATED ALWAYS AS IDENTITY,
        word text PRIMARY KEY CHECK (word <> 'poison'),
        owner bigint NOT NULL REFERENCES owners DEFERRABLE INITIALLY DEFERRED
    )
"""
_INSERT = text("INSERT INTO things (word, owner) VALUES (:word, :owner) ON CONFLICT DO NOTHING")
_TERMINATE = text("""
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = coalesce(:database, current_database()) AND pid <> pg_backend_pid()
""")


class _Taken(Exception):  # noqa: N818 - a refusal
    """The word is stored already."""


@dataclass
class _Shelf:
    """What `apply` is in these tests; `inside` and `go` hold a transaction open on purpose."""

    groups: list[list[str]] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    inside: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def inside_of(self, groups: int) -> None:
        """Wait until so many groups have come to their statements."""
        while len(self.pids) < groups:
            self.asked.clear()
            await self.asked.wait()

    async def apply(self, db: AsyncSession, words: Sequence[str]) -> list[str | Exception]:
        self.groups.append(list(words))
        self.pids.append((await db.execute(text("SELECT pg_backend_pid()"))).scalar_one())
        self.asked.set()
        answers: list[str | Exception] = []
        for word in words:
            owner = 2 if word == "orphan" else 1
            done = await db.execute(_INSERT, {"word": word, "owner": owner})
            answers.append(word.upper() if done.rowcount else _Taken(word))  # type: ignore[attr-defined]
        db.info["words"] = answers
        self.inside.set()
        if self.go is not None:
            await self.go.wait()
        return answers


@pytest.fixture
async def shelf(engine: AsyncEngine) -> _Shelf:
    async with engine.begin() as connection:
        for statement in _TABLES.split(";"):
            await connection.execute(text(statement))
    return _Shelf()


@pytest.fixture
async def writer(engine: AsyncEngine, shelf: _Shelf) -> AsyncIterator[IngestWriter[str, str]]:
    async with IngestWriter(sessions(engine), shelf.apply) as writer:
        yield writer


async def _stored(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list(
            (await connection.execute(text("SELECT word FROM things ORDER BY place"))).scalars()
        )


async def _kill_connections(database_url: str) -> None:
    other = make_engine(database_url)
    async with other.connect() as connection:
        await connection.execute(_TERMINATE, {"database": None})
    await other.dispose()


async def _outcomes(*waiting: "asyncio.Future[list[str]]") -> list[list[str] | BaseException]:
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_results_come_in_the_order_of_the_items_and_after_the_commit(
    engine: AsyncEngine, writer: IngestWriter[str, str]
) -> None:
    assert await writer.submit(["b", "a", "c"]) == ["B", "A", "C"]
    assert await _stored(engine) == ["b", "a", "c"]


async def test_submissions_that_wait_together_are_committed_together_and_in_order(
    engine: AsyncEngine, shelf: _Shelf, writer: IngestWriter[str, str]
) -> None:
    words = [f"w{n:03}" for n in range(200)]
    results = await asyncio.gather(*(writer.submit([word]) for word in words))
    assert results == [[word.upper()] for word in words]
    assert await _stored(engine) == words
    async with engine.connect() as connection:
        count = await connection.execute(text("SELECT count(DISTINCT xmin::text) FROM things"))
    assert count.scalar_one() == len(shelf.groups) < 5


async def test_a_group_holds_no_more_items_than_agreed(engine: AsyncEngine, shelf: _Shelf) -> None:
    async with IngestWriter(sessions(engine), shelf.apply, max_batch=5) as writer:
        await asyncio.gather(*(writer.submit([f"{n}a", f"{n}b"]) for n in range(7)))
        await writer.submit([f"big{n}" for n in range(9)])
    assert [len(group) for group in shelf.groups] == [4, 4, 4, 2, 9]


async def test_a_refused_item_takes_its_own_submission_with_it_and_no_other(
    engine: AsyncEngine, writer: IngestWriter[str, str]
) -> None:
    await writer.submit(["old"])
    outcomes = await _outcomes(
        asyncio.ensure_future(writer.submit(["a", "b"])),
        asyncio.ensure_future(writer.submit(["c", "old", "d"])),
        asyncio.ensure_future(writer.submit(["e"])),
        asyncio.ensure_future(writer.submit(["old"])),
    )
    assert outcomes[0] == ["A", "B"]
    assert outcomes[2] == ["E"]
    assert isinstance(outcomes[1], _Taken)
    assert isinstance(outcomes[3], _Taken)
    assert await _stored(engine) == ["old", "a", "b", "e"]


async def test_nothing_is_refused_for_the_sake_of_an_item_that_was_not_stored(
    engine: AsyncEngine, writer: IngestWriter[str, str]
) -> None:
    """`x` first stands in a submission that falls, so the second submission of `x` must pass."""
    await writer.submit(["old"])
    outcomes = await _outcomes(
        asyncio.ensure_future(writer.submit(["x", "old"])),
        asyncio.ensure_future(writer.submit(["x"])),
        asyncio.ensure_future(writer.submit(["y"])),
    )
    stored = await _stored(engine)
    assert isinstance(outcomes[0], _Taken)
    assert sorted(stored) == ["old", "x", "y"] or isinstance(outcomes[1], _Taken)
    assert outcomes[1] == ["X"]


async def test_an_item_that_breaks_the_statement_fails_alone(
    engine: AsyncEngine, writer: IngestWriter[str, str]
) -> None:
    words = ["a", "b", "poison", "c", "d", "e"]
    outcomes = await _outcomes(*(asyncio.ensure_future(writer.submit([w])) for w in words))
    assert isinstance(outcomes.pop(2), IntegrityError)
    assert outcomes == [["A"], ["B"], ["C"], ["D"], ["E"]]
    assert await _stored(engine) == ["a", "b", "c", "d", "e"]


async def test_an_item_that_breaks_only_the_commit_fails_alone(
    engine: AsyncEngine, writer: IngestWriter[str, str]
) -> None:
    """The deferred foreign key speaks at commit, after every statement went well."""
    words = ["a", "orphan", "b"]
    outcomes = await _outcomes(*(asyncio.ensure_future(writer.submit([w])) for w in words))
    assert isinstance(outcomes[1], IntegrityError)
    assert (outcomes[0], outcomes[2]) == (["A"], ["B"])
    assert await _stored(engine) == ["a", "b"]


async def test_an_apply_that_miscounts_is_a_failure_of_its_submitter(engine: AsyncEngine) -> None:
    async def apply(_db: AsyncSession, _items: Sequence[str]) -> list[str | Exception]:
        return []

    async with IngestWriter(sessions(engine), apply) as writer:
        with pytest.raises(RuntimeError, match="0 of 1"):
            await writer.submit(["a"])


async def test_a_connection_killed_in_mid_flight_acknowledges_and_stores_nothing(
    engine: AsyncEngine, shelf: _Shelf, writer: IngestWriter[str, str], database_url: str
) -> None:
    shelf.go = asyncio.Event()
    first = asyncio.ensure_future(writer.submit(["a", "b"]))
    await shelf.inside.wait()
    queued = asyncio.ensure_future(writer.submit(["c"]))
    await _kill_connections(database_url)
    shelf.go.set()
    outcomes = await _outcomes(first, queued)
    assert isinstance(outcomes[0], StoreAway)
    assert outcomes[1] == ["C"] or isinstance(outcomes[1], StoreAway)
    assert "a" not in await _stored(engine)
    shelf.go = None
    assert await writer.submit(["a", "b"]) == ["A", "B"]
    assert {"a", "b"} <= set(await _stored(engine))


async def test_no_acknowledged_item_is_lost_while_connections_are_killed_again_and_again(
    engine: AsyncEngine, shelf: _Shelf, writer: IngestWriter[str, str], database_url: str
) -> None:
    """Twelve submitters go on until ten kills are done; each submission is three items."""
    kills_done = asyncio.Event()
    acknowledged: list[str] = []
    some_acknowledged = asyncio.Event()
    away = 0

    async def submitter(name: int) -> None:
        nonlocal away
        turn = 0
        while not kills_done.is_set():
            words = [f"{name}.{turn}.{part}" for part in "abc"]
            turn += 1
            try:
                await writer.submit(words)
            except StoreAway:
                away += 1
            else:
                acknowledged.extend(words)
                some_acknowledged.set()

    submitters = [asyncio.ensure_future(submitter(n)) for n in range(12)]
    for _ in range(10):
        shelf.go = held = asyncio.Event()
        shelf.inside.clear()
        await shelf.inside.wait()
        await _kill_connections(database_url)
        shelf.go = None
        held.set()
        some_acknowledged.clear()
        await some_acknowledged.wait()
    kills_done.set()
    await asyncio.gather(*submitters)

    stored = set(await _stored(engine))
    assert away >= 10
    assert len(acknowledged) > 30
    assert set(acknowledged) <= stored
    whole = {word.rpartition(".")[0] for word in stored}
    assert len(stored) == 3 * len(whole)


async def test_a_database_that_is_away_is_told_quickly_to_everybody_waiting() -> None:
    async def apply(_db: AsyncSession, items: Sequence[str]) -> list[str | Exception]:
        await _db.execute(text("SELECT 1"))
        return list(items)

    engine = make_engine("postgresql://app:x@127.0.0.1:1/none")
    began = time.monotonic()
    async with IngestWriter(sessions(engine), apply, max_batch=1) as writer:
        outcomes = await _outcomes(*(asyncio.ensure_future(writer.submit([w])) for w in "abcdef"))
    await engine.dispose()
    assert [type(outcome) for outcome in outcomes] == [StoreAway] * 6
    assert time.monotonic() - began < 3


async def test_the_writer_recovers_by_itself_when_the_database_is_back(
    engine: AsyncEngine, writer: IngestWriter[str, str], stores: Settings
) -> None:
    assert await writer.submit(["before"]) == ["BEFORE"]
    name = engine.url.database
    other = make_engine(stores.embedded_database_url("postgres"))
    async with other.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        await connection.execute(_TERMINATE, {"database": name})
        with pytest.raises(StoreAway):
            await writer.submit(["during"])
        await connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    await other.dispose()
    assert await writer.submit(["after"]) == ["AFTER"]
    assert await _stored(engine) == ["before", "after"]


async def test_a_full_queue_is_refused_at_once(engine: AsyncEngine, shelf: _Shelf) -> None:
    shelf.go = asyncio.Event()
    async with IngestWriter(sessions(engine), shelf.apply, max_queue=3) as writer:
        first = asyncio.ensure_future(writer.submit(["a"]))
        await shelf.inside.wait()
        second = asyncio.ensure_future(writer.submit(["b", "c"]))
        await asyncio.wait((second,), timeout=0)
        with pytest.raises(Busy):
            await writer.submit(["d", "e"])
        shelf.go.set()
        assert await _outcomes(first, second) == [["A"], ["B", "C"]]
    assert await _stored(engine) == ["a", "b", "c"]


async def test_a_submitter_waits_no_longer_than_agreed(engine: AsyncEngine, shelf: _Shelf) -> None:
    shelf.go = asyncio.Event()
    async with IngestWriter(sessions(engine), shelf.apply, answer_within_s=0.1) as writer:
        with pytest.raises(StoreAway, match="in time"):
            await writer.submit(["slow"])
        shelf.go.set()
    assert await _stored(engine) == ["slow"]  # not acknowledged, and yet whole


async def test_a_submitter_that_goes_away_disturbs_nobody(
    engine: AsyncEngine, shelf: _Shelf, writer: IngestWriter[str, str]
) -> None:
    shelf.go = asyncio.Event()
    gone = asyncio.ensure_future(writer.submit(["gone"]))
    stays = asyncio.ensure_future(writer.submit(["stays"]))
    await shelf.inside.wait()
    gone.cancel()
    shelf.go.set()
    assert await stays == ["STAYS"]
    assert await _stored(engine) == ["gone", "stays"]


async def test_the_listener_hears_what_was_committed_and_cannot_stop_the_writer(
    engine: AsyncEngine, shelf: _Shelf
) -> None:
    heard: list[str] = []

    def listen(db: AsyncSession, results: Sequence[str]) -> None:
        assert db.info["words"] == results  # the session of this commit, of no other
        heard.extend(results)
        raise RuntimeError("a listener's own trouble")

    async with IngestWriter(sessions(engine), shelf.apply, after_commit=listen) as writer:
        await _outcomes(
            asyncio.ensure_future(writer.submit(["a"])),
            asyncio.ensure_future(writer.submit(["poison"])),
        )
        await writer.submit(["b"])
    assert heard == ["A", "B"]


async def test_closing_writes_what_waits_and_takes_no_more(
    engine: AsyncEngine, shelf: _Shelf
) -> None:
    writer = IngestWriter(sessions(engine), shelf.apply)
    async with writer:
        waiting = [asyncio.ensure_future(writer.submit([word])) for word in "abc"]
        await asyncio.wait(waiting, timeout=0)
    assert await _outcomes(*waiting) == [["A"], ["B"], ["C"]]
    assert await _stored(engine) == ["a", "b", "c"]
    with pytest.raises(StoreAway):
        await writer.submit(["d"])


async def test_nothing_submitted_is_nothing_done(
    shelf: _Shelf, writer: IngestWriter[str, str]
) -> None:
    assert await writer.submit([]) == []
    assert shelf.groups == []


async def test_a_lane_that_stalls_holds_back_nobody_but_itself(
    engine: AsyncEngine, shelf: _Shelf
) -> None:
    """A word that a stranger's open transaction holds stops its lane; the other lane commits."""
    async with (
        engine.connect() as stranger,
        IngestWriter(sessions(engine), shelf.apply, stalled_s=0.3) as writer,
    ):
        await stranger.execute(_INSERT, {"word": "held", "owner": 1})
        stalled = asyncio.ensure_future(writer.submit(["held"], lane="a"))
        await shelf.inside_of(1)
        behind = asyncio.ensure_future(writer.submit(["behind"], lane="a"))
        assert await writer.submit(["free"], lane="b") == ["FREE"]
        assert not stalled.done()
        outcomes = await _outcomes(stalled, behind)
        assert [type(outcome) for outcome in outcomes] == [StoreAway] * 2
        await stranger.rollback()
        assert await writer.submit(["held"], lane="a") == ["HELD"]
    assert await _stored(engine) == ["free", "held"]


async def test_lanes_take_turns(engine: AsyncEngine, shelf: _Shelf) -> None:
    """One with much to write does not go again before one that came later."""
    shelf.go = asyncio.Event()
    options: dict[str, int] = {"max_batch": 1, "at_once": 1}
    async with IngestWriter(sessions(engine), shelf.apply, **options) as writer:  # type: ignore[arg-type]
        many = [asyncio.ensure_future(writer.submit([f"a{n}"], lane="a")) for n in range(3)]
        await shelf.inside.wait()
        one = asyncio.ensure_future(writer.submit(["b"], lane="b"))
        await asyncio.wait((one,), timeout=0)
        shelf.go.set()
        await asyncio.gather(*many, one)
    assert await _stored(engine) == ["a0", "b", "a1", "a2"]


async def test_a_lane_is_bounded_and_an_empty_one_still_takes(
    engine: AsyncEngine, shelf: _Shelf
) -> None:
    """Whoever floods is told Busy; who has nothing waiting is not."""
    shelf.go = asyncio.Event()
    async with IngestWriter(
        sessions(engine), shelf.apply, max_queue=4, max_lane=2, at_once=1
    ) as writer:
        first = asyncio.ensure_future(writer.submit(["a"], lane="a"))
        await shelf.inside.wait()
        waiting = [
            asyncio.ensure_future(writer.submit([word, word * 2], lane=word)) for word in "abc"
        ]
        await asyncio.wait(waiting, timeout=0)
        with pytest.raises(Busy):
            await writer.submit(["more"], lane="a")
        assert writer.queued == 6
        with pytest.raises(Busy):
            await writer.submit(["more"], lane="c")
        shelf.go.set()
        await asyncio.gather(first, *waiting[1:])
        with pytest.raises(_Taken):
            await waiting[0]
    assert await _stored(engine) == ["a", "b", "bb", "c", "cc"]


async def test_a_lane_that_filled_the_queue_leaves_the_others_their_share(
    engine: AsyncEngine, shelf: _Shelf
) -> None:
    """Two lanes share a queue by halves: the small one is not kept to one submission at a time."""
    shelf.go = asyncio.Event()
    async with IngestWriter(sessions(engine), shelf.apply, max_queue=4, at_once=1) as writer:
        first = asyncio.ensure_future(writer.submit(["a"], lane="a"))
        await shelf.inside.wait()
        greedy = asyncio.ensure_future(writer.submit(["c", "d", "e", "f"], lane="a"))
        fair = [asyncio.ensure_future(writer.submit([word], lane="b")) for word in ("g", "h")]
        await asyncio.wait(fair, timeout=0)
        assert writer.queued == 6
        for lane in "ab":
            with pytest.raises(Busy):
                await writer.submit(["more"], lane=lane)
        shelf.go.set()
        await asyncio.gather(first, greedy, *fair)
    assert len(await _stored(engine)) == 7
