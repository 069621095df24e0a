"""Which backup is restored, and whether it is whole: everything is opened before a byte is written.

The manifest's signature, every sealed stream to its end, each object against the list, the version
of PostgreSQL and of the tables, the room on the disk.
"""

import hashlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from ops.backup_keep import BACKUPS
from ops.backup_objects import AT_ONCE, client_of, digest_of, entries_of, piece_name
from ops.backup_place import Place
from ops.backup_wal import Archived, Until, archived, secrets_behind, swept_until
from ops.children import Cannot
from ops.postgres import programs
from ops.supervisor import say_aside
from storage import migrate
from storage.backup_format import (
    BackupError,
    Damaged,
    Foreign,
    Kit,
    Manifest,
    ObjectEntry,
    inflated,
    read_manifest,
    unseal,
)
from storage.settings import Settings

_SPARE_BYTES = 300 << 20


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The backup to restore, how far, and what opens it. `newest`: the log goes on until then."""

    place: Place
    kit: Kit
    manifest: Manifest
    until: Until | None
    archive: list[Archived]
    newest: datetime | None

    def part(self, name: str) -> Iterator[bytes]:
        """Open a part of the backup."""
        full = f"{self.manifest.id}/{name}"
        return inflated(full, unseal(self.kit, full, self.place.get(f"{BACKUPS}/{full}")))

    def secrets(self) -> list[Iterator[bytes]]:
        """Tars of what opens everything: the backup's, then what was added behind it."""
        behind = None
        if self.until is not None:
            behind = secrets_behind(self.place, self.kit, self.manifest)
        return [self.part("secrets"), *([behind] if behind is not None else [])]

    def objects(self) -> Iterator[ObjectEntry]:
        """Every object that stood at the point, the newest of each key; some may be newer."""
        found = {one.key: one for one in entries_of(self.part("objects"))}
        if self.until is not None:
            goal = self.until.at or self.archive[-1].closed_at
            swept = swept_until(self.place, self.kit, self.manifest, goal)
            found |= {one.key: one for one in swept}
        yield from found.values()

    def open(self, entry: ObjectEntry) -> Iterator[bytes]:
        """Open an object; its end is reached only when it is the one of the list."""
        digest = hashlib.sha256()
        about = f"piece {entry.piece}"
        for some in unseal(self.kit, about, self.place.get(piece_name(entry.piece))):
            digest.update(some)
            yield some
        if digest.hexdigest() != entry.sha256:
            raise Damaged(f"The object {entry.key} is not the one that was backed up.")


def choose(place: Place, kit: Kit, to: str | None) -> Chosen:
    """Find the newest backup that this key opens and that is not later than `to`. Raises Cannot."""
    until = Until.read(to)
    for manifest in manifests(place, kit):
        if until is None or until.reaches(manifest):
            there = archived(place, manifest)
            newest = there[-1].closed_at if there else None
            if until is not None:
                until.refuse_beyond(newest)
            return Chosen(
                place=place,
                kit=kit,
                manifest=manifest,
                until=until,
                archive=there if until is not None else [],
                newest=newest if until is None else None,
            )
    raise Cannot(f"There is no backup in {place}" + (f" from before {to}." if to else "."))


def manifests(place: Place, kit: Kit) -> Iterator[Manifest]:
    """Every backup of a place that is this kit's, newest first. Raises Cannot at a damaged one.

    An older one instead, without a word, would bring back less than the operator believes.
    """
    foreign, own = None, 0
    for name in sorted(place.names(BACKUPS), reverse=True):
        if not name.endswith("/manifest.json"):
            continue
        backup = name.split("/")[1]
        try:
            found = read_manifest(kit, b"".join(place.get(name)))
        except Foreign as error:
            foreign = foreign or f"{backup} in {place}: {error}"
            continue
        except BackupError as error:
            raise Cannot(f"{backup} in {place}: {error} Nothing was restored.") from error
        if found.id != backup:
            raise Cannot(
                f"{backup} in {place} is the copy of another backup. Nothing was restored."
            )
        if foreign is not None and not own:
            say_aside(f"Left out: {foreign}")
        own += 1
        yield found
    if foreign is not None and not own:
        raise Cannot(f"{foreign} Nothing was restored.")


def check(settings: Settings, chosen: Chosen) -> None:
    """Open everything to its end; writes nothing. Raises Cannot."""
    manifest = chosen.manifest
    if manifest.revision is not None and not migrate.knows(manifest.revision):
        raise Cannot(
            f"This backup was made by a newer version (tables at {manifest.revision}): install "
            f"version {manifest.product} or newer first."
        )
    # As ourselves: the servers' own user is drawn when the folder is made.
    _, major = programs(settings, None)
    if major != manifest.postgres:
        raise Cannot(
            f"This backup is of PostgreSQL {manifest.postgres}, the programs are version {major}: "
            f"set YANASHA_PG_BIN to the bin folder of PostgreSQL {manifest.postgres}."
        )
    _refuse_other_objects(settings, chosen)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            streams = [chosen.part(name) for name in sorted(manifest.parts)] + chosen.secrets()
            size = sum(map(_drain, streams))
            size += sum(pool.map(lambda one: _drain(one.open(chosen.kit)), chosen.archive))
            size += sum(pool.map(lambda one: _drain(chosen.open(one)), chosen.objects()))
    except BackupError as error:
        raise Cannot(f"{error} Nothing was restored.") from error
    above = next(one for one in (settings.home, *settings.home.parents) if one.exists())
    free = shutil.disk_usage(above).free
    if free < size + _SPARE_BYTES:
        raise Cannot(
            f"{(size + _SPARE_BYTES) >> 20} MB are needed on the disk of {settings.home}, "
            f"{free >> 20} MB are free."
        )


def _refuse_other_objects(settings: Settings, chosen: Chosen) -> None:
    """An outside store may hold what we bring, but nothing else under the same keys."""
    if settings.embedded_objects:
        return
    client = client_of(settings)
    listed = client.list_objects(settings.s3_bucket, recursive=True)
    there = {one.object_name: ((one.etag or "").strip('"'), one.size) for one in listed}
    for entry in chosen.objects():
        found = there.get(entry.key, (entry.etag, entry.size))
        # The same content put in other parts has another ETag.
        if found != (entry.etag, entry.size) and (
            found[1] != entry.size or digest_of(client, settings, entry.key) != entry.sha256
        ):
            raise Cannot(
                f"The bucket {settings.s3_bucket} holds another object {entry.key}, and nothing is "
                "restored over what stands: use an empty bucket."
            )


def _drain(stream: Iterator[bytes]) -> int:
    return sum(map(len, stream))
