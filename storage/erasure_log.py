"""Who was erased: a log that lasts apart from the backups, so that a restore does it again.

A backup made before an erasure still holds the person's key. Whoever restores it reads this log
and does again what it says. It stands in `home/erasures/log.jsonl`, each line chained to the one
before by HMAC (storage/chain.py), and line by line as objects `erasures/N.json`. An entry is on the
disk before the erasure commits; one whose erasure did not commit is done at the next restore: it
was asked for and permitted.

The chain's key is the secret `erasure-log`: `prepare` makes it when the house starts, so that every
backup holds it. A line that a power cut left half written was never answered, and is no entry.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from storage import chain
from storage.objects import Objects
from storage.secrets import secret
from storage.settings import Settings

PREFIX: Final = "erasures/"
_ABOUT: Final = b"yanasha erasure 1\n"


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """An owner whose key was destroyed; `reason` is a code, never a sentence."""

    owner: UUID
    at: datetime
    reason: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: an erasure, its place, and the link that holds both."""

    sequence: int
    erased: Erased
    mac: str


class BrokenLog(Exception):  # noqa: N818 - states a fact
    """The log is not what was written: changed, cut, or of another installation."""


def prepare(settings: Settings) -> None:
    """Make the chain's key before it is needed: a backup without it could not be restored well."""
    _key(settings)


async def append(settings: Settings, objects: Objects, erased: Erased) -> Entry:
    """Write an entry, on the disk and as an object, before the erasure itself commits.

    The store is asked first: with it away no line is left of an erasure that was refused. Copies
    that an earlier try could not put are put too. Raises BrokenLog and ObjectsAway (nothing is
    written, unless the store went away between being asked and taking the copy: the line stays).
    """
    there = set(await objects.keys(PREFIX))
    entries = await asyncio.to_thread(_append, settings, erased)
    for entry in entries:
        if (key := object_key(entry)) not in there:
            await objects.put(key, msgspec.json.encode(entry), "application/json")
    return entries[-1]


def read(settings: Settings) -> list[Erased]:
    """Give every erasure of this home's log, in order. Raises BrokenLog."""
    return [entry.erased for entry in verified(settings, _lines(log_path(settings)))]


async def read_all(settings: Settings, objects: Objects) -> list[Erased]:
    """As `read`, of the log and of its copies: the longer one counts, they may not disagree.

    Raises BrokenLog, ObjectsAway.
    """
    keys = await objects.keys(PREFIX)
    copies = verified(settings, [await objects.get(key) for key in keys])
    own = verified(settings, _lines(log_path(settings)))
    shorter, longer = sorted((own, copies), key=len)
    if longer[: len(shorter)] != shorter:
        raise BrokenLog("the log of erasures and its copies in the object store disagree")
    return [entry.erased for entry in longer]


def read_file(settings: Settings, path: Path) -> list[Erased]:
    """As `read`, of a copy of the log that an operator kept. Raises BrokenLog."""
    return [entry.erased for entry in verified(settings, _lines(path))]


def write_all(settings: Settings, entries: Sequence[Entry]) -> None:
    """Put a log, proved before, into an empty home: a restored house goes on with it.

    Raises BrokenLog when the home has a log already.
    """
    path = log_path(settings)
    with _locked(path):
        if _lines(path):
            raise BrokenLog("this home has a log of erasures already")
        with path.open("wb") as file:
            file.writelines(msgspec.json.encode(entry) + b"\n" for entry in entries)
            file.flush()
            os.fsync(file.fileno())


def log_path(settings: Settings) -> Path:
    """Where the log stands; never part of a backup."""
    return settings.home / "erasures" / "log.jsonl"


def object_key(entry: Entry) -> str:
    """Key of an entry's copy; they sort as the entries stand."""
    return f"{PREFIX}{entry.sequence:08}.json"


def verified(settings: Settings, lines: Sequence[bytes]) -> list[Entry]:
    """Give the entries of these lines when each is linked to the one before. Raises BrokenLog."""
    return proved(_key(settings), lines) if lines else []


def proved(key: bytes, lines: Sequence[bytes]) -> list[Entry]:
    """As `verified`, for whoever has the chain's key but no home yet. Raises BrokenLog."""
    previous, entries = chain.START, list[Entry]()
    for number, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
            said = bytes.fromhex(entry.mac)
        except (msgspec.DecodeError, ValueError) as error:
            raise BrokenLog(f"entry {number} of the log of erasures is no entry") from error
        previous = chain.link(key, previous, number, _record(entry.erased))
        if entry.sequence != number or not chain.same(previous, said):
            raise BrokenLog(f"entry {number} of the log of erasures is not what was written")
        entries.append(entry)
    return entries


def _append(settings: Settings, erased: Erased) -> list[Entry]:
    path = log_path(settings)
    with _locked(path):
        lines = _lines(path)
        entries = verified(settings, lines)
        previous = bytes.fromhex(entries[-1].mac) if entries else chain.START
        number = len(entries) + 1
        mac = chain.link(_key(settings), previous, number, _record(erased)).hex()
        entry = Entry(sequence=number, erased=erased, mac=mac)
        with path.open("r+b") as file:
            file.seek(sum(len(line) + 1 for line in lines))
            file.truncate()  # what a power cut left half written
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return [*entries, entry]


def _lines(path: Path) -> list[bytes]:
    """Whole lines only."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return []
    return written.split(b"\n")[:-1]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the log for one writer, of whatever process; make it, and its folder, at first use."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        yield
    finally:
        os.close(handle)


def _record(erased: Erased) -> bytes:
    return _ABOUT + msgspec.json.encode(erased, order="deterministic")


def _key(settings: Settings) -> bytes:
    return secret(settings.home, "erasure-log")
