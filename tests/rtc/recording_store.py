"""What the spool speaks with: an API that hears it, and object stores and roads with moods."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rtc.messages import FromWorker, SegmentClosed, SegmentStored, TakeClosed, TakeStored
from rtc.recording.spool import Spool
from storage.objects import ObjectsAway
from storage.s3 import S3Objects


class Told:
    """What the spool says; acknowledges it like the API when asked to."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.messages: list[FromWorker] = []
        self.acknowledges = acknowledges
        self.take_runs = False  # then nobody calls it closed, see api/keeper.py
        self.spool: Spool | None = None
        self._changed = asyncio.Event()

    def __call__(self, message: FromWorker) -> None:
        self.messages.append(message)
        self._changed.set()
        if self.acknowledges and self.spool is not None:
            if isinstance(message, SegmentClosed):
                self.spool.stored(SegmentStored(message.room, message.take, message.start_ms))
            elif isinstance(message, TakeClosed) and not self.take_runs:
                self.spool.stored(TakeStored(message.room, message.take))

    @property
    def segments(self) -> list[SegmentClosed]:
        return [each for each in self.messages if isinstance(each, SegmentClosed)]

    @property
    def takes(self) -> list[TakeClosed]:
        return [each for each in self.messages if isinstance(each, TakeClosed)]

    async def until(self, true: Callable[[], bool], timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()


class Road:
    """The way to the object store: a relay that can be cut, or swallow everything."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.state = "open"
        self.refused = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.state != "open":
            self.refused.set()
        if self.state == "cut":
            writer.transport.abort()
            return
        onward = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(onward[1])
        await asyncio.gather(self._pump(reader, onward[1]), self._pump(onward[0], writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                if self.state == "open":
                    writer.write(data)
                else:
                    self.refused.set()
        except OSError:
            pass
        finally:
            writer.close()

    def change(self, state: str) -> None:
        """ "open", "cut" or "hanging"; connections of before do not survive."""
        self.state = state
        for writer in self._writers:
            if state != "hanging":
                writer.transport.abort()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        """The port at which it begins."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        self.change("cut")
        server.close()


class Distant(S3Objects):
    """A store at the other end of the country."""

    async def put(self, key: str, data: bytes, content_type: str = "") -> None:
        """See Objects.put."""
        await asyncio.sleep(0.12)
        await super().put(key, data, content_type)


class Moody(S3Objects):
    """Takes nothing of one kind of room."""

    async def put(self, key: str, data: bytes, content_type: str = "") -> None:
        """See Objects.put."""
        if "/bad-" in key:
            raise ObjectsAway("not today")
        await super().put(key, data, content_type)
