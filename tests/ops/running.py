"""A small installation: real supervisor, real stores, in a process of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from storage.settings import Settings

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


def wait_for(what: str, look: Callable[[], T], within_s: float = 30.0) -> T:
    """Poll until `look` gives something true; fail naming `what`."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
        time.sleep(0.02)
    return found


def free_port(kind: socket.SocketKind) -> int:
    """A port nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """The stores of one folder under our supervisor, in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("YANASHA_", "S3_"))},
            "YANASHA_HOME": str(home),
            "YANASHA_HTTP_PORT": str(free_port(socket.SOCK_STREAM)),
            "YANASHA_RTC_PORT": str(free_port(socket.SOCK_DGRAM)),
            "YANASHA_RTC_WORKERS": "1",
        }
        self.settings = Settings.from_env(self.env)
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the stores and wait until they are ready."""
        self.lines.clear()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops.stores"],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._keep, args=(self.process,), daemon=True).start()
        wait_for("the stores to be ready", self._said_ready)

    def _keep(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())

    def _said_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "\n".join(self.lines)
        return "ready" in self.lines

    def state(self) -> dict[str, Any]:
        """What the supervisor wrote last."""
        found: dict[str, Any] = json.loads((self.home / "state/children.json").read_text())
        return found

    def row(self, name: str) -> dict[str, Any]:
        """What the supervisor wrote last about one child."""
        found: dict[str, Any] = next(one for one in self.state()["children"] if one["name"] == name)
        return found

    def signal(self, number: signal.Signals) -> float:
        """Signal the supervisor; the seconds until it has ended."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        spent_s = time.monotonic() - began
        assert self.process.stdin is not None
        self.process.stdin.close()
        return spent_s

    def throw_away(self) -> None:
        """Kill whatever still runs: the data is not wanted any more."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for("the end of every process", lambda: not self.alive())

    def alive(self) -> dict[int, str]:
        """Command lines of living processes that belong to this folder, by pid."""
        mark = f"YANASHA_HOME={self.home}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command:
                        found[int(entry.name)] = command
            except OSError:
                continue
        return found

    def yanasha(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command line on this folder."""
        return subprocess.run(
            [sys.executable, "-m", "ops.cli", *words],
            cwd=ROOT,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
