"""A zoo of hostile files, each with its verdict; good ones are kept, pictures without what they tell."""

import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
from file_zoo import GOOD, ZOO, Hostile, photo, picture

from storage import limited_child
from storage.confine import Limits, confine
from storage.file_checks import BadFile, DiskFull, Fault, Kind, judge, kind_of
from storage.file_checks import judge as judging
from storage.file_checks.child import check


def laid(tmp_path: Path, data: bytes) -> tuple[Path, Path]:
    """The file of an upload, and the empty folder for what is made of it."""
    file, folder = tmp_path / "body", tmp_path / "made"
    file.write_bytes(data)
    folder.mkdir()
    return file, folder


@pytest.mark.parametrize("hostile", ZOO.values(), ids=ZOO.keys())
def test_every_hostile_file_has_its_verdict(tmp_path: Path, hostile: Hostile) -> None:
    """By its own code; what no parser need see is told by the name and the size."""
    file, folder = laid(tmp_path, hostile.make())
    try:
        said = judging._before(file, hostile.name)
    except BadFile as refused:
        assert refused.fault.code == hostile.code
        return
    try:
        check(file, folder, said)
    except BadFile as refused:
        found = refused.fault.code
    except Exception:  # noqa: BLE001 - as the child does with whatever a parser raises
        found = Fault.BROKEN.code
    else:
        found = "kept"
    assert found == hostile.code
    assert list(folder.iterdir()) == []
