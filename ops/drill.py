"""`yanasha drill restore`: a backup is worth what a restore of it gave, so one is tried.

Into a scratch folder with ports of its own, deleted at the end; what runs is not touched. Rows are
held against what the backup counted, each object is read back from the store, each file is opened
and held against its row, the audit's chain is walked. The last line is PASS or FAIL, and so is the
exit code.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from minio.error import S3Error
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ops.audit import report_of
from ops.backup import note, place_of
from ops.backup_choice import check, choose
from ops.backup_erasures import erasures_of
from ops.backup_keys import read_kit
from ops.backup_objects import client_of, digest_of
from ops.children import Cannot
from ops.restore import Restored, Then, bring_back, lines, nothing
from ops.supervisor import say
from people.documents import DocumentViews
from people.kept_files import kept_files
from people.organisation_keys import raw_keys
from storage import data_keys, signing
from storage.backup_format import ObjectEntry
from storage.engine import make_engine, sessions
from storage.master_keys import MasterMissing
from storage.s3 import S3Objects
from storage.sealing import CannotOpen
from storage.settings import Settings

_STEP = 500


class Drilled(msgspec.Struct, frozen=True, kw_only=True):
    """What the board says of the last drill."""

    at: str
    backup: str | None
    passed: bool
    seconds: float


async def drill(
    settings: Settings,
    source: str | None,
    *,
    to: str | None,
    key: str | None,
    erasures: str | None,
    scratch: str | None,
    also: Then = nothing,
) -> int:
    """Rehearse a restore and print what was found; 1 when it did not pass.

    `also` looks at the restored installation too, for tests.
    """
    place, kit = place_of(settings, source), read_kit(key)
    began, backup, wrong = time.monotonic(), None, list[str]()
    passed = False
    try:
        try:
            chosen = await asyncio.to_thread(choose, place, kit, to)
            backup = chosen.manifest.id
            log = await asyncio.to_thread(erasures_of, settings, chosen, erasures)
            with scratch_house(settings, scratch) as there:
                await asyncio.to_thread(check, there, chosen)
                then = look(wrong, also)
                for line in lines(await bring_back(there, chosen, log, then, scratch=True)):
                    say(line)
        except Cannot as error:
            wrong.append(str(error))
        except Exception as error:  # noqa: BLE001 - whatever broke it off, it has not passed
            wrong.append(f"The restore broke off: {type(error).__name__}: {error}")
        passed = not wrong
    finally:  # one that broke off has not passed: the board shall not show an older one that did
        seconds = time.monotonic() - began
        if settings.state_dir.is_dir():
            at = datetime.now(UTC).isoformat()
            done = Drilled(at=at, backup=backup, passed=passed, seconds=round(seconds, 1))
            note(settings, "drill", done)
    for line in wrong:
        say(line)
    say(f"{'PASS' if passed else 'FAIL'} after {seconds:.1f} s.")
    return 0 if passed else 1


@contextmanager
def scratch_house(settings: Settings, named: str | None) -> Iterator[Settings]:
    """Settings of a machine on which nothing stands; what is put there is gone afterwards."""
    folder = scratch_folder(named)
    try:
        yield replace(
            settings,
            home=folder / "home",
            outside_database=None,
            outside_objects=None,
            backups=None,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            say(f"{folder} could not be deleted, and holds everything in the clear: delete it.")


def scratch_folder(named: str | None) -> Path:
    """A short path by default: that of a unix socket is at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="yd-", dir=named or "/tmp"))  # noqa: S108
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the servers' own user passes through
    return folder


def look(wrong: list[str], also: Then = nothing) -> Then:
    """Look at the restored installation while its stores are up; `wrong` takes what is."""

    async def then(settings: Settings, restored: Restored) -> None:
        wrong.extend(await _wrong(settings, restored))
        await also(settings, restored)

    return then


async def _wrong(settings: Settings, restored: Restored) -> list[str]:
    wrong = await asyncio.to_thread(_objects, settings, restored.objects)
    wrong += await _sealed(settings)
    report = await report_of(settings)
    if report.holds:
        say(f"The audit is whole: {report.links} rows are sealed.")
    elif report.first_wrong is not None:
        wrong.append(f"The audit is not whole: {report.first_wrong.wrong.value}.")
    elif report.links:
        wrong.append("The audit has no checkpoint that vouches for it.")
    return wrong


async def _sealed(settings: Settings) -> list[str]:
    """Every person's key opens with the restored master key, every signed document verifies."""
    data_keys.unlock(settings.home)
    engine = make_engine(settings.database_url, pool_size=1)
    keys = documents = 0
    forged = []
    try:
        async with sessions(engine)() as db:
            living = select(data_keys.DataKeys.owner).where(
                data_keys.DataKeys.destroyed_at.is_(None)
            )
            for some in (await db.scalars(living)).partitions(_STEP):
                keys += len(await data_keys.keys_of(db, some))
            public = await raw_keys(db)
            views = await db.execute(select(DocumentViews.number, DocumentViews.line))
            for number, line in views:
                documents += 1
                if not signing.verify_line(public, line).genuine:
                    forged.append(f"The document {number} does not verify any more.")
            changed = await _files(db, settings)
    except (CannotOpen, MasterMissing):
        return ["A person's key does not open: the master key is another one."]
    finally:
        await engine.dispose()
    say(f"{keys} persons' keys open, {documents - len(forged)} signed documents verify.")
    return forged + changed


async def _files(db: AsyncSession, settings: Settings) -> list[str]:
    """Every file opens under its owner's key and is what its row says."""
    objects, count, wrong = S3Objects(settings), 0, []
    try:
        async for file_id, same in kept_files(db, objects):
            count += 1
            if not same:
                wrong.append(f"The file {file_id} did not come back as it was handed in.")
    finally:
        objects.close()
    say(f"{count - len(wrong)} files are as they were handed in.")
    return wrong


def _objects(settings: Settings, entries: list[ObjectEntry]) -> list[str]:
    client, wrong = client_of(settings), []
    for entry in entries:
        try:
            if digest_of(client, settings, entry.key) != entry.sha256:
                wrong.append(f"The object {entry.key} came back changed.")
        except S3Error as error:
            wrong.append(f"The object {entry.key} did not come back: {error.code}.")
    return wrong
