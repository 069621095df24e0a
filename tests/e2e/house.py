"""The product under test: started, watched, hurt and stopped the way an operator or an accident would."""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
YANASHA = [sys.executable, "-m", "ops.cli"]


def chromium_path() -> str:
    """Where Debian's chromium is; the caller has made sure that it exists."""
    path = shutil.which("chromium")
    assert path, "install the Debian package chromium"
    return path


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports_for_media(workers: int) -> int:
    """The first of so many UDP ports in a row that nobody uses now."""
    while True:
        first = free_port(socket.SOCK_DGRAM)
        with ExitStack() as held, suppress(OSError, OverflowError):
            for port in range(first, first + workers):
                probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", port))
            return first


def wait_for(what: str, look: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Poll `look` until it gives something true; fail naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.05)


class House:
    """One `yanasha serve` in a state folder of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.http_port = free_port()
        self.environ = {
            **os.environ,
            "YANASHA_HOME": str(home),
            "YANASHA_HTTP_PORT": str(self.http_port),
            "YANASHA_RTC_PORT": str(free_ports_for_media(2)),
            "YANASHA_RTC_WORKERS": "1",
            "PYTHONUNBUFFERED": "1",
            # As with `serve --demo`: the demo's staff sign in with a password alone.
            "YANASHA_STAFF_SECOND_FACTOR": "offered",
            **environ,
        }
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.lines: deque[str] = deque(maxlen=2000)
        self.world: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None

    @classmethod
    def fresh(cls, **environ: str) -> Self:
        """A house in a new empty folder with a path short enough for sockets."""
        home = Path(tempfile.mkdtemp(prefix="yh-", dir="/tmp"))
        home.chmod(0o711)
        return cls(home, **environ)

    @classmethod
    def seeded(cls, **environ: str) -> Self:
        """A house as `fresh`, not started yet, in which the demo people live already."""
        template, world = _with_demo_people()
        house = cls.fresh(**environ)
        house.home.rmdir()
        subprocess.run(["cp", "-a", str(template), str(house.home)], check=True)
        (house.home / "state" / "ports.json").unlink()
        house.world = world
        return house

    def start(self, timeout_s: float = 60.0) -> float:
        """Start and wait until it says it is ready to serve; return the seconds that took."""
        began = time.monotonic()
        self._process = subprocess.Popen(
            [*YANASHA, "serve"],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._keep_lines, args=(self._process,), daemon=True).start()
        wait_for("the server to be ready", self._ready_or_dead, timeout_s)
        return time.monotonic() - began

    def _keep_lines(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip())

    def _ready_or_dead(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended:\n" + "\n".join(self.lines)
        return self.ready()

    def ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def run(self, *words: str) -> str:
        """Run `yanasha WORDS` on this house and return what it prints."""
        done = subprocess.run(
            [*YANASHA, *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def seed(self) -> dict[str, Any]:
        """Make the demo people and remember who they are."""
        self.world = json.loads(self.run("seed", "--demo", "--json"))
        return self.world

    def person(self, person_id: str) -> dict[str, Any]:
        """The demo person with this id."""
        return next(one for one in self.world["persons"] if one["id"] == person_id)

    def device(self, person_id: str, kind: str) -> dict[str, Any]:
        """The demo device of a person that sends this kind of reading."""
        return next(
            one
            for one in self.world["devices"]
            if one["person_id"] == person_id and kind in one["kinds"]
        )

    def children(self) -> dict[str, dict[str, Any]]:
        """The supervisor's children by name, as `yanasha status` tells."""
        status = json.loads(self.run("status", "--json"))
        return {one["name"]: one for one in status["children"]}

    def kill(self, name: str) -> int:
        """`kill -9` one child; returns the pid it had.

        One that is being started again after an earlier outage is waited for.
        """
        pid = int(wait_for(f"{name} to run", lambda: self.children()[name]["pid"]))
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_supervisor(self) -> None:
        """`kill -9` the supervisor itself and reap it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def processes(self, but: int = 0) -> list[int]:
        """Every living process of this house, by the state folder in its environment; `but` is left out."""
        mark = f"YANASHA_HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in (os.getpid(), but):
                try:
                    variables = (entry / "environ").read_bytes().split(b"\0")
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if mark in variables and state != "Z":
                    found.append(int(entry.name))
        return found

    def stop(self) -> float:
        """Ctrl-C, as at a terminal; return the seconds until the supervisor has ended."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)
        return time.monotonic() - began

    def remove(self) -> None:
        """Delete the state folder."""
        shutil.rmtree(self.home, ignore_errors=True)


@cache
def _with_demo_people() -> tuple[Path, dict[str, Any]]:
    """The state folder of a house that was seeded and stopped, for others to begin with."""
    house = House.fresh()
    atexit.register(house.remove)
    house.start()
    world = house.seed()
    house.stop()
    return house.home, world
