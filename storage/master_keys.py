"""The master key of an installation, under which the keys of storage/data_keys.py lie wrapped.

`home/secrets/master-key` wraps and opens. Masters before it stay beside as `master-key.KEYID`: they
open what has not been wrapped anew, and what an older backup holds. A key id is the beginning of
the key's SHA-256: it names a key and tells nothing of it.
"""

import hashlib
import os
import secrets as random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from storage.secrets import make_secret, read_secret, secret

NAME: Final = "master-key"
NBYTES: Final = 32
_ID_CHARS = 8


class MasterMissing(Exception):  # noqa: N818 - states a fact
    """What was wrapped under this master cannot be opened: its file is not in this home."""

    def __init__(self, key_id: str, folder: Path) -> None:
        super().__init__(
            f"The master key {key_id} is not in {folder}: restore it from a backup "
            f"as {NAME} or {NAME}.{key_id}."
        )
        self.key_id = key_id


@dataclass(frozen=True)
class Master:
    """A master key and its name."""

    id: str
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, key: bytes) -> "Master":
        """Name a key."""
        return cls(hashlib.sha256(key).hexdigest()[:_ID_CHARS], key)


class Masters:
    """The masters of one home, read again when the file has changed: another process rotates it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._stamp: tuple[int, int] | None = None
        self._current: Master | None = None
        self._older: dict[str, Master] = {}

    @property
    def _folder(self) -> Path:
        return self.home / "secrets"

    def current(self) -> Master:
        """Give the master that wraps, made at first use. Raises UnsafeSecret."""
        path = self._folder / NAME
        try:
            found = path.stat()
        except FileNotFoundError:
            secret(self.home, NAME, NBYTES)
            found = path.stat()
        stamp = (found.st_ino, found.st_mtime_ns)
        if self._current is None or stamp != self._stamp:
            self._current, self._stamp = Master.of(secret(self.home, NAME, NBYTES)), stamp
        return self._current

    def of(self, key_id: str) -> Master:
        """Give the master of this id. Raises MasterMissing, UnsafeSecret."""
        current = self.current()
        if key_id == current.id:
            return current
        if key_id not in self._older:
            path = self._folder / f"{NAME}.{key_id}"
            if not path.exists():
                raise MasterMissing(key_id, self._folder)
            master = Master.of(read_secret(path, NBYTES))
            if master.id != key_id:
                raise MasterMissing(key_id, self._folder)
            self._older[key_id] = master
        return self._older[key_id]

    def rotate(self) -> Master:
        """Put a new master in the place of the current one, which stays beside to open.

        The old one has its second name on the disk before the new one appears under the first:
        whenever the power goes, every key that wrapped something is there.
        """
        old = self.current()
        kept = self._folder / f"{NAME}.{old.id}"
        if not kept.exists():
            make_secret(kept, old.key)
        beside = self._folder / f"{NAME}.new"
        beside.unlink(missing_ok=True)
        make_secret(beside, random.token_bytes(NBYTES))
        beside.replace(self._folder / NAME)
        directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return self.current()
