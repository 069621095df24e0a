"""Runs a program of ours that reads a stranger's file: no environment, no arguments but paths.

The child confines itself (storage/confine.py), then touches READY: without that mark its end is a
fault of ours and not of the file. What it leaves is not trusted either: `plain_file` takes only
plain files of sane size.
"""

import asyncio
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio

READY: Final = "ready"
NICE: Final = 10  # a lesson or a visit runs beside it
# A child takes a core and much memory: at most half of the cores are theirs, and never more than 2.
_places = anyio.CapacityLimiter(max(1, min(2, len(os.sched_getaffinity(0)) // 2)))


class ChildAway(Exception):  # noqa: N818 - a fact about our house, never about the file
    """The child did not get as far as opening the file: a fault of the installation."""


async def run(module: str, *arguments: str, folder: Path, wall_s: float) -> int:
    """Run `python -I -m module arguments` to its end in `folder`; give its exit code.

    Killed when the time is up. The child is gone when this returns or is cancelled. Raises
    ChildAway.
    """
    async with _places:
        code = await _ended(module, arguments, folder, wall_s)
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
    with suppress(OSError):  # gone already, or the whole house is nicer than that
        # From its first moment: half of its work is done before it confines itself.
        os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
    try:
        async with asyncio.timeout(wall_s):
            return await child.wait()
    except TimeoutError:
        return -signal.SIGKILL
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


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
