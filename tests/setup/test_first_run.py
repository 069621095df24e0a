"""`git clone` + `make run` as a newcomer does it: as root in a private home, and as an ordinary user.

Slow by nature (it installs everything), so it is a suite of its own: `make setup-check`.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTS = {"root": ("18110", "18111"), "nobody": ("18120", "18121")}


class Newcomer:
    """A person with a fresh clone and nothing else: own home, system Python, no leftovers of ours."""

    def __init__(self, user: str, folder: Path) -> None:
        self.user = pwd.getpwnam(user)
        self.folder = folder
        self.clone = folder / "yanasha"
        self.home = Path(tempfile.mkdtemp(prefix="yn-", dir="/tmp"))
        self.http_port, self.rtc_port = PORTS[user]
        self.environ = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "YANASHA_HOME": str(self.home),
            "YANASHA_HTTP_PORT": self.http_port,
            "YANASHA_RTC_PORT": self.rtc_port,
            **{k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "NODE_EXTRA"))},
        }
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.clone)], check=True)
        for path in (folder, self.home):
            path.chmod(0o700)
            subprocess.run(
                ["chown", "-R", f"{self.user.pw_uid}:{self.user.pw_gid}", str(path)], check=True
            )
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    def make_run(self, within_s: float) -> float:
        """`make run`; the seconds until the sign-in page and the API answer."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["make", "run"],
            cwd=self.clone,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=[],
            start_new_session=True,
        )
        threading.Thread(target=self._keep, args=(self.process,), daemon=True).start()
        while not self._answers("/readyz"):
            assert self.process.poll() is None, "make run ended:\n" + "\n".join(self.lines[-60:])
            assert time.monotonic() - began < within_s, "too slow:\n" + "\n".join(self.lines[-60:])
            time.sleep(0.2)
        return time.monotonic() - began

    def _keep(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            self.lines.extend(line.rstrip() for line in lines)

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.http_port}{path}", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ctrl_c(self) -> float:
        """Ctrl-C at the terminal reaches the whole foreground group; the seconds until all is over."""
        assert self.process is not None
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=30)
        while self.left():
            assert time.monotonic() - began < 30, f"still alive: {self.left()}"
            time.sleep(0.05)
        return time.monotonic() - began

    def left(self) -> list[str]:
        """Command lines of living processes of this newcomer's house."""
        mark = f"YANASHA_HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        if command:
                            found.append(command)
                except OSError:
                    continue
        return found

    def seed(self) -> dict[str, list[dict[str, str]]]:
        """The demo people as the command line prints them."""
        printed = subprocess.run(
            [str(self.clone / ".venv/bin/yanasha"), "seed", "--demo", "--json"],
            cwd=self.clone,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=[],
        ).stdout
        return dict(json.loads(printed))

    def sign_in(self, login: str, password: str) -> int:
        """The status of signing in by the API."""
        url = f"http://127.0.0.1:{self.http_port}"
        request = urllib.request.Request(
            url + "/api/v1/sign-in",
            data=json.dumps({"login": login, "password": password}).encode(),
            headers={"Content-Type": "application/json", "Origin": url},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)

    def remove(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(params=["root", "nobody"])
def newcomer(request: pytest.FixtureRequest) -> Iterator[Newcomer]:
    """Root with the clone inside a 0700 folder below root's home, or an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    inside = pwd.getpwnam("root").pw_dir if request.param == "root" else "/tmp"
    newcomer = Newcomer(request.param, Path(tempfile.mkdtemp(prefix="newcomer-", dir=inside)))
    yield newcomer
    newcomer.remove()


def test_clone_and_make_run_end_with_urls_that_work(newcomer: Newcomer) -> None:
    """First run under 5 minutes, second under 10 s, each stops within 5 s and leaves nothing behind."""
    first_s = newcomer.make_run(within_s=300)
    assert newcomer._answers("/"), "the sign-in page answers"
    person = newcomer.seed()["persons"][0]
    assert newcomer.sign_in(person["login"], person["password"]) == 201
    stop_s = newcomer.ctrl_c()
    second_s = newcomer.make_run(within_s=60)
    assert newcomer.sign_in(person["login"], person["password"]) == 201
    second_stop_s = newcomer.ctrl_c()
    print(
        f"{newcomer.user.pw_name}: first run {first_s:.1f} s, stop {stop_s:.1f} s, "
        f"second run {second_s:.1f} s, stop {second_stop_s:.1f} s"
    )
    assert second_s < 10, newcomer.lines[-60:]
    assert max(stop_s, second_stop_s) < 5
    listing = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=newcomer.clone,
        env=newcomer.environ,
        capture_output=True,
        text=True,
        check=False,
        user=newcomer.user.pw_uid,
    )
    assert listing.stdout == "", "a run leaves the clone as it was"
