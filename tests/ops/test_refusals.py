"""What cannot be started says so in one sentence, with exit code 1 and no traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops.children import Cannot
from ops.home import locked, prepare_home
from ops.house import check_ports
from storage.settings import Settings
from tests.ops.running import ROOT, Installation, free_port

SERVE = f"{sys.executable} -m ops.cli serve"
# An ordinary user mounts as the root of a namespace of his own, and is himself again afterwards.
MOUNTS, AS_BEFORE = (
    (["unshare", "-m"], "")
    if os.geteuid() == 0
    else (["unshare", "-rm"], f"unshare --map-user={os.geteuid()} --map-group={os.getegid()}")
)


def refused(installation: Installation, *words: str, **env: str) -> str:
    """Run `yanasha serve`, which has to refuse; the sentence."""
    done = installation.yanasha("serve", *words, **env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert installation.alive() == {}
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("kind", "variable"),
    [
        (socket.SOCK_STREAM, "YANASHA_HTTP_PORT"),
        (socket.SOCK_STREAM, "YANASHA_HTTPS_PORT"),
        (socket.SOCK_STREAM, "YANASHA_PLAIN_PORT"),
        (socket.SOCK_DGRAM, "YANASHA_RTC_PORT"),
    ],
)
def test_a_taken_port(installation: Installation, kind: socket.SocketKind, variable: str) -> None:
    """Names the port and the variable that chooses another one."""
    lan = {"YANASHA_LAN": "1", "YANASHA_HTTPS_PORT": str(free_port(socket.SOCK_STREAM))}
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        said = refused(installation, **{**lan, variable: str(port)})
    assert f"ort {port} is taken" in said
    assert variable in said


def test_janus_in_the_place_of_our_workers_wants_none_of_their_ports(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        env = {
            "YANASHA_HOME": str(tmp_path),
            "YANASHA_HTTP_PORT": str(free_port(socket.SOCK_STREAM)),
            "YANASHA_RTC_PORT": str(other.getsockname()[1]),
        }
        with pytest.raises(Cannot):
            check_ports(Settings.from_env(env))
        check_ports(Settings.from_env({**env, "YANASHA_MEDIA_ENGINE": "janus"}))


def test_one_port_wanted_twice(installation: Installation) -> None:
    """Names the second setting that wants it."""
    port = str(installation.settings.http_port)
    lan = {"YANASHA_LAN": "1", "YANASHA_HTTPS_PORT": str(free_port(socket.SOCK_STREAM))}
    said = refused(installation, **lan, YANASHA_PLAIN_PORT=port)
    assert f"Port {port} is taken" in said
    assert "YANASHA_PLAIN_PORT" in said


def test_data_of_another_postgresql(installation: Installation) -> None:
    """Names both versions and the way out."""
    prepare_home(installation.settings)
    data = installation.home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("14\n")
    said = refused(installation)
    assert "made by PostgreSQL 14" in said
    assert "YANASHA_PG_BIN" in said


def test_missing_programs(installation: Installation, folder: Path) -> None:
    """A folder without PostgreSQL is named."""
    said = refused(installation, YANASHA_PG_BIN=str(folder))
    assert f"YANASHA_PG_BIN holds no initdb: {folder}" in said


def test_an_unwritable_folder(folder: Path) -> None:
    """Says which folder and what to set."""
    (folder / "file").write_text("")
    said = refused(Installation(folder / "file" / "home"))
    assert f"The folder {folder}/file/home cannot be written" in said
    assert "YANASHA_HOME" in said


def test_a_path_too_long_for_sockets(folder: Path) -> None:
    """Says by how much."""
    said = refused(Installation(folder / ("x" * 90)))
    assert "too long for unix sockets" in said


def test_already_running(installation: Installation) -> None:
    """Names the pid of the one that runs."""
    prepare_home(installation.settings)
    with locked(installation.home):
        said = refused(installation)
    assert said == f"Yanasha is already running, pid {os.getpid()}, in {installation.home}."


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("YANASHA_HTTP_PORT", "http", "is not a port from 1 to 65535: 'http'."),
        ("YANASHA_DATA", "/nowhere/at/all", "is not a folder: /nowhere/at/all."),
        ("DATABASE_URL", "sqlite:///x", "does not begin with postgresql://."),
        ("S3_ENDPOINT", "https://s3.example.org", "S3_ACCESS_KEY is missing"),
        ("YANASHA_LAN", "perhaps", "is neither 1 nor 0: 'perhaps'."),
        ("YANASHA_HOST", "192.0.2.99", "is not an address of this machine"),
    ],
)
def test_a_bad_setting(installation: Installation, variable: str, value: str, reason: str) -> None:
    """Names the variable and the reason."""
    said = refused(installation, **{variable: value})
    assert variable in said or variable == "S3_ENDPOINT"
    assert reason in said


def test_a_full_disk(folder: Path) -> None:
    """Says how much is free and how much is needed."""
    script = f"mount -t tmpfs -o size=20m none {folder} && exec {AS_BEFORE} {SERVE}"
    done = subprocess.run(
        [*MOUNTS, "sh", "-c", script],
        cwd=ROOT,
        env={**os.environ, "YANASHA_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"MB are free on the disk of {folder}/home, 300 are needed" in done.stderr


def test_a_root_who_may_not_become_another_user(folder: Path) -> None:
    """As in a restricted container: one sentence that says what to do."""
    done = subprocess.run(
        ["unshare", "-r", "sh", "-c", f"exec {SERVE}"],
        cwd=ROOT,
        env={**os.environ, "YANASHA_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("This root may not become another user"), done.stderr
    assert done.stderr.count("\n") == 1


if os.geteuid() == 0:

    def test_a_private_folder_above(folder: Path) -> None:
        """The servers' own user could not enter; says where to put the data."""
        folder.chmod(0o700)
        said = refused(Installation(folder / "home"))
        assert "cannot enter" in said
        assert "/var/lib/yanasha" in said

else:

    def test_a_private_folder_above(folder: Path) -> None:
        """The servers run as the folder's owner, who is at home there."""
        folder.chmod(0o700)
        one = Installation(folder / "home")
        one.start()
        assert one.row("postgres")["state"] == "ready"
        one.throw_away()


def test_status_of_nothing(installation: Installation) -> None:
    """Says that nothing runs, with exit code 1."""
    done = installation.yanasha("status")
    assert done.returncode == 1
    assert done.stdout == f"Yanasha is not running in {installation.home}.\n"


@pytest.mark.parametrize("command", ["serve", "migrate", "seed", "openapi", "status"])
def test_each_command_teaches_by_example(command: str) -> None:
    """--help ends with an example."""
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert f"example:\n  yanasha {command}" in done.stdout
