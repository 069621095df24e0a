"""Starts a table of children in stages, keeps them running, shows their output, stops them all.

No child outlives it: each gets a death signal from the kernel and holds a lock that the next start
waits for. The table is data (`ops.children.Child`); who stands in it is decided in ops/house.py.
"""

import asyncio
import contextlib
import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from ops.children import Cannot, Child, spawn
from ops.home import write_state

T = TypeVar("T")

_FIRST_DELAY_S, _LONGEST_DELAY_S, _STEADY_S = 0.5, 30.0, 60.0
_STEADY_DELAY_S = 0.1  # after a steady run: a class waits for its media worker
_POLL_S = 0.05
_TRY_S = 5.0
_START_S = 60.0
_DEATHS_AT_START = 3
_HURRY_S = 1.0
_HEAD_START_S = 0.7
_LOG_BYTES = 10_000_000


class Log:
    """A child's output: everything into `log/NAME.log`, all but chatter to the terminal too."""

    def __init__(self, folder: Path, child: Child, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.name = child.name
        self.chatter = re.compile(child.chatter.encode()) if child.chatter else None
        self.path = folder / f"{child.name}.log"
        self.rest = b""
        self.file: BinaryIO = self.path.open("ab")

    def take(self, data: bytes) -> None:
        """Split into lines and pass each on."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        if self.file.tell() > _LOG_BYTES:
            self.file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self.file = self.path.open("ab")
        with contextlib.suppress(OSError):  # a full disk must not stop the clinic
            self.file.write(line + b"\n")
            self.file.flush()
        if self.chatter is None or not self.chatter.match(line):
            self.tell(f"{self.name:8} | {line.decode(errors='replace')}")

    def close(self) -> None:
        """Pass on an unfinished last line."""
        if self.rest:
            self.take(b"\n")
        self.file.close()


class Kept:
    """One child and what has happened to it."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = asyncio.Event()
        self.state = "waiting"
        self.up_since: str | None = None
        self.restarts = -1
        self.last_error = ""

    def row(self) -> dict[str, Any]:
        """What `status` shows of it."""
        return {
            "name": self.child.name,
            "pid": self.process.pid if self.process and self.process.poll() is None else None,
            "state": self.state,
            "up_since": self.up_since,
            "restarts": max(self.restarts, 0),
        }

    def signal(self, number: signal.Signals) -> None:
        """Send to the process; SIGKILL goes to its whole session's group."""
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


class Supervisor:
    """Runs the stages one after the other; everything in a stage starts at once."""

    def __init__(
        self,
        home: Path,
        stages: Sequence[Sequence[Child]],
        kids_lock: int,
        tell: Callable[[str], None] | None = None,
        **facts: Any,
    ) -> None:
        self.tell = tell or say
        self.home = home
        self.kids_lock = kids_lock
        self.stages = [[Kept(child) for child in stage] for stage in stages]
        self.facts = facts
        self.ready = False
        self.stopping = asyncio.Event()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[None]] = []
        self.started_at = now()

    @property
    def all(self) -> list[Kept]:
        """Every child, in the order of starting."""
        return [kept for stage in self.stages for kept in stage]

    def named(self, name: str) -> Kept:
        """Give the child of this name."""
        return next(kept for kept in self.all if kept.child.name == name)

    async def start(self) -> None:
        """Start stage after stage until all are ready, or we are stopped. Raises Cannot."""
        for stage in self.stages:
            for kept in stage:
                self.tasks.append(asyncio.create_task(self._keep(kept)))
            await self._first(_all_ready(stage), timeout_s=_START_S)
            if self.failure.done():
                self.failure.result()
            if self.stopping.is_set():
                return
            for kept in stage:
                if not kept.ready.is_set():
                    raise Cannot(
                        f"{kept.child.name} did not become ready within {_START_S:.0f} s: "
                        f"{kept.last_error or 'no answer'}; its output is in "
                        f"{self.home / 'log' / kept.child.name}.log."
                    )
        self.ready = True
        self._note()

    async def run(self) -> None:
        """Keep everything running until `stopping` is set. Raises Cannot when a child cannot be."""
        await self._first(self.stopping.wait())
        if self.failure.done():
            self.failure.result()

    async def unless_stopped(self, task: asyncio.Task[T]) -> T | None:
        """Give the task's result, or None when we are stopped first. Raises what either raises."""
        await self._first(asyncio.wait([task]))
        if self.failure.done():
            self.failure.result()
        return task.result() if task.done() else None

    async def _first(self, goal: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
        """Wait for the goal, a request to stop, or a failure, whichever comes first."""
        tasks = {asyncio.create_task(goal), asyncio.create_task(self.stopping.wait())}
        waited: set[asyncio.Future[Any]] = {*tasks, self.failure}
        try:
            await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def stop(self) -> None:
        """Stop all, the first stage (the stores) last; kill what does not end in its grace."""
        self.stopping.set()
        self.ready = False
        first = self.stages[0] if self.stages else []
        later = asyncio.create_task(self._end([k for stage in self.stages[1:] for k in stage]))
        await asyncio.wait([later], timeout=_HEAD_START_S)
        slow = asyncio.create_task(self._end([k for k in first if k.child.slow_to_stop]))
        await later
        await self._end([k for k in first if not k.child.slow_to_stop])
        await slow
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.failure.done():
            self.failure.exception()
        self._note()

    def kill(self) -> None:
        """Stop everything at once, for an impatient second Ctrl-C."""
        self.stopping.set()
        for kept in self.all:
            kept.signal(signal.SIGKILL)

    async def _end(self, group: Sequence[Kept]) -> None:
        alive = [kept for kept in group if kept.process and kept.process.poll() is None]
        for kept in alive:
            kept.signal(kept.child.stop_signal)
        began = time.monotonic()
        while alive:
            await asyncio.sleep(0.02)
            for kept in alive:
                if time.monotonic() - began > kept.child.grace_s:
                    kept.signal(signal.SIGKILL)
            alive = [kept for kept in alive if kept.process and kept.process.poll() is None]

    async def _keep(self, kept: Kept) -> None:
        """Start the child again and again until we stop."""
        delay_s = _FIRST_DELAY_S
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                code = await self._once(kept) if await kept.child.needed() else 0
            except (Cannot, OSError) as error:
                self._fail(error)
                return
            if self.stopping.is_set():
                return
            if kept.child.once:
                if code == 0:
                    kept.ready.set()
                else:
                    self._fail(Cannot(f"{kept.child.name} failed: its lines above say why."))
                return
            if not self.ready and kept.restarts + 1 >= _DEATHS_AT_START:
                self._fail(
                    Cannot(
                        f"{kept.child.name} ended {_DEATHS_AT_START} times while starting: its "
                        f"lines are above and in {self.home / 'log' / kept.child.name}.log."
                    )
                )
                return
            steady = time.monotonic() - began > _STEADY_S
            wait_s = _STEADY_DELAY_S if steady else delay_s
            self.tell(f"{kept.child.name} {_ended(code)}; starting it again in {wait_s:g} s.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), wait_s)
            delay_s = _FIRST_DELAY_S if steady else min(delay_s * 2, _LONGEST_DELAY_S)

    async def _once(self, kept: Kept) -> int:
        """Run the child from fork to exit; give its return code."""
        kept.child.before()
        log = Log(self.home / "log", kept.child, self.tell)
        process = spawn(kept.child, (self.kids_lock,))
        kept.process, kept.restarts = process, kept.restarts + 1
        kept.state, kept.up_since = "starting", now()
        self._note()
        output = process.stdout
        if output is None:  # never: spawn asks for a pipe
            return process.wait()
        pipe = output.fileno()
        os.set_blocking(pipe, False)
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        pidfd = os.pidfd_open(process.pid)
        loop.add_reader(pipe, _drain, pipe, log, loop)
        loop.add_reader(pidfd, ended.set)
        beside = [] if kept.child.once else [asyncio.create_task(self._probe(kept))]
        if kept.child.tend_s is not None:
            beside.append(asyncio.create_task(_tend(kept, kept.child.tend_s)))
        try:
            await ended.wait()
        finally:
            for task in beside:
                task.cancel()
            loop.remove_reader(pidfd)
            os.close(pidfd)
            _drain(pipe, log, loop)
            loop.remove_reader(pipe)
            output.close()
            log.close()
        code = process.wait()
        kept.state = "ended"
        kept.child.after()
        self._note()
        return code

    async def _probe(self, kept: Kept) -> None:
        """Try until the child serves."""
        while True:
            try:
                async with asyncio.timeout(_TRY_S):
                    await kept.child.ready()
            except Exception as error:  # noqa: BLE001 - any failure means: not yet
                kept.last_error = f"{type(error).__name__}: {error}".strip(": ")
                await asyncio.sleep(_POLL_S)
            else:
                kept.state = "ready"
                kept.ready.set()
                self._note()
                return

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    def _note(self) -> None:
        state = {
            "pid": os.getpid(),
            "started_at": self.started_at,
            "ready": self.ready,
            **self.facts,
            "children": [kept.row() for kept in self.all if not kept.child.once],
        }
        with contextlib.suppress(OSError):  # status is stale on a full disk, the service runs on
            write_state(self.home, state)


def on_signals(supervisor: Supervisor, notice: Callable[[], None]) -> None:
    """SIGINT, SIGTERM and SIGHUP stop; one that comes a second later, from a hurried hand, kills.

    Sooner it is the same request once more: a terminal and a wrapper may both pass it on.
    """
    asked_at: list[float] = []

    def stop() -> None:
        if not asked_at:
            asked_at.append(time.monotonic())
            notice()
            supervisor.stopping.set()
        elif time.monotonic() - asked_at[0] > _HURRY_S:
            supervisor.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def say(line: str) -> None:
    """Print a line; a closed terminal is no reason to stop a clinic."""
    _write(sys.stdout, line)


def say_aside(line: str) -> None:
    """Print a line beside the output proper, which a program may be reading."""
    _write(sys.stderr, line)


def _write(stream: TextIO, line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(line + "\n")
        stream.flush()


def now() -> str:
    """Give the time for the state file, RFC 3339 UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def _tend(kept: Kept, every_s: float) -> None:
    """Look after a running child."""
    while True:
        await asyncio.sleep(every_s)
        with contextlib.suppress(OSError):  # a full disk: it is looked at again
            number = kept.child.tend()
            if number is not None:
                kept.signal(number)


async def _all_ready(stage: Sequence[Kept]) -> None:
    for kept in stage:
        await kept.ready.wait()


def _drain(pipe: int, log: Log, loop: asyncio.AbstractEventLoop) -> None:
    """Read what is there; stop listening at the end of the pipe."""
    while True:
        try:
            data = os.read(pipe, 65536)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(pipe)
            return
        log.take(data)


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
