"""Which user the servers run as, and where that user finds their programs.

As root they get a user id of their own, without any right elsewhere; otherwise they are ours.
"""

import hashlib
import os
import pwd
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from ops.children import Cannot, run_as

# Free for local use: above Debian's and systemd's ranges, below `nobody` (Debian policy 9.2.2).
_LOWEST, _HIGHEST = 61184, 65519
_PRIVILEGED = 1024


def server_user(home: Path, role: str = "stores") -> int | None:
    """Give the uid of these servers when we are root (drawn once, then kept), else None: our own.

    Raises Cannot when that user could not enter the folder.
    """
    if os.geteuid() != 0:
        return None
    path = home / "state" / f"uid-{role}"
    if path.exists():
        uid = int(path.read_text())
    else:
        uid = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        while _known(uid):
            uid = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        path.write_text(f"{uid}\n")
    if not may(uid, "-x", home):
        raise Cannot(
            f"The servers' own user cannot enter {home}: a folder above it is private; "
            "set YANASHA_HOME to a folder outside private ones, such as /var/lib/yanasha."
        )
    return uid


def owned_folder(path: Path, uid: int | None) -> Path:
    """Make a folder that only the servers' user (and root) may enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    if uid is not None:
        os.chown(path, uid, uid)
    return path


def owned_file(path: Path, content: bytes, uid: int | None) -> Path:
    """Write a file, as a whole or not at all, that only the servers' user (and root) may read."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        if uid is not None:
            # Not by its name: the folder is theirs, who may put a link to any file there meanwhile.
            os.fchown(file.fileno(), uid, uid)
    beside.rename(path)
    return path


def give(tree: Path, uid: int) -> None:
    """Make the servers' user the owner of a whole tree."""
    for folder, _, files in os.walk(tree):
        os.chown(folder, uid, uid)
        for name in files:
            os.chown(Path(folder) / name, uid, uid, follow_symlinks=False)


def may(uid: int | None, test: str, path: Path) -> bool:
    """Tell whether that user passes `test -x PATH` (or -r)."""
    try:
        return run_as(uid, "test", test, path).returncode == 0
    except PermissionError as error:
        raise Cannot(
            "This root may not become another user, as in a restricted container: "
            "start Yanasha as an ordinary user."
        ) from error


def reachable(program: Path, roots: list[Path], home: Path, uid: int | None) -> Path:
    """Give a path of the program that the servers' user can run.

    When it lies below a private folder, `roots` (the program's own tree and what it loads, all
    beside each other) are copied once into `home/programs`, keeping their layout.
    """
    if not program.exists():
        raise Cannot(f"The program {program} is missing: run 'make run' to install it again.")
    if uid is None or (may(uid, "-x", program) and all(may(uid, "-r", root) for root in roots)):
        return program
    status = program.stat()
    mark = hashlib.sha256(f"{program}{status.st_size}{status.st_mtime_ns}".encode()).hexdigest()
    shelf = home / "programs"
    place = shelf / f"{program.name}-{mark[:12]}"
    base = roots[0].parent
    if not place.exists():
        shelf.mkdir(mode=0o711, exist_ok=True)
        for old in shelf.glob(f"{program.name}-*"):
            shutil.rmtree(old)
        beside = shelf / f".{program.name}.new"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o711)
        beside.chmod(0o711)
        shelf.chmod(0o711)
        for root in roots:
            _copy(root, beside / root.relative_to(base))
        beside.rename(place)
    return place / program.relative_to(base)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copy2(source, target)
        target.chmod(0o755)
        return
    unused = shutil.ignore_patterns("include", "pkgconfig", "*.a", "__pycache__")
    shutil.copytree(source, target, symlinks=True, ignore=unused)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def low_ports(
    argv: tuple[str, ...], uid: int | None, ports: Iterable[int]
) -> tuple[tuple[str, ...], int | None]:
    """Give what starts a program as that user, who may listen at ports below 1024 if it must.

    One capability survives the change of user then, which setpriv makes in place of our fork.
    """
    if uid is None or min(ports) >= _PRIVILEGED:
        return argv, uid
    setpriv = (
        *("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"),
        *("--inh-caps", "-all,+net_bind_service", "--ambient-caps", "+net_bind_service"),
        *("--bounding-set", "-all,+net_bind_service", "--pdeathsig", "TERM"),
    )
    return (*setpriv, *argv), None


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
