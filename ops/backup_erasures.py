"""Who was erased since a backup was made: found and proved before a restore writes its first byte.

The log lies apart from the backups: in the file that the operator names, in the place, and, entry
by entry, in an object store that outlived the machine. Its chain's key is in the backup.
"""

import tarfile
from pathlib import Path

import urllib3
from minio.error import MinioException

from ops.backup import erasures_name
from ops.backup_choice import Chosen
from ops.backup_objects import client_of
from ops.backup_place import reader
from ops.children import Cannot
from storage import erasure_log
from storage.backup_format import BackupError, unseal
from storage.erasure_log import BrokenLog, Entry
from storage.settings import Settings

_KEY = "secrets/erasure-log"


def erasures_of(settings: Settings, chosen: Chosen, path: str | None) -> list[Entry] | None:
    """Every erasure that is known, in order; None without any log. Raises Cannot.

    Of several logs the longest counts, and the others must be its beginning.
    """
    try:
        logs = [
            _lines(_named(path) if path is not None else None, torn=False),
            _lines(_beside(chosen), torn=True),
            _copies(settings),
        ]
        found = [log for log in logs if log is not None]
        if not any(found):
            return [] if found else None
        return _longest(_key(chosen), found)
    except BackupError as error:
        raise Cannot(f"{error} Nothing was restored.") from error
    except BrokenLog as error:
        raise Cannot(f"Nothing was restored, or the erased would be back: {error}.") from error


def _longest(key: bytes, logs: list[list[bytes]]) -> list[Entry]:
    *shorter, longest = sorted((erasure_log.proved(key, log) for log in logs), key=len)
    if any(longest[: len(one)] != one for one in shorter):
        raise BrokenLog("two logs of erasures disagree")
    return longest


def _named(path: str) -> bytes:
    try:
        log = Path(path).read_bytes()
    except OSError as error:
        raise Cannot(f"The erasure log cannot be read from {path}.") from error
    if not log:
        raise Cannot(f"{path} is empty, so it is no erasure log. Nothing was restored.")
    return log


def _beside(chosen: Chosen) -> bytes | None:
    name = erasures_name(chosen.kit.signer, chosen.kit.recipient)
    if name not in chosen.place.names(name.partition("/")[0]):
        return None
    return b"".join(unseal(chosen.kit, name, chosen.place.get(name)))


def _copies(settings: Settings) -> list[bytes] | None:
    """An embedded store is empty before a restore; one elsewhere may have outlived the machine."""
    if settings.embedded_objects:
        return None
    client, bucket = client_of(settings), settings.s3_bucket
    found = []
    try:
        for one in client.list_objects(bucket, prefix=erasure_log.PREFIX, recursive=True):
            answer = client.get_object(bucket, one.object_name or "")
            try:
                found.append(answer.read())
            finally:
                answer.close()
                answer.release_conn()
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise Cannot("The object store does not answer, so nothing was restored.") from error
    return found or None


def _lines(log: bytes | None, *, torn: bool) -> list[bytes] | None:
    """A copy taken in the middle of writing may end in half an entry, which counts for nothing; a
    file that an operator kept may have lost its last line's end, and nothing else."""
    if log is None:
        return None
    *lines, rest = log.split(b"\n")
    return [*lines, rest] if rest and not torn else lines


def _key(chosen: Chosen) -> bytes:
    """The chain's key, as the backup's secrets hold it."""
    part, key = chosen.part("secrets"), None
    with tarfile.open(fileobj=reader(part), mode="r|") as tar:
        for member in tar:
            if member.name == _KEY and (file := tar.extractfile(member)) is not None:
                key = file.read()
    for _ in part:  # the signature stands behind the last byte
        pass
    if key is None:
        raise BrokenLog("the backup has no key that proves it")
    return key
