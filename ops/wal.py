"""Puts the write-ahead log, segment by segment and sealed, where backups lie: a child of `serve`.

PostgreSQL's archive_command leaves closed segments in `home/wal` (one a minute at least while
anybody writes: archive_timeout). Before a segment goes, the objects are swept: whatever rows it
brings back, their objects are in the place already. A sweep takes as long as the store needs to
list itself; ten times as long passes until the next one, so that it never costs more than a tenth.
"""

import hashlib
import re
import sys
import time
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec

from ops.backup import copy_erasures, lineage, note, place_of, secrets_tar
from ops.backup_keys import sealer_of
from ops.backup_objects import Sweeper, lines
from ops.backup_place import READ, Place
from ops.backup_wal import Sweep, secrets_name, segment_name, sweep_name
from ops.children import Cannot
from ops.supervisor import say
from storage.backup_format import ObjectEntry, Sealer, deflated, seal
from storage.secrets import UnsafeSecret
from storage.settings import BadSetting, Settings

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_POLL_S, _AGAIN_S = 1.0, 30.0
_SPARE = 10
HOLE = "hole"  # made by archive_command when too much waited


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """What the board says of the log."""

    at: str
    until: str | None
    waiting: int
    hole: bool
    away: bool


class Shipper:
    """Brings the log of one installation to its place."""

    def __init__(self, settings: Settings, place: Place, sealer: Sealer) -> None:
        self.settings, self.place = settings, place
        self.folder = settings.home / "wal"
        self.rest_until = 0.0
        self._begin(sealer)
        self.until: datetime | None = None

    def _begin(self, sealer: Sealer) -> None:
        """Begin anew, with a list that has everything: nothing before it is counted on."""
        self.sealer = sealer
        self.lineage = lineage(self.settings, sealer)
        self.sweeper = Sweeper(self.settings, self.place, sealer)
        self.listed: dict[str, ObjectEntry] = {}
        self.last: str | None = None
        self.secrets = b""

    def step(self) -> int:
        """Put what waits; gives how many segments. Raises Cannot."""
        waiting = self.waiting()
        if not waiting or time.monotonic() < self.rest_until:
            return 0
        if (sealer := sealer_of(self.settings)) != self.sealer:
            self._begin(sealer)  # a new recovery key was made
        began, began_at = time.monotonic(), datetime.now(UTC)
        swept = self.sweeper.sweep(began_at)
        new = [one for one in swept.there if self.listed.get(one.key) != one]
        # Also an empty one: that a list is missing shall be seen.
        name = sweep_name(self.lineage, began_at)
        head = msgspec.json.encode(Sweep(self.last)) + b"\n"
        self.place.put(name, seal(self.sealer, name, deflated(chain([head], lines(new)))))
        self.listed |= {one.key: one for one in new}
        self.last = name
        self._secrets(began_at)
        self.rest_until = time.monotonic() + _SPARE * (time.monotonic() - began)
        copy_erasures(self.settings, self.place, self.sealer)
        shipped = 0
        for path in waiting:
            closed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if closed_at > began_at:  # its rows may name objects that this sweep had passed
                break
            name = segment_name(self.lineage, path.name, closed_at)
            with path.open("rb") as file:
                pieces = iter(partial(file.read, READ), b"")
                self.place.put(name, seal(self.sealer, name, deflated(pieces)))
            path.unlink()
            self.until = closed_at
            shipped += 1
        return shipped

    def _secrets(self, began_at: datetime) -> None:
        """What opens the rows that go now: a key may be newer than the last backup."""
        tar = secrets_tar(self.settings)
        if (digest := hashlib.sha256(tar).digest()) != self.secrets:
            name = secrets_name(self.lineage, began_at)
            self.place.put(name, seal(self.sealer, name, deflated([tar])))
            self.secrets = digest

    def waiting(self) -> list[Path]:
        """Closed segments, in order; what else PostgreSQL archives is not needed."""
        found = []
        for path in sorted(self.folder.iterdir()):
            if _SEGMENT.fullmatch(path.name):
                found.append(path)
            elif not path.name.startswith(".") and path.name != HOLE:
                path.unlink()
        return found

    def note(self, *, away: bool) -> None:
        """Tell the board how far the log has come."""
        said = Shipped(
            at=datetime.now(UTC).isoformat(),
            until=self.until.isoformat() if self.until else None,
            waiting=len(self.waiting()),
            hole=self._hole(),
            away=away,
        )
        note(self.settings, "wal", said)

    def _hole(self) -> bool:
        """Something is missing since the last backup; the next backup makes it good."""
        hole = self.folder / HOLE
        last = self.settings.state_dir / "backup-last.json"
        if hole.exists() and last.exists() and last.stat().st_mtime > hole.stat().st_mtime:
            hole.unlink()
        return hole.exists()


def run(settings: Settings) -> None:
    """Ship until we are ended: whatever was half put is put again."""
    shipper = Shipper(settings, place_of(settings, None), sealer_of(settings))
    was_away = False
    while True:
        wait_s, away = _POLL_S, False
        try:
            shipped = shipper.step()
        except Cannot as error:
            shipped, wait_s, away = 0, _AGAIN_S, True
            if not was_away:
                say(f"The log waits: {error}")
        if shipped or away != was_away:
            shipper.note(away=away)
        was_away = away
        time.sleep(wait_s)


def main() -> int:
    """Run the program; 1 and one sentence when it cannot."""
    try:
        run(Settings.from_env())
    except (Cannot, BadSetting, UnsafeSecret) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
