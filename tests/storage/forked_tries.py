"""A module for storage/child_server.py whose children do what the tests ask for."""

import ctypes
import os
import signal
import sys
from pathlib import Path

from storage.confine import Limits, confine
from storage.limited_child import READY


def load() -> None:
    """Nothing more is needed."""


def main() -> None:
    """Do what the first argument says; the others are paths."""
    what, *paths = sys.argv[1:]
    folder = Path.cwd()
    (folder / READY).touch()
    if what == "tell":
        listed = list(Path("/proc/self/fd").iterdir())  # the list itself is held no more
        held = [f"{one.name} {one.readlink()}" for one in listed if one.is_symlink()]
        _write(folder / "told", [str(os.getppid()), str(os.nice(0)), _autogroup(), *sorted(held)])
    elif what == "crash":
        os.abort()
    elif what == "wait":
        _write(folder / "pids", [str(os.getpid()), str(os.getppid())])
        signal.pause()
    elif what == "try":
        _try(folder, *map(Path, paths))
    os._exit(0)


def _queue(parent: int) -> None:
    if ctypes.CDLL(None).sigqueue(parent, 0, None) != 0:
        raise PermissionError


def _write(path: Path, lines: list[str]) -> None:
    """All at once: whoever waits for the file reads it whole."""
    beside = path.with_suffix(".new")
    beside.write_text("\n".join(lines))
    beside.rename(path)


def _autogroup() -> str:
    try:
        return Path("/proc/self/autogroup").read_text().strip()
    except OSError:
        return "none"


def _try(folder: Path, file: Path, secret: Path) -> None:
    """What a child has to give up; each line of `got` is one that got through."""
    import socket  # noqa: PLC0415

    limits = Limits(cpu_s=5, memory_bytes=1 << 30, file_bytes=1 << 20)
    confine(limits, reads=[file], writes=folder)
    parent = os.getppid()
    got = []
    for name, act in (
        ("network", socket.socket),
        ("program", lambda: os.execv("/bin/true", ["true"])),  # noqa: S606 - it is refused
        ("parent", lambda: os.kill(parent, 0)),
        ("queued signal", lambda: _queue(parent)),
        ("parent's memory", lambda: Path(f"/proc/{parent}/mem").open("rb").close()),
        ("asker", lambda: os.write(0, b"0")),
        ("secret", secret.read_bytes),
        ("outside", (secret.parent / "new").touch),
        ("memory", lambda: bytearray(2 << 30)),
        ("file size", lambda: (folder / "large").write_bytes(bytes(2 << 20))),
    ):
        try:
            act()
        except (OSError, MemoryError):
            continue
        got.append(name)
    file.read_bytes()
    _write(folder / "got", got)
