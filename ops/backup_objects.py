"""The objects of a backup: each is read, sealed and put once, and only listed ever after.

An object is known by key, ETag and size; what a place has already is written down beside our state
(`home/state/backups`), because the machine cannot open what it sealed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import MinioException, S3Error

from ops.backup_place import READ, Place
from ops.children import Cannot
from storage.backup_format import ObjectEntry, Sealer, seal
from storage.settings import Settings

T = TypeVar("T")
PIECES = "pieces"
# Kept apart from every backup, or made anew at each start.
LEFT_OUT = ("erasures/", ".ready")
AT_ONCE = 4
_MISSING = "NoSuchKey"


def client_of(settings: Settings) -> Minio:
    """The product's own object store, for reading and writing streams."""
    parts = urlsplit(settings.s3_endpoint)
    return Minio(
        parts.netloc,
        settings.s3_access_key,
        settings.s3_secret_key,
        secure=parts.scheme == "https",
        region=settings.s3_region,
        http_client=urllib3.PoolManager(
            maxsize=2 * AT_ONCE,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503]),
        ),
    )


class Sweep(msgspec.Struct, frozen=True):
    """One look through the object store: what is there, and what of it was new to the place."""

    began_at: datetime
    there: list[ObjectEntry]
    new: list[ObjectEntry]


class Sweeper:
    """Brings a place's pieces up to what the object store holds."""

    def __init__(self, settings: Settings, place: Place, sealer: Sealer) -> None:
        self.settings = settings
        self.place = place
        self.sealer = sealer
        self.client = client_of(settings)
        mark = hashlib.sha256(sealer.recipient + sealer.signer + str(place).encode()).hexdigest()
        self.path = settings.state_dir / "backups" / f"{mark[:16]}.jsonl"
        self.known = {one.key: one for one in _read(self.path)}
        self.gone_path = self.path.with_suffix(".gone.json")

    def check(self) -> None:
        """Forget what the place has no more; write the known ones down anew."""
        there = set(self.place.names(PIECES))
        self.known = {key: one for key, one in self.known.items() if piece_name(one.piece) in there}
        _replace(self.path, lines(self.known.values()))

    def sweep(self, now: datetime) -> Sweep:
        """List everything and put what is new. Raises Cannot."""
        found = [one for one in self._listed() if not _left_out(one)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            entries = [one for one in pool.map(self._entry, found) if one is not None]
        new = [one for one in entries if self.known.get(one.key) != one]
        if new:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.writelines(msgspec.json.encode(one) + b"\n" for one in new)
            self.known |= {one.key: one for one in new}
        return Sweep(now, entries, new)

    def mark_gone(self, swept: Sweep) -> None:
        """Write down since when known objects are not in the store any more."""
        there = {one.piece for one in swept.there}
        since = self._gone()
        now = {one.piece for one in self.known.values()} | since.keys()
        gone = {piece: since.get(piece, swept.began_at) for piece in now - there}
        _replace(self.gone_path, [msgspec.json.encode(gone)])

    def gone_before(self, time: datetime) -> list[str]:
        """Pieces whose objects were gone by then; they are known no more."""
        since = self._gone()
        old = {piece for piece, at in since.items() if at < time}
        self.known = {key: one for key, one in self.known.items() if one.piece not in old}
        _replace(self.path, lines(self.known.values()))
        left = {piece: at for piece, at in since.items() if piece not in old}
        _replace(self.gone_path, [msgspec.json.encode(left)])
        return sorted(old)

    def forget(self) -> list[str]:
        """Everything that the place has for this recovery key; it is known no more."""
        known = {one.piece for one in self.known.values()} | self._gone().keys()
        self.known = {}
        for path in (self.path, self.gone_path):
            path.unlink(missing_ok=True)
        return sorted(known)

    def _gone(self) -> dict[str, datetime]:
        try:
            return msgspec.json.decode(self.gone_path.read_bytes(), type=dict[str, datetime])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def _listed(self) -> list[Object]:
        try:
            return list(self.client.list_objects(self.settings.s3_bucket, recursive=True))
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Cannot("The object store does not answer, so nothing was backed up.") from error

    def _entry(self, found: Object) -> ObjectEntry | None:
        key = found.object_name or ""
        known = self.known.get(key)
        etag = (found.etag or "").strip('"')
        if known is not None and (known.etag, known.size) == (etag, found.size):
            return known
        try:
            return self._ship(key, found.last_modified or datetime.now(UTC))
        except S3Error as error:
            if error.code == _MISSING:  # taken back between the list and now: no row names it
                return None
            raise Cannot(f"The object store refuses {key}: {error.code}.") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Cannot("The object store stopped answering.") from error

    def _ship(self, key: str, modified: datetime) -> ObjectEntry:
        answer = self.client.get_object(self.settings.s3_bucket, key)
        try:
            etag = answer.headers["etag"].strip('"')
            size = int(answer.headers["content-length"])
            piece = self._piece(key, etag, size)
            digest, read = hashlib.sha256(), 0

            def hashed() -> Iterator[bytes]:
                nonlocal read
                for some in answer.stream(READ):
                    digest.update(some)
                    read += len(some)
                    yield some
                if read != size:
                    raise Cannot(f"The object store gave {read} of {size} bytes of {key}.")

            self.place.put(piece_name(piece), seal(self.sealer, f"piece {piece}", hashed()))
            kind = answer.headers.get("content-type", "application/octet-stream")
        finally:
            answer.close()
            answer.release_conn()
        return ObjectEntry(key, size, digest.hexdigest(), etag, piece, kind, modified.timestamp())

    def _piece(self, key: str, etag: str, size: int) -> str:
        """A name that tells nothing of the key, and is another one for another recovery kit."""
        what = msgspec.json.encode([key, etag, size])
        return hashlib.sha256(self.sealer.recipient + self.sealer.signer + what).hexdigest()


def digest_of(client: Minio, settings: Settings, key: str) -> str:
    """SHA-256 of an object as the store gives it back."""
    digest, answer = hashlib.sha256(), client.get_object(settings.s3_bucket, key)
    try:
        for some in answer.stream(READ):
            digest.update(some)
    finally:
        answer.close()
        answer.release_conn()
    return digest.hexdigest()


def piece_name(piece: str) -> str:
    """Where a piece lies in its place."""
    return f"{PIECES}/{piece[:2]}/{piece}"


def lines(entries: Iterable[ObjectEntry]) -> Iterator[bytes]:
    """A list of objects as a stream."""
    for one in entries:
        yield msgspec.json.encode(one) + b"\n"


def entries_of(stream: Iterable[bytes]) -> Iterator[ObjectEntry]:
    """Read such a stream."""
    for line in lines_of(stream):
        yield msgspec.json.decode(line, type=ObjectEntry)


def lines_of(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream; never holds more than one of them and one piece."""
    rest = b""
    for piece in stream:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _left_out(found: Object) -> bool:
    return (found.object_name or "").startswith(LEFT_OUT) or bool(found.is_dir)


def _read(path: Path) -> Iterator[ObjectEntry]:
    """What is known; a line that a power cut left half is not."""
    try:
        written = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in written:
        try:
            yield msgspec.json.decode(line, type=ObjectEntry)
        except msgspec.DecodeError:
            return


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
