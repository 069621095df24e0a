"""Secrets of one installation: random bytes in `home/secrets`, made at first use, never printed.

Losing this folder means: sealed records cannot be opened, everybody signs in anew.
"""

import os
import re
import secrets as random
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_GROUP_AND_OTHERS = 0o077


class UnsafeSecret(Exception):  # noqa: N818 - a sentence, not a failure
    """A secret that others can read, or whose length is wrong: the sentence says what to do."""


def secret(home: Path, name: str, nbytes: int = 32) -> bytes:
    """Give the installation's secret of this name, making it (`nbytes` random bytes) at first call.

    Two processes that ask at once get the same bytes. Raises UnsafeSecret when the file is
    readable for anybody but its owner or does not hold `nbytes` bytes.
    """
    if not _NAME.fullmatch(name):
        msg = f"a secret's name is lower-case letters, digits and hyphens, not {name!r}"
        raise ValueError(msg)
    folder = home / "secrets"
    path = folder / name
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_secret(path, random.token_bytes(nbytes))
    return read_secret(path, nbytes)


def read_secret(path: Path, nbytes: int) -> bytes:
    """Give what a secret's file holds. Raises UnsafeSecret, as `secret` does."""
    mode = path.stat().st_mode
    if mode & _GROUP_AND_OTHERS:
        raise UnsafeSecret(
            f"{path} can be read by other users (mode {mode & 0o777:04o}): "
            f"run 'chmod 600 {path}', and replace the secret if the machine is shared."
        )
    value = path.read_bytes()
    if len(value) != nbytes:
        raise UnsafeSecret(
            f"{path} holds {len(value)} bytes instead of {nbytes}: restore it from a backup."
        )
    return value


def make_secret(path: Path, value: bytes) -> None:
    """Write beside, then link: the name appears with its whole content, the first one wins."""
    folder = path.parent
    beside = folder / f".{path.name}.{os.getpid()}.{random.token_hex(4)}"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            return
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        beside.unlink()
