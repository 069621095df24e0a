"""Runs a scene of real browsers where only loopback exists, and gives what it saw."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOOPBACK = ROOT / "scripts" / "loopback"  # as root or as an ordinary user
PATIENCE_S = 240.0  # the scene gives up earlier by itself; a loaded machine is slow


def _refuse(reason: str) -> None:
    """In CI a missing tool is a failure, elsewhere a skip that names the package."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_scene(module: str, **packages: str) -> dict[str, Any]:
    """Plays a scene in a network namespace of its own; its last line is what it saw, as JSON.

    `packages` are those it needs beside a browser, by a program in each.
    """
    for program, package in {"chromium": "chromium", **packages}.items():
        if shutil.which(program) is None:
            _refuse(f"needs Debian's package {package}")
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        _refuse("needs Debian's packages util-linux and iproute2")
    probe = subprocess.run([LOOPBACK, "true"], check=False, capture_output=True)
    if probe.returncode:
        _refuse("needs the right to make a network namespace (scripts/loopback)")
    ran = subprocess.run(
        [LOOPBACK, sys.executable, "-m", module],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result
