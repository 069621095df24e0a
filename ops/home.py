"""The installation's folder: made, checked and locked before anything starts in it."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.children import Cannot
from storage.settings import Settings

_NEEDED_MB = 300
_ORPHANS_S = 10.0
_STATE = "children.json"
UNFINISHED = "restore-unfinished"  # lies in a folder that a restore has not filled whole


class AlreadyRunning(Cannot):
    """Another supervisor has this folder; `pid` is its process."""

    def __init__(self, home: Path, pid: int) -> None:
        super().__init__(f"Yanasha is already running, pid {pid}, in {home}.")
        self.pid = pid


def prepare_home(settings: Settings) -> None:
    """Make the folder and its parts; refuse one that is unwritable, full or too deep."""
    home = settings.home
    if (home / UNFINISHED).exists():
        raise Cannot(f"A restore into {home} did not come to its end: empty it and restore again.")
    run = settings.run_dir  # refuses a path too long for sockets before anything is made
    # The servers' own user passes through these folders, nobody reads them.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for folder in (home, settings.state_dir, run):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
        (home / "log").mkdir(mode=0o700, exist_ok=True)
        probe = home / f".probe.{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise Cannot(sentence(error, home)) from error
    disk = os.statvfs(home)
    free_mb = disk.f_bavail * disk.f_frsize // 2**20
    if free_mb < _NEEDED_MB:
        raise Cannot(
            f"Only {free_mb} MB are free on the disk of {home}, {_NEEDED_MB} are needed: free some "
            "space or set YANASHA_HOME to a folder on another disk."
        )


def sentence(error: OSError, home: Path) -> str:
    """Say what an operator can do about a failed file operation."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"The disk of {home} is full: free some space or set YANASHA_HOME to a folder on "
            "another disk."
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
        return (
            f"The folder {home} cannot be written ({os.strerror(error.errno)}): set YANASHA_HOME "
            "to a folder of your own."
        )
    return f"{error.filename or home}: {error.strerror or error}."


@contextmanager
def locked(home: Path) -> Iterator[int]:
    """Hold the folder for one supervisor; gives the descriptor that every child inherits.

    The second lock lives in the children: a new start waits on it until the last child of a
    killed supervisor is gone. Raises AlreadyRunning.
    """
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    kids = os.open(home / "kids.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(home, _holder(lock)) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        _wait_for_orphans(home, kids)
        yield kids
    finally:
        os.close(kids)
        os.close(lock)


def running_pid(home: Path) -> int | None:
    """Give the pid of the supervisor that has this folder, None when there is none."""
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(lock)
    finally:
        os.close(lock)
    return None


def write_state(home: Path, state: dict[str, Any]) -> None:
    """Write what `status` shows, as a whole."""
    path = home / "state" / _STATE
    beside = path.with_name(f".{_STATE}.new")
    beside.write_text(json.dumps(state, indent=1) + "\n")
    beside.rename(path)


def read_state(home: Path) -> dict[str, Any]:
    """Read what the supervisor wrote last; empty when it never ran here."""
    try:
        state: dict[str, Any] = json.loads((home / "state" / _STATE).read_text())
    except FileNotFoundError:
        return {}
    return state


def _holder(lock: int) -> int:
    said = os.pread(lock, 32, 0).strip()
    return int(said) if said.isdigit() else 0


def _wait_for_orphans(home: Path, kids: int) -> None:
    deadline = time.monotonic() + _ORPHANS_S
    while True:
        try:
            fcntl.flock(kids, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                left = ", ".join(map(str, _holders(home / "kids.lock"))) or "unknown"
                raise Cannot(
                    f"Processes of an earlier run in {home} do not end (pid {left}): end them "
                    "with kill -9."
                ) from None
            time.sleep(0.05)
        else:
            return


def _holders(path: Path) -> list[int]:
    """Processes that have this file open, ours left out."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            pid = int(link.parts[2])
            if pid != os.getpid() and link.readlink() == path and pid not in found:
                found.append(pid)
        except OSError:
            continue
    return found
