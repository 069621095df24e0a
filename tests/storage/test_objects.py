"""Objects on the real SeaweedFS, and what callers see when it is away."""

import asyncio
import gc
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from storage.objects import ObjectMissing, Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings


@pytest.fixture
def folder() -> str:
    return f"test/{uuid4()}"


async def test_an_object_comes_back_byte_by_byte(objects: Objects, folder: str) -> None:
    data = bytes(range(256)) * 300
    await objects.put(f"{folder}/кардиограмма 1", data)
    assert await objects.get(f"{folder}/кардиограмма 1") == data


async def test_an_object_may_be_empty(objects: Objects, folder: str) -> None:
    await objects.put(f"{folder}/empty", b"")
    assert await objects.get(f"{folder}/empty") == b""
    assert await objects.exists(f"{folder}/empty")


async def test_a_second_put_replaces_the_object(objects: Objects, folder: str) -> None:
    await objects.put(f"{folder}/a", b"first and longer")
    await objects.put(f"{folder}/a", b"second")
    assert await objects.get(f"{folder}/a") == b"second"


@pytest.mark.parametrize(
    ("start", "length"), [(0, 4), (3, 5), (8, 100), (10, 5), (11, 5), (4, 0), (0, 10)]
)
async def test_a_range_is_what_a_slice_would_be(
    objects: Objects, folder: str, start: int, length: int
) -> None:
    data = b"0123456789"
    await objects.put(f"{folder}/range", data)
    assert await objects.get_range(f"{folder}/range", start, length) == data[start : start + length]


async def test_a_range_before_the_beginning_is_refused(objects: Objects, folder: str) -> None:
    with pytest.raises(ValueError, match="begins at 0"):
        await objects.get_range(f"{folder}/range", -1, 5)


async def test_a_missing_object_is_told_by_name(objects: Objects, folder: str) -> None:
    with pytest.raises(ObjectMissing, match="nothing"):
        await objects.get(f"{folder}/nothing")
    with pytest.raises(ObjectMissing):
        await objects.get_range(f"{folder}/nothing", 0, 1)
    assert not await objects.exists(f"{folder}/nothing")


async def test_a_deleted_object_is_gone_and_may_be_deleted_again(
    objects: Objects, folder: str
) -> None:
    await objects.put(f"{folder}/a", b"x")
    await objects.delete(f"{folder}/a")
    await objects.delete(f"{folder}/a")
    assert not await objects.exists(f"{folder}/a")


async def test_keys_lists_everything_below_a_prefix_in_order(objects: Objects, folder: str) -> None:
    names = [f"{folder}/b/2", f"{folder}/a", f"{folder}/b/1", f"{folder}/б"]
    await asyncio.gather(*(objects.put(name, b"x") for name in names))
    assert await objects.keys(f"{folder}/") == sorted(names)
    assert await objects.keys(f"{folder}/b/") == [f"{folder}/b/1", f"{folder}/b/2"]
    assert await objects.keys(f"{folder}/none") == []


async def test_many_calls_at_once_all_succeed(objects: Objects, folder: str) -> None:
    """More calls than threads wait their turn."""
    await asyncio.gather(*(objects.put(f"{folder}/{n}", str(n).encode()) for n in range(60)))
    found = await asyncio.gather(*(objects.get(f"{folder}/{n}") for n in range(60)))
    assert found == [str(n).encode() for n in range(60)]


async def test_making_the_bucket_again_changes_nothing(stores: Settings, folder: str) -> None:
    objects = S3Objects(stores)
    await objects.make_bucket()
    await objects.put(f"{folder}/a", b"kept")
    await objects.make_bucket()
    assert await objects.get(f"{folder}/a") == b"kept"
    objects.close()


async def test_a_wrong_key_is_not_told_as_a_missing_object(stores: Settings, folder: str) -> None:
    wrong = S3Place(stores.s3_endpoint, stores.s3_access_key, "not the secret")
    objects = S3Objects(replace(stores, outside_objects=wrong))
    with pytest.raises(ObjectsAway, match="SignatureDoesNotMatch"):
        await objects.get(f"{folder}/a")
    objects.close()


def _elsewhere(home: Path, port: int) -> Settings:
    place = S3Place(f"http://127.0.0.1:{port}", "key", "secret")
    return Settings(home=home, outside_objects=place)


async def test_a_store_where_nobody_listens_is_away_within_seconds(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        objects = S3Objects(_elsewhere(tmp_path, taken.getsockname()[1]))
        began = time.monotonic()
        with pytest.raises(ObjectsAway):
            await objects.put("a", b"x")
        with pytest.raises(ObjectsAway):
            await objects.exists("a")
        assert time.monotonic() - began < 5
        objects.close()


async def test_a_store_that_accepts_and_stays_silent_is_away_within_the_limit(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        objects = S3Objects(_elsewhere(tmp_path, silent.getsockname()[1]), call_within_s=0.3)
        began = time.monotonic()
        with pytest.raises(ObjectsAway):
            await objects.get("a")
        assert time.monotonic() - began < 2
        objects.close()


async def test_an_answer_that_nobody_waits_for_any_more_does_not_keep_its_connection(
    tmp_path: Path,
) -> None:
    """Also when it is an answer to the second try, whose first one the collector has to clear."""
    asked, give_up, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tries = 0

    async def store(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.readuntil(b"\r\n\r\n")
        if tries > 1:
            asked.set()
            await give_up.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            assert await reader.read() == b""
            closed.set()
        writer.close()

    server = await asyncio.start_server(store, "127.0.0.1", 0)
    objects = S3Objects(_elsewhere(tmp_path, server.sockets[0].getsockname()[1]))
    gc.disable()
    try:
        async with server, asyncio.timeout(10):
            reading = asyncio.create_task(anext(objects.stream("a", 0, None, 10)))
            await asked.wait()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            give_up.set()
            await closed.wait()
    finally:
        gc.enable()
        objects.close()
