"""Objects in any S3 store.

minio is blocking and costs about 1.3 ms of CPU a call, so every call runs in one of a few threads
of our own and has a bounded time: an unreachable store is an error in seconds, not a hanging page.

Its import takes a quarter of a second: `storage.objects` knows nothing of it.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from storage.objects import ObjectMissing, ObjectsAway
from storage.settings import Settings

T = TypeVar("T")

# 8-16 threads saturate one SeaweedFS; the pool keeps a connection for each.
_THREADS = 12
_CONNECT_S = 2.0
_READ_S = 10.0
# Pieces of an upload made while one is sent, and how long the next may take to be made.
_AHEAD = 2
_PIECE_S = 30.0
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion"})
_THERE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_PAST_END = "InvalidRange"


class S3Objects:
    """Objects in one bucket of the settings' S3 store; no call takes longer than its limit."""

    def __init__(self, settings: Settings, *, call_within_s: float = 20.0) -> None:
        endpoint = settings.s3_endpoint
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        self.bucket = settings.s3_bucket
        self._region = settings.s3_region
        self._pool = urllib3.PoolManager(
            maxsize=_THREADS,
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            # One quick retry: a kept connection may have died with a restarted server. Every
            # call here may be repeated safely.
            retries=urllib3.Retry(total=1, backoff_factor=0.1, status_forcelist=[500, 502, 503]),
        )
        # Without `region` minio asks the server for it before the first call.
        self.client = Minio(
            parts.netloc,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            secure=parts.scheme == "https",
            region=settings.s3_region,
            http_client=self._pool,
        )
        self._call_within_s = call_within_s
        self._locks: bool | None = None
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def make_bucket(self) -> None:
        """Create the bucket when it is not there."""
        await self.run(self._make_bucket)

    async def put(
        self, key: str, data: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """See Objects.put."""
        await self.run(
            partial(
                self.client.put_object,
                self.bucket,
                key,
                BytesIO(data),
                len(data),
                content_type=content_type,
            )
        )

    async def put_stream(
        self,
        key: str,
        pieces: AsyncIterator[bytes],
        size: int,
        content_type: str = "application/octet-stream",
    ) -> None:
        """See Objects.put_stream. One call: the store spends tens of milliseconds on each."""
        await _Upload(self, key, size, content_type).run(pieces)

    async def get(self, key: str) -> bytes:
        """See Objects.get."""
        return await self.run(partial(self._read, key, 0, 0))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See Objects.get_range."""
        if start < 0 or length < 0:
            raise ValueError("a range begins at 0 or later and has no negative length")
        if length == 0:
            return b""
        return await self.run(partial(self._read, key, start, length))

    async def stream(
        self, key: str, start: int, length: int | None, piece: int, *, more_first: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """See Objects.stream. One call to the store: each costs it tens of milliseconds."""
        opening = _Opening(partial(self._open, key, start, length or 0))
        try:
            response = await self.run(opening.run)
        except BaseException:
            opening.give_up()
            raise
        if response is None:
            return
        whole = False
        try:
            wanted = piece + more_first
            while data := await self.run(partial(response.read, wanted)):
                whole = len(data) < wanted
                yield data
                if whole:
                    return
                wanted = piece
            whole = True
        finally:
            if not whole:
                response.close()
            response.release_conn()

    async def size(self, key: str) -> int:
        """See Objects.size."""
        found = await self.run(partial(self.client.stat_object, self.bucket, key))
        return found.size or 0

    async def exists(self, key: str) -> bool:
        """See Objects.exists."""
        try:
            await self.run(partial(self.client.stat_object, self.bucket, key))
        except ObjectMissing:
            return False
        return True

    async def delete(self, key: str) -> None:
        """See Objects.delete. Of a bucket with object lock every version, held ones stay."""
        await self.run(partial(self._delete, key))

    async def locks(self) -> bool:
        """Say whether the bucket was made with object lock: then it can hold objects."""
        return await self.run(self._has_locks)

    async def hold(self, key: str, *, on: bool) -> None:
        """Put a legal hold on an object, or take it off; twice is once.

        Nobody deletes it meanwhile, not even with the store's keys. Raises ObjectMissing.
        """
        call = self.client.enable_object_legal_hold if on else self.client.disable_object_legal_hold
        await self.run(partial(call, self.bucket, key))

    async def keys(self, prefix: str) -> list[str]:
        """See Objects.keys."""
        return await self.run(partial(self._list, prefix))

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def _make_bucket(self) -> None:
        try:
            self.client.make_bucket(self.bucket, self._region)
        except S3Error as error:
            if error.code not in _THERE:
                raise

    def _has_locks(self) -> bool:
        if self._locks is None:
            try:
                self.client.get_object_lock_config(self.bucket)
                self._locks = True
            except S3Error as error:
                # No object lock, none known, or a store that does not tell us: as without.
                failing = error.response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                if failing and error.response.status != HTTPStatus.NOT_IMPLEMENTED:
                    raise
                self._locks = False
        return self._locks

    def _delete(self, key: str) -> None:
        if not self._has_locks():
            self.client.remove_object(self.bucket, key)
            return
        # Such a bucket keeps versions: a plain deletion would only hide the object.
        found = self.client.list_objects(self.bucket, key, recursive=True, include_version=True)
        for one in [entry for entry in found if entry.object_name == key]:
            self.client.remove_object(self.bucket, key, version_id=one.version_id)

    def _open(self, key: str, start: int, length: int) -> urllib3.BaseHTTPResponse | None:
        """Begin to read; None past the end."""
        try:
            return self.client.get_object(self.bucket, key, offset=start, length=length)
        except S3Error as error:
            if error.code == _PAST_END:
                return None
            raise

    def _read(self, key: str, start: int, length: int) -> bytes:
        response = self._open(key, start, length)
        if response is None:
            return b""
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def send(self, key: str, body: Iterable[bytes], size: int, content_type: str) -> None:
        """Send an object by a presigned address: minio's own way makes both sides hash the body.

        Takes a thread. The socket's limit holds for each piece; the body is read once, so that
        nothing is tried again.
        """
        address = self.client.get_presigned_url("PUT", self.bucket, key)
        answer = self._pool.request(
            "PUT",
            address,
            body=body,
            headers={"Content-Length": str(size), "Content-Type": content_type},
            retries=False,
        )
        if answer.status != HTTPStatus.OK:
            raise OSError(f"an upload was answered with {answer.status}")

    def _list(self, prefix: str) -> list[str]:
        found = self.client.list_objects(self.bucket, prefix=prefix, recursive=True)
        return [entry.object_name for entry in found if entry.object_name is not None]

    async def run(self, call: Callable[[], T], *, bounded: bool = False) -> T:
        """Run a blocking call in a thread; when time is up the caller goes on without it.

        A call that is `bounded` keeps to a limit of its own.
        """
        try:
            with anyio.fail_after(None if bounded else self._call_within_s):
                return await anyio.to_thread.run_sync(
                    call, abandon_on_cancel=not bounded, limiter=self._threads
                )
        except S3Error as error:
            if error.code in _MISSING:
                raise ObjectMissing(error.object_name or "") from error
            raise ObjectsAway(f"object store: {error.code}: {error.message}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ObjectsAway(f"object store: {error}") from error


class _Opening:
    """An answer that nobody waits for any more is closed when it comes: its connection is ours."""

    def __init__(self, call: Callable[[], urllib3.BaseHTTPResponse | None]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._given_up = False
        self._response: urllib3.BaseHTTPResponse | None = None

    def run(self) -> urllib3.BaseHTTPResponse | None:
        """Make the call. Takes a thread."""
        response = self._call()
        with self._lock:
            self._response = response
            if not self._given_up:
                return response
        self.give_up()
        return None

    def give_up(self) -> None:
        """Close what has come, or will."""
        with self._lock:
            self._given_up, response, self._response = True, self._response, None
        if response is not None:
            response.close()
            response.release_conn()


class _Upload:
    """One object on its way: pieces are made in the loop while a thread sends the one before."""

    def __init__(self, store: S3Objects, key: str, size: int, content_type: str) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._content_type = content_type
        self._loop = asyncio.get_running_loop()
        # None ends the body before its time: the connection is closed, and the store keeps nothing.
        self._ahead: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)

    async def run(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the pieces. Raises what they raise, or ObjectsAway."""
        filling = asyncio.create_task(self._fill(pieces))
        sending = asyncio.create_task(
            self._store.run(
                partial(self._store.send, self._key, self._body(), self._size, self._content_type),
                bounded=True,
            )
        )
        try:
            await asyncio.wait({filling, sending}, return_when=asyncio.FIRST_EXCEPTION)
            if filling.done():
                filling.result()
            await sending
        finally:
            # Nothing is sent any more when this returns: what broke off must not appear later.
            filling.cancel()
            while not self._ahead.empty():
                self._ahead.get_nowait()
            self._ahead.put_nowait(None)
            with anyio.CancelScope(shield=True):
                await asyncio.gather(filling, sending, return_exceptions=True)

    async def _fill(self, pieces: AsyncIterator[bytes]) -> None:
        made = 0
        async for piece in pieces:
            made += len(piece)
            if made > self._size:
                break
            await self._ahead.put(piece)
        if made != self._size:
            raise ValueError(f"{made} bytes or more where {self._size} were told")

    def _body(self) -> Iterator[bytes]:
        left = self._size
        while left:
            coming = asyncio.run_coroutine_threadsafe(self._ahead.get(), self._loop)
            piece = coming.result(_PIECE_S)
            if piece is None:
                raise ConnectionAbortedError("the object broke off")
            left -= len(piece)
            yield piece
