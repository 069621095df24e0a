"""`python -I -m storage.child_server M` loads module M, then forks a child of it for each file.

Half of a checking child's work was to load its libraries, for every file anew. This program reads
no file itself, and says nothing but exit codes. Its standard input is a socket:

    in    [folder, argument…] as JSON; its end, or anything while a child works: kill the child
    out   the child's exit code in digits

A child is as alone as one that was started by itself: a process of its own, its limits and what it
gives up are its own (M's main calls storage/confine.py), the socket is closed in it, and it ends
with us. What it shares is where libraries lie in memory; so that nobody guesses at that twice, we
end as soon as a child crashed, and after MOST children in any case.
"""

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, Never

import msgspec

from storage.confine import end_with_parent

MOST: Final = 100
IDLE_S: Final = 60.0  # then the memory is given back; loading takes a fraction of a second
MESSAGE: Final = 1 << 15
_ASKER: Final = 0

Main = Callable[[], None]


def serve(asker: socket.socket, module: str, main: Main) -> None:
    """Fork a child for each message until nobody asks any more."""
    asked = select.poll()
    asked.register(asker, select.POLLIN)
    for _ in range(MOST):
        if not asked.poll(IDLE_S * 1000):
            return
        message = asker.recv(MESSAGE)
        if not message:
            return
        folder, *arguments = msgspec.json.decode(message, type=list[str])
        code = _ended(asker, main, folder, [module, *arguments])
        if code is None:
            return
        asker.send(str(code).encode())
        if code < 0:
            return


def _ended(asker: socket.socket, main: Main, folder: str, argv: list[str]) -> int | None:
    """Run one child to its end; None when it was to be killed. It is gone in any case."""
    us = os.getpid()
    child = os.fork()
    if child == 0:
        _become(us, main, folder, argv)
    end = os.pidfd_open(child)
    try:
        either = select.poll()
        either.register(end, select.POLLIN)
        either.register(asker, select.POLLIN)
        stopped = end not in dict(either.poll())
        if stopped:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(end)
    return None if stopped else os.waitstatus_to_exitcode(status)


def _become(parent: int, main: Main, folder: str, argv: list[str]) -> Never:
    """Be the child: nothing of ours is left in it when it opens the file."""
    try:
        end_with_parent(parent)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, _ASKER)
        os.close(nothing)
        os.chdir(folder)
        sys.argv = argv
        main()
    finally:
        os._exit(1)  # whatever happened: never back into the loop of the parent


def _main() -> None:
    module = sys.argv[1]
    loaded = import_module(module)
    loaded.load()
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError(f"{module} started a thread: it cannot be forked")
    gc.collect()
    gc.freeze()  # what is loaded stays shared
    with socket.socket(fileno=_ASKER) as asker, suppress(BrokenPipeError, ConnectionResetError):
        serve(asker, module, loaded.main)


if __name__ == "__main__":
    _main()
