"""The supervisor with a small table of its own."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ops.children import Cannot, Child
from ops.home import locked, prepare_home, read_state
from ops.supervisor import Supervisor
from storage.settings import Settings


def child(home: Path, name: str, program: str, **row: object) -> Child:
    """A row that runs a few lines of Python."""
    env = {"YANASHA_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    return Child(name, (sys.executable, "-c", program), env, **row)  # type: ignore[arg-type]


@asynccontextmanager
async def supervised(
    folder: Path, *stages: list[Child]
) -> AsyncIterator[tuple[Supervisor, list[str]]]:
    """A supervisor of these stages, not started yet, and the lines it shows."""
    lines: list[str] = []
    prepare_home(Settings(home=folder))
    with locked(folder) as kids:
        supervisor = Supervisor(folder, stages, kids, lines.append)
        try:
            yield supervisor, lines
        finally:
            await supervisor.stop()


async def until(seen: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(20):
        while not seen():  # noqa: ASYNC110 - it has no event of ours
            await asyncio.sleep(0.02)


async def test_a_child_that_ends_is_started_again(folder: Path) -> None:
    """Each time later: half a second, one second; the state file counts."""
    forever = "import time; print('up'); time.sleep(60)"
    async with supervised(folder, [child(folder, "one", forever)]) as (supervisor, lines):
        await supervisor.start()
        for count in (1, 2):
            supervisor.named("one").signal(signal.SIGKILL)
            await until(lambda n=count: read_state(folder)["children"][0]["restarts"] == n)
    assert [line for line in lines if line.startswith("one was")] == [
        "one was ended by SIGKILL; starting it again in 0.5 s.",
        "one was ended by SIGKILL; starting it again in 1 s.",
    ]


async def test_a_child_that_ran_steadily_is_back_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever falls again right after that waits as long as any other."""
    row = child(folder, "one", "import time; time.sleep(60)")
    async with supervised(folder, [row]) as (supervisor, lines):
        await supervisor.start()
        for count, steady_s in enumerate((0.0, 60.0, 60.0), 1):
            monkeypatch.setattr("ops.supervisor._STEADY_S", steady_s)
            supervisor.named("one").signal(signal.SIGKILL)
            await until(lambda n=count: read_state(folder)["children"][0]["restarts"] == n)
    assert [line.partition("again in ")[2] for line in lines] == ["0.1 s.", "0.5 s.", "1 s."]


async def test_a_child_that_never_comes_up_ends_the_start(folder: Path) -> None:
    """After three deaths: one sentence, and the child's own words above it."""
    broken = "import sys; print('no such thing'); sys.exit(7)"

    async def never() -> None:
        raise ConnectionError

    row = child(folder, "broken", broken, ready=never)
    async with supervised(folder, [row]) as (supervisor, lines):
        with pytest.raises(Cannot, match="broken ended 3 times while starting"):
            await supervisor.start()
    assert lines[0] == "broken   | no such thing"


async def test_a_later_stage_waits_for_the_earlier(folder: Path) -> None:
    """The second stage starts when the step before it has ended well."""
    step = f"open({str(folder / 'made')!r}, 'w').close()"
    then = f"import os, time; print(os.path.exists({str(folder / 'made')!r})); time.sleep(60)"
    table = [[child(folder, "step", step, once=True)], [child(folder, "then", then)]]
    async with supervised(folder, *table) as (supervisor, lines):
        await supervisor.start()
        await until(lambda: bool(lines))
    assert lines == ["then     | True"]


async def test_a_step_that_fails_ends_the_start(folder: Path) -> None:
    """A migration that fails is not passed over."""
    async with supervised(folder, [child(folder, "step", "raise SystemExit(3)", once=True)]) as (
        supervisor,
        _,
    ):
        with pytest.raises(Cannot, match="step failed"):
            await supervisor.start()


async def test_a_stubborn_child_is_killed_after_its_grace(folder: Path) -> None:
    """One that ignores SIGTERM does not hold up the stop."""
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    async with supervised(folder, [child(folder, "deaf", deaf, grace_s=0.3)]) as (
        supervisor,
        lines,
    ):
        await supervisor.start()
        await until(lambda: "deaf     | deaf" in lines)
        began = time.monotonic()
        await supervisor.stop()
        assert 0.3 < time.monotonic() - began < 3
    process = supervisor.named("deaf").process
    assert process is not None
    assert process.returncode == -signal.SIGKILL


async def test_a_child_is_on_a_leash(folder: Path) -> None:
    """Own session, no new privileges, private files, and nothing on its standard input."""
    look = (
        "import os, sys, time; status = open('/proc/self/status').read();"
        "print(os.getsid(0) == os.getpid(), 'NoNewPrivs:\\t1' in status, oct(os.umask(0)),"
        "repr(sys.stdin.read())); time.sleep(60)"
    )
    async with supervised(folder, [child(folder, "look", look)]) as (supervisor, lines):
        await supervisor.start()
        await until(lambda: bool(lines))
    assert lines == ["look     | True True 0o77 ''"]


async def test_chatter_goes_to_the_log_file_only(folder: Path) -> None:
    """The terminal shows what matters, the file has everything."""
    talk = "print('INFO fine'); print('ERROR not fine')"
    row = child(folder, "talk", talk, once=True, chatter="INFO")
    async with supervised(folder, [row]) as (supervisor, lines):
        await supervisor.start()
    assert lines == ["talk     | ERROR not fine"]
    assert (folder / "log/talk.log").read_text() == "INFO fine\nERROR not fine\n"


async def test_a_slow_store_does_not_make_the_stop_longer(folder: Path) -> None:
    """A stubborn program and a slow store end side by side: 2 s and 2 s are not 4 s."""
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    store = child(folder, "store", deaf, slow_to_stop=True)
    async with supervised(folder, [store], [child(folder, "user", deaf)]) as (supervisor, lines):
        await supervisor.start()
        await until(lambda: set(lines) == {"store    | deaf", "user     | deaf"})
        began = time.monotonic()
        await supervisor.stop()
        assert time.monotonic() - began < 3.6
