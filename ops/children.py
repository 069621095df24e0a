"""A child process: what it is (a row of data) and how it is forked so that it cannot outlive us."""

import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # prctl(2)
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Cannot(Exception):  # noqa: N818 - a sentence for the operator, not a failure of ours
    """Why something cannot be started or done, in one sentence that says what to do."""


async def at_once() -> None:
    """Nothing to wait for."""


async def always() -> bool:
    """Needed at every start."""
    return True


def _nothing() -> None:
    """Nothing to prepare."""


def _well() -> None:
    """Nothing to be told."""


@dataclass(frozen=True)
class Child:
    """One row of the supervisor's table.

    `ready` is one bounded try that raises while the child does not serve yet. `before` runs ahead
    of every start, `after` behind every end. A child with `once` has to end with 0 and is not
    started again, nor at all when it is not `needed`. `user` is the unprivileged uid (None: our
    own). `orphan_signal` is what the kernel sends when we are killed. `grace_s` passes between
    the stop signal and SIGKILL; one that is `slow_to_stop` by nature is told before the users of
    its service have all ended. Lines that match `chatter` go to the log file only. Every `tend_s` a
    running child gets the signal that `tend` gives, if any.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], Awaitable[None]] = at_once
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    user: int | None = None
    once: bool = False
    needed: Callable[[], Awaitable[bool]] = always
    cwd: Path | None = None
    grace_s: float = 2.0
    slow_to_stop: bool = False
    chatter: str | None = None
    tend: Callable[[], signal.Signals | None] = _well
    tend_s: float | None = None


def spawn(child: Child, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Fork the child with its output in one pipe. Call from the main thread only.

    The kernel signals the child when the thread that forked it ends (prctl(2), PDEATHSIG).
    """
    parent = os.getpid()

    def leash() -> None:
        # Runs after setuid, which would have cleared the death signal.
        _prctl(_PR_SET_PDEATHSIG, int(child.orphan_signal), 0, 0, 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A dump of a crashed process would hold whatever it knew of people.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.getppid() != parent:  # died before the leash was on
            os._exit(1)

    try:
        return subprocess.Popen(
            child.argv,
            env=dict(child.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=child.cwd,
            start_new_session=True,
            umask=0o077,
            pass_fds=pass_fds,
            preexec_fn=leash,  # noqa: PLW1509 - the leash only makes system calls
            user=child.user,
            group=child.user,
            extra_groups=None if child.user is None else [],
        )
    except FileNotFoundError as error:
        raise Cannot(f"The program {error.filename} is missing: install it again.") from error
    except PermissionError as error:
        raise Cannot(
            f"The program {child.argv[0]} cannot be run"
            + (f" as user {child.user}" if child.user is not None else "")
            + f": {error.strerror}; put YANASHA_HOME on a disk that allows programs."
        ) from error


def run_as(
    uid: int | None,
    *argv: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    typed: str = "",
    timeout_s: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run a short program under this uid (None: ours) and give its code and all its output."""
    return subprocess.run(
        [str(word) for word in argv],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        check=False,
        env=env,
        umask=0o077,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )


def clean_env(home: Path, **more: str) -> dict[str, str]:
    """Give a server's environment: the folder it belongs to, and nothing of the caller's shell."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/nonexistent",
        "YANASHA_HOME": str(home),
        **more,
    }
