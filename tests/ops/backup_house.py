"""An installation with backups for the operator's tests: filled, written to, spoiled."""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg

from ops.backup_keys import new_kit
from ops.backup_objects import client_of
from ops.backup_place import Folder
from people.audit_chain import Keys, Sealer
from storage import data_keys
from storage.backup_format import Kit
from storage.engine import make_engine, sessions
from storage.s3 import S3Objects
from storage.settings import Settings
from tests.ops.running import wait_for
from tests.telemed.clinic_house import NOW, furnish
from tests.telemed.document_desk import signed


@dataclass
class House:
    """An installation whose stores run, where its backups lie, and what opens them."""

    settings: Settings
    folder: Path
    place: Folder
    kit: Kit

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
        """A clinic with a signed certificate, and an audit that is sealed."""
        data_keys.unlock(self.settings.home)
        engine, objects = make_engine(self.settings.database_url), S3Objects(self.settings)
        try:
            async with sessions(engine)() as db, db.begin():
                await signed(db, await furnish(db), self.settings, NOW)
            sealer = Sealer(engine, objects, Keys.of(self.settings.home))
            while await sealer.seal(datetime.now(UTC)):
                pass
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
