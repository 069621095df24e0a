"""Which worker a room goes to, and who watches it where."""

from pathlib import Path

import pytest

from rtc.lines import HANGS_S
from rtc.messages import Join, Leave, Presence, Recording, RoomState, SegmentStored, TakeStored
from tests.rtc.media_house import both, watcher
from tests.rtc.said_workers import Workers


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short folder, since a socket's path has at most 107 bytes."""
    return tmp_path_factory.mktemp("h")


async def test_a_new_room_goes_to_the_worker_with_the_least_to_do(home: Path) -> None:
    """And a burst of rooms is spread although the workers have not told their load again."""
    workers = Workers(home, a=0.62, b=0.41)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        await workers.until(lambda: workers.told == {"a", "b"})
        places = [link.worker_of(f"room-{n}") for n in range(8)]
    assert places == ["b", "b", "b", "b", "a", "b", "a", "b"]


async def test_nothing_new_goes_to_a_worker_that_has_gone_silent(home: Path) -> None:
    """It may hang: its rooms wait for it, others need not; unless there is no other."""
    workers = Workers(home, a=0.0, b=0.5)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: workers.told == {"a", "b"})
        assert link.worker_of("before") == "a"
        link._lines[0].heard_at -= HANGS_S
        assert [link.worker_of(room) for room in ("before", "new")] == ["a", "b"]
        link._lines[1].heard_at -= HANGS_S
        assert link.worker_of("newer") == "a"


async def test_what_concerns_a_room_goes_to_its_worker_only(home: Path) -> None:
    """Of two workers the one that has the room hears of it, until it is closed."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        for n in range(2):
            link.send(RoomState(f"room-{n}", 1, [both("amina")]))
            link.send(Leave(f"room-{n}", "amina"))
            link.send(RoomState(f"room-{n}", 2, []))
        await workers.until(lambda: len(workers.of("a")) == len(workers.of("b")) == 3)
    for name, room in (("a", "room-0"), ("b", "room-1")):
        assert workers.of(name) == [
            RoomState(room, 1, [both("amina")]),
            Leave(room, "amina"),
            RoomState(room, 2, []),
        ]


async def test_whose_recording_is_stored_is_heard_by_whoever_has_it(home: Path) -> None:
    """The index has a lesson's end after the room is closed: nobody need know where it was."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        link.send(RoomState("room", 1, [both("amina")]))
        link.send(RoomState("room", 2, []))
        link.send(Leave("room", "amina"))
        told = SegmentStored("room", "take", 0), TakeStored("room", "take")
        link.send(told[0])
        link.send(told[1])
        await workers.until(lambda: len(workers.of("a")) == 4 and len(workers.of("b")) == 2)
    assert workers.of("b") == workers.of("a")[2:] == [*told]


async def test_a_room_is_found_where_it_lives_rather_than_where_it_was_recorded(home: Path) -> None:
    """Nor does it lose its place when what was recorded of it earlier is stored, but once closed."""
    workers = Workers(home, a=0.0, b=0.9)
    workers.kept["a"], workers.rooms["b"], workers.kept["b"] = ["room"], ["room"], ["left"]
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: len(workers.ups) == 2)
        link.send(TakeStored("room", "take"))
        assert [link.worker_of(room) for room in ("room", "left", "new")] == ["b", "b", "a"]
        link.send(RoomState("room", 1, []))
        assert link.worker_of("room") == "a"  # another one of that name


async def test_a_worker_that_does_not_start_keeps_no_room_closed(home: Path) -> None:
    """It is not waited for long; what it says later of a room that lives elsewhere counts no more."""
    workers = Workers(home, patience_s=0.05, a=0.5, b=0.0)
    workers.rooms["b"] = ["room", "old"]
    link = workers.link
    async with workers.listening("a"), link:
        await workers.until(lambda: workers.ups == ["a"])
        assert link.send(RoomState("room", 1, [both("amina")]))
        async with workers.listening("b"):
            await workers.until(lambda: bool(workers.of("b")))
            (ended,) = workers.of("b")
            assert isinstance(ended, RoomState)
            assert (ended.room, ended.members) == ("room", [])
            assert [link.worker_of(room) for room in ("room", "old")] == ["a", "b"]
            line = link._lines[1]
            assert line.writer is not None
            for room in ("room", "old"):  # said before it heard of the end
                link._heard(line, Presence(room, 1, []), line.writer)
            assert workers.told & {"room", "old"} == {"old"}


async def test_no_room_is_placed_before_every_worker_has_said_which_it_has(home: Path) -> None:
    """A new API process finds a room where it lives, and goes on with it there."""
    workers = Workers(home, a=0.0, b=0.9)
    workers.rooms["b"] = ["room"]
    link = workers.link
    async with workers.listening("a"), link:
        await workers.until(lambda: bool(workers.heard["a"]))
        assert link.worker_of("room") is None
        assert workers.ups == []
        async with workers.listening("b"):
            await workers.until(lambda: len(workers.ups) == 2)
            assert link.worker_of("room") == "b"
            assert link.worker_of("other") == "a"


async def test_a_room_waits_for_its_worker_and_a_new_one_does_not(home: Path) -> None:
    """While a worker is away its rooms have none; new ones go to those that are there."""
    workers = Workers(home, a=0.0, b=0.5)
    link = workers.link
    async with workers.listening("b"), link:
        async with workers.listening("a"):
            await workers.until(lambda: len(workers.ups) == 2)
            assert link.worker_of("room") == "a"
        await workers.until(lambda: link.worker_of("room") is None)
        assert link.send(RoomState("room", 1, [both("amina")])) is False
        assert link.worker_of("new") == "b"


def lesson(room: str, version: int, *pupils: str, recorded: bool = False) -> RoomState:
    """A lesson in which so many may watch."""
    members = [both("teacher"), *map(watcher, pupils)]
    take = Recording("take", 0.0, 0) if recorded else None
    return RoomState(room, version, members, "h264", "teacher", take)


def join(room: str, member: str, *resume: str) -> Join:
    """A page with everything."""
    return Join(room, member, audio=True, video=True, resume=[*resume])


async def test_new_viewers_of_a_lesson_go_where_there_is_less_to_do(home: Path) -> None:
    """When its worker has too much; the teacher, a visit, and who sits already stay."""
    workers = Workers(home, a=0.3, b=0.1)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: workers.told == {"a", "b"})
        for other in ("x", "y"):
            link.send(RoomState(other, 1, [both("amina")]))  # both go to b
        assert link.send(lesson("room", 1, "p1", "p2"))
        assert link.worker_of("room") == "b"
        link.send(join("room", "p1"))
        link._lines[1].told_load(0.9)
        for member in ("teacher", "p2"):
            link.send(join("room", member))
        link.send(join("x", "amina"))
        link.send(join("room", "p1", "a-transport"))
        await workers.until(lambda: join("room", "p1", "a-transport") in workers.of("b"))
    assert [each.member for each in workers.of("a") if isinstance(each, Join)] == ["p2"]
    (state,) = (each for each in workers.of("a") if isinstance(each, RoomState))
    assert (state.room, state.home, state.version) == ("room", "b", 2)
    assert [each.member for each in state.members if each.subscribe] == ["p2"]
    assert [each.publish for each in state.members] == [["audio", "video"], [], []]
    states = [each for each in workers.of("b") if isinstance(each, RoomState)]
    assert [each.member for each in states[-1].members if each.subscribe] == ["teacher", "p1"]
    assert not states[-1].home


async def test_a_viewer_who_leaves_ends_a_branch_that_is_empty(home: Path) -> None:
    """And closing the room closes it everywhere."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), workers.listening("b"), link:
        await workers.until(lambda: workers.told == {"a", "b"})
        link.send(lesson("room", 1, "p1", "p2"))
        for turn in range(2):
            link._lines[0].told_load(0.9)
            link.send(join("room", "p1"))
            link.send(Leave("room", "p1") if not turn else RoomState("room", 9, []))
        await workers.until(lambda: workers.of("a")[-1:] == [RoomState("room", 9, [])])
        await workers.until(lambda: workers.of("b")[-1:] == [RoomState("room", 9, [])])
    told = [
        (each.version, len(each.members)) for each in workers.of("b") if isinstance(each, RoomState)
    ]
    assert told == [(2, 3), (3, 0), (4, 3), (9, 0)]


async def test_rooms_of_a_worker_that_is_gone_go_elsewhere(home: Path) -> None:
    """Those that are recorded wait for it; what it says of the others when it is back ends there."""
    workers = Workers(home, gone_s=0.05, a=0.0, b=0.5)
    link = workers.link
    async with workers.listening("b"), link:
        async with workers.listening("a"):
            await workers.until(lambda: workers.told == {"a", "b"})
            link.send(lesson("room", 1, "p1"))
            link.send(lesson("recorded", 1, "p1", recorded=True))
            assert [link.worker_of(room) for room in ("room", "recorded")] == ["a", "a"]
        await workers.until(lambda: workers.ups == ["a", "b", "b"])
        assert [link.worker_of(room) for room in ("room", "recorded")] == ["b", None]
        workers.rooms["a"], said = ["room", "recorded"], len(workers.of("a"))
        async with workers.listening("a"):
            await workers.until(lambda: workers.ups[-1] == "a")
            assert [link.worker_of(room) for room in ("room", "recorded")] == ["b", "a"]
            await workers.until(lambda: len(workers.of("a")) == said + 1)
            ended = workers.of("a")[-1]
            assert isinstance(ended, RoomState)
            assert (ended.room, ended.members) == ("room", [])
            link.send(lesson("room", 2, "p1"))
            link._lines[1].told_load(0.9)
            link.send(join("room", "p1"))  # its branch is newer than the end
            await workers.until(lambda: workers.of("a")[-1] == join("room", "p1"))
            branch = workers.of("a")[-2]
            assert isinstance(branch, RoomState)
            assert (branch.room, branch.home) == ("room", "b")
            assert branch.version > ended.version


async def test_a_link_that_blinks_moves_nobody(home: Path) -> None:
    """Nor ends what is open; another worker in the place of a branch knows nothing of it."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("a"), link:
        async with workers.listening("b"):
            await workers.until(lambda: workers.told == {"a", "b"})
            link.send(lesson("room", 1, "p1"))
            link._lines[0].told_load(0.9)
            link.send(join("room", "p1"))
            await workers.until(lambda: join("room", "p1") in workers.of("b"))
            workers.branches["b"] = {"room": ["p1"], "closed": ["p2"]}
        async with workers.listening("b"):
            await workers.until(lambda: isinstance(workers.of("b")[-1], RoomState))
            await workers.until(lambda: isinstance(workers.of("b")[-2], RoomState))
            last, closed = workers.of("b")[-2:]
            assert isinstance(last, RoomState)
            assert (last.home, last.version) == ("a", 3)
            assert isinstance(closed, RoomState)
            assert (closed.room, closed.members) == ("closed", [])
            workers.branches["b"] = {}
        async with workers.listening("b"):  # there is still least to do
            await workers.until(lambda: workers.of("b").count(join("room", "p1")) == 2)
            state = workers.of("b")[-2]
            assert isinstance(state, RoomState)
            assert (state.home, state.version) == ("a", 4)


async def test_a_home_that_begins_anew_ends_its_branches(home: Path) -> None:
    """It knows nothing of the room: everybody joins again, and is placed again."""
    workers = Workers(home, a=0.0, b=0.0)
    link = workers.link
    async with workers.listening("b"), link:
        async with workers.listening("a"):
            await workers.until(lambda: workers.told == {"a", "b"})
            link.send(lesson("room", 1, "p1"))
            link._lines[0].told_load(0.9)
            link.send(join("room", "p1"))
            await workers.until(lambda: join("room", "p1") in workers.of("b"))
        async with workers.listening("a"):
            await workers.until(lambda: workers.of("b")[-1:] == [RoomState("room", 3, [])])
            link._lines[0].told_load(0.0)
            link.send(lesson("room", 9, "p1"))
            link.send(join("room", "p1"))
            await workers.until(lambda: workers.of("a").count(join("room", "p1")) == 2)
    assert workers.of("b").count(join("room", "p1")) == 1
