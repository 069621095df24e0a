"""object.get and object.put: sealed streams beside curl, on the same store, of the same bytes.

curl is given presigned addresses and says itself how long the transfer took; ours is timed from the
call to the last byte, with everything it does: keys, sealing, proving each chunk, digests.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio

from bench.harness import Row, keeps_up
from storage.data_keys import DataKey
from storage.engine import new_id
from storage.s3 import S3Objects
from storage.sealed_objects import put_sealed_stream, read_sealed
from storage.settings import Settings

SIZE = 64 * 2**20
PIECE = 256 * 1024  # what an upload's body comes in
TURNS = 7
ABOUT = b"bench.object"
_MB = 1e6


async def sealed_objects(settings: Settings) -> list[Row]:
    """Both ways, in turns with curl; megabytes of plain bytes a second."""
    objects = S3Objects(settings)
    await objects.make_bucket()
    client = Minio(
        urlsplit(settings.s3_endpoint).netloc,
        settings.s3_access_key,
        settings.s3_secret_key,
        secure=False,
        region=settings.s3_region,
    )
    key = DataKey(new_id(), os.urandom(32))
    hour = timedelta(hours=1)
    rates: dict[str, list[float]] = {name: [] for name in ("get", "put", "curl get", "curl put")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plain"
        data = os.urandom(SIZE)
        file.write_bytes(data)
        for turn in range(TURNS):
            bare, ours = f"bench/bare-{turn}", f"bench/sealed-{turn}"
            address = client.presigned_put_object(settings.s3_bucket, bare, hour)
            rates["curl put"].append(await _curl("--upload-file", str(file), address))
            began = time.perf_counter()
            await put_sealed_stream(objects, ours, _pieces(data), SIZE, key, ABOUT)
            rates["put"].append(_rate(time.perf_counter() - began))
            address = client.presigned_get_object(settings.s3_bucket, bare, hour)
            rates["curl get"].append(await _curl(address))
            began = time.perf_counter()
            size = 0
            async for piece in read_sealed(objects, ours, key, ABOUT):
                size += len(piece)
            rates["get"].append(_rate(time.perf_counter() - began))
            assert size == SIZE
            for name in (bare, ours):
                await objects.delete(name)
    objects.close()
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return [
        keeps_up(
            "object.get", middle["get"], "MB/s, decrypted", peer=middle["curl get"], times=0.6
        ),
        keeps_up("object.put", middle["put"], "MB/s, sealed", peer=middle["curl put"], times=0.8),
    ]


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]


async def _curl(*words: str) -> float:
    """Run curl on the object; give its megabytes a second."""
    process = await asyncio.create_subprocess_exec(
        "curl",
        *("--silent", "--fail", "--noproxy", "*", "--output", os.devnull),
        *("--write-out", "%{time_total}"),
        *words,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"curl failed with {process.returncode}")
    return _rate(float(said))


def _rate(seconds: float) -> float:
    return SIZE / seconds / _MB
