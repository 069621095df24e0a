"""Sealed objects: any range comes back, and nothing that was changed, moved or cut off does."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from storage.data_keys import DataKey
from storage.engine import new_id
from storage.objects import ObjectMissing, Objects
from storage.sealed_objects import (
    CHUNK,
    HEADER,
    DamagedObject,
    plain_size,
    put_sealed,
    put_sealed_stream,
    read_sealed,
    read_whole,
    sealed_size,
)

ABOUT = b"files.object:1"
# Some parts of an upload, the last chunk neither whole nor empty.
LARGE = os.urandom(CHUNK) * 17 + os.urandom(4321)


@pytest.fixture
def key() -> DataKey:
    """An owner's key."""
    return DataKey(new_id(), os.urandom(32))


@pytest.fixture
def name() -> str:
    """A key in the store."""
    return f"sealed/{new_id()}"


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """The bytes as a stream of odd pieces."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK])
async def test_what_was_put_comes_back_whole(
    objects: Objects, key: DataKey, name: str, size: int
) -> None:
    """At every edge of a chunk, given whole or as a stream; sizes are told without reading."""
    data = os.urandom(size)
    for put in (
        put_sealed(objects, name, data, key, ABOUT),
        put_sealed_stream(objects, name, pieces(data, 300_007), size, key, ABOUT),
    ):
        stored = await put
        assert await read_whole(objects, name, key, ABOUT) == data
        assert stored.plain_size == plain_size(stored.size) == size
        assert stored.size == sealed_size(size) == await objects.size(name)


async def test_ranges_of_a_large_object_are_as_slices(
    objects: Objects, key: DataKey, name: str
) -> None:
    """A range costs its chunks, not the object; past the end there is less, or nothing."""
    await put_sealed_stream(objects, name, pieces(LARGE, 900_001), len(LARGE), key, ABOUT)
    for start, length in [
        (0, None),
        (0, 0),
        (0, 10),
        (CHUNK - 3, 6),
        (CHUNK, CHUNK),
        (5 * CHUNK + 7, 9 * CHUNK),
        (len(LARGE) - 5, 50),
        (len(LARGE) - 5, None),
        (len(LARGE), 1),
        (len(LARGE) + 40 * CHUNK, None),
    ]:
        got = b"".join([p async for p in read_sealed(objects, name, key, ABOUT, start, length)])
        assert got == LARGE[start:][:length], (start, length)


async def test_what_was_changed_moved_or_cut_off_is_noticed(
    objects: Objects, key: DataKey, name: str
) -> None:
    """One flipped bit anywhere, chunks exchanged, an end dropped at a chunk, another thing's."""
    data = os.urandom(2 * CHUNK + 100)
    await put_sealed(objects, name, data, key, ABOUT)
    raw = await objects.get(name)
    chunk = CHUNK + 16
    first, second = raw[HEADER : HEADER + chunk], raw[HEADER + chunk : HEADER + 2 * chunk]
    wrong = {
        "magic": b"X" + raw[1:],
        "nonce": raw[:5] + bytes([raw[5] ^ 1]) + raw[6:],
        "key": raw[:20] + bytes([raw[20] ^ 1]) + raw[21:],
        "body": raw[: HEADER + 9] + bytes([raw[HEADER + 9] ^ 1]) + raw[HEADER + 10 :],
        "last": raw[:-1] + bytes([raw[-1] ^ 1]),
        "order": raw[:HEADER] + second + first + raw[HEADER + 2 * chunk :],
        "cut at a chunk": raw[: HEADER + 2 * chunk],
        "cut in a chunk": raw[:-30],
        "header only": raw[:HEADER],
        "nothing": b"",
        "longer": raw + b"x",
    }
    for what, bad in wrong.items():
        await objects.put(name, bad)
        with pytest.raises(DamagedObject):
            raise AssertionError(what, len(await read_whole(objects, name, key, ABOUT)))


async def test_an_object_opens_for_its_owner_and_its_thing_only(
    objects: Objects, key: DataKey, name: str
) -> None:
    """Copied to another place it is as closed as under another key."""
    await put_sealed(objects, name, b"plain", key, ABOUT)
    with pytest.raises(DamagedObject):
        await read_whole(objects, name, key, b"files.object:2")
    with pytest.raises(DamagedObject):
        await read_whole(objects, name, DataKey(key.owner, os.urandom(32)), ABOUT)
    with pytest.raises(ObjectMissing):
        await read_whole(objects, name + "x", key, ABOUT)
    assert b"plain" not in await objects.get(name)


async def test_a_stream_that_breaks_off_leaves_nothing(
    objects: Objects, key: DataKey, name: str
) -> None:
    """Neither an object nor half of one, though parts were on their way."""

    async def broken() -> AsyncIterator[bytes]:
        async for piece in pieces(LARGE, CHUNK):
            yield piece
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await put_sealed_stream(objects, name, broken(), len(LARGE) + 1, key, ABOUT)
    assert not await objects.exists(name)


@pytest.mark.parametrize("told", [len(LARGE) - CHUNK, len(LARGE) + CHUNK, len(LARGE) - 1])
async def test_more_or_fewer_bytes_than_told_are_not_stored(
    objects: Objects, key: DataKey, name: str, told: int
) -> None:
    """A file that grows or shrinks while it is read is refused, not cut."""
    with pytest.raises(ValueError, match="were told"):
        await put_sealed_stream(objects, name, pieces(LARGE, CHUNK), told, key, ABOUT)
    assert not await objects.exists(name)


async def test_an_upload_that_is_given_up_stays_away(
    objects: Objects, key: DataKey, name: str
) -> None:
    """Cancelled between two pieces it leaves nothing, now or later."""
    half_way = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield LARGE[: 3 * CHUNK]
        half_way.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(put_sealed_stream(objects, name, stuck(), len(LARGE), key, ABOUT))
    await half_way.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert not await objects.exists(name)


@pytest.mark.parametrize("size", [0, HEADER, HEADER + 15, HEADER + CHUNK + 32])
def test_no_sealed_object_has_such_a_size(size: int) -> None:
    """A cut-off one is known by its size in many cases."""
    with pytest.raises(DamagedObject):
        plain_size(size)
