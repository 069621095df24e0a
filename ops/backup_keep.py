"""Deletes backups beyond the newest few, and what only they needed: log, lists, pieces.

The machine cannot open what it sealed. Which pieces are needed no more it knows from when it last
saw their objects: a piece whose object was gone before the oldest backup that stays began is in
none that stays.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ops.backup_keys import recipients
from ops.backup_objects import Sweeper, piece_name
from ops.backup_place import Place
from ops.backup_wal import SECRETS, STAMP, SWEEPS, WAL
from ops.children import Cannot
from storage.backup_format import BackupError, Manifest, Sealer, signed_manifest

BACKUPS = "backups"
_STAMP = re.compile(r"\d{8}T\d{6}\.\d{6}Z$")
_BEGAN, _BEGAN_FORMAT = re.compile(r"\d{8}T\d{6}Z"), "%Y%m%dT%H%M%SZ"
_A_DAY = timedelta(days=1)


def prune(place: Place, sweeper: Sweeper, keep: int) -> int:
    """Delete all but the newest `keep` backups of this installation; gives how many went."""
    if keep < 1:
        raise Cannot("--keep takes a number from 1 on.")
    own = sorted(_own(place, sweeper.sealer.signer), key=lambda one: one.began_at)
    stay, go = own[-keep:], own[:-keep]
    if not go:
        return 0
    for one in go:
        # Its manifest first: what is half deleted is no backup any more.
        names = place.names(f"{BACKUPS}/{one.id}")
        for name in sorted(names, key=lambda name: not name.endswith("/manifest.json")):
            place.delete(name)
    oldest = min(datetime.fromisoformat(one.began_at) for one in stay)
    for lineage in {one.lineage for one in own}:
        for folder in (WAL, SWEEPS, SECRETS):
            _older(place, place.names(f"{folder}/{lineage}"), oldest)
    for piece in sweeper.gone_before(oldest):
        place.delete(piece_name(piece))
    _old_keys(place, sweeper, {one.recipient for one in stay})
    _broken_off(place, oldest - _A_DAY)
    place.tidy(oldest - _A_DAY)
    return len(go)


def _own(place: Place, signer: bytes) -> Iterable[Manifest]:
    """Backups that we signed; others in the same place are left alone."""
    for name in place.names(BACKUPS):
        if name.endswith("/manifest.json"):
            with suppress(BackupError):
                found = signed_manifest(signer, b"".join(place.get(name)))
                if name.split("/")[1] == found.id:
                    yield found


def _old_keys(place: Place, sweeper: Sweeper, needed: set[str]) -> None:
    """Pieces sealed for a recovery key that no backup needs any more: nothing sweeps them again."""
    for recipient in recipients(sweeper.settings):
        if recipient != sweeper.sealer.recipient and recipient.hex() not in needed:
            old = Sweeper(sweeper.settings, place, Sealer(recipient, sweeper.sealer.seed))
            for piece in old.forget():
                place.delete(piece_name(piece))


def _broken_off(place: Place, before: datetime) -> None:
    """Folders that never got their manifest, whoever began them: a day is longer than any takes."""
    names = place.names(BACKUPS)
    whole = {name.split("/")[1] for name in names if name.endswith("/manifest.json")}
    for name in names:
        backup = name.split("/")[1]
        began = _BEGAN.match(backup)
        if backup not in whole and began and _utc(began[0], _BEGAN_FORMAT) < before:
            place.delete(name)


def _older(place: Place, names: list[str], than: datetime) -> None:
    for name in names:
        stamp = _STAMP.search(name)
        if stamp and _utc(stamp[0], STAMP) < than:
            place.delete(name)


def _utc(text: str, form: str) -> datetime:
    return datetime.strptime(text, form).replace(tzinfo=UTC)
