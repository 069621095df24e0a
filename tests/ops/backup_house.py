"""An installation with backups for the operator's tests: filled, written to, spoiled."""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from ops.backup_keys import new_kit
from ops.backup_objects import client_of
from ops.backup_place import Folder
from people import files
from people.audit import WRITE_PATH
from people.audit_chain import Keys, Sealer
from people.files import Files
from storage import data_keys
from storage.backup_format import Kit
from storage.data_keys import key_of
from storage.engine import make_engine, sessions
from storage.file_checks import Judged, Kind
from storage.s3 import S3Objects
from storage.sealed_objects import put_sealed
from storage.settings import Settings
from telemed import visit_files
from tests.ops.running import wait_for
from tests.telemed.clinic_house import NOW, furnish
from tests.telemed.clinic_house import House as Clinic
from tests.telemed.document_desk import signed


@dataclass
class House:
    """An installation whose stores run, where its backups lie, and what opens them."""

    settings: Settings
    folder: Path
    place: Folder
    kit: Kit
    file: UUID | None = None

    def write(self, word: str) -> None:
        """Put an object, then the row that names it, as the house does."""
        put(self.settings, f"load/{word}", content_of(word))
        with psycopg.connect(self.settings.database_url) as db:
            db.execute("INSERT INTO written (word) VALUES (%s)", [word])

    @contextmanager
    def written_to(self, count: list[int]) -> Iterator[None]:
        """Somebody writes all the while; `count` says how often."""
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                self.write(f"{count[0]:06}")
                count[0] += 1

        writer = threading.Thread(target=load)
        writer.start()
        try:
            wait_for("the first rows", lambda: count[0] > 3)
            yield
            seen = count[0]
            wait_for("rows behind the backup", lambda: count[0] > seen + 3)
        finally:
            stop.set()
            writer.join()

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Ask the running database."""
        return asked(self.settings, question)

    def scratch(self) -> Settings:
        """Settings of a machine on which nothing stands."""
        return replace(self.settings, home=self.folder / uuid4().hex[:6], backups=None)

    def new_kit(self) -> Path:
        """Make a recovery key; where the operator keeps it."""
        self.kit = new_kit(self.settings)
        path = self.folder / f"{self.kit.recipient.hex()[:8]}.txt"
        path.write_text(self.kit.text)
        path.chmod(0o600)
        return path

    async def furnish(self) -> None:
        """A clinic with a signed certificate and a patient's file, and an audit that is sealed."""
        data_keys.unlock(self.settings.home)
        engine, objects = make_engine(self.settings.database_url), S3Objects(self.settings)
        try:
            async with sessions(engine)() as db, db.begin():
                clinic = await furnish(db)
                await signed(db, clinic, self.settings, NOW)
                self.file = await self._hand_in(db, objects, clinic)
            sealer = Sealer(engine, objects, Keys.of(self.settings.home))
            while await sealer.seal(datetime.now(UTC)):
                pass
        finally:
            await engine.dispose()
            objects.close()

    async def _hand_in(self, db: AsyncSession, objects: S3Objects, clinic: Clinic) -> UUID:
        """A file of the patient's visit."""
        body = self.folder / "body"
        body.write_bytes(b"0123456789")
        judged = Judged(kind=Kind.TEXT, kept=body, size=10, preview=None, preview_size=None)
        stored = await files.put(objects, await key_of(db, clinic.patient, NOW), judged)
        new = files.NewFile(uuid4(), "a.txt", 10)
        patient = await clinic.as_(db, clinic.patient)
        return (await visit_files.add(db, patient, clinic.visit, new, stored, NOW)).id

    async def spoil_file(self, there: Settings) -> None:
        """Put another one in its place, as long as it is and well sealed."""
        engine, objects = make_engine(there.database_url), S3Objects(there)
        try:
            async with sessions(engine)() as db:
                row = await db.get_one(Files, self.file, execution_options=WRITE_PATH)
                key = await key_of(db, row.owner_id, NOW)
            found = files.found(row, key)
            await put_sealed(objects, found.object_key, b"9876543210", key, found.about)
        finally:
            await engine.dispose()
            objects.close()


def content_of(word: str) -> bytes:
    """What the object of a row holds."""
    return hashlib.sha256(word.encode()).hexdigest().encode()


def put(settings: Settings, key: str, content: bytes) -> None:
    """Put an object."""
    client = client_of(settings)
    client.put_object(settings.s3_bucket, key, io.BytesIO(content), len(content))


def asked(settings: Settings, *questions: str) -> list[tuple[object, ...]]:
    """What the last of these statements gives."""
    with psycopg.connect(settings.database_url) as db:
        for question in questions:
            found = db.execute(question.encode())
        return found.fetchall() if found.description else []


def flipped(whole: bytes, at: int) -> bytes:
    """The same with one bit changed."""
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
