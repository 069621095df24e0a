"""What a program that reads strangers' files gives up before it opens one; none can be taken back.

Limits of time, memory, files; no new privileges; an end with its parent; of the kernel's calls none
that opens a socket, starts a program or touches another process (seccomp); of the disk only what it
was given (Landlock, where the kernel has it: Linux 5.13 and later).
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterable
from pathlib import Path

import msgspec

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
# Names of <linux/audit.h> and numbers of each machine's <asm/unistd.h>.
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FORBIDDEN: dict[str, tuple[int, int]] = {  # x86_64, aarch64
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
}
# Calls of x86_64's second table have this bit; nothing of ours makes one.
_SECOND_TABLE = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # EPERM
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ = (1 << 2) | (1 << 3)
_WRITE = (1 << 1) | (1 << 5) | (1 << 8) | (1 << 14)
# Rights that each version of Landlock knows: 13, then REFER, then TRUNCATE.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}


class Limits(msgspec.Struct, frozen=True):
    """The most a child may use; `cpu_s` of the processor, `file_bytes` of each file it writes."""

    cpu_s: int
    memory_bytes: int
    file_bytes: int
    files: int = 64


def confine(limits: Limits, *, reads: Iterable[Path], writes: Path) -> None:
    """Give up everything but reading `reads` and writing below `writes`. Raises OSError.

    Import what parses before: afterwards only installed libraries can be loaded.
    """
    for what, most in (
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    libc = _libc()
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _landlock(libc, [*reads, *_libraries()], writes)
    _seccomp(libc)


def end_with_parent(parent: int) -> None:
    """Be killed when this parent ends; end at once when it has already."""
    _prctl(_libc(), _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(libc: ctypes.CDLL, what: int, value: int, more: object = 0) -> None:
    if libc.prctl(what, value, more, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _libraries() -> list[Path]:
    """Where Python and the libraries it loads lie."""
    import sys  # noqa: PLC0415 - its prefixes are asked for here only

    places = {sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/ld.so.cache"}
    return [Path(place) for place in sorted(places)]


def _landlock(libc: ctypes.CDLL, reads: Iterable[Path], writes: Path) -> None:
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    handled = _RIGHTS[min(version, 3)]
    asked = ctypes.create_string_buffer(struct.pack("=Q", handled), 8)
    rules = libc.syscall(_LANDLOCK_CREATE, asked, ctypes.c_size_t(8), 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    for place in reads:
        _let(libc, rules, place, _READ & handled)
    _let(libc, rules, writes, (_READ | _WRITE) & handled)
    if libc.syscall(_LANDLOCK_RESTRICT, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock")
    os.close(rules)


def _let(libc: ctypes.CDLL, rules: int, place: Path, rights: int) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # no such place here
    try:
        # A file has no entries to list: the kernel refuses rights that only folders have.
        allowed = rights if place.is_dir() else rights & ~(1 << 3)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, opened), 12)
        if libc.syscall(_LANDLOCK_ADD, rules, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock")
    finally:
        os.close(opened)


def _seccomp(libc: ctypes.CDLL) -> None:
    """Refuse the calls of _FORBIDDEN; a machine whose numbers we do not know is left alone."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return
    column = list(_MACHINES).index(machine)
    numbers = [pair[column] for pair in _FORBIDDEN.values()]
    refuse = len(numbers) + 1  # steps from the first comparison to the refusal
    lines = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_EQUAL, 1, 0, _MACHINES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_AT_LEAST, refuse, 0, _SECOND_TABLE),
        *((_EQUAL, refuse - 1 - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    program = b"".join(struct.pack("=HBBI", *line) for line in lines)
    kept = ctypes.create_string_buffer(program, len(program))
    asked = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(kept))
    header = ctypes.create_string_buffer(asked, len(asked))
    _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header)
