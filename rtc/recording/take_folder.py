"""One take's segments on the disk: each is appended to as it is made, and renamed when it is whole.

START.LOST.part          being made; pictures and voice
START.a.m4s              the voice alone
START.DURATION.LOST.m4s  whole, waits for the object store or for the index
START.DURATION.done      empty: the newest segment that is in the index; renamed, then emptied
END.over                 empty: the take is complete

Closing, forgetting and ending only rename, truncate and remove: they work on a full disk too.
"""

import errno
import os
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtc.recording import recovery

LEAST_FREE_BYTES = 1 << 30  # the database is on the same disk, and without room it stops the house

_WHOLE = re.compile(r"^(\d{10})\.(\d+)\.(\d+)\.m4s$")
_PART = re.compile(r"^(\d{10})\.(\d+)\.part$")
_DONE = re.compile(r"^(\d{10})\.(\d+)\.done$")
_OVER = re.compile(r"^(\d+)\.over$")


@dataclass(frozen=True)
class Segment:
    """A whole segment in the folder."""

    start_ms: int
    duration_ms: int
    lost_ms: int

    @property
    def name(self) -> str:
        """Of the file with pictures and voice."""
        return f"{self.start_ms:010d}.{self.duration_ms}.{self.lost_ms}.m4s"

    @property
    def voice_name(self) -> str:
        """Of the file with the voice alone."""
        return f"{self.start_ms:010d}.a.m4s"

    @property
    def end_ms(self) -> int:
        """Where the next one starts."""
        return self.start_ms + self.duration_ms


class TakeFolder:
    """What is there of one take; `changed` is called when there is more to upload or it is over."""

    def __init__(self, path: Path, room: str, take: str, changed: Callable[[], None]) -> None:
        self.path, self.room, self.take = path, room, take
        self.waiting: deque[Segment] = deque()  # for the object store, in order
        self.end_ms: int | None = None  # of the last whole segment
        self.over_ms: int | None = None
        self.recorded = False  # a recorder writes here in this worker's life
        self.fresh = not path.is_dir()
        self.there_ms = -1  # the store has segments up to this one, of a spool that is gone
        self._changed = changed
        self._part: Path | None = None
        self._parts: list[Path] = []  # the open one, and those that a failure left
        self._overs: list[Path] = []
        self._done: Path | None = None
        self._files: tuple[int, int] | None = None  # the part and its voice
        self._start_ms = 0
        self._recover()

    def begin(self, start_ms: int, lost_until_ms: int) -> None:
        """Opens the next segment; raises `OSError` when the disk will not or is nearly full."""
        self.recorded = True
        self.path.mkdir(parents=True, exist_ok=True)
        disk = os.statvfs(self.path)
        if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        while self._overs:
            self._overs[-1].unlink(missing_ok=True)
            self._overs.pop()
        self.over_ms = None
        part = self.path / f"{start_ms:010d}.{max(0, lost_until_ms)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        one = os.open(part, flags, 0o600)
        self._part, self._start_ms = part, start_ms
        if part not in self._parts:
            self._parts.append(part)
        try:
            other = os.open(self.path / f"{start_ms:010d}.a.m4s", flags, 0o600)
        except OSError:
            os.close(one)
            raise
        self._files = one, other

    def append(self, chunk: bytes, voice: bytes) -> None:
        """Adds a chunk; after an `OSError` only `salvage` knows what is whole."""
        if self._files is None:
            raise OSError(errno.EBADF, "no segment is open")
        both, alone = self._files
        _write(alone, voice)  # first: a chunk counts when it is in the other file
        _write(both, chunk)

    def finish(self, end_ms: int, lost_ms: int) -> None:
        """Closes the open segment: it is whole."""
        self._close_files()
        part, self._part = self._part, None
        if part is None:
            return
        if end_ms > self._start_ms:
            self._whole(part, Segment(self._start_ms, end_ms - self._start_ms, lost_ms))
        else:
            part.unlink()
            (self.path / f"{self._start_ms:010d}.a.m4s").unlink()
        self._parts.remove(part)

    def salvage(self) -> None:
        """Closes the open segment after a failure, with what is whole of it."""
        self._close_files()
        self._part = None
        while self._parts:
            self._salvage(self._parts[0])
            del self._parts[0]

    def over(self, end_ms: int) -> None:
        """The take is complete."""
        self.over_ms = end_ms
        self.recorded = False
        if self.path.is_dir():
            over = self.path / f"{end_ms}.over"
            over.touch(mode=0o600)
            self._overs.append(over)
        self._changed()

    def forget(self, segment: Segment) -> None:
        """The index has the segment; only how far the take has come is kept."""
        done = self.path / f"{segment.start_ms:010d}.{segment.duration_ms}.done"
        path = self.path / segment.name
        if path.exists():
            path.rename(done)
            os.truncate(done, 0)
            older, self._done = sorted([self._done or done, done])
            if older != self._done:
                older.unlink(missing_ok=True)
        (self.path / segment.voice_name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Everything of the take is stored elsewhere."""
        self._close_files()
        for each in self.path.glob("*"):
            each.unlink(missing_ok=True)
        if self.path.is_dir():
            self.path.rmdir()

    def _close_files(self) -> None:
        for each in self._files or ():
            os.close(each)
        self._files = None

    def _recover(self) -> None:
        for each in sorted(self.path.glob("*")):
            if match := _WHOLE.match(each.name):
                self._recover_whole(each, Segment(*map(int, match.groups())))
            elif match := _DONE.match(each.name):
                self._done = each
                self._reaches(int(match[1]) + int(match[2]))
            elif match := _OVER.match(each.name):
                self.over_ms = int(match[1])
                self._overs.append(each)
            elif _PART.match(each.name):
                self._parts.append(each)
        self.salvage()

    def _recover_whole(self, path: Path, segment: Segment) -> None:
        """After a power cut a file may be empty, though it was renamed: then nothing is there."""
        voice = self.path / segment.voice_name
        if path.stat().st_size and voice.exists() and voice.stat().st_size:
            self.waiting.append(segment)
            self._reaches(segment.end_ms)
        else:
            path.unlink()
            voice.unlink(missing_ok=True)

    def _reaches(self, end_ms: int) -> None:
        self.end_ms = max(self.end_ms or 0, end_ms)

    def _salvage(self, part: Path) -> None:
        match = _PART.match(part.name)
        if match is None:
            return
        start_ms, lost_until_ms = int(match[1]), int(match[2])
        voice = self.path / f"{start_ms:010d}.a.m4s"
        data, alone = part.read_bytes(), voice.read_bytes() if voice.exists() else b""
        found = recovery.read(data, picture=True)
        heard = recovery.read(alone, picture=False, upto=found.sequence)
        nothing = found.last_duration_at is None or found.end_ms <= start_ms
        if nothing or not heard.size:
            part.unlink()
            voice.unlink(missing_ok=True)
            return
        longer = recovery.lengthen(data, found, found.end_ms)
        if longer is not None:
            with part.open("r+b") as file:
                file.seek(longer[0])
                file.write(longer[1])
        os.truncate(part, found.size)
        os.truncate(voice, heard.size)
        lost_ms = min(max(0, lost_until_ms - start_ms), found.end_ms - start_ms)
        self._whole(part, Segment(start_ms, found.end_ms - start_ms, lost_ms))

    def _whole(self, part: Path, segment: Segment) -> None:
        part.rename(self.path / segment.name)
        self.waiting.append(segment)
        self._reaches(segment.end_ms)
        self._changed()


def _write(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
