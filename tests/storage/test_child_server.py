"""One interpreter forks a child a file: as alone as before, and gone when it is to be gone."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import limited_child
from storage.limited_child import ChildAway, ChildLate, end_servers, run_forked

TRIES = "tests.storage.forked_tries"
# A house that is killed while a child works.
HOUSE = """
import asyncio, sys
from pathlib import Path
from storage.limited_child import run_forked
asyncio.run(run_forked(sys.argv[1], "wait", folder=Path(sys.argv[2]), wall_s=60))
"""


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """No server of another test, none for another one."""
    end_servers()
    yield
    end_servers()


async def asked(folder: Path, *words: str, wall_s: float = 20) -> int:
    """Run one child in a folder of its own."""
    os.mkdir(folder)  # noqa: PTH102 - nobody else waits here
    return await run_forked(TRIES, *words, folder=folder, wall_s=wall_s)


async def appeared(path: Path) -> list[str]:
    """The lines of a file that a child writes."""
    async with asyncio.timeout(20):
        while not there(path):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    return lines(path)


def there(path: Path) -> bool:
    """Whether it was written."""
    return path.exists()


def lines(path: Path) -> list[str]:
    """What a child told."""
    return path.read_text().splitlines()


def alive(pid: str) -> bool:
    """Whether there is such a process."""
    return Path("/proc", pid).exists()


async def test_one_interpreter_forks_a_child_a_file_that_holds_nothing_of_it(
    tmp_path: Path,
) -> None:
    """Not the socket it is asked by; nice, also where the kernel counts by sessions."""
    told = []
    for name in ("one", "two"):
        assert await asked(tmp_path / name, "tell") == 0
        told.append(lines(tmp_path / name / "told"))
    [server] = limited_child._idle[TRIES]
    for parent, nice, autogroup, *held in told:
        assert parent == str(server.process.pid)
        assert int(nice) >= 10
        assert autogroup.endswith((f"nice {limited_child.NICE}", "none"))
        assert {one.partition(" ")[2] for one in held} == {"/dev/null"}


async def test_a_forked_child_has_given_up_what_a_started_one_has(tmp_path: Path) -> None:
    """Network, programs, its parent, foreign files, memory."""
    file, secret = tmp_path / "body", tmp_path / "secret"
    file.write_bytes(b"x")
    secret.write_text("canary")
    assert await asked(tmp_path / "made", "try", str(file), str(secret)) == 0
    assert lines(tmp_path / "made/got") == []


async def test_a_child_that_crashed_is_the_last_of_its_interpreter(tmp_path: Path) -> None:
    """Whoever guesses where something lies in memory guesses anew each time."""
    assert await asked(tmp_path / "one", "tell") == 0
    assert await asked(tmp_path / "two", "crash") == -signal.SIGABRT
    assert limited_child._idle[TRIES] == []
    assert await asked(tmp_path / "three", "tell") == 0
    parents = {lines(tmp_path / one / "told")[0] for one in ("one", "three")}
    assert len(parents) == 2


async def test_nobody_waits_longer_than_the_time_that_a_child_has(tmp_path: Path) -> None:
    """And it is gone with what forked it, also when whoever waited goes away."""
    working = asyncio.create_task(asked(tmp_path / "one", "wait"))
    pids = await appeared(tmp_path / "one/pids")
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not any(map(alive, pids))
    assert limited_child._idle.get(TRIES, []) == []
    with pytest.raises(ChildLate):
        await asked(tmp_path / "two", "wait", wall_s=0)
    assert limited_child._idle.get(TRIES, []) == []


async def test_an_interpreter_that_went_away_while_nobody_asked_is_replaced(tmp_path: Path) -> None:
    """It does so by itself after a while; the file is not at fault."""
    assert await asked(tmp_path / "one", "tell") == 0
    [server] = limited_child._idle[TRIES]
    os.kill(server.process.pid, signal.SIGTERM)
    server.reaper.join(20)
    assert await asked(tmp_path / "two", "tell") == 0
    assert limited_child._idle[TRIES] != [server]


async def test_a_module_that_cannot_be_loaded_is_our_fault(tmp_path: Path) -> None:
    """As is one that started a thread: nobody is told that a good file is broken."""
    with pytest.raises(ChildAway):
        await run_forked("storage.nothing", folder=tmp_path, wall_s=20)


async def test_nothing_outlives_a_house_that_was_killed(tmp_path: Path) -> None:
    """Neither the child nor what forked it."""
    house = await asyncio.create_subprocess_exec(sys.executable, "-c", HOUSE, TRIES, str(tmp_path))
    pids = await appeared(tmp_path / "pids")
    house.kill()
    await house.wait()
    async with asyncio.timeout(20):
        while any(map(alive, pids)):  # noqa: ASYNC110 - they are not our children
            await asyncio.sleep(0.01)
