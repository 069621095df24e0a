"""Files that people hand in: checked elsewhere, sealed under the key of whoever they are about.

A room attaches a file to a thing of its own by (kind, id) and judges who may; here lie the rows,
the quotas and the names of the objects. Objects first, row second: a row always had its objects,
and what lost its row is taken out by people/lost_files.py. Names are sealed: they tell as much as
what is in the file; so are the digests that whatever is read back is held against.

FileRefused             422 file_…   errors: file; one of storage/file_checks' faults, or infected
FileTooLarge            413 file_too_large         params: max_mb
FilesFull               409 files_full             params: whose, max_mb
FileIdUsed              409 file_id_used
FileLost                410 file_lost
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import anyio
import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.organisations import Organisations
from people.persons import Persons
from people.refused import FieldError, NotFound, Refused
from storage.data_keys import DataKey, row
from storage.engine import Base, new_id
from storage.file_checks import KINDS, BadFile, Fault, Judged, Kind
from storage.objects import Objects, ObjectsError
from storage.sealed_objects import DamagedObject, put_sealed_stream, read_sealed

OBJECTS: Final = "files/"  # where all of them lie in the object store
MAX_NAME: Final = 200
PERSON_BYTES: Final = 500 << 20
PERSON_FILES: Final = 500
ORGANISATION_BYTES: Final = 50 << 30
ABOUT_FILES: Final = 50  # of one thing: a list of them is read whole
PREVIEW_TYPE: Final = "image/webp"
DRAWN_TYPE: Final = "image/svg+xml"  # ours, of an ECG: no file of anybody's is one
_PIECE: Final = 1 << 20
_SHA256: Final = 32


class FileRefused(Refused):
    """This file is not taken; why, is a code of storage/file_checks/faults.py."""

    status = 422
    code = "file_broken"

    def __init__(self, fault: Fault, **params: Any) -> None:
        self.code = fault.code  # type: ignore[misc] # one refusal for all faults, each by its code
        super().__init__((FieldError("file", fault.code, params),), **params)


class FileTooLarge(Refused):
    """More bytes than a file of its kind needs."""

    status = 413
    code = "file_too_large"

    def __init__(self, max_mb: int) -> None:
        params = {"max_mb": max_mb}
        super().__init__((FieldError("file", self.code, params),), **params)


class FilesFull(Refused):
    """A person, an organisation or a thing has as many files as it may have."""

    status = 409
    code = "files_full"

    def __init__(self, whose: str) -> None:
        super().__init__(whose=whose)


class FileIdUsed(Refused):
    """The id a page made for its file belongs to another one."""

    status = 409
    code = "file_id_used"


class FileLost(Refused):
    """The row is there and the bytes are not: whoever administers the place has been told."""

    status = 410
    code = "file_lost"


@audit.health_table
class Files(Base):
    """One file. `object_id` names its objects; the name lies sealed as they do."""

    __tablename__ = "files"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    object_id: Mapped[UUID] = mapped_column(unique=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    handed_in_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    # What it is attached to: of several tables, hence no foreign key.
    about_kind: Mapped[str]
    about_id: Mapped[UUID]
    sealed_name: Mapped[bytes]
    kind: Mapped[str]
    received: Mapped[int]  # bytes as they came; `size` as they are kept
    size: Mapped[int]
    preview_size: Mapped[int | None]
    # SHA-256 of the plain bytes, of the file and then of its small picture; of older rows unknown.
    sealed_digest: Mapped[bytes | None]
    at: Mapped[datetime]
    lost_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("size > 0 AND received > 0", name="sizes"),
        Index(None, "about_id"),
        Index(None, "handed_in_by"),
        Index(None, "organisation_id"),
        Index(None, "owner_id"),
    )


class NewFile(msgspec.Struct, frozen=True):
    """A file as it is handed in; the page makes the id, so that a repeat is known as one."""

    id: UUID
    name: str
    received: int


class Place(msgspec.Struct, frozen=True):
    """What a file is attached to, whose it is and in which organisation."""

    kind: str
    about_id: UUID
    owner_id: UUID
    organisation_id: UUID


class Stored(msgspec.Struct, frozen=True):
    """What lies in the object store and has no row yet."""

    object_id: UUID
    kind: Kind
    size: int
    preview_size: int | None
    digest: bytes | None = None


class FoundFile(msgspec.Struct, frozen=True):
    """One object that may be read: where, under which key, what it is, what a browser is told."""

    object_key: str
    data_key: DataKey
    about: bytes
    name: str
    media_type: str
    size: int
    sha256: bytes | None
    picture: bool


def refusal(bad: BadFile) -> Refused:
    """The refusal for a file that the checks did not let pass."""
    if bad.fault is Fault.TOO_LARGE:
        return FileTooLarge(**bad.params)
    return FileRefused(bad.fault, **bad.params)


def plain_name(name: str, kind: Kind) -> str:
    """One line without paths and control characters, with the ending of what it really is."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = " ".join("".join(c if c.isprintable() else " " for c in last).split())
    endings = KINDS[kind].endings
    base, dot, ending = shown.rpartition(".")
    if dot and ending.lower() in endings:
        return shown[-MAX_NAME:]
    base = (base if dot and len(ending) <= 5 else shown).strip(". ") or "file"  # noqa: PLR2004
    return f"{base[: MAX_NAME - 6]}.{endings[0]}"


async def put(objects: Objects, data_key: DataKey, judged: Judged) -> Stored:
    """Seal and store a file and its small picture; failed, nothing of it stays.

    Raises ObjectsAway.
    """
    object_id = new_id()
    digest = await asyncio.to_thread(_digest, judged)
    try:
        await put_sealed_stream(objects, *_sealed(object_id, "whole", judged.kept, data_key))
        if judged.preview is not None:
            await put_sealed_stream(
                objects, *_sealed(object_id, "preview", judged.preview, data_key)
            )
    except BaseException:
        await take_back(objects, object_id)
        raise
    return Stored(object_id, judged.kind, judged.size, judged.preview_size, digest)


async def take_back(objects: Objects, object_id: UUID) -> None:
    """Delete the objects of a file without a row; people/lost_files.py finds what stays."""
    with anyio.move_on_after(10, shield=True):
        for part in ("whole", "preview"):
            try:
                await objects.delete(object_key(object_id, part))
            except ObjectsError:
                return


async def read(objects: Objects, found: FoundFile, start: int, length: int) -> AsyncIterator[bytes]:
    """Give some of a file's bytes; of a whole file not the last before its digest proved true.

    Raises ObjectMissing, ObjectsAway, DamagedObject.
    """
    pieces = read_sealed(objects, found.object_key, found.data_key, found.about, start, length)
    whole = (start, length) == (0, found.size)
    digest, held, left = hashlib.sha256(), b"", length
    async with aclosing(pieces):
        async for piece in pieces:
            left -= len(piece)
            if whole:
                digest.update(piece)
            if held:
                yield held
            held = piece
    if left != 0 or (whole and found.sha256 not in {None, digest.digest()}):
        raise DamagedObject(f"{found.object_key} is not what was handed in")
    yield held


async def there(db: AsyncSession, person_id: UUID, place: Place, new: NewFile) -> Files | None:
    """Give the file of this id if it is the same one sent again. Raises FileIdUsed.

    What the sender is told of is what he sent himself: no look at somebody's files.
    """
    query = select(Files).where(Files.id == new.id).execution_options(**audit.WRITE_PATH)
    found: Files | None = await db.scalar(query)
    if found is None:
        return None
    same = (found.handed_in_by, found.about_id, found.received)
    if same != (person_id, place.about_id, new.received) or found.removed_at is not None:
        raise FileIdUsed
    return found


async def require_room(db: AsyncSession, person_id: UUID, place: Place, size: int) -> None:
    """Refuse (FilesFull) what would not fit; only behind `_stand_in_line` this is the last word.

    What was taken back counts until its objects are gone: they fill the store for a day more.
    """
    kept = func.sum(Files.size + func.coalesce(Files.preview_size, 0))
    thing = Files.about_id == place.about_id
    person = Files.handed_in_by == person_id
    organisation = Files.organisation_id == place.organisation_id
    query = select(
        func.count().filter(thing),
        func.count().filter(person),
        func.coalesce(kept.filter(person), 0),
        func.coalesce(kept.filter(organisation), 0),
    ).where(thing | person | organisation)
    counted = (await db.execute(query, execution_options=audit.WRITE_PATH)).one()
    of_thing, of_person, bytes_of_person, bytes_of_organisation = map(int, counted)
    if of_thing >= ABOUT_FILES:
        raise FilesFull("thing")
    if of_person >= PERSON_FILES or bytes_of_person + size > PERSON_BYTES:
        raise FilesFull("person")
    if bytes_of_organisation + size > ORGANISATION_BYTES:
        raise FilesFull("organisation")


async def hand_in(  # noqa: PLR0917 - who, where, what came and what is kept of it
    db: AsyncSession,
    person_id: UUID,
    place: Place,
    new: NewFile,
    stored: Stored,
    data_key: DataKey,
    now: datetime,
) -> Files:
    """Write the row of a file that lies in the store. Raises FilesFull, FileIdUsed.

    The caller has judged, and commits.
    """
    await _stand_in_line(db, person_id, place.organisation_id)
    if await there(db, person_id, place, new) is not None:
        raise FileIdUsed
    await require_room(db, person_id, place, stored.size + (stored.preview_size or 0))
    name = plain_name(new.name, stored.kind)
    made = Files(
        id=new.id,
        object_id=stored.object_id,
        owner_id=place.owner_id,
        organisation_id=place.organisation_id,
        handed_in_by=person_id,
        about_kind=place.kind,
        about_id=place.about_id,
        sealed_name=data_key.seal(name.encode(), row("files", "name", new.id)),
        kind=stored.kind.value,
        received=new.received,
        size=stored.size,
        preview_size=stored.preview_size,
        sealed_digest=stored.digest
        and data_key.seal(stored.digest, row("files", "digest", new.id)),
        at=now,
    )
    db.add(made)
    await db.flush()
    return made


async def _stand_in_line(db: AsyncSession, person_id: UUID, organisation_id: UUID) -> None:
    """Two files at once must not both fit into the last place."""
    for table, one in ((Organisations, organisation_id), (Persons, person_id)):
        await db.execute(select(table.id).where(table.id == one).with_for_update(key_share=True))


def about(place_id: UUID) -> Select[Files]:
    """SQL: the files of a thing in their order."""
    mine = (Files.about_id == place_id, Files.removed_at.is_(None))
    return select(Files).where(*mine).order_by(Files.at, Files.id)


def name_of(file: Files, data_key: DataKey) -> str:
    """The name a file was handed in by. Raises CannotOpen."""
    return data_key.open(file.sealed_name, row("files", "name", file.id)).decode()


def found(file: Files, data_key: DataKey, *, preview: bool = False) -> FoundFile:
    """What is needed to read a file, or its small picture. Raises FileLost, NotFound."""
    if file.lost_at is not None:
        raise FileLost
    part = "preview" if preview else "whole"
    size = file.preview_size if preview else file.size
    if size is None:
        raise NotFound
    kind = Kind(file.kind)
    small = DRAWN_TYPE if kind is Kind.ECG else PREVIEW_TYPE
    media_type = small if preview else KINDS[kind].media_type
    return FoundFile(
        object_key=object_key(file.object_id, part),
        data_key=data_key,
        about=_about(file.object_id, part),
        name=name_of(file, data_key),
        media_type=media_type,
        size=size,
        sha256=_sha256(file, data_key, part),
        picture=media_type.startswith("image/"),
    )


async def remove(db: AsyncSession, file: Files, now: datetime) -> None:
    """Take a file away at once; row and objects go a day later (people/lost_files.py)."""
    file.removed_at = now
    await db.flush()


def object_key(object_id: UUID, part: str) -> str:
    """Key of one object of a file."""
    return f"{OBJECTS}{object_id}/{part}"


def _digest(judged: Judged) -> bytes:
    """SHA-256 of the file, and behind it of its small picture."""
    digest = b""
    for path in (judged.kept, judged.preview):
        if path is not None:
            with path.open("rb") as file:
                digest += hashlib.file_digest(file, "sha256").digest()
    return digest


def _sha256(file: Files, data_key: DataKey, part: str) -> bytes | None:
    """What the row says of an object, if it is not older than that. Raises CannotOpen."""
    if file.sealed_digest is None:
        return None
    both = data_key.open(file.sealed_digest, row("files", "digest", file.id))
    return both[:_SHA256] if part == "whole" else both[_SHA256:]


def _about(object_id: UUID, part: str) -> bytes:
    return row("files", part, object_id)


def _sealed(
    object_id: UUID, part: str, file: Path, data_key: DataKey
) -> tuple[str, AsyncIterator[bytes], int, DataKey, bytes]:
    size = file.stat().st_size
    return object_key(object_id, part), _pieces(file), size, data_key, _about(object_id, part)


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(file, "rb") as opened:
        while piece := await opened.read(_PIECE):
            yield piece
