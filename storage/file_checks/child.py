"""The child of storage/child_server.py: FILE FOLDER KIND; it confines itself, then looks."""

import errno
import os
import sys
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import msgspec

from storage.confine import confine
from storage.file_checks.faults import NO_ROOM, BadFile, Fault
from storage.file_checks.judge import KEPT, LIMITS, PREVIEW, VERDICT, Verdict
from storage.file_checks.kinds import IMAGES, SOUNDS, TEXTS, ZIPS, Kind
from storage.limited_child import READY

_MARKS = (
    (b"\xff\xd8\xff", frozenset({Kind.JPEG})),
    (b"\x89PNG\r\n\x1a\n", frozenset({Kind.PNG})),
    (b"%PDF-", frozenset({Kind.PDF})),
    (b"PK\x03\x04", ZIPS),
    (b"OggS", frozenset({Kind.OGG})),
    (b"ID3", frozenset({Kind.MP3})),
)
_MARKUP = (b"<!doctype", b"<html", b"<script", b"<svg", b"<?xml", b"<?php", b"<body", b"<iframe")
_HEAD = 4096
_LAYER_3 = 0xE2  # of a frame's second byte: the rest of its mark, layer III


def found_kinds(head: bytes) -> frozenset[Kind]:
    """The kinds a file can be by its first bytes; texts have no mark."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return frozenset({Kind.WEBP})
    if head[4:8] == b"ftyp":
        return frozenset({Kind.M4A})
    if head[:1] == b"\xff" and head[1:2] and head[1] & 0xE6 == _LAYER_3:
        return frozenset({Kind.MP3})
    for mark, kinds in _MARKS:
        if head.startswith(mark):
            return kinds
    return TEXTS


def check(file: Path, folder: Path, said: Kind) -> Verdict:
    """Judge the file. Raises BadFile, and whatever a parser may raise."""
    from storage.file_checks import images, office, pdfs, sounds, texts  # noqa: PLC0415

    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    kinds = found_kinds(head)
    if said not in kinds:
        # A photograph by another photograph's name is what phones do.
        if said not in IMAGES or not kinds & IMAGES:
            raise BadFile(Fault.MISMATCH)
        [said] = kinds
    if said in TEXTS:
        return texts.check(file, said)
    if said in ZIPS:
        return office.check(file, said)
    _alone(file, head)
    if said in SOUNDS:
        return sounds.check(file, said, folder / KEPT)
    if said in IMAGES:
        return images.check(file, said, folder / KEPT, folder / PREVIEW)
    return pdfs.check(file, folder / PREVIEW)


def _alone(file: Path, head: bytes) -> None:
    """Refuse a picture, sound or PDF that is something else as well, for who reads it otherwise."""
    low = head.lower()
    if any(mark in low for mark in _MARKUP[:3]) or b"%pdf-" in low[1:1024]:
        raise BadFile(Fault.POLYGLOT)
    try:
        with ZipFile(file) as archive:
            if archive.namelist():
                raise BadFile(Fault.POLYGLOT)
    except (BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        return


def _run(file: Path, folder: Path, said: Kind) -> int:
    try:
        verdict = check(file, folder, said)
        (folder / VERDICT).write_bytes(msgspec.json.encode(verdict))
    except BadFile as bad:
        return bad.fault
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return NO_ROOM if full else Fault.BROKEN
    except Exception:  # noqa: BLE001 - whatever a stranger's file does to a parser
        return Fault.BROKEN
    return 0


def load() -> None:
    """Load what parses; whatever is loaded later has to be a library that lies beside Python."""
    import PIL.Image  # noqa: F401, PLC0415
    import pypdfium2  # noqa: F401, PLC0415

    from storage.file_checks import images, office, pdfs, sounds, texts  # noqa: F401, PLC0415


def main() -> None:
    """Confine, then look."""
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    confine(LIMITS, reads=[file], writes=folder)
    (folder / READY).touch()
    # No tidying up: a damaged document may crash there, and the verdict is written.
    os._exit(_run(file, folder, Kind(sys.argv[3])))
