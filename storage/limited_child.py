"""Runs a program of ours that reads a stranger's file: no environment, no arguments but paths.

The child confines itself (storage/confine.py), then touches READY: without that mark its end is a
fault of ours and not of the file. What it leaves is not trusted either: `plain_file` takes only
plain files of sane size.

`run` starts an interpreter for one file. `run_forked` keeps one that has loaded what parses
(storage/child_server.py) and has it fork a child for each file: a fraction of the work.
"""

import asyncio
import atexit
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
import msgspec

READY: Final = "ready"
NICE: Final = 10  # a lesson or a visit runs beside it
_END_S: Final = 5.0
_places: dict[str, anyio.CapacityLimiter] = {}
_idle: dict[str, list["_Server"]] = {}


class ChildAway(Exception):  # noqa: N818 - a fact about our house, never about the file
    """The child did not get as far as opening the file: a fault of the installation."""


class ChildLate(Exception):  # noqa: N818 - a fact about our house, as far as anybody can tell
    """Its time was up before its share of the processor was used: the house has too much to do."""


def places_of(module: str) -> anyio.CapacityLimiter:
    """How many of a program run at once: each takes a core and much memory, so half of the cores.

    One program waits for no other: reading a year of a watch takes minutes, a picture a moment.
    """
    most = max(1, min(2, len(os.sched_getaffinity(0)) // 2))
    return _places.setdefault(module, anyio.CapacityLimiter(most))


async def run(module: str, *arguments: str, folder: Path, wall_s: float) -> int:
    """Run `python -I -m module arguments` to its end in `folder`; give its exit code.

    Killed when the time is up. The child is gone when this returns or is cancelled. Raises
    ChildAway.
    """
    async with places_of(module):
        code = await _ended(module, arguments, folder, wall_s)
    return await _code(module, code, folder)


async def run_forked(module: str, *arguments: str, folder: Path, wall_s: float) -> int:
    """Do the same with `main` of a module that has `load`, too, and starts no thread.

    Its limit of processor time has to be well below `wall_s`. Raises ChildAway, ChildLate.
    """
    async with places_of(module):
        code = await _forked(module, arguments, folder, wall_s)
    return await _code(module, code, folder)


async def _code(module: str, code: int, folder: Path) -> int:
    if not await asyncio.to_thread((folder / READY).exists):
        raise ChildAway(f"{module} ended with {code}")
    return code


async def _ended(module: str, arguments: tuple[str, ...], folder: Path, wall_s: float) -> int:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-m", module, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,  # it may quote the file, and nobody may read that
        env={},
        cwd=folder,
        start_new_session=True,
    )
    # From its first moment: half of its work is done before it confines itself.
    _be_nice(child.pid)
    try:
        async with asyncio.timeout(wall_s):
            return await child.wait()
    except TimeoutError:
        return -signal.SIGKILL
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _be_nice(pid: int) -> None:
    """Have the leader of a session of its own make way for everything else."""
    with suppress(OSError):  # gone already, or the whole house is nicer than that
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    # Where the kernel shares the processor out by sessions, niceness counts within one only.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(f"{NICE}\n")


async def _forked(module: str, arguments: tuple[str, ...], folder: Path, wall_s: float) -> int:
    while True:
        waiting = _idle.get(module)
        kept = waiting.pop() if waiting else None
        server = kept or _Server(module)
        code = None
        try:
            async with asyncio.timeout(wall_s):
                code = await server.ended([str(folder), *arguments])
        except TimeoutError as late:
            raise ChildLate(module) from late
        finally:
            if code is None or code < 0:
                with anyio.CancelScope(shield=True):
                    await asyncio.to_thread(server.end)
            else:
                _idle.setdefault(module, []).append(server)
        if code is not None:
            return code
        if kept is None or await asyncio.to_thread((folder / READY).exists):
            return server.process.returncode or 1
        # It had ended while nobody asked, before it opened anything: once more with a new one.


class _Server:
    """An interpreter that forks children of one module; nobody else asks it meanwhile."""

    def __init__(self, module: str) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-m", "storage.child_server", module],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        # It ends by itself when it was idle for long: nothing of it shall stay then.
        self.reaper = threading.Thread(target=self.process.wait, daemon=True)
        self.reaper.start()

    async def ended(self, asked: list[str]) -> int | None:
        """Have a child run to its end; None when the server has gone."""
        # Each time: the kernel takes the word of an unprivileged house ten times a second only.
        _be_nice(self.process.pid)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self.ours, msgspec.json.encode(asked))
            return int(await loop.sock_recv(self.ours, 16))
        except (ConnectionError, ValueError):  # an empty answer is the end
            return None

    def end(self) -> None:
        """End it and its child; both are gone afterwards."""
        self.ours.close()
        self.reaper.join(_END_S)
        if self.reaper.is_alive():
            self.process.kill()
            self.reaper.join()


def end_servers() -> None:
    """End what waits for another file."""
    for servers in _idle.values():
        while servers:
            servers.pop().end()


atexit.register(end_servers)


def plain_file(path: Path, max_bytes: int, length: int = -1) -> bytes:
    """Read a file that is one: a link would lead to files the child may not see.

    Raises OSError, and ValueError for anything else or larger.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, "rb") as file:
        what = os.fstat(opened)
        if not stat.S_ISREG(what.st_mode) or what.st_size > max_bytes:
            raise ValueError(path.name)
        return file.read(length)
