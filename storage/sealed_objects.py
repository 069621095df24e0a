"""Objects sealed as a stream: written and read chunk by chunk, any range without the rest.

    header   b"YSO1", nonce prefix (8), the object's own key sealed under its owner's key (61)
    chunk    1 MiB of the plain bytes, AES-256-GCM, 16 bytes of tag; the last one may be shorter

The nonce of a chunk is prefix and number (4); its associated data is number, whether it is the last
one, and `about`. Chunks can therefore neither be changed, nor put in another order, nor taken from
another object, nor dropped from the end without being noticed by whoever reads that far. An
object's key is used for that one object. Destroying the owner's key destroys what is sealed so.

What begins to be read beyond a cut-off end looks like what begins beyond the end: whoever needs to
know keeps the size beside the key.
"""

import asyncio
import hashlib
import secrets
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.data_keys import DataKey
from storage.objects import ObjectMissing, Objects
from storage.sealing import CannotOpen

MAGIC: Final = b"YSO1"
CHUNK: Final = 2**20
_TAG: Final = 16
_SEALED: Final = CHUNK + _TAG
_PREFIX: Final = 8
_OVERHEAD: Final = 29  # what DataKey.seal adds
_KEY: Final = 32
HEADER: Final = len(MAGIC) + _PREFIX + _KEY + _OVERHEAD
# Chunks of one piece that is read.
_AT_ONCE: Final = 8
_NUMBER = struct.Struct(">I")
_ABOUT = struct.Struct(">I?")


class DamagedObject(CannotOpen):
    """The object is not what was put there: changed, cut off, or of another thing."""


@dataclass(frozen=True)
class Stored:
    """What was put: bytes before and after sealing, and the digest of the object as it lies."""

    plain_size: int
    size: int
    sha256: bytes


def sealed_size(plain: int) -> int:
    """Give the size of an object that holds so many plain bytes."""
    return HEADER + plain + _TAG * max(1, -(-plain // CHUNK))


def plain_size(stored: int) -> int:
    """Give the plain bytes in an object of this size. Raises DamagedObject for no such size."""
    chunks, rest = divmod(stored - HEADER, _SEALED)
    if stored < HEADER + _TAG or 0 < rest < _TAG or (rest == _TAG and chunks):
        raise DamagedObject(f"no sealed object is {stored} bytes long")
    return chunks * CHUNK + max(0, rest - _TAG)


async def put_sealed(
    objects: Objects, key: str, data: bytes, data_key: DataKey, about: bytes
) -> Stored:
    """Seal `data` and store it under `key`, whole or not at all. Raises ObjectsAway."""
    seal = _Seal(data_key, about)
    async with aclosing(seal.pieces(_rechunked(_once(data)))) as pieces:
        await objects.put(key, b"".join([piece async for piece in pieces]))
    return Stored(seal.plain_size, seal.size, seal.digest.digest())


async def put_sealed_stream(  # noqa: PLR0917 - what, how much of it, whose: all of them each time
    objects: Objects,
    key: str,
    data: AsyncIterator[bytes],
    size: int,
    data_key: DataKey,
    about: bytes,
) -> Stored:
    """As `put_sealed`, for `size` bytes that come bit by bit and are never held whole.

    Raises ObjectsAway, ValueError for more or fewer bytes, and whatever the stream raises.
    """
    seal = _Seal(data_key, about)
    async with aclosing(seal.pieces(_rechunked(data))) as pieces:
        await objects.put_stream(key, pieces, sealed_size(size))
    return Stored(seal.plain_size, seal.size, seal.digest.digest())


async def read_sealed(  # noqa: PLR0917 - what, whose, from where: all of them each time
    objects: Objects,
    key: str,
    data_key: DataKey,
    about: bytes,
    start: int = 0,
    length: int | None = None,
) -> AsyncGenerator[bytes, None]:
    """Give `length` plain bytes from `start` (to the end without it), fewer past the end.

    The first piece is not given before the header and that piece proved true. Raises ObjectMissing,
    ObjectsAway, DamagedObject; the last one also later, where a later chunk is not true.
    """
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range begins at 0 or later and has no negative length")
    end = None if length is None else start + length
    if end == start:
        return
    first = start // CHUNK
    chunks = _Chunks(objects, key, first, None if end is None else (end - 1) // CHUNK)
    try:
        sealed = await chunks.begin(data_key, about)
        number = first
        while True:
            for piece in sealed:
                plain, last = chunks.open(piece, number, about)
                at = number * CHUNK
                cut = plain[max(0, start - at) : None if end is None else max(0, end - at)]
                if cut:
                    yield cut
                if last or (end is not None and end <= at + CHUNK):
                    return
                number += 1
            sealed = await chunks.more()
            if not sealed:
                if number > first or first == 0:
                    raise DamagedObject(f"{key} is cut off")
                return  # begins past the end
    finally:
        await chunks.close()


async def read_whole(objects: Objects, key: str, data_key: DataKey, about: bytes) -> bytes:
    """Give all plain bytes of what is small enough to be held. Raises as `read_sealed`."""
    return b"".join([piece async for piece in read_sealed(objects, key, data_key, about)])


class _Seal:
    """One object on its way out."""

    def __init__(self, data_key: DataKey, about: bytes) -> None:
        key = AESGCM.generate_key(8 * _KEY)
        self._aes = AESGCM(key)
        self._prefix = secrets.token_bytes(_PREFIX)
        self._about = about
        self._header = MAGIC + self._prefix + data_key.seal(key, _key_about(about))
        self.digest = hashlib.sha256()
        self.plain_size = 0
        self.size = 0

    async def pieces(
        self, plain: AsyncIterator[tuple[memoryview, bool]]
    ) -> AsyncGenerator[bytes, None]:
        """Give the header, then each chunk sealed."""
        yield self._told(self._header)
        number = 0
        async for chunk, last in plain:
            nonce = self._prefix + _NUMBER.pack(number)
            about = _chunk_about(number, self._about, last=last)
            self.plain_size += len(chunk)
            number += 1
            yield self._told(self._aes.encrypt(nonce, chunk, about))

    def _told(self, data: bytes) -> bytes:
        self.digest.update(data)
        self.size += len(data)
        return data


class _Chunks:
    """Sealed chunks of one object, some at a time, the next ones on their way meanwhile."""

    def __init__(self, objects: Objects, key: str, first: int, last: int | None) -> None:
        self._objects = objects
        self._key = key
        self._with_header = first == 0
        start = 0 if self._with_header else HEADER + first * _SEALED
        end = None if last is None else HEADER + (last + 1) * _SEALED
        self._stream = objects.stream(
            key,
            start,
            None if end is None else end - start,
            _AT_ONCE * _SEALED,
            more_first=HEADER if self._with_header else 0,
        )
        self._coming = asyncio.create_task(self._piece())

    async def begin(self, data_key: DataKey, about: bytes) -> list[memoryview]:
        """Read the header and the first chunks: one call when the object is read from its start."""
        if self._with_header:
            sealed = await self._arrived()
            header, sealed = sealed[:HEADER], sealed[HEADER:]
        else:
            raw = await self._objects.get_range(self._key, 0, HEADER)
            header, sealed = memoryview(raw), await self._arrived()
        if len(header) < HEADER or bytes(header[: len(MAGIC)]) != MAGIC:
            raise DamagedObject(f"{self._key} is no sealed object")
        self._prefix = bytes(header[len(MAGIC) : len(MAGIC) + _PREFIX])
        try:
            key = data_key.open(bytes(header[len(MAGIC) + _PREFIX :]), _key_about(about))
        except CannotOpen as error:
            raise DamagedObject(f"{self._key} is sealed for another thing") from error
        self._aes = AESGCM(key)
        return self._split(sealed)

    async def more(self) -> list[memoryview]:
        """Give the next chunks; none past the end, or past the range."""
        return self._split(await self._arrived())

    def open(self, sealed: memoryview, number: int, about: bytes) -> tuple[bytes, bool]:
        """Open a chunk and say whether it is the object's last. Raises DamagedObject."""
        nonce = self._prefix + _NUMBER.pack(number)
        # A whole chunk is hardly ever the last one, a shorter one always is.
        for last in (False, True) if len(sealed) == _SEALED else (True,):
            try:
                plain = self._aes.decrypt(nonce, sealed, _chunk_about(number, about, last=last))
            except (InvalidTag, ValueError):
                continue
            return plain, last
        raise DamagedObject(f"{self._key}: chunk {number} is not what was put there")

    async def close(self) -> None:
        """Let go what is still on its way."""
        self._coming.cancel()
        await asyncio.gather(self._coming, return_exceptions=True)
        await self._stream.aclose()

    async def _piece(self) -> bytes:
        return await anext(self._stream, b"")

    async def _arrived(self) -> memoryview:
        """Wait for what is on its way, and have the next piece come meanwhile."""
        data = await self._coming
        if data:
            self._coming = asyncio.create_task(self._piece())
        return memoryview(data)

    @staticmethod
    def _split(sealed: memoryview) -> list[memoryview]:
        return [sealed[at : at + _SEALED] for at in range(0, len(sealed), _SEALED)]


def _key_about(about: bytes) -> bytes:
    return b"sealed object key:" + about


def _chunk_about(number: int, about: bytes, *, last: bool) -> bytes:
    return MAGIC + _ABOUT.pack(number, last) + about


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _rechunked(data: AsyncIterator[bytes]) -> AsyncIterator[tuple[memoryview, bool]]:
    """Cut a stream into whole chunks; the last is known only when the stream has ended."""
    held = bytearray()
    async for piece in data:
        held += piece
        while len(held) > CHUNK:
            yield memoryview(bytes(held[:CHUNK])), False
            del held[:CHUNK]
    yield memoryview(bytes(held)), True


__all__ = [
    "CHUNK",
    "DamagedObject",
    "ObjectMissing",
    "Stored",
    "plain_size",
    "put_sealed",
    "put_sealed_stream",
    "read_sealed",
    "read_whole",
    "sealed_size",
]
