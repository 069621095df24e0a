"""`yanasha restore`: a backup becomes an installation, in an empty folder only.

ops/backup_choice.py has opened and checked everything before this writes its first byte. Then the
folder is filled, the database is brought to its point, what was erased since is erased again. A
mark lies in the folder until all of that is done; nothing starts where it lies.
"""

import asyncio
import os
import shutil
import signal
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace as altered
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec
import psycopg

from ops.backup import SECRET_FOLDERS, place_of
from ops.backup_choice import Chosen, check, choose
from ops.backup_erasures import erasures_of
from ops.backup_keys import read_kit
from ops.backup_objects import AT_ONCE, client_of
from ops.backup_place import reader
from ops.backup_point import Fingerprint, fingerprint
from ops.backup_recovery import recovery_options
from ops.children import Cannot, clean_env, run_as
from ops.home import UNFINISHED, locked, prepare_home
from ops.postgres import Postgres
from ops.seaweed import Seaweed
from ops.supervisor import Supervisor, on_signals, say, say_aside
from ops.users import give, owned_file, owned_folder, server_user
from people.audit_chain import ANCHORS
from people.erasure import replay
from storage import data_keys, erasure_log, migrate
from storage.backup_format import BackupError, ObjectEntry
from storage.engine import make_engine, sessions
from storage.erasure_log import Entry
from storage.s3 import S3Objects
from storage.settings import Settings

_RECOVERY_S = 6 * 3600.0
_VERIFY_S = 3600.0
_POLL_S = 0.1
_CLOCKS_S = 2.0


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `tables`: compared with what the backup had counted, None where it had not
    or where the log was followed further."""

    until: str
    tables: int | None
    rows: int
    objects: list[ObjectEntry]
    erased: int


class Reached(msgspec.Struct, frozen=True):
    """Where a database stands whose log has ended: its audit's last link, its last commit."""

    sequence: int
    at: datetime

    def saw_further(self, entry: ObjectEntry) -> bool:
        """Whether it is a checkpoint of the audit, taken behind this, of links that are not here.

        It would call the audit cut off. One that is older than our last commit does so rightly.
        """
        if not entry.key.startswith(ANCHORS):
            return False
        number = PurePosixPath(entry.key).stem
        behind = number.isdecimal() and int(number) > self.sequence
        # The store gives whole seconds.
        return behind and entry.modified > self.at.timestamp() - _CLOCKS_S


Then = Callable[[Settings, Restored], Awaitable[None]]


async def restore(
    settings: Settings, source: str | None, *, to: str | None, key: str | None, erasures: str | None
) -> int:
    """Bring a backup back into this empty folder and say what came back."""
    place = place_of(settings, source)
    refuse_what_stands(settings)
    chosen = await asyncio.to_thread(choose, place, read_kit(key), to)
    log = await asyncio.to_thread(erasures_of, settings, chosen, erasures)
    await asyncio.to_thread(check, settings, chosen)
    say_aside(f"Backup {chosen.manifest.id} is whole; restoring it into {settings.home}.")
    for line in lines(await bring_back(settings, chosen, log)):
        say(line)
    if chosen.newest is not None:
        say(f"The log goes on until {chosen.newest:%Y-%m-%dT%H:%M:%SZ}: '--to latest' reaches it.")
    if log is None:
        say("No erasure log was found beside the backup: name one with --erasures if there is one.")
    say("Start it with 'yanasha serve'.")
    return 0


def lines(restored: Restored) -> list[str]:
    """What came back, as an operator reads it."""
    if restored.tables is None:
        counted = "rows were not compared: the backup counted none for this point"
    else:
        counted = f"{restored.rows} rows of {restored.tables} tables are as they were counted"
    return [
        f"Restored as of {restored.until}; {counted}.",
        f"{len(restored.objects)} objects came back, {restored.erased} erasures were done again.",
    ]


def refuse_what_stands(settings: Settings) -> None:
    """Only an empty folder is filled. Raises Cannot."""
    if not settings.embedded_postgres:
        raise Cannot("DATABASE_URL names a PostgreSQL elsewhere: restore into the embedded one.")
    if settings.home.exists() and any(settings.home.iterdir()):
        raise Cannot(
            f"{settings.home} is not empty, and nothing is restored over what stands: name another "
            "folder with YANASHA_HOME, or move this one away."
        )


async def nothing(settings: Settings, restored: Restored) -> None:
    """Nothing more to do while the stores are up."""


async def bring_back(
    settings: Settings,
    chosen: Chosen,
    log: list[Entry] | None,
    then: Then = nothing,
    *,
    scratch: bool = False,
) -> Restored:
    """Fill the empty folder, start the stores, bring them to the point, stop them again.

    What is `scratch` is deleted next: its objects are not waited for.
    """
    prepare_home(settings)
    mark = settings.home / UNFINISHED
    mark.write_text(f"{chosen.manifest.id}\n")
    with locked(settings.home) as kids:
        try:
            uid = server_user(settings.home)
            postgres = await asyncio.to_thread(_fill, settings, chosen, uid)
            wal = settings.home / "restore-wal"
            postgres.recovery = await asyncio.to_thread(recovery_options, postgres, chosen, wal)
            child = postgres.child()
            children = [altered(child, env={**child.env, "YANASHA_WAL_FROM": str(wal)})]
            if settings.embedded_objects:
                objects = Seaweed(settings, uid)
                objects.prepare()
                store = objects.child()
                children.append(altered(store, stop_signal=signal.SIGKILL) if scratch else store)
            supervisor = Supervisor(settings.home, [children], kids, say_aside)
            on_signals(supervisor, lambda: None)
            try:
                await supervisor.start()
                if supervisor.stopping.is_set():
                    raise Cannot("Stopped before the stores were ready.")
                restored = await _follow(settings, chosen, supervisor, log)
                await then(settings, restored)
            finally:
                await supervisor.stop()
        except BackupError as error:  # it was whole a moment ago
            raise Cannot(f"{error} The folder {settings.home} is half full: empty it.") from error
        shutil.rmtree(settings.home / "restore-wal")
        os.sync()
        mark.unlink()
    return restored


async def _follow(
    settings: Settings, chosen: Chosen, supervisor: Supervisor, log: list[Entry] | None
) -> Restored:
    """What needs the stores up: the log, the rows, the objects, the erasures."""
    await _promoted(settings, supervisor)
    url = settings.database_url
    until, tables, rows = chosen.manifest.point_at, None, 0
    if chosen.until is None and "tables" in chosen.manifest.parts:
        there = await asyncio.to_thread(fingerprint, url)
        tables, rows = _compare(b"".join(chosen.part("tables")), there)
    elif chosen.until is not None:
        until = chosen.until.at.isoformat() if chosen.until.at else "the end of the log"
    reached = await asyncio.to_thread(_reached, url, chosen)
    objects = await asyncio.to_thread(_put_objects, settings, chosen, reached)
    await asyncio.to_thread(migrate.upgrade, url)
    erased = await _erase_again(settings, log)
    return Restored(until=until, tables=tables, rows=rows, objects=objects, erased=erased)


def _fill(settings: Settings, chosen: Chosen, uid: int | None) -> Postgres:
    """Write secrets, the database's files and its log. The stores are down."""
    home = settings.home
    for part in [*chosen.secrets(), chosen.part("audit")]:
        with _tar(part) as tar:
            for member in tar:
                _write_small(home, member, tar)
    if uid is not None and (home / "caddy").exists():
        give(home / "caddy", server_user(home, "caddy") or uid)
    postgres = Postgres(settings, uid)
    with _tar(chosen.part("base")) as tar:
        tar.extractall(postgres.data, filter="data")
    postgres.data.chmod(0o700)
    wal = owned_folder(home / "restore-wal", uid)
    with _tar(chosen.part("wal")) as tar:
        tar.extractall(wal, filter="data")
    for one in chosen.archive:
        with (wal / one.segment).open("wb") as file:
            file.writelines(one.open(chosen.kit))
    if uid is not None:
        give(postgres.data, uid)
        give(wal, uid)
    verified = run_as(
        uid,
        postgres.bin / "pg_verifybackup",
        *("--no-parse-wal", "--quiet", postgres.data),
        env=clean_env(home),
        timeout_s=_VERIFY_S,
    )
    if verified.returncode != 0:
        raise Cannot("The database's files are not whole: " + verified.stdout.strip()[-300:])
    owned_file(postgres.data / "recovery.signal", b"", uid)
    postgres.prepare()
    return postgres


@contextmanager
def _tar(part: Iterator[bytes]) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=reader(part), mode="r|") as tar:
        yield tar
    _to_the_end(part)


def _to_the_end(stream: Iterator[bytes]) -> None:
    """What a reader left: the signature stands behind the last byte."""
    for _ in stream:
        pass


def _write_small(home: Path, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
    name = PurePosixPath(member.name)
    content = tar.extractfile(member)
    if content is None or name.parts[0] not in SECRET_FOLDERS or ".." in name.parts:
        raise Cannot(f"The backup holds {member.name} among its secrets, which is none.")
    path = home / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    owned_file(path, content.read(), None)


async def _promoted(settings: Settings, supervisor: Supervisor) -> None:
    """Wait until the database has followed its log to the point and takes writes."""
    postgres = supervisor.named("postgres")
    async with asyncio.timeout(_RECOVERY_S):
        while True:
            if postgres.restarts > 0 or supervisor.stopping.is_set():
                raise Cannot(
                    "The database could not follow its log to the point: its lines above say why."
                )
            try:
                async with await psycopg.AsyncConnection.connect(
                    settings.database_url, connect_timeout=5
                ) as db:
                    found = await db.execute("SELECT pg_is_in_recovery()")
                    if await found.fetchone() == (False,):
                        return
            except psycopg.OperationalError:  # it restarts its connections when it is promoted
                pass
            await asyncio.sleep(_POLL_S)


def _compare(counted: bytes, there: dict[str, Fingerprint]) -> tuple[int, int]:
    """Hold every table against what the backup counted; give tables and rows. Raises Cannot."""
    expected = msgspec.json.decode(counted, type=dict[str, Fingerprint])
    for name in sorted(expected.keys() | there.keys()):
        was, now = expected.get(name), there.get(name)
        if was != now:
            raise Cannot(
                f"The table {name} came back with {now.rows if now else 'no'} rows, "
                f"{was.rows if was else 'none'} were counted, or their content differs."
            )
    return len(there), sum(one.rows for one in there.values())


def _reached(url: str, chosen: Chosen) -> Reached:
    """How far the log brought the database: nothing has been written since."""
    with psycopg.connect(url) as db:
        row = db.execute(
            "SELECT (SELECT coalesce(max(sequence), 0) FROM audit_seals), "
            "pg_last_xact_replay_timestamp()"
        ).fetchone()
    if row is None:  # never: it has no FROM
        raise RuntimeError("no row")
    return Reached(row[0], row[1] or datetime.fromisoformat(chosen.manifest.point_at))


def _put_objects(settings: Settings, chosen: Chosen, reached: Reached) -> list[ObjectEntry]:
    """Put every object into the store; one that an outside store has already stays."""
    client, bucket = client_of(settings), settings.s3_bucket
    there = set()
    if not settings.embedded_objects:
        there = {one.object_name for one in client.list_objects(bucket, recursive=True)}

    def put(entry: ObjectEntry) -> None:
        source = chosen.open(entry)
        client.put_object(bucket, entry.key, reader(source), entry.size, content_type=entry.kind)
        _to_the_end(source)

    entries = [one for one in chosen.objects() if not reached.saw_further(one)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(put, [one for one in entries if one.key not in there]):
            pass
    return entries


async def _erase_again(settings: Settings, log: list[Entry] | None) -> int:
    """Do again what the erasure log says; give how many entries it has. Raises Cannot.

    The log goes on in this folder, so that the next restore knows it too.
    """
    objects = S3Objects(settings)
    try:
        if log:
            erasure_log.write_all(settings, log)
        erased = await erasure_log.read_all(settings, objects)
        if erased:
            await _replay(settings, erased)
    except erasure_log.BrokenLog as error:
        raise Cannot(f"Not restored, or the erased would be back: {error}.") from error
    finally:
        objects.close()
    return len(erased)


async def _replay(settings: Settings, erased: list[erasure_log.Erased]) -> None:
    data_keys.unlock(settings.home)
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        async with sessions(engine)() as db, db.begin():
            await replay(db, erased, datetime.now(UTC))
    finally:
        await engine.dispose()
