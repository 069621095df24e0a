"""Two network namespaces, "a" and "b", with a bad line between them; for tests and for benchmarks.

    with Lab() as lab:
        lab.change(loss=0.05, delay_ms=50)            # both ways
        lab.change("ab", kbit=300)                    # from a to b
        subprocess.run(lab.inside("a", ["ping", "-c1", lab.address("b")]))
        lab.change(down=True)

Works as root and, where ordinary users may make namespaces, without.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.netlab.link import ADDRESSES

ROOT = Path(__file__).parents[2]
TUN = Path("/dev/net/tun")

End = Literal["a", "b"]
Way = Literal["ab", "ba"]


def missing() -> str:
    """Why the lab cannot run here; empty when it can."""
    tools = [each for each in ("ip", "nsenter", "unshare") if shutil.which(each) is None]
    if tools:
        return f"needs Debian's packages iproute2 and util-linux ({', '.join(tools)} not found)"
    if not TUN.exists():
        return (
            "needs /dev/net/tun: modprobe tun, or in a container --device /dev/net/tun "
            "(as root also: mkdir -p /dev/net && mknod /dev/net/tun c 10 200)"
        )
    tried = subprocess.run([*_as_root(), "unshare", "-n", "true"], check=False, capture_output=True)
    return "needs the right to make a network namespace" if tried.returncode else ""


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["unshare", "-r"]


class Lab:
    """The line is whole and fast until `change` says otherwise."""

    def __enter__(self) -> Self:
        self._link = subprocess.Popen(
            [*_as_root(), sys.executable, "-m", "tests.netlab.link"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._spaces = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in (self._link.stdin, self._link.stdout):
            if stream is not None:
                stream.close()
        self._link.wait(10)

    def _read(self) -> dict[str, int]:
        if self._link.stdout is None or not (line := self._link.stdout.readline()):
            raise RuntimeError("the line between the namespaces is broken")
        read: dict[str, int] = json.loads(line)
        return read

    def address(self, end: End) -> str:
        """The address of an end."""
        return ADDRESSES[end]

    def inside(self, end: End, command: Sequence[str]) -> list[str]:
        """The command as it must be started to run in the namespace of this end."""
        process = f"/proc/{self._spaces['pid']}"
        enter = ["nsenter", f"--net={process}/fd/{self._spaces[end]}"]
        if os.geteuid():
            enter += [f"--user={process}/ns/user", "--preserve-credentials"]
        return [*enter, *command]

    def change(self, way: Way | None = None, **wanted: float | bool) -> dict[str, dict[str, int]]:
        """Changes one direction, or both; what each has counted so far. See `link.Line`."""
        if self._link.stdin is None:
            raise RuntimeError("no line")
        counted: dict[str, dict[str, int]] = {}
        for each in ("ab", "ba") if way is None else (way,):
            self._link.stdin.write(json.dumps({"way": each, **wanted}).encode() + b"\n")
            self._link.stdin.flush()
            counted = self._read()  # type: ignore[assignment]
        return counted
