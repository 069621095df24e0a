"""`yanasha backup`: database, objects and keys at one point of time, while everybody works.

The order is what makes it one point. The write-ahead log is kept from the first step on; the copy
of the database, then the restore point; only then the objects are listed, so that every object a
row names is there: an object is put before its row, and the rooms take it away a day after it at
the earliest (people/lost_files.py, telemed/ecg_chunks.py), later than any backup ends. Secrets come
after the point, because they are only ever added; the audit's checkpoints before it, because they
must not have seen further than the database.
The manifest comes last: without it there is no backup.
"""

import asyncio
import fcntl
import io
import os
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import psycopg

from ops.backup_keep import BACKUPS, prune
from ops.backup_keys import new_kit, recipients, sealer_of
from ops.backup_objects import Sweeper, lines
from ops.backup_place import READ, Place, place_at
from ops.backup_point import Connection, Point, fix_point, wal_kept
from ops.children import Cannot, clean_env
from ops.postgres import programs
from ops.stores import stores_up
from ops.supervisor import say
from ops.users import server_user
from storage import migrate
from storage.backup_format import FORMAT, Manifest, Part, Sealer, deflated, seal, write_manifest
from storage.settings import Settings

ERASURES = "erasures"
SECRET_FOLDERS = ("secrets", "audit", "caddy")
_WAL_NAME = 24


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` and the board say of the last backup."""

    id: str
    at: str
    seconds: float
    database_bytes: int
    objects: int
    new_objects: int
    counted: bool


async def backup(settings: Settings, to: str | None, *, new_key: bool, keep: int | None) -> int:
    """Make a backup and print what it holds; with `new_key` make a recovery kit and print it."""
    if new_key:
        _print_kit(settings)
        if to is None and settings.backups is None:
            return 0
    place = place_of(settings, to)
    if not settings.embedded_postgres:
        raise Cannot(
            "DATABASE_URL names a PostgreSQL elsewhere: back it up with its own tools, and copy "
            "home/secrets; 'yanasha backup' covers the embedded one only."
        )
    sealer = sealer_of(settings)
    async with stores_up(settings):
        with one_at_a_time(settings):
            done = await asyncio.to_thread(make, settings, place, sealer)
            if keep is not None:
                sweeper = Sweeper(settings, place, sealer)
                gone = await asyncio.to_thread(prune, place, sweeper, keep)
                say(f"{gone} older backups were deleted.")
    say(
        f"Backup {done.id} is in {place}: {done.database_bytes / 1e6:.1f} MB of database, "
        f"{done.objects} objects ({done.new_objects} new), after {done.seconds:.1f} s."
    )
    if not done.counted:
        say("Rows were not counted: somebody wrote all the time and could not be held back.")
    return 0


def place_of(settings: Settings, named: str | None) -> Place:
    """The place named on the command line, or the setting's. Raises Cannot."""
    where = named or settings.backups
    if where is None:
        raise Cannot("Name where backups lie: a folder or a bucket, or set YANASHA_BACKUPS.")
    return place_at(where)


def _print_kit(settings: Settings) -> None:
    settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    kit = new_kit(settings)
    say("This is the recovery key. It is shown once and kept nowhere here: without it no backup")
    say("opens, and whoever has it reads every backup. Older backups open with the older key.")
    say(f"\n  {kit.text}\n")


@contextmanager
def one_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold the lock of backups. Raises Cannot."""
    handle = os.open(settings.state_dir / "backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Cannot("Another backup is being made.") from None
    finally:
        os.close(handle)


def make(
    settings: Settings, place: Place, sealer: Sealer, between: Callable[[], None] = lambda: None
) -> Done:
    """Make one backup; the stores are up. `between` runs behind the point, for tests of load."""
    began = datetime.now(UTC)
    name = f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    making = _Making(settings, place, sealer, name)
    sweeper = Sweeper(settings, place, sealer)
    sweeper.check()
    url = settings.database_url
    with making.whole():
        with wal_kept(url) as (db, first_lsn):
            seen = folder_tar(settings.home, ("audit",))
            making.put("base", making.base())
            point = fix_point(url, name)
            between()
            first, last, there = making.wal(db, first_lsn, point)
            making.put("wal", _tar(there))
        making.put("secrets", [secrets_tar(settings)])
        making.put("audit", [seen])
        if point.tables is not None:
            making.put("tables", [msgspec.json.encode(point.tables)])
        swept = sweeper.sweep(datetime.now(UTC))
        sweeper.mark_gone(swept)
        making.put("objects", lines(swept.there))
        manifest = Manifest(
            format=FORMAT,
            id=name,
            installation=sealer.signer.hex(),
            recipient=sealer.recipient.hex(),
            lineage=lineage(settings, sealer),
            product=version("yanasha"),
            revision=migrate.current(url),
            postgres=making.major,
            began_at=began.isoformat(),
            point_at=point.at.astimezone(UTC).isoformat(),
            point=name,
            first_wal=first,
            last_wal=last,
            objects=len(swept.there),
            object_bytes=sum(one.size for one in swept.there),
            parts=making.parts,
        )
        copy_erasures(settings, place, sealer)
        place.put(f"{BACKUPS}/{name}/manifest.json", [write_manifest(sealer, manifest)])
    done = Done(
        id=name,
        at=manifest.point_at,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        database_bytes=making.parts["base"].size,
        objects=len(swept.there),
        new_objects=len(swept.new),
        counted=point.tables is not None,
    )
    note(settings, "last", done)
    return done


class _Making:
    """The parts of one backup as they are put."""

    def __init__(self, settings: Settings, place: Place, sealer: Sealer, name: str) -> None:
        self.settings, self.place, self.sealer, self.name = settings, place, sealer, name
        self.bin, self.major = programs(settings, server_user(settings.home))
        self.parts: dict[str, Part] = {}

    def put(self, part: str, plain: Iterable[bytes]) -> None:
        """Seal one part into the place."""
        name = f"{self.name}/{part}"
        size, digest = self.place.put(f"{BACKUPS}/{name}", seal(self.sealer, name, deflated(plain)))
        self.parts[part] = Part(size, digest)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Of a backup that broke off nothing stays; what cannot be deleted now `prune` deletes."""
        try:
            yield
        except BaseException as error:
            with suppress(Cannot, OSError):
                for name in self.place.names(f"{BACKUPS}/{self.name}"):
                    self.place.delete(name)
            if isinstance(error, psycopg.Error):
                why = type(error).__name__
                raise Cannot(f"The database broke the backup off: {why}.") from error
            raise

    def base(self) -> Iterator[bytes]:
        """The database's files as one tar, read by pg_basebackup with every page's checksum."""
        argv = [str(self.bin / "pg_basebackup"), "-D", "-", "-Ft", "-c", "fast"]
        # With its own log: without, it would wait for the archive, which may be away.
        argv += ["-X", "fetch"]
        argv += ["--no-password", "--label", self.name]
        env = clean_env(
            self.settings.home,
            PGHOST=str(self.settings.postgres_socket_dir),
            PGUSER="app",
            PGPASSWORD=self.settings.postgres_password,
        )
        with subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            if process.stdout is None or process.stderr is None:  # never: both are pipes
                raise RuntimeError("no pipe")
            try:
                while piece := process.stdout.read(READ):
                    yield piece
                said = process.stderr.read().decode(errors="replace").strip()
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            last = said.splitlines()[-1:] or ["no message"]
            raise Cannot(f"The database could not be copied: {last[0]}")

    def wal(
        self, db: Connection, first_lsn: str, point: Point
    ) -> tuple[str, str, list[tuple[str, Path]]]:
        """The segments from the beginning of the copy to the point, which is closed by a switch."""
        row = db.execute(
            "SELECT pg_walfile_name(%s::pg_lsn), pg_walfile_name(%s::pg_lsn), pg_switch_wal()",
            [first_lsn, point.lsn],
        ).fetchone()
        if row is None:  # never: it has no FROM
            raise RuntimeError("no segments")
        first, last = str(row[0]), str(row[1])
        folder = self.settings.home / "postgres/pg_wal"
        found = sorted(path for path in folder.iterdir() if _between(path.name, first, last))
        if not found or found[0].name != first or found[-1].name != last:
            raise Cannot("The write-ahead log has a hole, so this would be no backup.")
        return first, last, [(path.name, path) for path in found]


def _between(name: str, first: str, last: str) -> bool:
    return len(name) == _WAL_NAME and first <= name <= last


def _tar(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A tar of these files, one of them in memory at a time."""
    for name, path in files:
        content = path.read_bytes()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        yield info.tobuf(tarfile.USTAR_FORMAT)
        yield content + bytes(-len(content) % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def secrets_tar(settings: Settings) -> bytes:
    """Everything that opens something, but what the audit saw."""
    return folder_tar(settings.home, [one for one in SECRET_FOLDERS if one != "audit"])


def folder_tar(home: Path, folders: Iterable[str]) -> bytes:
    """The small folders of the installation as a tar; files only, never links."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(one for folder in folders for one in (home / folder).rglob("*")):
            # A name with a dot is a secret on its way, not one.
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                content = path.read_bytes()
                info = tarfile.TarInfo(str(path.relative_to(home)))
                info.size, info.mode = len(content), 0o600
                tar.addfile(info, io.BytesIO(content))
    return into.getvalue()


def lineage(settings: Settings, sealer: Sealer) -> str:
    """Name of this run of the write-ahead log, as far as one recovery key opens it.

    A restored installation draws another one.
    """
    path = settings.state_dir / "lineage"
    if not path.exists():
        beside = path.with_name(f".lineage.{os.getpid()}")
        beside.write_text(secrets.token_hex(8) + "\n")
        with suppress(FileExistsError):  # the first one counts
            os.link(beside, path)
        beside.unlink()
    return f"{path.read_text().strip()}-{sealer.recipient.hex()[:16]}"


def copy_erasures(settings: Settings, place: Place, sealer: Sealer) -> None:
    """Put the newest erasure log apart from the backups: an older one is restored with it.

    Once for every recovery key that was ever made: the older keys open the older backups.
    """
    try:
        log = (settings.home / "erasures/log.jsonl").read_bytes()
    except FileNotFoundError:
        return
    for recipient in {sealer.recipient, *recipients(settings)}:
        name = erasures_name(sealer.signer, recipient)
        place.put(name, seal(Sealer(recipient, sealer.seed), name, [log]))


def erasures_name(signer: bytes, recipient: bytes) -> str:
    """Where an installation's erasure log for the holder of this recovery key lies in a place."""
    return f"{ERASURES}/{signer.hex()[:32]}-{recipient.hex()[:32]}"


def note(settings: Settings, what: str, said: msgspec.Struct) -> None:
    """Write what the board shows, as a whole."""
    path = settings.state_dir / f"backup-{what}.json"
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(said))
    beside.replace(path)
