"""Deletes backups beyond the newest few, and what only they needed: log, lists, pieces.

The machine cannot open what it sealed. Which pieces are needed no more it knows from when it last
saw their objects: a piece whose object was gone before the oldest backup that stays began is in
none that stays.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from ops.backup_objects import Sweeper, piece_name
from ops.backup_place import Place
from ops.backup_wal import STAMP, SWEEPS, WAL
from ops.children import Cannot

BACKUPS = "backups"
_STAMP = re.compile(r"\d{8}T\d{6}\.\d{6}Z$")


class _Said(msgspec.Struct, frozen=True):
    id: str
    installation: str
    lineage: str
    began_at: datetime


class _Written(msgspec.Struct, frozen=True):
    manifest: _Said


def prune(place: Place, sweeper: Sweeper, keep: int) -> int:
    """Delete all but the newest `keep` backups of this installation; gives how many went."""
    if keep < 1:
        raise Cannot("--keep takes a number from 1 on.")
    own = sorted(_own(place, sweeper.sealer.signer.hex()), key=lambda one: one.began_at)
    stay, go = own[-keep:], own[:-keep]
    if not go:
        return 0
    for one in go:
        # Its manifest first: what is half deleted is no backup any more.
        names = place.names(f"{BACKUPS}/{one.id}")
        for name in sorted(names, key=lambda name: not name.endswith("/manifest.json")):
            place.delete(name)
    oldest = min(one.began_at for one in stay)
    for lineage in {one.lineage for one in own}:
        _older(place, place.names(f"{WAL}/{lineage}"), oldest)
        _older(place, place.names(f"{SWEEPS}/{lineage}"), oldest)
    for piece in sweeper.gone_before(oldest):
        place.delete(piece_name(piece))
    return len(go)


def _own(place: Place, installation: str) -> Iterable[_Said]:
    """Whole backups that call themselves ours; others in the same place are left alone."""
    for name in place.names(BACKUPS):
        if name.endswith("/manifest.json"):
            try:
                found = msgspec.json.decode(b"".join(place.get(name)), type=_Written).manifest
            except msgspec.DecodeError:
                continue
            if found.installation == installation and name.split("/")[1] == found.id:
                yield found


def _older(place: Place, names: list[str], than: datetime) -> None:
    for name in names:
        stamp = _STAMP.search(name)
        if stamp and datetime.strptime(stamp[0], STAMP).replace(tzinfo=UTC) < than:
            place.delete(name)
