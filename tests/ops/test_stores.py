"""The embedded stores under our supervisor: started, hurt, stopped, found again."""

import os
import signal
import socket
from pathlib import Path

import psycopg
import pytest

from storage.s3 import S3Objects
from tests.ops.running import Installation, wait_for


async def put(installation: Installation, name: str) -> None:
    """Store one row and one object, both acknowledged."""
    with psycopg.connect(installation.settings.database_url) as db:
        db.execute("CREATE TABLE IF NOT EXISTS kept (name text)")
        db.execute("INSERT INTO kept VALUES (%s)", [name])
    await S3Objects(installation.settings).put(name, name.encode(), "text/plain")


async def found(installation: Installation, name: str) -> bool:
    """Tell whether row and object are both there."""
    with psycopg.connect(installation.settings.database_url) as db:
        row = db.execute("SELECT true FROM kept WHERE name = %s", [name]).fetchone()
    return row == (True,) and await S3Objects(installation.settings).get(name) == name.encode()


def left_sockets(installation: Installation) -> list[Path]:
    """Sockets that the object store puts into the system's folder, whatever it is told.

    One of another user, whose store was killed on the same port, is not ours to take away.
    """
    ports = {str(port) for port in installation.settings.object_ports.values()}
    every = Path("/tmp").glob("seaweedfs-*.sock")
    ours = (installation.settings.run_dir / "s3").stat().st_uid
    return [
        path
        for path in every
        if path.stem.rpartition("-")[2] in ports and path.lstat().st_uid == ours
    ]


async def test_ctrl_c_leaves_no_process_and_all_data(installation: Installation) -> None:
    """Ends within 5 s with nothing alive and no socket left; the next start finds what was kept."""
    installation.start()
    await put(installation, "first")
    assert installation.signal(signal.SIGINT) < 5
    assert installation.alive() == {}
    assert left_sockets(installation) == []
    installation.start()
    assert await found(installation, "first")


async def test_a_killed_store_comes_back_with_its_data(installation: Installation) -> None:
    """After kill -9 of both servers what was acknowledged is there again, without a new start."""
    installation.start()
    await put(installation, "acknowledged")
    for name in ("postgres", "objects"):
        os.kill(installation.row(name)["pid"], signal.SIGKILL)
    for name in ("postgres", "objects"):
        wait_for(
            f"{name} to be ready again",
            lambda name=name: (
                installation.row(name)["restarts"] == 1
                and installation.row(name)["state"] == "ready"
            ),
        )
    assert await found(installation, "acknowledged")


async def test_a_killed_supervisor_takes_all_children_along(installation: Installation) -> None:
    """After kill -9 of the supervisor nothing lives on, and the next start works at once."""
    installation.start()
    await put(installation, "acknowledged")
    installation.signal(signal.SIGKILL)
    installation.start()  # waits for the last child by itself
    assert await found(installation, "acknowledged")
    assert len([line for line in installation.alive().values() if "/postgres -D" in line]) == 1


def test_doors_are_closed(running: Installation) -> None:
    """No wrong password, no TCP to PostgreSQL, nothing readable for others, never run as root."""
    settings = running.settings
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(settings.database_url.replace(settings.postgres_password, "guess"))
    postgres = running.row("postgres")["pid"]
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{postgres}/fd").iterdir()}
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    assert not [line for line in listening.splitlines()[1:] if f"socket:[{_inode(line)}]" in inodes]
    for name in ("postgres", "objects"):
        status = Path(f"/proc/{running.row(name)['pid']}/status").read_text()
        assert "\nUid:\t0\t" not in status
        assert "\nNoNewPrivs:\t1\n" in status
    for private in ("postgres", "objects", "secrets", "log", "run/pg", "state/seaweed"):
        assert (running.home / private).stat().st_mode & 0o077 == 0, private


def test_the_object_store_answers_on_loopback_only(running: Installation) -> None:
    """None of its ports takes a connection that comes by another address of this machine."""
    for port in running.settings.object_ports.values():
        with socket.create_server(("127.0.0.2", port)):
            pass  # free there: it is bound to 127.0.0.1 and not to every address


def _inode(line: str) -> str:
    return line.split()[9] if line.split()[3] == "0A" else ""
