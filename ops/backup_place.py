"""Where backups lie: a folder, or a bucket of an S3 store. Names are paths of our own making.

What is put appears whole or not at all, and is on disk when `put` returns.
"""

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from ops.children import Cannot

READ = 1 << 20
_PART_BYTES = 16 << 20
_RETRIES = urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503])
_TIMEOUT = urllib3.Timeout(connect=5, read=60)
_MISSING = "NoSuchKey"


class Place(Protocol):
    """What backups are put into and read from."""

    def put(self, name: str, pieces: Iterable[bytes]) -> tuple[int, str]:
        """Store a stream, replacing what was there; gives its size and SHA-256."""
        ...

    def get(self, name: str) -> Iterator[bytes]:
        """Give a stream. Raises Cannot when there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Every name below this folder, in order."""
        ...

    def delete(self, name: str) -> None:
        """Remove; what is not there is no error."""
        ...

    def tidy(self, before: datetime) -> None:
        """Remove what was half put before this time by somebody who was killed."""
        ...


def place_at(where: str) -> Place:
    """Open the place of this address: a folder's path, or https://KEY:SECRET@host/bucket."""
    if where.startswith(("http://", "https://")):
        return Bucket(where)
    return Folder(Path(where).expanduser().absolute())


class Folder:
    """A folder, such as a mounted disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def put(self, name: str, pieces: Iterable[bytes]) -> tuple[int, str]:
        """See Place.put."""
        path = self.root / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Cannot(
                f"The folder of backups {self} cannot be made: {error.strerror}."
            ) from error
        beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")
        source = _Counted(pieces)
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.writelines(source)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise Cannot(f"Nothing more can be put into {self}: {error.strerror}.") from error
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync(path.parent)
        return source.size, source.digest.hexdigest()

    def get(self, name: str) -> Iterator[bytes]:
        """See Place.get."""
        try:
            file = (self.root / name).open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Cannot(f"The backup has a hole: {name} is not in {self}.") from error
        with file:
            while piece := file.read(READ):
                yield piece

    def names(self, prefix: str) -> list[str]:
        """See Place.names."""
        top = self.root / prefix
        return sorted(
            str((Path(folder) / name).relative_to(self.root))
            for folder, _, files in os.walk(top)
            for name in files
            if not name.startswith(".")
        )

    def delete(self, name: str) -> None:
        """See Place.delete."""
        path = self.root / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty yet
            path.parent.rmdir()

    def tidy(self, before: datetime) -> None:
        """See Place.tidy."""
        for folder, _, files in os.walk(self.root):
            for path in (Path(folder) / name for name in files if name.startswith(".")):
                if path.stat().st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)


class Bucket:
    """A bucket of an S3 store; it has to exist."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        bucket, _, folder = parts.path.strip("/").partition("/")
        if not parts.hostname or not parts.username or not parts.password or not bucket:
            raise Cannot(
                "The place of backups is not like https://KEY:SECRET@s3.example.org/bucket."
            )
        port = f":{parts.port}" if parts.port else ""
        self.shown = f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
        self.bucket, self.folder = bucket, f"{folder}/" if folder else ""
        self.client = Minio(
            f"{parts.hostname}{port}",
            access_key=unquote(parts.username),
            secret_key=unquote(parts.password),
            secure=parts.scheme == "https",
            region=dict(parse_qsl(parts.query)).get("region", "us-east-1"),
            http_client=urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES, maxsize=8),
        )

    def __str__(self) -> str:
        return self.shown

    def put(self, name: str, pieces: Iterable[bytes]) -> tuple[int, str]:
        """See Place.put."""
        source = _Counted(pieces)
        with self._away():
            self.client.put_object(
                self.bucket,
                self.folder + name,
                reader(source),
                -1,
                part_size=_PART_BYTES,
                num_parallel_uploads=1,
            )
        return source.size, source.digest.hexdigest()

    def get(self, name: str) -> Iterator[bytes]:
        """See Place.get."""
        with self._away():
            try:
                answer = self.client.get_object(self.bucket, self.folder + name)
            except S3Error as error:
                if error.code != _MISSING:
                    raise
                raise Cannot(f"The backup has a hole: {name} is not in {self}.") from error
            try:
                yield from answer.stream(READ)
            finally:
                answer.close()
                answer.release_conn()

    def names(self, prefix: str) -> list[str]:
        """See Place.names."""
        with self._away():
            found = self.client.list_objects(
                self.bucket, prefix=f"{self.folder}{prefix.rstrip('/')}/", recursive=True
            )
            return [
                one.object_name.removeprefix(self.folder)
                for one in found
                if one.object_name is not None
            ]

    def delete(self, name: str) -> None:
        """See Place.delete."""
        with self._away():
            self.client.remove_object(self.bucket, self.folder + name)

    def tidy(self, before: datetime) -> None:
        """See Place.tidy: a bucket shows none of it; its own rules end uploads that broke off."""

    @contextlib.contextmanager
    def _away(self) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            raise Cannot(f"The place of backups {self} refuses: {error.code}.") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise Cannot(f"The place of backups {self} does not answer.") from error


def reader(pieces: Iterable[bytes]) -> io.BufferedReader:
    """A stream of pieces as a file that is read once."""
    return io.BufferedReader(_Pieces(pieces), READ)


class _Pieces(io.RawIOBase):
    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self.pieces = iter(pieces)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any, /) -> int:
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return 0
            self.rest = memoryview(piece)
        taken = min(len(into), len(self.rest))
        into[:taken] = self.rest[:taken]
        self.rest = self.rest[taken:]
        return taken


class _Counted:
    """Passes pieces on, and knows size and SHA-256 of what passed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.size = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.size += len(piece)
            self.digest.update(piece)
            yield piece


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
