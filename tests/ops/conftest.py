"""Folders and installations for the operator's tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ops.running import Installation

_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def installation(folder: Path) -> Iterator[Installation]:
    """An installation that does not run yet."""
    one = Installation(folder / "home")
    yield one
    one.throw_away()


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """An installation whose stores run, for tests that only look."""
    with short_folder() as folder:
        one = Installation(folder / "home")
        one.start()
        yield one
        one.throw_away()


@contextmanager
def short_folder(*, quick: bool = False) -> Iterator[Path]:
    """A folder that servers reach, with a path short enough for sockets; `quick`: in memory, where
    there is room for a few databases."""
    top = "/tmp"
    if quick and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4 << 30:
        top = str(_MEMORY)
    with tempfile.TemporaryDirectory(prefix="yo-", dir=top) as name:
        Path(name).chmod(0o711)  # the servers' own user passes through
        yield Path(name)
